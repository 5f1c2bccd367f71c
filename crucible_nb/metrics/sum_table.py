"""Counts, exact sums and time spans of many groups, as arrays that merge in one call."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators import combine
from crucible_nb.accumulators.exact_sum import ColumnSums, ExactSum, merged_with_base, moments_of_sums
from crucible_nb.events.durations import begins_of

NUMBERS = ("latency_ms", "cost_usd", "prompt_tokens", "completion_tokens", "total_tokens")
"""Columns that are summed, in the order of the rows of the table."""

EVENTS, ONES, SUCCESSES, FAILURES, KNOWN = range(5)
"""Rows of `counts`; from KNOWN on there is one per column."""

_NEVER = np.iinfo(np.int64)
_EDGES = (np.minimum, np.maximum, np.minimum)
NO_SPAN = np.array([[_NEVER.max], [_NEVER.min], [_NEVER.max]])
"""The span of a group without times."""


class Block(NamedTuple):
    """Columns of consecutive events, as the metrics use them.

    Attributes:
        time: Times in UTC nanoseconds, int64[n].
        values: Values of `NUMBERS`, float64[len(NUMBERS), n], NaN where unknown; rows not in `active` are undefined.
        active: Rows of `values` that are columns; the others are unknown everywhere.
        success: Outcomes, int8[n]: 1 success, 0 failure, -1 unknown. An empty array: columns alone are summed.
        weight: Weights, float64[n]; None means 1 each.
        codes: Group of each event in each grouping, int32[groupings, n]; None without groupings.
    """

    time: np.ndarray
    values: np.ndarray
    active: list[int]
    success: np.ndarray
    weight: np.ndarray | None = None
    codes: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of events."""
        return len(self.time)

    @property
    def counts_events(self) -> bool:
        """Whether events, outcomes and times are counted beside the columns."""
        return len(self.success) == self.size

    def begins(self) -> np.ndarray:
        """Return the start of each event, int64[n]; see `begins_of`."""
        return begins_of(self.time, self.values[0] if 0 in self.active else None)

    def take(self, order: np.ndarray) -> Block:
        """Return the events at `order`, in that order, without codes."""
        values = np.empty((len(NUMBERS), len(order)))
        for row in self.active:
            values[row] = self.values[row][order]
        weight = None if self.weight is None else self.weight[order]
        success = self.success[order] if self.counts_events else self.success
        return Block(self.time[order], values, self.active, success, weight)


def joined(blocks: Sequence[Block]) -> Block:
    """Return the events of several blocks as one."""
    active = sorted(set().union(*(block.active for block in blocks)))
    for block in blocks:
        block.values[[row for row in active if row not in block.active]] = np.nan
    weight = None
    if any(block.weight is not None for block in blocks):
        weight = np.concatenate([np.ones(block.size) if block.weight is None else block.weight for block in blocks])
    return Block(
        time=np.concatenate([block.time for block in blocks]),
        values=np.concatenate([block.values for block in blocks], axis=1),
        active=active,
        success=np.concatenate([block.success for block in blocks]),
        weight=weight,
        codes=None if blocks[0].codes is None else np.concatenate([block.codes for block in blocks], axis=1),
    )


class SumTable:
    """Counts, sums and time spans of groups.

    Args:
        size: Number of groups.

    Attributes:
        counts: Number of events; and of events, successes, failures and known values of each column of weight 1,
            int64[4 + len(NUMBERS), size].
        weights: Sums of the other weights, of events, successes, failures and known values of each column; None if
            all weights are 1.
        totals: Sum of each column, weighted.
        squares: Sum of the squares of each column, weighted.
        span: First and last time, and first start (time - latency), in UTC nanoseconds, int64[3, size].
        base: Weight, mean and sum of squared deviations of each column from a release that rounded them,
            float64[3, len(NUMBERS), size]; None if there are none.
    """

    __slots__ = ("base", "counts", "span", "squares", "totals", "weights")

    def __init__(self, size: int = 1) -> None:
        self.counts = np.zeros((KNOWN + len(NUMBERS), size), np.int64)
        self.weights: ExactSum | None = None
        self.totals, self.squares = ExactSum(len(NUMBERS), size), ExactSum(len(NUMBERS), size)
        self.span = np.empty((3, size), np.int64)
        self.span[:] = NO_SPAN
        self.base: np.ndarray | None = None

    def __len__(self) -> int:
        return self.counts.shape[1]

    def use_weights(self) -> ExactSum:
        """Return `weights`, made if it is None."""
        if self.weights is None:
            self.weights = ExactSum(KNOWN - ONES + len(NUMBERS), len(self))
        return self.weights

    # -- merging ------------------------------------------------------------------------------------------------------

    def add(self, groups: Any, other: SumTable) -> None:
        """Merge another table into the groups at `groups` (each at most once), in place."""
        self.counts[:, groups] += other.counts
        if other.weights is not None:
            self.use_weights().merge(groups, other.weights)
        self.totals.merge(groups, other.totals)
        self.squares.merge(groups, other.squares)
        for row, narrower in enumerate(_EDGES):
            self.span[row, groups] = narrower(self.span[row, groups], other.span[row])
        if other.base is not None:
            if self.base is None:
                self.base = np.zeros((3, len(NUMBERS), len(self)))
            self.base[:, :, groups] = combine(*self.base[:, :, groups], *other.base)

    def times(self, weight: float) -> SumTable:
        """Return the table of the same events, each of this weight instead of 1."""
        new = SumTable(len(self))
        new.counts[EVENTS], new.span = self.counts[EVENTS], self.span
        if weight:
            ones = ExactSum(len(self.counts) - ONES, len(self))
            ones.add((slice(None), slice(None)), 0, self.counts[ONES:])
            new.weights = ones.times(weight)
            new.totals, new.squares = self.totals.times(weight), self.squares.times(weight)
        return new

    def clear(self, groups: Any) -> None:
        """Reset the groups at `groups`."""
        self.counts[:, groups] = 0
        for sums in (self.totals, self.squares, self.weights):
            if sums is not None:
                sums.clear(groups)
        self.span[:, groups] = NO_SPAN
        if self.base is not None:
            self.base[:, :, groups] = 0

    def merge_groups(self, groups: np.ndarray) -> SumTable:
        """Merge the groups at `groups` into one."""
        if not len(groups):
            return SumTable(1)
        return self.take(groups).summed(np.zeros(1, np.intp))

    def by(self, keys: np.ndarray) -> tuple[np.ndarray, SumTable]:
        """Merge the groups with the same key; return the different keys, ascending, and their table."""
        if (keys[1:] < keys[:-1]).any():
            order = np.argsort(keys, kind="stable")
            return self.take(order).by(keys[order])
        starts = np.concatenate((np.zeros(1, np.intp), np.flatnonzero(keys[1:] != keys[:-1]) + 1))
        return keys[starts], self if len(starts) == len(self) else self.summed(starts)

    def summed(self, starts: np.ndarray) -> SumTable:
        """Merge runs of groups; `starts` is the first group of each run, strictly increasing from 0."""
        new = SumTable(0)
        new.counts = np.add.reduceat(self.counts, starts, axis=1)
        new.weights = None if self.weights is None else self.weights.summed(starts)
        new.totals, new.squares = self.totals.summed(starts), self.squares.summed(starts)
        new.span = np.stack([edge.reduceat(row, starts) for edge, row in zip(_EDGES, self.span, strict=True)])
        if self.base is not None:
            stops = [*starts[1:].tolist(), len(self)]
            runs = [_combined(self.base[:, :, a:b]) for a, b in zip(starts.tolist(), stops, strict=True)]
            new.base = np.stack(runs, axis=2)
        return new

    def take(self, groups: Any) -> SumTable:
        """Return a table of the groups at `groups`."""
        new = SumTable(0)
        new.counts, new.span = self.counts[:, groups], self.span[:, groups]
        new.weights = None if self.weights is None else self.weights.take(groups)
        new.totals, new.squares = self.totals.take(groups), self.squares.take(groups)
        new.base = None if self.base is None else self.base[:, :, groups]
        return new

    def resized(self, size: int) -> SumTable:
        """Return a copy with `size` groups; new groups are empty."""
        new, old = SumTable(size), min(size, len(self))
        new.counts[:, :old], new.span[:, :old] = self.counts[:, :old], self.span[:, :old]
        new.weights = None if self.weights is None else self.weights.resized(size)
        new.totals, new.squares = self.totals.resized(size), self.squares.resized(size)
        if self.base is not None:
            new.base = np.zeros((3, len(NUMBERS), size))
            new.base[:, :, :old] = self.base[:, :, :old]
        return new

    # -- reading ------------------------------------------------------------------------------------------------------

    def weight(self, count: int, group: int) -> Fraction:
        """Return the weight of a row of `counts` from ONES on, exactly."""
        ones = Fraction(int(self.counts[count, group]))
        return ones if self.weights is None else ones + self.weights.fraction(count - ONES, group)

    def is_weighted(self, group: int) -> bool:
        """Return whether the weight of a group differs from its number of events."""
        return self.weight(ONES, group) != int(self.counts[EVENTS, group])

    def column(self, row: int, group: int) -> ColumnSums:
        """Return what is known of a column in a group; each number is rounded once."""
        found = moments_of_sums(self.weight(KNOWN + row, group), self.totals, self.squares, row, group)
        if self.base is None or not self.base[0, row, group]:
            return found
        return merged_with_base(found, *self.base[:, row, group].tolist())

    # -- state --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {
            "counts": np.array(self.counts),
            "weights": None if self.weights is None else self.weights.to_dict(),
            "totals": self.totals.to_dict(),
            "squares": self.squares.to_dict(),
            "span": np.array(self.span),
            "base": None if self.base is None else np.array(self.base),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> SumTable:
        """Rebuild a table from the result of `to_dict`, or from the state of release 0.1."""
        if "moments" in state:
            return _of_moments(*(np.array(state[name]) for name in ("sums", "moments", "span")))
        new = cls(0)
        new.counts, new.span = np.array(state["counts"], np.int64), _with_starts(np.array(state["span"], np.int64))
        new.weights = None if state["weights"] is None else ExactSum.from_dict(state["weights"])
        new.totals, new.squares = ExactSum.from_dict(state["totals"]), ExactSum.from_dict(state["squares"])
        new.base = None if state["base"] is None else np.array(state["base"], np.float64)
        size, columns = len(new), len(NUMBERS)
        shapes = [new.counts.shape, new.span.shape, *(sums.chunks.shape[:2] for sums in (new.totals, new.squares))]
        if shapes != [(KNOWN + columns, size), (3, size), (columns, size), (columns, size)]:
            raise ValueError(f"arrays of the shapes {shapes}")
        return new


def _combined(parts: np.ndarray) -> np.ndarray:
    """Merge the moments of consecutive groups, float64[3, columns, groups]."""
    merged = parts[:, :, 0]
    for group in range(1, parts.shape[2]):
        merged = np.stack(combine(*merged, *parts[:, :, group]))
    return merged


def _of_moments(sums: np.ndarray, moments: np.ndarray, span: np.ndarray) -> SumTable:
    """Read the state of release 0.1: events, weights, successes, failures; weight, mean and squares of columns."""
    size = sums.shape[-1]
    shapes = sums.shape, moments.shape, span.shape
    if shapes != ((4, size), (3, len(NUMBERS), size), (2, size)):
        raise ValueError(f"arrays of the shapes {shapes}")
    table = SumTable(size)
    table.counts[EVENTS] = sums[0]
    weighted = sums[0] != sums[1]
    table.counts[ONES:KNOWN] = np.where(weighted, 0, sums[1:])
    for group in np.flatnonzero(weighted).tolist():
        for row in range(3):
            table.use_weights().add_float(row, group, float(sums[1 + row, group]))
    table.span, table.base = _with_starts(span), moments
    return table


def _with_starts(span: np.ndarray) -> np.ndarray:
    """Add first starts, which earlier releases did not keep, as first times."""
    return np.concatenate([span, span[:1]]) if len(span) == 2 else span
