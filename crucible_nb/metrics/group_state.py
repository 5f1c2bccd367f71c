"""Metrics state of many groups: a table of exact sums, and a quantile sketch of the latency of each group."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators import Quantiles
from crucible_nb.accumulators.exact_sum import ColumnSums
from crucible_nb.accumulators.kernels import KERNELS
from crucible_nb.accumulators.shared_values import SharedValues
from crucible_nb.metrics.fold import Cells
from crucible_nb.metrics.sum_table import EVENTS, FAILURES, NUMBERS, ONES, SUCCESSES, Block, SumTable
from crucible_nb.utils.interrupts import unbroken

_LATENCY = 0


class Latencies(NamedTuple):
    """Known latencies of a block by group.

    Attributes:
        keys: Groups, ascending.
        values: Known latencies of each group; empty if the block has none.
    """

    keys: np.ndarray
    values: Sequence[SharedValues]


def latencies_of(block: Block, cells: Cells | None = None) -> Latencies:
    """Divide the known latencies of a block by cell, or not; events keep their order within a cell."""
    keys, starts = np.zeros(1, np.intp), np.array([0, block.size])
    if _LATENCY not in block.active:
        return Latencies(keys, ())
    values, weights = block.values[_LATENCY], block.weight
    if cells is not None:
        keys = np.flatnonzero(np.diff(cells.starts))
        starts = np.append(cells.starts[keys], block.size)
        kernels = KERNELS.after(0) if weights is None and cells.order is not None else None
        if kernels is not None:
            with unbroken():  # as where codes are sorted
                known, cuts = kernels.known_in_order(values, cells.order, starts)
            return Latencies(keys, _divided(known, None, cuts, starts - cuts))
        if cells.order is not None:
            values, weights = values[cells.order], None if weights is None else weights[cells.order]
    missing = np.isnan(values)
    known = ~missing if weights is None else ~missing & (weights > 0)
    if known.all():
        copies = values.copy(), None if weights is None else weights.copy()
        return Latencies(keys, _divided(*copies, starts, np.zeros(len(starts), np.int64)))
    cuts = np.concatenate(([0], np.cumsum(known)))[starts]
    gaps = starts - cuts if weights is None else np.concatenate(([0], np.cumsum(missing)))[starts]
    return Latencies(keys, _divided(values[known], None if weights is None else weights[known], cuts, gaps))


def _divided(values: np.ndarray, weights: np.ndarray | None, cuts: np.ndarray, gaps: np.ndarray) -> list[SharedValues]:
    """Cut values at `cuts`; `gaps` counts the missing ones before each cut."""
    return [
        SharedValues(values[a:b], None if weights is None else weights[a:b], gap)
        for (a, b), gap in zip(pairwise(cuts.tolist()), np.diff(gaps).tolist(), strict=True)
    ]


class GroupState:
    """The state of several groups; the state of one group is the monoid behind `Metrics`.

    Args:
        size: Number of groups.

    Attributes:
        table: Counts, sums and time spans of the groups.
        sketches: Latency quantiles of each group.
    """

    __slots__ = ("sketches", "table")

    def __init__(self, size: int = 1) -> None:
        self.table = SumTable(size)
        self.sketches = [Quantiles() for _ in range(size)]

    def __len__(self) -> int:
        return len(self.sketches)

    def grow(self, size: int) -> None:
        """Extend to at least `size` groups, in steps."""
        if size > len(self):
            size = max(size, 2 * len(self))
            self.table = self.table.resized(size)
            self.sketches += [Quantiles() for _ in range(size - len(self))]

    @property
    def event_count(self) -> int:
        """Number of events of the first group."""
        return int(self.table.counts[EVENTS, 0])

    @property
    def weight(self) -> float:
        """Sum of the weights of the first group."""
        return float(self.table.weight(ONES, 0))

    @property
    def is_weighted(self) -> bool:
        """Whether events of the first group represent more than themselves."""
        return self.table.is_weighted(0)

    @property
    def outcomes(self) -> tuple[float, float]:
        """Weights of successes and failures of the first group."""
        return float(self.table.weight(SUCCESSES, 0)), float(self.table.weight(FAILURES, 0))

    @property
    def duration(self) -> tuple[int, int] | None:
        """First start (time - latency) and last time of the first group in UTC nanoseconds; None without events."""
        _, last, begin = self.table.span[:, 0].tolist()
        return (begin, last) if begin <= last else None

    @property
    def latency(self) -> Quantiles:
        """Latency quantiles of the first group."""
        return self.sketches[0]

    def column(self, name: str) -> ColumnSums:
        """Return the sums of a column in the first group."""
        return self.table.column(NUMBERS.index(name), 0)

    def add(self, rows: Any, table: SumTable) -> None:
        """Merge a table into the groups at `rows` (each at most once), in place."""
        self.table.add(rows, table)

    def keep(self, latencies: Latencies, rows: Sequence[int]) -> None:
        """Add latencies to the groups at `rows`, in place."""
        for row, values in zip(rows, latencies.values, strict=False):
            self.sketches[row].keep(values)

    def clear(self, rows: np.ndarray) -> None:
        """Reset the groups at `rows`."""
        self.table.clear(rows)
        for row in rows.tolist():
            self.sketches[row] = Quantiles()

    def merge_groups(self, rows: np.ndarray) -> GroupState:
        """Merge the groups at `rows` into one group, in new memory."""
        state = GroupState(0)
        state.table = self.table.merge_groups(rows)
        state.sketches = [Quantiles.merge_all([self.sketches[row] for row in rows.tolist()])]
        return state

    def merge(self, later: GroupState) -> GroupState:
        """Merge group by group with the state of other events; both inputs stay unchanged."""
        state = GroupState(0)
        state.table = self.table.resized(len(self))
        state.table.add(slice(None), later.table)
        state.sketches = [a.merge(b) for a, b in zip(self.sketches, later.sketches, strict=True)]
        return state

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays; empty sketches are None."""
        sketches = [sketch.to_dict() if sketch.count or sketch.missing else None for sketch in self.sketches]
        return {"panel": self.table.to_dict(), "sketches": sketches}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> GroupState:
        """Rebuild a state from the result of `to_dict`."""
        new = cls(0)
        new.table = SumTable.from_dict(state["panel"])
        new.sketches = [Quantiles() if saved is None else Quantiles.from_dict(saved) for saved in state["sketches"]]
        return new

    def copy(self) -> GroupState:
        """Return a copy; later updates of one do not change the other."""
        state = GroupState(0)
        state.table = self.table.resized(len(self))
        state.sketches = [sketch.copy() for sketch in self.sketches]
        return state
