"""Sums, means and quantiles of a column over all windows, weighted if the rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.windows.panes import Panes, floats
from crucible_nb.windows.quantiles import quantiles, weighted_quantiles
from crucible_nb.windows.rows import Rows
from crucible_nb.windows.sketch import sketch

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

EXACT = 2048
"""Windows of up to this many rows always have exact quantiles."""


class Measure:
    """Measures columns over windows; results have one number per window and group, groups within windows.

    Args:
        rows: Rows of each window.
        weights: Their weights, None for 1 each.
        exact: Whether quantiles are exact and sums are float64; otherwise quantiles of large windows come from
            sketches, and sums are exact.
    """

    def __init__(self, rows: Rows, weights: np.ndarray | None, *, exact: bool) -> None:
        self.rows = rows
        self.lo, self.hi = rows.lo.ravel(), rows.hi.ravel()
        self.panes = Panes(self.lo, self.hi)
        self.weights = None if weights is None else self._sorted(weights)
        self.exact = exact

    def counts(self) -> np.ndarray:
        """Return the number of rows of each window (int64), or their total weight (float64)."""
        if self.weights is None:
            return self._by_window(self.hi - self.lo)
        return self._by_window(self._sums(self.weights)[0])

    def sums(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum and the number of the known values; zeros without a column."""
        if column is None:
            return np.zeros(self.lo.size), np.zeros(self.lo.size)
        total, known = self._sums(self._sorted(column), self.weights)
        return self._by_window(total), self._by_window(known)

    def _sums(self, column: Any, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return (self.panes.sums if self.exact else self.panes.exact_sums)(column, weights)

    def totals(self, column: Any) -> np.ndarray:
        """Return the sum of the known values: 0 without rows, NaN if there are rows but no known value."""
        total, known = self.sums(column)
        return totals_or_unknown(total, known, self.counts())

    def outcomes(self, column: Any) -> dict[str, np.ndarray]:
        """Return the counts of successes and failures, and the success rate of the known outcomes."""
        successes, known = self.sums(column)
        dtype = np.int64 if self.weights is None else np.float64
        return {
            "success_count": successes.astype(dtype),
            "failure_count": (known - successes).astype(dtype),
            "success_rate": ratio(successes, known),
        }

    def tokens(self, column: Any) -> Any:
        """Totals of whole numbers: Int64, or Float64 where rows are weighted or a total exceeds int64."""
        return whole_totals(self.totals(column), weighted=self.weights is not None)

    def quantile(self, column: np.ndarray, q: float) -> np.ndarray:
        """Return a quantile of the known values."""
        return self._by_window(self._quantiles(column, float(np.count_nonzero(~np.isnan(column))), (q,))[0])

    def extreme(self, column: np.ndarray, *, largest: bool) -> np.ndarray:
        """Return the smallest or largest known value; NaN without any."""
        worst = -np.inf if largest else np.inf
        x = self._sorted(column)
        padded = np.append(np.where(np.isnan(x), worst, x), worst)
        edges = np.stack([self.lo, self.hi], axis=1).ravel()
        found = (np.maximum if largest else np.minimum).reduceat(padded, edges)[::2] if len(edges) else np.empty(0)
        return self._by_window(np.where((self.hi > self.lo) & (found != worst), found, np.nan))

    def edge(self, column: np.ndarray, *, last: bool) -> np.ndarray:
        """Return the first or last known value in order of time; NaN without any."""
        x = self._sorted(column)
        known = np.flatnonzero(~np.isnan(x))
        place = np.searchsorted(known, self.hi) - 1 if last else np.searchsorted(known, self.lo)
        rows = np.append(known, -1)[place]  # -1 for a place before the first or after the last
        inside = (rows >= self.lo) & (rows < self.hi)
        return self._by_window(np.where(inside, np.append(x, np.nan)[rows], np.nan))

    def describe(self, name: str, column: Any) -> dict[str, np.ndarray]:
        """Return mean and quantiles of the known values."""
        total, known = self.sums(column)
        result = {f"mean_{name}": ratio(total, known)}
        quantile = self._quantiles(column, known.sum())
        return result | {f"{q}_{name}": self._by_window(row) for q, row in zip(QUANTILES, quantile, strict=True)}

    def _quantiles(self, column: Any, known: float, q: Sequence[float] = tuple(QUANTILES.values())) -> np.ndarray:
        if not known:
            return np.full((len(q), self.lo.size), np.nan)
        values, lo, hi, weights = floats(self._sorted(column)), self.lo, self.hi, self.weights
        if weights is not None or known < (hi - lo).sum():
            is_known = ~np.isnan(values)
            known_before = np.concatenate([[0], np.cumsum(is_known)])
            values, lo, hi = values[is_known], known_before[lo], known_before[hi]
            weights = None if weights is None else weights[is_known]
        return _window_quantiles(values, lo, hi, weights, np.array(q), exact=self.exact)

    def _sorted(self, column: Any) -> Any:
        """Return a column in order of (group, time)."""
        return column if self.rows.order is None else column.take(self.rows.order)

    def _by_window(self, values: np.ndarray) -> np.ndarray:
        """Reorder results from windows within groups to groups within windows."""
        return values.reshape(self.rows.lo.shape).T.ravel()


def _window_quantiles(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, weights: np.ndarray | None, q: np.ndarray, *, exact: bool
) -> np.ndarray:
    """Return the quantiles of known values: of large windows by sketches unless `exact`, else exact."""
    result = np.full((len(q), len(lo)), np.nan)
    large = (hi - lo > EXACT) & (not exact)
    small = (hi > lo) & ~large
    if large.any():
        result[:, large] = sketch(values, lo[large], hi[large], q, weights)
    if weights is None:
        result[:, small] = quantiles(values, lo[small], hi[small], q)
    else:
        result[:, small] = weighted_quantiles(values, lo[small], hi[small], q, weights)
    return result


def totals_or_unknown(total: np.ndarray, known: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return totals: 0 for windows without rows, NaN for rows without a known value."""
    return np.where((known == 0) & (counts > 0), np.nan, total)


def whole_totals(total: np.ndarray, *, weighted: bool) -> Any:
    """Return totals of whole numbers: Int64, or Float64 where rows are weighted or a total exceeds int64."""
    unknown = np.isnan(total)
    if weighted or (total >= 2.0**63).any():  # beyond int64
        return pd.arrays.FloatingArray(total, unknown)
    return pd.arrays.IntegerArray(np.where(unknown, 0, total).round().astype(np.int64), unknown)


def ratio(total: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Divide, NaN where the denominator is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(known > 0, total / np.where(known > 0, known, 1), np.nan)
