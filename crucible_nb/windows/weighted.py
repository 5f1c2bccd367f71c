"""Exact quantiles of windows whose rows carry weights."""

from __future__ import annotations

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted


def weighted_quantiles(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Quantiles of windows in which row j stands for `weights[j]` rows; see `quantile_of_sorted`.

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
        result[:, i] = quantile_of_sorted(values[rows][order], q, weights[rows][order])
    return result
