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

    return smallest_level(excludes_null, 1.0)


def side_pvalue(limits: Limit, null: float, side: str) -> float:
    """One-sided p-value of an interval: the smallest alpha at which the 1 - 2 alpha interval excludes `null`.

    Args:
        limits: Function from confidence to the interval of an estimate.
        null: Value under the null hypothesis.
        side: "greater" (the estimate is larger, so the lower limit decides) or "less".

    Returns:
        The p-value; if the estimate is not on that side, 1 - the p-value of the other side.
    """
    low, high = limits(2e-9)
    if low > null:
        above = smallest_level(lambda level: limits(1 - 2 * level).low > null, 0.5 - 1e-9)
        return above if side == "greater" else 1 - above
    if high < null:
        below = smallest_level(lambda level: limits(1 - 2 * level).high < null, 0.5 - 1e-9)
        return below if side == "less" else 1 - below
    return 0.5


def smallest_level(holds: Callable[[float], bool], largest: float) -> float:
    """Find the smallest level, at most `largest`, at which a monotone condition holds, by bisection of its log."""
    if holds(_LEAST):
        return _LEAST
    low, high = math.log(_LEAST), math.log(largest)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(math.exp(middle)) else (middle, high)
    return math.exp(high)
