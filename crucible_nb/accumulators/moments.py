"""Mean and variance in one pass over blocks that merge, stable at any offset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb.accumulators.inputs import known
from crucible_nb.accumulators.serial import Stateful, alike

_BLOCK = 16_384  # values whose temporaries stay in the cache
_WHOLE = np.zeros(1, np.intp)
_LEAST = 5e-324


@np.errstate(invalid="ignore", over="ignore")
def combine(
    n_a: Any, mean_a: Any, m2_a: Any, n_b: Any, mean_b: Any, m2_b: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moments of two sets together, elementwise over arrays that broadcast.

    Args:
        n_a: Weight of the first set (a count, or a sum of weights).
        mean_a: Its mean.
        m2_a: Its weighted sum of squared deviations from the mean.
        n_b: The same three of the second set.
        mean_b: Its mean.
        m2_b: Its weighted sum of squared deviations.

    Returns:
        Weight, mean and sum of squared deviations of both. A set of weight 0 changes no bit of the other.

    Examples:
        >>> [float(x) for x in combine(2, 1.5, 0.5, 1, 6.0, 0.0)]
        [3.0, 3.0, 14.0]

    References:
        Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
    """
    n = np.add(n_a, n_b, dtype=np.float64)
    share = n_b / np.maximum(n, _LEAST)
    delta = np.subtract(mean_b, mean_a)
    mean = mean_a + delta * share
    if not np.isfinite(delta).all():  # infinite means add up as IEEE 754 says
        mean = np.where(np.isfinite(delta), mean, np.add(mean_a, mean_b))
    m2 = np.add(m2_a, m2_b) + delta * delta * (n_a * share)
    if not np.logical_and(n_a, n_b).all():
        only_a, only_b = np.equal(n_b, 0), np.equal(n_a, 0)
        mean = np.where(only_a, mean_a, np.where(only_b, mean_b, mean))
        m2 = np.where(only_a, m2_a, np.where(only_b, m2_b, m2))
    return n, mean, m2


@np.errstate(invalid="ignore", over="ignore")
def moments_by(
    values: np.ndarray, starts: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moments of contiguous runs of the last axis, by the corrected two-pass algorithm.

    Args:
        values: float64[..., N], N >= 1, NaN where unknown.
        starts: int[k], where the runs begin: 0 first, strictly increasing, below N.
        weights: float64 that broadcasts against `values`, finite and >= 0; None is 1 each.

    Returns:
        Weight of the known values, their mean (0 when there are none) and their weighted sum of squared deviations
        from it, float64[..., k] each. Infinite values make the mean infinite or NaN and the last NaN.

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
    there = ~np.isnan(values) if weights is None else ~np.isnan(values) & (weights > 0)
    w = there.astype(np.float64) if weights is None else np.where(there, weights, 0.0)
    x = np.where(there, values, 0.0)
    n = np.add.reduceat(w, starts, axis=-1)
    divisor = np.where(n == 0, 1.0, n)
    mean = np.add.reduceat(x * w, starts, axis=-1) / divisor
    deviations = np.where(there, x - np.repeat(mean, lengths, axis=-1), 0.0)
    weighted = w * deviations
    shift = np.add.reduceat(weighted, starts, axis=-1) / divisor
    m2 = np.add.reduceat(weighted * deviations, starts, axis=-1) - n * shift * shift
    return n, np.where(np.isfinite(mean), mean + shift, mean), np.maximum(m2, 0.0)


def _known_moments(
    values: np.ndarray, starts: np.ndarray, n: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The second pass where all values are known; it also takes away the rounding of the first pass's mean."""
    deviations = values - (mean if len(starts) == 1 else np.repeat(mean, n.astype(np.intp), axis=-1))
    shift = np.add.reduceat(deviations, starts, axis=-1) / n
    np.multiply(deviations, deviations, out=deviations)
    m2 = np.add.reduceat(deviations, starts, axis=-1) - n * shift * shift
    return n if n.shape == mean.shape else np.broadcast_to(n, mean.shape), mean + shift, np.maximum(m2, 0.0)


@dataclass(frozen=True, slots=True)
class MomentsResult:
    """What `Moments` knows, in the unit of its values; NaN until known.

    Attributes:
        count: Known values.
        weight: Sum of their weights.
        mean: Weighted mean.
        variance: Sum of squared deviations over `weight - 1`; NaN up to a weight of 1.
        std: Its root.
        total: Weighted sum.
        missing: Values that were NaN.
        infinite: Values that were infinite; they make mean and variance infinite or NaN.

    Examples:
        >>> Moments().update([1.0, 2.0, 6.0]).result().mean
        3.0
    """

    count: int
    weight: float
    mean: float
    variance: float
    std: float
    total: float
    missing: int
    infinite: int


class Moments(Stateful):
    """Count, mean, variance and total.

    Weights count events: a value of weight w is w equal values, the variance divides by `weight - 1`. Squares of
    values above 1e150 do not fit a float64; up to there nothing depends on the offset of the values.

    Examples:
        >>> Moments().update([1.0, 2.0, 6.0]).result()
        MomentsResult(count=3, weight=3.0, mean=3.0, variance=7.0, std=2.6457513110645907, total=9.0, missing=0, infinite=0)
        >>> Moments().update([1.0, 2.0]).merge(Moments().update([6.0]))
        Moments(count=3, mean=3.0, std=2.6457513110645907)

    References:
        Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
    """  # noqa: E501  the result's repr is one line

    __slots__ = ("_m2", "_mean", "_total", "count", "infinite", "missing", "weight")
    kind = "moments"
    fields: ClassVar[Mapping[str, str]] = {
        "count": "whole",
        "weight": "weight",
        "_mean": "number",
        "_m2": "number",
        "_total": "number",
        "missing": "whole",
        "infinite": "whole",
    }
    shown = ("count", "mean", "std")

    def __init__(self) -> None:
        self.count = self.missing = self.infinite = 0
        self.weight = self._mean = self._m2 = self._total = 0.0

    @property
    def mean(self) -> float:
        """Weighted mean; NaN until known."""
        return self._mean if self.count else math.nan

    @property
    def total(self) -> float:
        """Weighted sum; NaN until known."""
        return self._total if self.count else math.nan

    @property
    def variance(self) -> float:
        """Squared deviations over `weight - 1`; NaN up to a weight of 1."""
        return self._m2 / (self.weight - 1) if self.weight > 1 else math.nan

    @property
    def std(self) -> float:
        """Root of the variance."""
        return math.sqrt(self.variance)

    def update(self, values: Any, weights: Any = None) -> Self:
        """Take values in, in place.

        Args:
            values: Array-like of n numbers, NaN where missing.
            weights: n finite numbers >= 0; None is 1 each.

        Returns:
            The accumulator itself.

        Raises:
            StatError: When `values` are no numbers, or `weights` are negative, infinite or not n.

        Examples:
            >>> Moments().update([1.0, 3.0], weights=[3, 1]).mean
            1.5
        """
        x, w, missing = known(values, weights)
        self.missing += missing
        for start in range(0, len(x), _BLOCK):
            part = slice(start, start + _BLOCK)
            self._add(x[part], None if w is None else w[part])
        return self

    @np.errstate(invalid="ignore", over="ignore")
    def _add(self, x: np.ndarray, w: np.ndarray | None) -> None:
        weight, mean, m2 = (float(part[0]) for part in moments_by(x, _WHOLE, w))
        self._total += float(x.sum() if w is None else (x * w).sum())
        self.count += len(x)
        self.infinite += 0 if math.isfinite(mean) else int(np.isinf(x).sum())
        self.weight, self._mean, self._m2 = map(float, combine(self.weight, self._mean, self._m2, weight, mean, m2))

    def merge(self, later: Self) -> Self:
        """Both together, as a new accumulator.

        Args:
            later: Moments of what came after.

        Returns:
            A new accumulator; both are left alone.

        Raises:
            ConfigError: When `later` is something else.

        Examples:
            >>> Moments().merge(Moments().update([2.0])).mean
            2.0
        """
        alike(self, later)
        both = type(self)()
        for name in ("count", "missing", "infinite", "_total"):
            setattr(both, name, getattr(self, name) + getattr(later, name))
        mine, theirs = (self.weight, self._mean, self._m2), (later.weight, later._mean, later._m2)
        both.weight, both._mean, both._m2 = map(float, combine(*mine, *theirs))
        return both

    def result(self) -> MomentsResult:
        """What is known so far.

        Examples:
            >>> Moments().result().mean
            nan
        """
        return MomentsResult(
            self.count, self.weight, self.mean, self.variance, self.std, self.total, self.missing, self.infinite
        )
