"""Moments as weight, mean and sum of squared deviations: computed in two passes, and combined by Chan's formula."""

from __future__ import annotations

from typing import Any

import numpy as np

_TINY = 5e-324


@np.errstate(invalid="ignore", over="ignore")
def combine(
    n_a: Any, mean_a: Any, m2_a: Any, n_b: Any, mean_b: Any, m2_b: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Combine the moments of two sets, elementwise over arrays that broadcast.

    Args:
        n_a: Weight of the first set (a count, or a sum of weights).
        mean_a: Mean of the first set.
        m2_a: Weighted sum of squared deviations from the mean of the first set.
        n_b: Weight of the second set.
        mean_b: Mean of the second set.
        m2_b: Weighted sum of squared deviations of the second set.

    Returns:
        Weight, mean and sum of squared deviations of the union. A set of weight 0 changes no bit of the other.

    Examples:
        >>> [float(x) for x in combine(2, 1.5, 0.5, 1, 6.0, 0.0)]
        [3.0, 3.0, 14.0]

    References:
        Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
    """
    n = np.add(n_a, n_b, dtype=np.float64)
    fraction = n_b / np.maximum(n, _TINY)
    delta = np.subtract(mean_b, mean_a)
    mean = mean_a + delta * fraction
    if not np.isfinite(delta).all():  # infinite means add up as IEEE 754 says
        mean = np.where(np.isfinite(delta), mean, np.add(mean_a, mean_b))
    m2 = np.add(m2_a, m2_b) + delta * delta * (n_a * fraction)
    if not np.logical_and(n_a, n_b).all():
        only_a, only_b = np.equal(n_b, 0), np.equal(n_a, 0)
        mean = np.where(only_a, mean_a, np.where(only_b, mean_b, mean))
        m2 = np.where(only_a, m2_a, np.where(only_b, m2_b, m2))
    return n, mean, m2


@np.errstate(invalid="ignore", over="ignore")
def moments_by(
    values: np.ndarray, starts: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the moments of contiguous runs of the last axis with the corrected two-pass algorithm.

    Args:
        values: float64[..., N], N >= 1, NaN where unknown.
        starts: int[k], start of each run: 0 first, strictly increasing, below N.
        weights: float64 that broadcasts against `values`, finite and >= 0; None means 1 each.

    Returns:
        Weight of the known values, their mean (0 if there are none) and their weighted sum of squared deviations
        from the mean, float64[..., k] each. Infinite values make the mean infinite or NaN, and the deviations NaN.

    Examples:
        >>> import numpy as np
        >>> n, mean, m2 = moments_by(np.array([1.0, 3.0, np.nan, 5.0]), np.array([0, 2]))
        >>> n.tolist(), mean.tolist(), m2.tolist()
        ([2.0, 1.0], [2.0, 5.0], [2.0, 0.0])

    References:
        Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
    """
    lengths = np.concatenate((starts[1:], [values.shape[-1]])) - starts
    if weights is None:
        total = np.add.reduceat(values, starts, axis=-1)
        if np.isfinite(total).all():
            return _known_moments(values, starts, lengths.astype(np.float64), total / lengths)
    known = ~np.isnan(values) if weights is None else ~np.isnan(values) & (weights > 0)
    w = known.astype(np.float64) if weights is None else np.where(known, weights, 0.0)
    x = np.where(known, values, 0.0)
    n = np.add.reduceat(w, starts, axis=-1)
    divisor = np.where(n == 0, 1.0, n)
    mean = np.add.reduceat(x * w, starts, axis=-1) / divisor
    deviations = np.where(known, x - np.repeat(mean, lengths, axis=-1), 0.0)
    weighted = w * deviations
    shift = np.add.reduceat(weighted, starts, axis=-1) / divisor
    m2 = np.add.reduceat(weighted * deviations, starts, axis=-1) - n * shift * shift
    return n, np.where(np.isfinite(mean), mean + shift, mean), np.maximum(m2, 0.0)


def _known_moments(
    values: np.ndarray, starts: np.ndarray, n: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the second pass where all values are known; it also removes the rounding error of the first mean."""
    deviations = values - (mean if len(starts) == 1 else np.repeat(mean, n.astype(np.intp), axis=-1))
    shift = np.add.reduceat(deviations, starts, axis=-1) / n
    np.multiply(deviations, deviations, out=deviations)
    m2 = np.add.reduceat(deviations, starts, axis=-1) - n * shift * shift
    return n if n.shape == mean.shape else np.broadcast_to(n, mean.shape), mean + shift, np.maximum(m2, 0.0)
