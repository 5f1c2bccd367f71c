"""Quantiles of sorted values, linear between neighbours as in `np.quantile`; the base class of quantile sketches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crucible_nb.accumulators.serial import Stateful
from crucible_nb.utils import checks


@dataclass(frozen=True, slots=True)
class QuantileResult:
    """Result of a quantile sketch, in the unit of the values; NaN where unknown.

    Attributes:
        count: Number of known values, infinite values included.
        minimum: Smallest value.
        p50: Median.
        p90: 90% quantile.
        p95: 95% quantile.
        p99: 99% quantile.
        maximum: Largest value.
        missing: Number of NaN values.
        infinite: Number of infinite values.
        exact: Whether the quantiles are exact; the extremes always are.
        error_bound: Largest relative error of a quantile; NaN if none is guaranteed.

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


class QuantileSketch(Stateful):
    """Base class of the quantile accumulators: `result` from their counts, bounds and `quantile`."""

    __slots__ = ()

    def quantile(self, q: Any) -> Any:
        """Compute quantiles: linear between order statistics as in `np.quantile` if `exact`, else within `error_bound`.

        Args:
            q: A number or an array of numbers in [0, 1].

        Returns:
            A float, or float64 of the shape of `q`, in the unit of the values; NaN without values.

        Raises:
            ConfigError: A `q` is outside [0, 1].

        Examples:
            >>> from crucible_nb.accumulators import Quantiles
            >>> Quantiles().update([1.0, 2.0, 4.0]).quantile([0.5, 0.75]).tolist()
            [2.0, 3.0]
        """
        raise NotImplementedError

    def result(self) -> QuantileResult:
        low, p50, p90, p95, p99, high = self.quantile(np.array([0.0, 0.5, 0.9, 0.95, 0.99, 1.0])).tolist()
        sketch: Any = self  # the counts are attributes of some sketches and properties of others
        return QuantileResult(
            count=sketch.count,
            minimum=low,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            maximum=high,
            missing=sketch.missing,
            infinite=sketch.infinite,
            exact=sketch.exact,
            error_bound=sketch.error_bound,
        )


def quantile_of_sorted(values: np.ndarray, q: Any, weights: np.ndarray | None = None) -> Any:
    """Compute quantiles of sorted values.

    The value at position `h = q * (n - 1)`, linear between neighbours (type 7 of Hyndman and Fan): the bits of
    `np.quantile`. With weights, value `i` fills the positions from `C[i-1]` to `C[i] - 1` of the cumulative
    weights `C`, and the gap of 1 to the next value is linear: the bits of `np.quantile(np.repeat(values, weights))`
    for whole weights, and continuous and monotone in `q`, from smallest to largest, for all weights >= 1. Between
    a finite and an infinite value, the quantile is infinite.

    Args:
        values: float64[n], ascending, without NaN.
        q: A number or an array of numbers in [0, 1].
        weights: float64[n], the number of events each value represents, >= 0; None means 1 each.

    Returns:
        A float for one `q`, else a float64 array of the shape of `q`; NaN without values.

    Raises:
        ConfigError: A `q` is outside [0, 1].

    Examples:
        >>> import numpy as np
        >>> quantile_of_sorted(np.array([1.0, 2.0, 4.0]), 0.75)
        3.0
        >>> quantile_of_sorted(np.array([1.0, 2.0]), [0.5, 1.0], weights=np.array([3.0, 1.0])).tolist()
        [1.0, 2.0]

    References:
        Hyndman and Fan (1996), Sample quantiles in statistical packages.
    """
    probabilities = checks.fractions("q", q)
    if weights is not None and not weights.all():
        values, weights = values[weights > 0], weights[weights > 0]
    if not len(values):
        result = np.full(probabilities.shape, np.nan)
    else:
        n = len(values)
        below, fraction = _ranks(probabilities, n) if weights is None else _weighted_ranks(probabilities, weights)
        result = interpolate(values[below], values[np.minimum(below + 1, n - 1)], fraction)
    return result if probabilities.ndim else float(result)


def sort_with_weights(values: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Sort values in ascending order, each with its weight; values without weights are sorted in place."""
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
def interpolate(a: np.ndarray, b: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Interpolate linearly between a and b: the bits of numpy's formula where the difference is finite."""
    gap = b - a
    result: np.ndarray = np.where(fraction < 0.5, a + gap * fraction, b - gap * (1 - fraction))
    if np.isfinite(gap).all():
        return result
    wide = np.where(fraction == 0, a, np.where(fraction == 1, b, a * (1 - fraction) + b * fraction))
    result[~np.isfinite(gap)] = wide[~np.isfinite(gap)]
    return result
