"""Counts, moments and time spans of many groups, as arrays that merge in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from crucible_nb.accumulators.moments import combine, moments_by

NUMBERS = ("latency_ms", "cost_usd", "prompt_tokens", "completion_tokens", "total_tokens")
"""Columns whose moments are computed, in the order of the rows of the table."""

_EVENTS, _WEIGHT, _SUCCESSES, _FAILURES = range(4)
_NEVER = np.iinfo(np.int64)


class Block:
    """Columns of consecutive events, as the metrics use them.

    Attributes:
        time: Times in UTC nanoseconds, int64[n].
        values: Values of `NUMBERS`, float64[len(NUMBERS), n], NaN where unknown; rows not in `active` are undefined.
        active: Rows of `values` with at least one known value.
        success: Outcomes, int8[n]: 1 success, 0 failure, -1 unknown.
        weight: Weights, float64[n]; None means 1 each.
        codes: Group of each event in each grouping, int32[groupings, n].
    """

    __slots__ = ("active", "codes", "success", "time", "values", "weight")

    def __init__(
        self,
        time: np.ndarray,
        values: np.ndarray,
        active: list[int],
        success: np.ndarray,
        weight: np.ndarray | None = None,
        codes: np.ndarray | None = None,
    ) -> None:
        self.time, self.values, self.active, self.success, self.weight = time, values, active, success, weight
        self.codes = np.zeros((0, len(time)), np.int32) if codes is None else codes

    def __len__(self) -> int:
        return len(self.time)

    def take(self, order: np.ndarray) -> Block:
        """Return the events at `order`, in that order."""
        values = np.empty((len(NUMBERS), len(order)))
        for row in self.active:
            values[row] = self.values[row][order]
        weight = None if self.weight is None else self.weight[order]
        return Block(self.time[order], values, self.active, self.success[order], weight)


class MomentTable:
    """Counts, moments and time spans of groups.

    Args:
        size: Number of groups.

    Attributes:
        sums: Numbers of events, and weights of the events, successes and failures, float64[4, size].
        moments: Weight of the known values, mean, and sum of squared deviations, float64[3, len(NUMBERS), size].
        span: First and last time in UTC nanoseconds, int64[2, size].
    """

    __slots__ = ("moments", "span", "sums")

    def __init__(self, size: int = 1) -> None:
        self.sums = np.zeros((4, size))
        self.moments = np.zeros((3, len(NUMBERS), size))
        self.span = np.empty((2, size), np.int64)
        self.span[0], self.span[1] = _NEVER.max, _NEVER.min

    @classmethod
    def of(cls, block: Block, starts: np.ndarray) -> MomentTable:
        """Compute the table of contiguous groups of a block that begin at `starts`."""
        table = cls(len(starts))
        counts = np.diff(starts, append=len(block))
        weight = block.weight
        ones, zeros = block.success == 1, block.success == 0
        if weight is None:
            table.sums[_EVENTS] = table.sums[_WEIGHT] = counts
            table.sums[_SUCCESSES] = np.add.reduceat(ones, starts, dtype=np.int64)
            table.sums[_FAILURES] = np.add.reduceat(zeros, starts, dtype=np.int64)
        else:
            table.sums[_EVENTS] = counts
            table.sums[_WEIGHT:] = np.add.reduceat(np.stack((weight, weight * ones, weight * zeros)), starts, axis=1)
        if block.active:
            low, high = block.active[0], block.active[-1] + 1
            rows = slice(low, high) if high - low == len(block.active) else block.active
            table.moments[:, rows] = moments_by(block.values[rows], starts, weight)
        table.span[0] = np.minimum.reduceat(block.time, starts)
        table.span[1] = np.maximum.reduceat(block.time, starts)
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {name: np.array(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> MomentTable:
        """Rebuild a table from the result of `to_dict`."""
        table = cls(0)
        table.sums, table.moments, table.span = (np.array(state[name]) for name in ("sums", "moments", "span"))
        size = table.sums.shape[-1]
        shapes = table.sums.shape, table.moments.shape, table.span.shape
        if shapes != ((4, size), (3, len(NUMBERS), size), (2, size)):
            raise ValueError(f"arrays of the shapes {shapes}")
        return table

    def add(self, rows: Any, later: MomentTable) -> None:
        """Merge a table of later events into the groups at `rows` (each at most once), in place."""
        self.sums[:, rows] += later.sums
        self.moments[:, :, rows] = combine(*self.moments[:, :, rows], *later.moments)
        self.span[0, rows] = np.minimum(self.span[0, rows], later.span[0])
        self.span[1, rows] = np.maximum(self.span[1, rows], later.span[1])

    def clear(self, rows: Any) -> None:
        """Reset the groups at `rows`."""
        self.sums[:, rows] = 0
        self.moments[:, :, rows] = 0
        self.span[0, rows], self.span[1, rows] = _NEVER.max, _NEVER.min

    def merge_groups(self, rows: np.ndarray) -> MomentTable:
        """Merge the groups at `rows`, in that order, into one group."""
        table = MomentTable(1)
        if len(rows):
            table.sums[:, 0] = self.sums[:, rows].sum(axis=1)
            table.moments[:, :, 0] = _merge_moments(*self.moments[:, :, rows])
            table.span[0, 0], table.span[1, 0] = self.span[0, rows].min(), self.span[1, rows].max()
        return table

    def resized(self, size: int) -> MomentTable:
        """Return a copy with `size` groups; new groups are empty."""
        table = MomentTable(size)
        old = min(size, self.sums.shape[1])
        table.sums[:, :old], table.moments[:, :, :old] = self.sums[:, :old], self.moments[:, :, :old]
        table.span[:, :old] = self.span[:, :old]
        return table


def _merge_moments(n: np.ndarray, mean: np.ndarray, m2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Apply Chan's formula to many parts at once, along the last axis; two passes, so offsets cancel."""
    total = n.sum(axis=-1)
    fraction = n / np.where(total > 0, total, 1)[..., None]
    # deviations from one of the means instead of the means themselves: stable at any offset
    anchor = np.take_along_axis(mean, n.argmax(axis=-1)[..., None], axis=-1)
    delta = np.where(n > 0, mean - anchor, 0.0)
    shift = (fraction * delta).sum(axis=-1)
    merged_m2 = (m2 + n * (delta - shift[..., None]) ** 2 * (n > 0)).sum(axis=-1)
    return total, anchor[..., 0] + shift, merged_m2
