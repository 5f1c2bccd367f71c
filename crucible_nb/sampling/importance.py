"""The large ones nearly surely, the small ones sometimes: a fixed budget that knows what totals are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from crucible_nb.accumulators import LogHistogram
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Choice, Sampler
from crucible_nb.sampling.stratified import By, checked_by
from crucible_nb.utils import checks

_REFRESH = 4096


class Priorities:
    """A priority sample: of all events offered, the `size` with the largest size / coin.

    One more is remembered; its priority is the threshold t, and an event of size w stands for max(1, t / w). Events
    above an earlier threshold wait until they are as many as the sample, then the smallest go at once; `settle` lets
    them go now. Which ones stay does not depend on when that happens.

    Args:
        size: Events to keep.

    References:
        Duffield, Lund, Thorup: Priority sampling for estimation of arbitrary subset sums. JACM 54 (2007).
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen = 0
        self.threshold = 0.0
        self._rows = np.empty((3, 0))  # number, size and coin of the sample, and last the first one that is not in
        self._waiting: list[np.ndarray] = []

    def take(self, seq: np.ndarray, w: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offer events with their sizes > 0 and coins in (0, 1].

        Returns:
            Positions of those that enter, and the numbers of those that leave, maybe of this very block.
        """
        self.seen += len(seq)
        near = np.flatnonzero(w / u > self.threshold)
        self._waiting.append(np.stack((seq[near], w[near], u[near])))
        crowded = sum(rows.shape[1] for rows in self._waiting) > self.size
        return near, self.settle() if crowded else np.empty(0, np.int64)

    def settle(self) -> np.ndarray:
        """Come down to `size` events; returns the numbers of those that leave."""
        if not self._waiting:
            return np.empty(0, np.int64)
        outside = self._rows[0, self.size :]  # has left already
        rows = np.concatenate((self._rows, *self._waiting), axis=1)
        self._waiting = []
        priority = rows[1] / rows[2]
        order = np.argsort(-priority, kind="stable")
        self._rows, leaving = rows[:, order[: self.size + 1]], rows[0, order[self.size :]]
        if len(leaving):
            self.threshold = float(priority[order[self.size]])
        return np.asarray(leaving[np.isin(leaving, outside, invert=True)], np.int64)

    def rescale(self, size: float) -> None:
        """Give all events so far this size."""
        self.settle()
        self._rows[1] = size
        self.threshold = size / self._rows[2, self.size] if self._rows.shape[1] > self.size else 0.0

    def members(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the events that are in, ascending, and what each stands for; after `settle`."""
        seq, w, _ = self._rows[:, : self.size]
        order = np.argsort(seq)
        return seq[order].astype(np.int64), self.weight_of(w[order])

    def weight_of(self, w: np.ndarray) -> np.ndarray:
        """What events of these sizes stand for."""
        return np.maximum(1.0, self.threshold / w)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data; what waits stays in line."""
        rows = np.concatenate((self._rows, *self._waiting), axis=1)
        return {"seen": self.seen, "settled": self._rows.shape[1], "rows": rows.tolist(), "threshold": self.threshold}

    @classmethod
    def from_dict(cls, size: int, state: dict[str, Any]) -> Priorities:
        """A sample that goes on from a state."""
        sample, rows, settled = cls(size), np.array(state["rows"], np.float64).reshape(3, -1), state["settled"]
        sample.seen, sample.threshold = state["seen"], state["threshold"]
        sample._rows, waiting = rows[:, :settled], rows[:, settled:]
        sample._waiting = [waiting] if waiting.shape[1] else []
        return sample


@dataclass(eq=False)
class Importance(Sampler):
    """Keep events with a probability that grows with their size, in a fixed budget (priority sampling).

    An event's size is its value plus the mean of the values before it, so that no event is impossible; missing
    and negative values count as that mean. Events above a quantile of the values before them are a sample of their
    own: at most `size` rows more, all of them kept until there are more than that.

    Args:
        size: Rows to keep.
        by: A column of numbers, e.g. "cost_usd" or "latency_ms", or a callable DataFrame -> sizes, one a row.
        keep_above: Where the tail begins: "p99", "p99.9", a number in (0, 1), or None for no tail of its own.

    Raises:
        ConfigError: An argument is not what is accepted.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> frame = pd.DataFrame({"cost_usd": np.random.default_rng(0).pareto(1.5, 10_000)})
        >>> rows = cr.sampling.sample(frame, cr.sampling.Importance(400), seed=1)
        >>> len(rows) <= 800, bool(abs((rows.weight * rows.cost_usd).sum() / frame.cost_usd.sum() - 1) < 0.05)
        (True, True)
    """

    size: int
    by: By = "cost_usd"
    keep_above: str | float | None = "p99"
    revises = True

    def __post_init__(self) -> None:
        self.size, self.by = checks.whole("size", self.size, ge=1), checked_by(self.by)
        self._quantile = None if self.keep_above is None else _quantile("keep_above", self.keep_above)
        self.sized_by = None if callable(self.by) else self.by

    def start(self) -> None:
        self._body, self._tail = Priorities(self.size), Priorities(self.size)
        self._values, self._refresh, self._edge = LogHistogram(), 32, np.inf
        self._total, self._known = 0.0, 0

    def choose(self, events: EventColumns) -> Choice:
        """Judge consecutive events; see `Sampler.choose`."""
        values = self._sizes(events)
        w, coins = self._weighed(values), 1.0 - self._draws.next(len(events))
        tail = self._above(values)
        keep, weight, dropped = np.zeros(len(events), np.bool_), np.ones(len(events)), []
        for sample, inside in ((self._body, ~tail), (self._tail, tail)):
            rows = np.flatnonzero(inside)
            near, leaving = sample.take(events.seq[rows], w[rows], coins[rows])
            keep[rows[near]] = True
            weight[rows] = sample.weight_of(w[rows])
            dropped.append(leaving)
        leaving = np.concatenate(dropped)
        if len(leaving):
            here = leaving >= events.seq[0]
            keep[leaving[here] - events.seq[0]] = False
            leaving = leaving[~here]
        return Choice(keep, weight, leaving)

    def settle(self) -> np.ndarray:
        """Numbers of the kept events that leave the sample now."""
        return np.concatenate((self._body.settle(), self._tail.settle()))

    def _sizes(self, events: EventColumns) -> np.ndarray:
        """Sizes as given; NaN where missing, negative or infinite."""
        values = pd.Series(self.by(events.frame())) if callable(self.by) else events[self.by]
        values = np.asarray(values, np.float64)
        if values.shape != (len(events),):
            raise checks.wrong("by", self.by, f"one size an event ({len(events)}), got {values.shape}")
        with np.errstate(invalid="ignore"):
            return np.where((values >= 0) & (values < np.inf), values, np.nan)

    def _weighed(self, values: np.ndarray) -> np.ndarray:
        """Value plus the mean of the values before; the carry comes first, so no cut changes a bit."""
        known = ~np.isnan(values)
        x = np.where(known, values, 0.0)
        total = np.cumsum(np.concatenate(([self._total], x)))
        count = np.cumsum(np.concatenate(([self._known], known)))
        mean = total[:-1] / np.maximum(count[:-1], 1)
        w: np.ndarray = np.where(known, x, mean) + mean
        if not self._total > 0:
            self._settle_scale(w, x)
        self._total, self._known = float(total[-1]), int(count[-1])
        return w

    def _settle_scale(self, w: np.ndarray, x: np.ndarray) -> None:
        """Events before the first positive value have no size; they are alike, and of its size once it is known."""
        first = int(np.argmax(x > 0)) if (x > 0).any() else len(x)
        scale = x[first] if first < len(x) else 1.0
        w[:first] = scale
        self._body.rescale(scale)

    def _above(self, values: np.ndarray) -> np.ndarray:
        """Which values lie above the quantile of the past; it is read anew at fixed numbers of events."""
        above, done = np.zeros(len(values), np.bool_), 0
        if self._quantile is None:
            return above
        while done < len(values):
            stop = min(len(values), done + self._refresh - self._values.count - self._values.missing)
            part = values[done:stop]
            above[done:stop] = part > self._edge
            self._values.update(part)
            done = stop
            if self._values.count + self._values.missing == self._refresh:
                self._edge = _or_none(self._values.quantile(self._quantile))
                self._refresh += min(_REFRESH, self._refresh // 2)
        return above

    def weights(self, seq: np.ndarray) -> np.ndarray:
        """Weights now of kept events."""
        parts = [self._body.members(), self._tail.members()]
        seqs, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(seqs)
        return np.asarray(weight[order[np.searchsorted(seqs, seq, sorter=order)]])

    def strata(self) -> dict[Any, tuple[int, int]]:
        """Events seen and rows kept, of the body and of the tail."""
        samples = {"body": self._body, "tail": self._tail}
        return {label: (one.seen, len(one.members()[0])) for label, one in samples.items() if one.seen}

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data."""
        edge = None if np.isinf(self._edge) else self._edge
        return {
            **super().to_dict(),
            "body": self._body.to_dict(),
            "tail": self._tail.to_dict(),
            "values": self._values.to_dict(),
            "past": [self._refresh, edge, self._total, self._known],
        }

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        sampler = super().from_dict(state)
        sampler._body = Priorities.from_dict(self.size, state["body"])
        sampler._tail = Priorities.from_dict(self.size, state["tail"])
        sampler._values = LogHistogram.from_dict(state["values"])
        sampler._refresh, edge, sampler._total, sampler._known = state["past"]
        sampler._edge = np.inf if edge is None else edge
        return sampler


def _or_none(edge: Any) -> float:
    """No tail while the past has no values."""
    return np.inf if np.isnan(edge) else float(edge)


def _quantile(name: str, value: Any) -> float:
    """A quantile as "p99", "p99.9" or a number in (0, 1)."""
    if isinstance(value, str):
        found = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)", value)
        value = float(found[1]) / 100 if found else value
    if isinstance(value, str):
        raise checks.wrong(name, value, "a quantile such as 'p99', a number in (0, 1), or None")
    return checks.number(name, value, gt=0, lt=1)
