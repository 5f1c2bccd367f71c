"""`Contrast`: treatment - ratio * control with its interval; relative changes and relative margins follow from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from crucible_nb.stats.estimates.mover import difference_limits
from crucible_nb.stats.results import UNKNOWN, Interval

_FAR = 1e9
_LARGEST = 700.0  # exp of more is infinite


class RelativeChange(NamedTuple):
    """A relative change, (treatment - control) / |control|, with its interval; 0.1 is 10 % more."""

    value: float
    interval: Interval


NO_CHANGE = RelativeChange(math.nan, UNKNOWN)
"""The relative change of a test that has none."""


class Contrast(NamedTuple):
    """Estimates of one metric in two arms, with the intervals of their contrasts.

    Attributes:
        control, treatment: The estimates.
        limits: Function of (confidence, ratio) that gives the interval of treatment - ratio * control.
        log_ratio: Function from confidence to the interval of log(treatment / control); None if there may be no
            logarithm.
    """

    control: float
    treatment: float
    limits: Callable[[float, float], Interval]
    log_ratio: Callable[[float], Interval] | None = None

    def difference(self, confidence: float) -> Interval:
        """Interval of treatment - control."""
        return self.limits(confidence, 1.0)

    def times(self, factor: float) -> Contrast:
        """The contrast of estimates that are multiplied by a factor, such as totals of means."""

        def limits(confidence: float, ratio: float) -> Interval:
            low, high = self.limits(confidence, ratio)
            return Interval(factor * low, factor * high)

        return self._replace(control=factor * self.control, treatment=factor * self.treatment, limits=limits)

    def relative(self, confidence: float) -> RelativeChange:
        """Relative change, by the log ratio if there is one, otherwise by Fieller's theorem."""
        if self.log_ratio is None:
            return fieller_change(self, confidence)
        low, high = (
            math.expm1(min(limit, 700.0)) if limit < math.inf else limit for limit in self.log_ratio(confidence)
        )
        return RelativeChange(self.treatment / self.control - 1, Interval(low, high))


def fieller_change(contrast: Contrast, confidence: float) -> RelativeChange:
    """Relative change whose interval holds every ratio at which the contrast is not significant (Fieller).

    A side is infinite if the control is not significantly different from 0.

    Examples:
        >>> known = Contrast(2.0, 3.0, lambda confidence, ratio: Interval(2.0 - 2 * ratio, 4.0 - 2 * ratio))
        >>> change = fieller_change(known, 0.95)
        >>> change.value, [round(limit, 9) for limit in change.interval]
        (0.5, [0.0, 1.0])

    References:
        Fieller: Some problems in interval estimation. JRSS B 16 (1954).
    """
    control, treatment, sign = contrast.control, contrast.treatment, math.copysign(1.0, contrast.control)
    value = sign * (treatment / control - 1) if control else math.nan
    center = treatment / control if control else _FAR
    reach = _FAR * max(abs(center), 1.0)

    def below(ratio: float) -> float:
        """Above 0 for ratios that are too small (for a negative control: too large)."""
        return contrast.limits(confidence, ratio).low

    def above(ratio: float) -> float:
        return -contrast.limits(confidence, ratio).high

    first, last = _root(below, center, -sign * reach), _root(above, center, sign * reach)
    return RelativeChange(value, Interval(sign * (first - 1), sign * (last - 1)))


def _root(off: Callable[[float], float], center: float, end: float) -> float:
    """Root between the center, where `off` is below 0, and a far end; infinite if it is below 0 there too."""
    from scipy import optimize  # noqa: PLC0415  heavy; imported where used

    if not off(end) > 0:
        return math.copysign(math.inf, end)
    step = end * 1e-9
    while not off(center + step) > 0:
        step *= 2
    if off(center) >= 0:
        return center
    return float(optimize.brentq(off, center, center + step, xtol=1e-14, rtol=1e-12))


def mover_contrast(
    control: tuple[float, Callable[[float], Interval]],
    treatment: tuple[float, Callable[[float], Interval]],
    correlation: float = 0.0,
) -> Contrast:
    """The contrast of two estimates by their own intervals (MOVER).

    Args:
        control, treatment: Estimate of each arm, and the function from confidence to its interval.
        correlation: Correlation of the two estimates; 0 for independent arms.

    References:
        Zou, Donner: Construction of confidence limits about effect measures: a general approach. Statistics in
        Medicine 27 (2008).
    """
    (first, one), (second, two) = control, treatment

    def limits(confidence: float, ratio: float) -> Interval:
        ends = sorted(ratio * limit if ratio else 0.0 for limit in one(confidence))
        scaled = ratio * first, Interval(ends[0], ends[1])
        return difference_limits(scaled, (second, two(confidence)), correlation if ratio > 0 else -correlation)

    def log_ratio(confidence: float) -> Interval:
        logs = [(_log(estimate), Interval(*map(_log, side(confidence)))) for estimate, side in (control, treatment)]
        return difference_limits(logs[0], logs[1], correlation)

    return Contrast(first, second, limits, log_ratio if first > 0 and second > 0 else None)


def widest(one: Contrast, two: Contrast, *, low: bool = True, high: bool = True) -> Contrast:
    """The first contrast, with the wider limits of both on the low or high side: there both have to exclude a value."""

    def hull(first: Interval, second: Interval) -> Interval:
        return Interval(
            min(first.low, second.low) if low else first.low, max(first.high, second.high) if high else first.high
        )

    def limits(confidence: float, ratio: float) -> Interval:
        return hull(one.limits(confidence, ratio), two.limits(confidence, ratio))

    if one.log_ratio is None or two.log_ratio is None:
        return one._replace(limits=limits, log_ratio=None)
    first, second = one.log_ratio, two.log_ratio
    return one._replace(limits=limits, log_ratio=lambda confidence: hull(first(confidence), second(confidence)))


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _growth(log_ratio: float) -> float:
    return math.expm1(log_ratio) if log_ratio < _LARGEST else math.inf
