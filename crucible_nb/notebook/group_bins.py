"""Bins of the groups of a column: the six largest, and the rest together."""

from __future__ import annotations

import math

import numpy as np

from crucible_nb.experiment.experiment import Experiment, labelled_rows
from crucible_nb.notebook.bins import Bins, Rows

SLOTS = 6
"""Groups with lines of their own."""
REST = "(rest)"
_MISSING = "(none)"
PARTS = ("p95", "rate", "success", "cost")
"""Series of a group: latency p95 (ms), events per second, success rate, USD per hour."""
_HOUR = 3600.0
_STANDARD = ("time", "weight", "success", "latency_ms", "cost_usd")


class GroupBins:
    """Bins of each group of a column of one experiment, each event read once.

    A group keeps its line, and its colour, for as long as the column is chosen: the six largest at first, then new
    ones while there are fewer.

    Args:
        experiment: The experiment.
        by: Name of the column.
        chunk: Maximum number of rows read at a time.
        names: The groups of all arms, in order, a list that the arms share; None for one of its own.

    Attributes:
        names: The groups with bins, in order; `REST` is added once there are more.
    """

    def __init__(self, experiment: Experiment, by: str, chunk: int, names: list[str] | None = None) -> None:
        self.experiment, self.by, self._chunk = experiment, by, chunk
        self.names: list[str] = [] if names is None else names
        self._bins: dict[str, dict[str, Bins]] = {}
        self._last_seq: dict[int, int] = {}

    def update(self, like: dict[str, Bins]) -> bool:
        """Read new events; return whether some are left.

        Args:
            like: The bins of all events by name; those of the groups have the same edges.
        """
        new = labelled_rows(self.experiment, self.by, self._last_seq, self._chunk)
        for writer, (rows, codes, labels) in new.items():
            if len(rows["seq"]):
                self._last_seq[writer] = int(rows["seq"].max())
                self._add(rows, codes, [*labels, _MISSING], like)
        return any(len(rows["seq"]) == self._chunk for rows, _, _ in new.values())

    def _add(self, rows: dict[str, np.ndarray], codes: np.ndarray, labels: list[str], like: dict[str, Bins]) -> None:
        codes = np.where(codes < 0, len(labels) - 1, codes)
        counts = np.bincount(codes, minlength=len(labels))
        slots = np.full(len(labels), SLOTS)
        for code in np.argsort(-counts, kind="stable").tolist():
            if counts[code]:
                slots[code] = self._slot(labels[code])
        owner = slots[codes]
        for slot in np.unique(owner).tolist():
            name = self.names[slot] if slot < SLOTS else REST
            self._add_to(name, rows, np.flatnonzero(owner == slot), like)

    def _slot(self, label: str) -> int:
        """Return the place of a group; that of the rest if all are taken."""
        if label not in self.names and len(self.names) < SLOTS:
            self.names.append(label)
        return self.names.index(label) if label in self.names[:SLOTS] else SLOTS

    def _add_to(self, name: str, rows: dict[str, np.ndarray], at: np.ndarray, like: dict[str, Bins]) -> None:
        if name not in self._bins:
            self._bins[name] = {
                key: Bins(bins.width, bins.size, growing=bins.growing) for key, bins in like.items()
            }  # fmt: skip
        if name == REST and REST not in self.names:
            self.names.append(REST)
        time, weight, success, latency, cost = (rows[key][at] for key in _STANDARD)
        part = Rows(time, weight, success, latency, cost, {})
        for key, bins in self._bins[name].items():
            if like[key].newest >= like[key].base:
                bins.advance(like[key].base * like[key].width)  # so that growing ones begin together
            bins.add(part)

    def series(self, key: str, like: Bins, first: int, active: np.ndarray) -> np.ndarray:
        """float64[bins, groups * parts]: `PARTS` of each group from bin `first` of `like` on.

        Args:
            key: Name of the bins.
            like: The bins of all events.
            first: Number of the first bin.
            active: Active seconds of each bin.
        """
        spans = np.where(active > 0, active, math.nan)
        unknown = np.full((len(active), len(PARTS)), math.nan)  # of a group that another arm has
        parts = [
            self._parts(self._bins[name][key], like, first, spans) if name in self._bins else unknown
            for name in self.names
        ]
        return np.concatenate(parts, axis=1) if parts else np.empty((len(active), 0))

    @staticmethod
    def _parts(bins: Bins, like: Bins, first: int, spans: np.ndarray) -> np.ndarray:
        bins.advance(like.newest * like.width)
        while bins.growing and bins.width < like.width:
            bins.double_width()
        found = np.full((len(spans), len(PARTS)), math.nan)
        found[:, 1] = 0 / spans
        shared = max(first, bins.base)
        if bins.width == like.width and shared <= bins.newest:
            numbers = slice(shared - max(first, like.base), None)
            values = (
                bins.quantiles(shared)[:, 1], bins.weight(shared) / spans[numbers], bins.success(shared),
                bins.cost(shared) / spans[numbers] * _HOUR,
            )  # fmt: skip
            found[numbers] = np.stack(values, axis=1)[: len(found[numbers])]
        return found
