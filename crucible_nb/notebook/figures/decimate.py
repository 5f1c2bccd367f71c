"""Downsample a series for drawing without changing the picture (M4)."""

from __future__ import annotations

import numpy as np

BUCKETS = 1000
"""Number of pixel columns; a large series is drawn with at most four points in each."""


def decimate(x: np.ndarray, y: np.ndarray, keep: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Select the rows to draw: first, last, minimum and maximum of each bucket of `x`, and all rows of `keep`.

    A line through these rows has the pixels of the line through all of them, on as many pixel columns as there are
    buckets (M4). Rows whose `y` is not finite cannot be drawn and are left out.

    Args:
        x: int64[n], not decreasing.
        y: float64[n].
        keep: bool[n], rows to draw in any case, e.g. anomalies.
        buckets: Number of equal parts of the range of `x`.

    Returns:
        int64, positions of rows in order; all finite ones if there are at most four per bucket.

    Examples:
        >>> import numpy as np
        >>> y = np.array([5.0, 1.0, 6.0, 4.0, 5.0, 5.0, 5.0, 9.0, 5.0, 5.0])
        >>> decimate(np.arange(10), y, np.arange(10) == 5, buckets=1).tolist()  # 1 and 9 are the extremes
        [0, 1, 5, 7, 9]

    References:
        U. Jugel, Z. Jerzak, G. Hackenbroich, V. Markl (2014). M4: a visualization-oriented time series data
        aggregation. PVLDB 7(10), 797-808.
    """
    known = np.flatnonzero(np.isfinite(y))
    if len(known) <= 4 * buckets:
        return known
    x, values = x[known], y[known]
    width = max(-(-int(x[-1] - x[0] + 1) // buckets), 1)
    bucket = (x - x[0]) // width
    starts = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
    lengths = np.diff(np.r_[starts, len(values)])
    low = _first(values == np.repeat(np.minimum.reduceat(values, starts), lengths), starts)
    high = _first(values == np.repeat(np.maximum.reduceat(values, starts), lengths), starts)
    drawn: np.ndarray = keep[known]
    drawn[np.concatenate((starts, starts + lengths - 1, low, high))] = True
    shown: np.ndarray = known[drawn]
    return shown


def _first(match: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the first match at or after each start; every bucket has one."""
    at = np.flatnonzero(match)
    first: np.ndarray = at[np.searchsorted(at, starts)]
    return first
