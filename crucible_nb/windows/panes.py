"""Sums over windows: rows are summed once, pane by pane, and windows are folds of panes. Nothing is subtracted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_BLOCK = 1 << 17
"""Rows converted at a time, so that a temporary stays in the cache."""


def floats(array: Any) -> np.ndarray:
    """Numbers as float64, unknown ones as NaN; a view where they are float64 already."""
    if isinstance(array, np.ndarray):
        return array.astype(np.float64, copy=False)
    return np.asarray(array.to_numpy(dtype=np.float64, na_value=np.nan))


class Panes:
    """The stretches of rows between neighbouring edges of windows; each window is a run of whole panes.

    Args:
        lo: First row of each window, int64, any order.
        hi: Row after the last of each window, int64.

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
        """Sum and number of the known values of each window (their weighted sum and weight, with `weights`)."""
        total, known = np.zeros(len(self.rows)), self.rows.astype(np.float64)
        complete = weights is None
        with np.errstate(invalid="ignore", over="ignore"):
            for panes, rows in self.blocks:
                some = None if weights is None else weights[rows]
                total[panes], there = _sums(floats(column[rows]), some, self.cuts[panes] - rows.start)
                if there is not None:
                    known[panes], complete = there, False
            return self.fold(total), self.count.astype(np.float64) if complete else self.fold(known)

    def fold(self, table: np.ndarray) -> np.ndarray:
        """Sum a table (panes, ...) over each window's run of panes: (windows, ...).

        Runs are put together from sums of 1, 2, 4, ... panes, so rounding grows with the logarithm of their length.
        """
        result = np.zeros((len(self.first), *table.shape[1:]))
        for level, (windows, panes) in enumerate(self.steps):
            if level:
                half = 1 << (level - 1)
                table = table[:-half] + table[half:]
            result[windows] += table[panes]
        return result


def _steps(first: np.ndarray, length: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For sums of 1, 2, 4, ... panes: the windows that take one, and where it begins."""
    position, size = first.copy(), 1
    while size <= length.max(initial=0):
        windows = np.flatnonzero(length & size)
        yield windows, position[windows]
        position[windows] += size
        size *= 2


def _blocks(cuts: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Slices of panes, and of their rows, about `_BLOCK` rows at a time."""
    pane, last = 0, len(cuts) - 1
    while pane < last:
        after = max(int(np.searchsorted(cuts, cuts[pane] + _BLOCK, side="right")) - 1, pane + 1)
        yield slice(pane, after), slice(int(cuts[pane]), int(cuts[after]))
        pane = after


def _sums(values: np.ndarray, weights: np.ndarray | None, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Sum and number (or weight) of the known values from each start to the next; no number: all are known."""
    total = np.add.reduceat(values if weights is None else values * weights, starts)
    if not np.isnan(total).any():  # nor is any value
        return total, None if weights is None else np.add.reduceat(weights, starts)
    known = ~np.isnan(values)
    weights = known.astype(np.float64) if weights is None else np.where(known, weights, 0.0)
    return np.add.reduceat(np.where(known, values, 0.0) * weights, starts), np.add.reduceat(weights, starts)
