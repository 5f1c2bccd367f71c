"""Quantiles of values that are sorted already, linear between neighbours, as `np.quantile` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crucible_nb.utils import checks


@dataclass(frozen=True, slots=True)
class QuantileResult:
    """What a quantile accumulator knows, in the unit of its values; NaN until known.

    Attributes:
        count: Known values, infinite ones included.
        minimum: Smallest value.
        p50: Median.
        p90: 90% quantile.
        p95: 95% quantile.
        p99: 99% quantile.
        maximum: Largest value.
        missing: Values that were NaN.
        infinite: Values that were infinite.
        exact: Whether the quantiles are exact; the extremes always are.
        error_bound: Most that a quantile can be off, as a share of it; NaN when nothing is guaranteed.

    Examples:
        >>> from crucible_nb.accumulators import Quantiles
        >>> Quantiles().update([1.0, 2.0, 6.0]).result().p50
        2.0
    """

    count: int
    minimum: float
    p50: float
    p90: float
    p95: float
    p99: float
    maximum: float
    missing: int
    infinite: int
    exact: bool
    error_bound: float


def quantile_result(sketch: Any) -> QuantileResult:
    """The result of an accumulator with the attributes and the `quantile` that it takes."""
    low, p50, p90, p95, p99, high = sketch.quantile(np.array([0.0, 0.5, 0.9, 0.95, 0.99, 1.0])).tolist()
    return QuantileResult(
        sketch.count, low, p50, p90, p95, p99, high, sketch.missing, sketch.infinite, sketch.exact, sketch.error_bound
    )


def quantile_of_sorted(values: np.ndarray, q: Any, weights: np.ndarray | None = None) -> Any:
    """Quantiles of sorted values.

    The value at position `h = q * (n - 1)`, linear between neighbours (type 7 of Hyndman and Fan): the bits of
    `np.quantile`. With weights, value `i` fills the positions from `C[i-1]` to `C[i] - 1` of the cumulative
    weights `C`, and the gap of 1 to the next value is linear: the bits of `np.quantile(np.repeat(values, weights))`
    for whole weights, and continuous and monotone in `q`, from smallest to largest, for all weights >= 1. Between
    a finite and an infinite value lies the infinite one.

    Args:
        values: float64[n], ascending, without NaN.
        q: A number or an array of numbers in [0, 1].
        weights: float64[n], how many events each value stands for, >= 0; None is 1 each.

    Returns:
        A float for one `q`, else a float64 array of the shape of `q`; NaN when there is nothing.

    Raises:
        ConfigError: When a `q` is outside [0, 1].

    Examples:
        >>> import numpy as np
        >>> quantile_of_sorted(np.array([1.0, 2.0, 4.0]), 0.75)
        3.0
        >>> quantile_of_sorted(np.array([1.0, 2.0]), [0.5, 1.0], weights=np.array([3.0, 1.0])).tolist()
        [1.0, 2.0]

    References:
        Hyndman and Fan (1996), Sample quantiles in statistical packages.
    """
    at = checks.fractions("q", q)
    if weights is not None and not weights.all():
        values, weights = values[weights > 0], weights[weights > 0]
    if not len(values):
        found = np.full(at.shape, np.nan)
    else:
        below, share = _ranks(at, len(values)) if weights is None else _weighted_ranks(at, weights)
        found = between(values[below], values[np.minimum(below + 1, len(values) - 1)], share)
    return found if at.ndim else float(found)


def sort_pair(values: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Values in ascending order, each with its weight; values without weights are sorted in place."""
    if weights is None:
        values.sort()
        return values, None
    order = np.argsort(values, kind="stable")
    return values[order], weights[order]


def _ranks(q: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    position = (n - 1) * q
    below = np.floor(position)
    return below.astype(np.intp), position - below


def _weighted_ranks(q: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ends = np.cumsum(weights)
    position = np.maximum(ends[-1] - 1, 0.0) * q
    below = np.minimum(np.searchsorted(ends, position, side="right"), len(ends) - 1)
    return below, np.clip(position - (ends[below] - 1), 0.0, 1.0)


@np.errstate(invalid="ignore", over="ignore")
def between(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The formula of numpy to the bit, where the difference of the two is finite."""
    gap = b - a
    found: np.ndarray = np.where(share < 0.5, a + gap * share, b - gap * (1 - share))
    if np.isfinite(gap).all():
        return found
    wide = np.where(share == 0, a, np.where(share == 1, b, a * (1 - share) + b * share))
    found[~np.isfinite(gap)] = wide[~np.isfinite(gap)]
    return found
