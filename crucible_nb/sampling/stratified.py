"""Stratified sampling: a separate rate, or a separate reservoir, for each stratum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Choice, Sampler
from crucible_nb.sampling.random_numbers import RandomStream
from crucible_nb.sampling.reservoir import Slots
from crucible_nb.utils import checks

By = str | Callable[[pd.DataFrame], Any]


def strata_of(by: By, events: EventColumns) -> tuple[np.ndarray, list[Any]]:
    """Return the stratum of each event as a code, and the label of each code; the last label, None, is for missing."""
    if callable(by):
        codes, uniques = pd.factorize(pd.Series(by(events.frame())))
        if len(codes) != len(events):
            raise ConfigError(f"by: expected one label per event ({len(events)}), got {len(codes)}")
        labels = list(uniques)
    else:
        codes, labels = events.labels(by)
    return np.where(codes < 0, len(labels), codes), [*map(_to_python, labels), None]


def _to_python(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def check_by(by: Any) -> By:
    """Check for a column name or a callable; return it."""
    if callable(by):
        return by  # type: ignore[no-any-return]
    if isinstance(by, str) and by:
        return by
    raise checks.wrong("by", by, "a column name or a callable DataFrame -> one value per row")


class Stratified(Sampler):
    """Keep each stratum at its own rate, or a reservoir of `size` rows of each.

    Args:
        rates: Probability in (0, 1] by label; with by="success" the labels are True, False and None (unknown).
        by: Column of labels, or a callable DataFrame -> one label per row, computed row by row.
        default: Probability in strata without an entry in `rates`.
        size: Number of rows to keep of each stratum, all its events equally likely; excludes `rates`.

    Raises:
        ConfigError: A rate is not in (0, 1], or both `rates` and `size` are given.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> frame = pd.DataFrame({"success": [True] * 990 + [False] * 10})
        >>> rows = cr.sampling.sample(frame, cr.sampling.Stratified({False: 1.0, True: 0.1}), seed=1)
        >>> int((~rows.success).sum()), sorted(set(rows.weight))
        (10, [1.0, 10.0])

    References:
        Cochran: Sampling Techniques, chapter 5. Wiley, 3rd edition (1977).
    """

    restorable = True

    def __init__(
        self,
        rates: Mapping[Any, float] | None = None,
        by: By = "success",
        default: float = 1.0,
        size: int | None = None,
    ) -> None:
        if size is not None and rates:
            raise checks.wrong("size", size, "None where rates are given")
        if rates is not None and not isinstance(rates, Mapping):
            raise checks.wrong("rates", rates, "a mapping of label to probability")
        rates = {label: checks.number(f"rates[{label!r}]", rate, gt=0, le=1) for label, rate in (rates or {}).items()}
        self._rates, self.by = rates, check_by(by)
        self.default = checks.number("default", default, gt=0, le=1)
        self.size = checks.whole("size", size, ge=1, optional=True)
        self.revises = self.size is not None

    def __repr__(self) -> str:
        if self.size is not None:
            return f"Stratified(by={self.by!r}, size={self.size})"
        return f"Stratified({self._rates}, by={self.by!r}, default={self.default})"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"rates": self._rates or None, "by": self.by, "default": self.default, "size": self.size}

    def start(self) -> None:
        self._slots: dict[Any, Slots] = {}

    def rate(self, label: Any) -> float:
        """Return the probability in a stratum."""
        return self._rates.get(label, self.default)

    def choose(self, events: EventColumns) -> Choice:
        codes, labels = strata_of(self.by, events)
        keep, weight, dropped = np.zeros(len(events), np.bool_), np.ones(len(events)), [np.empty(0, np.int64)]
        if self.size is None:
            rates = np.array([self.rate(label) for label in labels])[codes]
            keep, weight = self.random.next(len(events)) < rates, 1 / rates
        else:
            for code in pd.unique(codes):
                rows = np.flatnonzero(codes == code)
                slots = self._reservoir(labels[code])
                positions, replaced = slots.add(events.seq[rows])
                keep[rows[positions]] = True
                weight[rows] = slots.weight
                dropped.append(replaced)
        seen, kept = np.bincount(codes, minlength=len(labels)), np.bincount(codes[keep], minlength=len(labels))
        for code in pd.unique(codes):  # in order of first appearance, for any block
            self.count(labels[code], int(seen[code]), int(kept[code]))
        return Choice(keep, weight, np.concatenate(dropped))

    def _reservoir(self, label: Any) -> Slots:
        if label not in self._slots:
            stream = (self.random.stream << 32) + 1 + len(self._slots)  # strata share no random numbers
            self._slots[label] = Slots(self.size or 1, RandomStream(self.random.seed, stream))
        return self._slots[label]

    def weights(self, seq: np.ndarray) -> np.ndarray | None:
        if self.size is None:
            return None
        weight = np.ones(len(seq))
        order = np.argsort(seq)
        for slots in self._slots.values():
            weight[order[np.searchsorted(seq, np.sort(slots.members), sorter=order)]] = slots.weight
        return weight

    def strata(self) -> dict[Any, tuple[int, int]]:
        if self.size is None:
            return super().strata()
        return {label: (slots.seen, len(slots.members)) for label, slots in self._slots.items()}

    def to_dict(self) -> dict[str, Any]:
        slots = [[label, slots.to_dict()] for label, slots in self._slots.items()]
        return {**super().to_dict(), "slots": slots}

    def from_dict(self, state: dict[str, Any]) -> Self:
        sampler = super().from_dict(state)
        sampler._slots = {label: Slots.from_dict(self.size or 1, slots) for label, slots in state["slots"]}
        return sampler
