"""MOVER: interval of a difference from the intervals of two estimates, and the p-value consistent with it."""

from __future__ import annotations

import math
from collections.abc import Callable

from crucible_nb.stats.results import Interval

Limit = Callable[[float], Interval]
"""Function from confidence to the interval of an estimate."""

_LEAST = 1e-12


def difference_limits(
    control: tuple[float, Interval], treatment: tuple[float, Interval], correlation: float = 0.0
) -> Interval:
    """Interval of treatment - control, by recovering a variance from each limit (MOVER).

    Args:
        control, treatment: Estimate and interval of each arm, at the same confidence.
        correlation: Correlation of the two estimates; 0 for independent arms.

    Examples:
        >>> from crucible_nb.stats.results import Interval
        >>> difference_limits((1.0, Interval(0.0, 2.0)), (5.0, Interval(5.0, 8.0)))
        Interval(low=3.0, high=7.16227766016838)

    References:
        Zou, Donner: Construction of confidence limits about effect measures: a general approach. Statistics in
        Medicine 27 (2008). Newcombe: Interval estimation for the difference between independent proportions.
        Statistics in Medicine 17 (1998), method 10.
    """
    (first, one), (second, two) = control, treatment
    estimate = second - first
    below = _length(second - two.low, one.high - first, correlation)
    above = _length(two.high - second, first - one.low, correlation)
    return Interval(estimate - below, estimate + above)


def _length(a: float, b: float, correlation: float) -> float:
    if math.isinf(a) or math.isinf(b):
        return math.inf
    return math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0))


def pvalue_of(estimate: float, limits: Limit, null: float = 0.0) -> float:
    """Two-sided p-value consistent with an interval: the smallest 1 - confidence at which it excludes `null`.

    Args:
        estimate: Estimate of the difference.
        limits: Function from confidence to the interval of the difference.
        null: Difference under the null hypothesis.

    Examples:
        >>> from scipy import special
        >>> from crucible_nb.stats.results import Interval
        >>> def normal(confidence):
        ...     half = special.ndtri((1 + confidence) / 2)
        ...     return Interval(1.96 - half, 1.96 + half)
        >>> round(pvalue_of(1.96, normal), 4)
        0.05
    """
    if estimate == null:
        return 1.0

    def excludes_null(level: float) -> bool:
        low, high = limits(1 - level)
        return not low <= null <= high

    if excludes_null(_LEAST):
        return _LEAST
    low, high = math.log(_LEAST), 0.0  # at low the interval covers null; at high it is a point and does not
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes_null(math.exp(middle)) else (middle, high)
    return math.exp(high)
