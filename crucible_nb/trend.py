"""A series or a distribution made small enough to be seen at a glance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEPS = 60


def trend(times: np.ndarray, values: np.ndarray, weights: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Weighted means over equal steps of time; NaN where there is nothing.

    Args:
        times: int64[n], ns, in order.
        values: float64[n], NaN where missing.
        weights: float64[n].
        steps: How many.

    Examples:
        >>> import numpy as np
        >>> trend(np.array([0, 1, 9]), np.array([1.0, 3.0, 5.0]), np.ones(3), steps=2).tolist()
        [2.0, 5.0]
        >>> trend(np.array([], np.int64), np.array([]), np.array([])).size
        0
    """
    if not len(times):
        return np.empty(0)
    width = max(int(times[-1] - times[0]), 1) / steps
    places = np.minimum((times - times[0]) / width, steps - 1).astype(np.int64)
    known = np.isfinite(values)
    amounts = np.where(known, weights, 0.0)
    sums = np.bincount(places, amounts * np.where(known, values, 0.0), steps)
    counts = np.bincount(places, amounts, steps)
    means = np.full(steps, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def density(quantile: Callable[[Any], Any], steps: int = 40) -> tuple[np.ndarray, float, float]:
    """How often values fall into equal steps between the least and the 99th percentile, and those two.

    Args:
        quantile: Callable (array of fractions) -> their quantiles.
        steps: How many.

    Examples:
        >>> import numpy as np
        >>> found, low, high = density(lambda q: 100 * q, steps=2)
        >>> (found / found.sum()).round(2).tolist(), low, high
        ([0.5, 0.5], 0.0, 99.0)
    """
    values = np.asarray(quantile(np.linspace(0, 0.99, 10 * steps)), np.float64)
    low, high = float(values[0]), float(values[-1])
    if not np.isfinite([low, high]).all() or low == high:
        return np.empty(0), low, high
    return np.histogram(values, steps, (low, high))[0].astype(np.float64), low, high
