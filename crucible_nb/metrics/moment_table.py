"""The sums behind the metrics of many groups at once, as arrays that merge in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from crucible_nb.accumulators.moments import combine, moments_by

NUMBERS = ("latency_ms", "cost_usd", "prompt_tokens", "completion_tokens", "total_tokens")
"""Columns whose moments are kept, in the order of the panel's rows."""

_EVENTS, _WEIGHT, _SUCCESSES, _FAILURES = range(4)
_NEVER = np.iinfo(np.int64)


class Block:
    """Consecutive events as the measures need them.

    Attributes:
        time: int64[n] UTC nanoseconds.
        values: float64[len(NUMBERS), n], NaN where unknown; rows not in `active` are not filled.
        active: The rows of `values` in which anything is known.
        success: int8[n], 1 yes, 0 no, -1 unknown.
        weight: float64[n], or None for all 1.
        codes: int32[groupings, n], the group of each event in each grouping.
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
        """The events at `order`, in that order."""
        values = np.empty((len(NUMBERS), len(order)))
        for row in self.active:
            values[row] = self.values[row][order]
        weight = None if self.weight is None else self.weight[order]
        return Block(self.time[order], values, self.active, self.success[order], weight)


class Panel:
    """Counts, moments and time span of `size` groups.

    Attributes:
        sums: float64[4, size]: events, their weights, successes, failures (the last three weighted).
        moments: float64[3, len(NUMBERS), size]: weight of the known, mean, sum of squared deviations.
        span: int64[2, size]: first and last time.
    """

    __slots__ = ("moments", "span", "sums")

    def __init__(self, size: int = 1) -> None:
        self.sums = np.zeros((4, size))
        self.moments = np.zeros((3, len(NUMBERS), size))
        self.span = np.empty((2, size), np.int64)
        self.span[0], self.span[1] = _NEVER.max, _NEVER.min

    @classmethod
    def of(cls, block: Block, starts: np.ndarray) -> Panel:
        """The panel of contiguous groups of a block that begin at `starts`."""
        panel = cls(len(starts))
        counts = np.diff(starts, append=len(block))
        weight = block.weight
        ones, zeros = block.success == 1, block.success == 0
        if weight is None:
            panel.sums[_EVENTS] = panel.sums[_WEIGHT] = counts
            panel.sums[_SUCCESSES] = np.add.reduceat(ones, starts, dtype=np.int64)
            panel.sums[_FAILURES] = np.add.reduceat(zeros, starts, dtype=np.int64)
        else:
            panel.sums[_EVENTS] = counts
            panel.sums[_WEIGHT:] = np.add.reduceat(np.stack((weight, weight * ones, weight * zeros)), starts, axis=1)
        if block.active:
            low, high = block.active[0], block.active[-1] + 1
            rows = slice(low, high) if high - low == len(block.active) else block.active
            panel.moments[:, rows] = moments_by(block.values[rows], starts, weight)
        panel.span[0] = np.minimum.reduceat(block.time, starts)
        panel.span[1] = np.maximum.reduceat(block.time, starts)
        return panel

    def to_dict(self) -> dict[str, Any]:
        """The state as arrays."""
        return {name: np.array(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Panel:
        """The panel whose `to_dict` gave `state`."""
        panel = cls(0)
        panel.sums, panel.moments, panel.span = (np.array(state[name]) for name in ("sums", "moments", "span"))
        size = panel.sums.shape[-1]
        shapes = panel.sums.shape, panel.moments.shape, panel.span.shape
        if shapes != ((4, size), (3, len(NUMBERS), size), (2, size)):
            raise ValueError(f"arrays of the shapes {shapes}")
        return panel

    def add(self, rows: Any, pieces: Panel) -> None:
        """Merge later pieces into the groups at `rows` (each at most once), in place."""
        self.sums[:, rows] += pieces.sums
        self.moments[:, :, rows] = combine(*self.moments[:, :, rows], *pieces.moments)
        self.span[0, rows] = np.minimum(self.span[0, rows], pieces.span[0])
        self.span[1, rows] = np.maximum(self.span[1, rows], pieces.span[1])

    def clear(self, rows: Any) -> None:
        """Forget the groups at `rows`."""
        self.sums[:, rows] = 0
        self.moments[:, :, rows] = 0
        self.span[0, rows], self.span[1, rows] = _NEVER.max, _NEVER.min

    def fold(self, rows: np.ndarray) -> Panel:
        """One group out of those at `rows`, merged in that order."""
        panel = Panel(1)
        if len(rows):
            panel.sums[:, 0] = self.sums[:, rows].sum(axis=1)
            panel.moments[:, :, 0] = _merged(*self.moments[:, :, rows])
            panel.span[0, 0], panel.span[1, 0] = self.span[0, rows].min(), self.span[1, rows].max()
        return panel

    def resized(self, size: int) -> Panel:
        """A copy with room for `size` groups, the new ones empty."""
        panel = Panel(size)
        old = min(size, self.sums.shape[1])
        panel.sums[:, :old], panel.moments[:, :, :old] = self.sums[:, :old], self.moments[:, :, :old]
        panel.span[:, :old] = self.span[:, :old]
        return panel


def _merged(n: np.ndarray, mean: np.ndarray, m2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chan's formula for many parts at once, along the last axis; two passes, so offsets cancel."""
    total = n.sum(axis=-1)
    share = n / np.where(total > 0, total, 1)[..., None]
    # deviations from one of the means instead of the means themselves: stable at any offset
    anchor = np.take_along_axis(mean, n.argmax(axis=-1)[..., None], axis=-1)
    delta = np.where(n > 0, mean - anchor, 0.0)
    shift = (share * delta).sum(axis=-1)
    spread = (m2 + n * (delta - shift[..., None]) ** 2 * (n > 0)).sum(axis=-1)
    return total, anchor[..., 0] + shift, spread
