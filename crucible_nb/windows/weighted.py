"""Exact quantiles of windows whose rows carry weights."""

from __future__ import annotations

import numpy as np


def weighted_quantiles(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Quantiles of windows in which row j stands for `weights[j]` rows.

    With whole weights equal to `np.quantile(np.repeat(values, weights), q)` of each window; with any others the same
    formula over the cumulated weight: position `h = q (W - 1)`, between the rows at `floor(h)` and at `floor(h) + 1`.

    Returns:
        float64 of shape (len(q), windows); NaN where a window holds no weight.

    Examples:
        >>> window = np.array([0]), np.array([2])
        >>> weighted_quantiles(np.array([10.0, 20.0]), *window, np.array([0.5]), np.array([1.0, 2.0]))
        array([[20.]])
    """
    result = np.full((len(q), len(lo)), np.nan)
    for i in np.flatnonzero(hi > lo):
        rows = slice(lo[i], hi[i])
        order = np.argsort(values[rows], kind="stable")
        upto = np.cumsum(weights[rows][order])
        if upto[-1] > 0:
            result[:, i] = _at(values[rows][order], upto, q)
    return result


def _at(values: np.ndarray, upto: np.ndarray, q: np.ndarray) -> np.ndarray:
    place = np.maximum((upto[-1] - 1) * q, 0.0)
    rank = np.floor(place)
    last = np.nextafter(upto[-1], 0.0)
    low = values[np.searchsorted(upto, np.minimum(rank, last), side="right")]
    high = values[np.searchsorted(upto, np.minimum(rank + 1, last), side="right")]
    t = place - rank
    with np.errstate(invalid="ignore"):
        return np.where(t >= 0.5, high - (high - low) * (1 - t), low + (high - low) * t)
