"""Metrics state of many groups: a table of moments, and a quantile sketch of the latency of each group."""

from __future__ import annotations

import math
from copy import copy
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators import Quantiles
from crucible_nb.accumulators.shared_values import SharedValues
from crucible_nb.metrics.moment_table import NUMBERS, Block, MomentTable

_WHOLE = np.zeros(1, np.intp)
_LATENCY = 0


class GroupedBlock(NamedTuple):
    """A block divided by group.

    Attributes:
        keys: Key of each group, ascending.
        table: Moments of the groups.
        latencies: Known latencies of each group; empty if the block has none.
    """

    keys: np.ndarray
    table: MomentTable
    latencies: list[SharedValues]


def group_block(block: Block, key: np.ndarray) -> GroupedBlock:
    """Divide a block by an integer key; events keep their order within a group."""
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        block, key = block.take(order), key[order]
    starts = np.concatenate((_WHOLE, np.flatnonzero(key[1:] != key[:-1]) + 1))
    return GroupedBlock(key[starts], MomentTable.of(block, starts), _latencies(block, [*starts.tolist(), len(block)]))


def ungrouped_block(block: Block) -> GroupedBlock:
    """Return the block as one group with key 0."""
    return GroupedBlock(_WHOLE, MomentTable.of(block, _WHOLE), _latencies(block, [0, len(block)]))


def _latencies(block: Block, edges: list[int]) -> list[SharedValues]:
    """Copy the known latencies between consecutive edges."""
    if _LATENCY not in block.active:
        return []
    values, weights = block.values[_LATENCY], block.weight
    missing = np.isnan(values)
    any_missing = bool(missing.any())
    latencies = []
    for start, stop in pairwise(edges):
        x, w = values[start:stop], None if weights is None else weights[start:stop]
        if any_missing:
            known = ~missing[start:stop]
            latencies.append(SharedValues(x[known], None if w is None else w[known], len(x) - int(known.sum())))
        else:
            latencies.append(SharedValues(x.copy(), None if w is None else w.copy()))
    return latencies


class GroupState:
    """The state of several groups; the state of one group is the ordered monoid behind `Metrics`.

    Args:
        size: Number of groups.

    Attributes:
        table: Counts, moments and time spans of the groups.
        sketches: Latency quantiles of each group.
    """

    __slots__ = ("_shares_sketches", "sketches", "table")

    def __init__(self, size: int = 1) -> None:
        self.table = MomentTable(size)
        self.sketches = [Quantiles() for _ in range(size)]
        self._shares_sketches = False

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
        return int(self.table.sums[0, 0])

    @property
    def weight(self) -> float:
        """Sum of the weights of the events of the first group."""
        return float(self.table.sums[1, 0])

    @property
    def outcomes(self) -> tuple[float, float]:
        """Weights of the successes and of the failures of the first group."""
        successful, failed = self.table.sums[2:, 0].tolist()
        return successful, failed

    @property
    def latency(self) -> Quantiles:
        """Latency quantiles of the first group."""
        return self.sketches[0]

    def moments(self, name: str) -> tuple[float, float, float]:
        """Return weight, mean (NaN until known) and sum of squared deviations of a column in the first group."""
        n, mean, m2 = self.table.moments[:, NUMBERS.index(name), 0].tolist()
        return n, mean if n else math.nan, m2

    def add(self, rows: np.ndarray, grouped: GroupedBlock) -> None:
        """Merge a grouped block into the groups at `rows`, in place."""
        self.table.add(rows, grouped.table)
        for row, latencies in zip(rows.tolist(), grouped.latencies, strict=False):
            if self._shares_sketches:
                self.sketches[row] = self.sketches[row].copy()
            self.sketches[row].keep(latencies)

    def clear(self, rows: np.ndarray) -> None:
        """Reset the groups at `rows`."""
        self.table.clear(rows)
        for row in rows.tolist():
            self.sketches[row] = Quantiles()

    def merge_groups(self, rows: np.ndarray) -> GroupState:
        """Merge the groups at `rows`, in that order, into one group."""
        state = GroupState(0)
        state.table = self.table.merge_groups(rows)
        state.sketches = [Quantiles.merge_all([self.sketches[row] for row in rows.tolist()])]
        return state

    def merge(self, later: GroupState) -> GroupState:
        """Merge group by group with the state of later events; both inputs stay unchanged."""
        state = self.copy()
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
        new.table = MomentTable.from_dict(state["panel"])
        new.sketches = [Quantiles() if saved is None else Quantiles.from_dict(saved) for saved in state["sketches"]]
        return new

    def copy(self) -> GroupState:
        """Return a copy that can be updated; sketches are copied on write."""
        state = copy(self)
        state.table = self.table.resized(len(self))
        state.sketches = list(self.sketches)
        state._shares_sketches = True
        return state
