"""What is measured of one column over all windows: sums, means, quantiles; weighted where rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.windows.panes import Panes, floats
from crucible_nb.windows.quantiles import quantiles, weighted_quantiles
from crucible_nb.windows.rows import Rows
from crucible_nb.windows.sketch import sketch

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

EXACT = 2048
"""Windows up to this many rows have exact quantiles, asked for or not."""


class Measure:
    """Measures columns over windows; every answer has one number for each window and group, windows outside."""

    def __init__(self, rows: Rows, weights: np.ndarray | None, *, exact: bool) -> None:
        self.rows = rows
        self.lo, self.hi = rows.lo.ravel(), rows.hi.ravel()
        self.panes = Panes(self.lo, self.hi)
        self.weights = None if weights is None else self._take(weights)
        self.exact = exact

    def counts(self) -> np.ndarray:
        """Rows of each window (int64), or what they stand for (float64)."""
        if self.weights is None:
            return self._spread(self.hi - self.lo)
        return self._spread(self.panes.sums(self.weights)[0])

    def sums(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Sum of the known values and how many are known; no column: nothing is known."""
        if column is None:
            return np.zeros(self.lo.size), np.zeros(self.lo.size)
        total, known = self.panes.sums(self._take(column), self.weights)
        return self._spread(total), self._spread(known)

    def totals(self, column: Any) -> np.ndarray:
        """Sum of the known values: 0 without rows, NaN where there are rows and none is known."""
        total, known = self.sums(column)
        return np.where((known == 0) & (self.counts() > 0), np.nan, total)

    def outcomes(self, column: Any) -> dict[str, np.ndarray]:
        """Successes, failures and the share of successes among the known."""
        successes, known = self.sums(column)
        kind = np.int64 if self.weights is None else np.float64
        return {
            "success_count": successes.astype(kind),
            "failure_count": (known - successes).astype(kind),
            "success_rate": _ratio(successes, known),
        }

    def tokens(self, column: Any) -> Any:
        """Totals of whole numbers: Int64, or Float64 where rows are weighted or a total exceeds int64."""
        total = self.totals(column)
        unknown = np.isnan(total)
        if self.weights is not None or (total >= 2.0**63).any():  # beyond int64
            return pd.arrays.FloatingArray(total, unknown)
        return pd.arrays.IntegerArray(np.where(unknown, 0, total).round().astype(np.int64), unknown)

    def describe(self, name: str, column: Any) -> dict[str, np.ndarray]:
        """Mean and quantiles of the known values."""
        total, known = self.sums(column)
        result = {f"mean_{name}": _ratio(total, known)}
        quantile = self._quantiles(column, known.sum())
        return result | {f"{label}_{name}": self._spread(row) for label, row in zip(QUANTILES, quantile, strict=True)}

    def _quantiles(self, column: Any, known: float) -> np.ndarray:
        if not known:
            return np.full((len(QUANTILES), self.lo.size), np.nan)
        values, lo, hi, weights = floats(self._take(column)), self.lo, self.hi, self.weights
        if weights is not None or known < (hi - lo).sum():
            some = ~np.isnan(values)
            before = np.concatenate([[0], np.cumsum(some)])
            values, lo, hi = values[some], before[lo], before[hi]
            weights = None if weights is None else weights[some]
        return _of_known(values, lo, hi, weights, exact=self.exact)

    def _take(self, column: Any) -> Any:
        return column if self.rows.order is None else column.take(self.rows.order)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """From windows within groups to groups within windows."""
        return values.reshape(self.rows.lo.shape).T.ravel()


def _of_known(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, weights: np.ndarray | None, *, exact: bool
) -> np.ndarray:
    q = np.array(list(QUANTILES.values()))
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


def _ratio(total: np.ndarray, known: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.where(known > 0, total / np.where(known > 0, known, 1), np.nan)
