"""Sums over windows: each row is summed once, in its pane; a window is the sum of its panes. Nothing is subtracted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from crucible_nb.accumulators.exact_add import add_totals
from crucible_nb.accumulators.exact_sum import ExactSum

_BLOCK = 1 << 17
"""Rows converted at a time, so that temporary arrays stay in the cache."""


def floats(array: Any) -> np.ndarray:
    """Convert numbers to float64, unknown ones to NaN; a view if they are float64 already."""
    if isinstance(array, np.ndarray):
        return array.astype(np.float64, copy=False)
    return np.asarray(array.to_numpy(dtype=np.float64, na_value=np.nan))


class Panes:
    """The rows between neighbouring window edges; each window consists of whole panes.

    Args:
        lo: First row of each window, int64, in any order.
        hi: Row after the last one of each window, int64.

    Examples:
        >>> panes = Panes(np.array([0, 1, 2]), np.array([2, 3, 4]))
        >>> panes.sums(np.array([1.0, 2.0, np.nan, 8.0]))
        (array([3., 2., 8.]), array([2., 1., 1.]))
    """

    def __init__(self, lo: np.ndarray, hi: np.ndarray) -> None:
        self.cuts = np.unique(np.concatenate([lo, hi]))
        self.rows = np.diff(self.cuts)
        self.count = hi - lo
        self.first = np.searchsorted(self.cuts, lo)
        length = np.searchsorted(self.cuts, hi) - self.first
        self.steps, self.blocks = list(_steps(self.first, length)), list(_blocks(self.cuts))

    def sums(self, column: Any, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return sum and number of the known values of each window; with `weights` weighted sum and total weight."""
        total, known = np.zeros(len(self.rows)), self.rows.astype(np.float64)
        complete = weights is None
        with np.errstate(invalid="ignore", over="ignore"):
            for panes, rows in self.blocks:
                block_weights = None if weights is None else weights[rows]
                total[panes], counts = _sums(floats(column[rows]), block_weights, self.cuts[panes] - rows.start)
                if counts is not None:
                    known[panes], complete = counts, False
            return self.reduce(total), self.count.astype(np.float64) if complete else self.reduce(known)

    def exact_sums(self, column: Any, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return what `sums` does, each sum rounded once: the same bits in any order of the rows."""
        total, known, complete = ExactSum(2, len(self.rows)), self.rows.copy(), True
        for panes, rows in self.blocks:
            x, w, starts = (
                floats(column[rows]),
                None if weights is None else weights[rows],
                self.cuts[panes] - rows.start,
            )
            low, high = x.min(), x.max()
            if not (math.isfinite(low) and math.isfinite(high)):
                is_known, infinite = ~np.isnan(x), np.isinf(x)
                places = np.flatnonzero(infinite)
                of_places = panes.start + np.searchsorted(starts, places, side="right") - 1
                total.add_infinite(0, of_places, x[places])
                known[panes], complete = np.add.reduceat(is_known, starts, dtype=np.int64), False
                x, w = np.where(infinite | ~is_known, 0.0, x), None if w is None else np.where(is_known, w, 0.0)
            add_totals(total, 0, x, starts, w, panes.start)
            if w is not None:
                add_totals(total, 1, w, starts, first=panes.start)
        sums = ExactSum.of(self.reduce(total.chunks.swapaxes(0, 1)).swapaxes(0, 1), total.low)
        if total.infinite is not None:
            with np.errstate(invalid="ignore"):
                sums.infinite = self.reduce(total.infinite.T).T
        if weights is not None:
            return sums.values(0), sums.values(1)
        return sums.values(0), self.count.astype(np.float64) if complete else self.reduce(known).astype(np.float64)

    def reduce(self, table: np.ndarray) -> np.ndarray:
        """Sum a table (panes, ...) over the panes of each window: (windows, ...).

        Windows are composed of sums over 1, 2, 4, ... panes, so rounding errors grow with the logarithm of the length.
        """
        result = np.zeros((len(self.first), *table.shape[1:]), np.result_type(table.dtype, np.int64))
        for level, (windows, panes) in enumerate(self.steps):
            if level:
                half = 1 << (level - 1)
                table = table[:-half] + table[half:]
            result[windows] += table[panes]
        return result


def _steps(first: np.ndarray, length: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for sums of 1, 2, 4, ... panes the windows that use one, and its first pane."""
    position, size = first.copy(), 1
    while size <= length.max(initial=0):
        windows = np.flatnonzero(length & size)
        yield windows, position[windows]
        position[windows] += size
        size *= 2


def _blocks(cuts: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Yield slices of panes, and of their rows, about `_BLOCK` rows at a time."""
    pane, last = 0, len(cuts) - 1
    while pane < last:
        after = max(int(np.searchsorted(cuts, cuts[pane] + _BLOCK, side="right")) - 1, pane + 1)
        yield slice(pane, after), slice(int(cuts[pane]), int(cuts[after]))
        pane = after


def _sums(values: np.ndarray, weights: np.ndarray | None, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return sum and number (or weight) of the known values of each pane; None for the number if all are known."""
    total = np.add.reduceat(values if weights is None else values * weights, starts)
    if not np.isnan(total).any():  # then no value is NaN
        return total, None if weights is None else np.add.reduceat(weights, starts)
    known = ~np.isnan(values)
    weights = known.astype(np.float64) if weights is None else np.where(known, weights, 0.0)
    return np.add.reduceat(np.where(known, values, 0.0) * weights, starts), np.add.reduceat(weights, starts)
