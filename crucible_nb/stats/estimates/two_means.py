"""`TwoMeans`: means or ratios of two arms with the errors of their contrasts, by linearisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from crucible_nb.stats.cluster_robust import Error, Units, difference_of_errors, extreme_scale, paired_error
from crucible_nb.stats.estimates.contrast import Contrast
from crucible_nb.stats.estimates.intervals import linearize_total
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import aligned_units, arm_error, shared_clusters
from crucible_nb.stats.samples.linear_arm import LinearArm
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values


class TwoMeans(NamedTuple):
    """Means, rates or ratios of two arms.

    Attributes:
        control, treatment: The estimates.
        error: Function of (a, b) that gives the standard error of b * treatment - a * control.
        positive: Whether all values are at least 0 and both estimates are above 0, so that the ratio has a logarithm.
        difference: treatment - control, also where a large common offset would cost its digits.
        arms: Control and treatment, linearised; None for pairs and totals.
    """

    control: float
    treatment: float
    error: Callable[[float, float], Error]
    positive: bool
    difference: float
    arms: tuple[LinearArm, LinearArm] | None = None

    @property
    def contrast(self) -> Contrast:
        """Contrasts with intervals by t."""
        return Contrast(
            self.control, self.treatment, partial(t_limits, self), partial(log_limits, self) if self.positive else None
        )


def t_limits(means: TwoMeans, confidence: float, ratio: float = 1.0) -> Interval:
    """Interval of treatment - ratio * control by t, with the degrees of freedom of that contrast (Satterthwaite).

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> means = two_means(*(values_of(x, "loss") for x in ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])))
        >>> [round(limit, 3) for limit in t_limits(means, 0.95)]  # Welch
        [-2.155, 6.155]
    """
    estimate = means.difference if ratio == 1 else means.treatment - ratio * means.control
    half = _t(means.error(ratio, 1.0), confidence)
    return Interval(estimate - half, estimate + half)


def log_limits(means: TwoMeans, confidence: float) -> Interval:
    """Interval of log(treatment / control), by the delta method: the error of treatment / T - control / C.

    References:
        Friedrich, Adhikari, Beyene: The ratio of means method as an alternative to mean differences. BMC Medical
        Research Methodology 8 (2008).
    """
    center = math.log(means.treatment / means.control)
    half = _t(means.error(1 / means.control, 1 / means.treatment), confidence)
    return Interval(center - half, center + half)


def _t(error: Error, confidence: float) -> float:
    """Half the width of an interval by t."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    return float(special.stdtrit(error.df, (1 + confidence) / 2)) * error.error if error.error > 0 else 0.0


def two_means(control: Values, treatment: Values, test: str = "comparison") -> TwoMeans:
    """Estimate the means or ratios of two arms, which may have clusters in common.

    Raises:
        StatError: A quantile or a total; the message names the `test`.
    """
    pivot = float(control.x[0])
    first, second = LinearArm(control, test, pivot), LinearArm(treatment, test, pivot)
    positive = is_positive(control, first.estimate) and is_positive(treatment, second.estimate)
    error = _error_of_shared(first, second) if shared_clusters((control, treatment)) else _error_of_apart(first, second)
    difference = second.center - first.center  # both have the same pivot
    return TwoMeans(first.estimate, second.estimate, error, positive, difference, (first, second))


def _error_of_apart(first: LinearArm, second: LinearArm) -> Callable[[float, float], Error]:
    """The error of b * treatment - a * control of arms without clusters in common."""

    def error(a: float, b: float) -> Error:
        one, two = first.error, second.error
        return difference_of_errors(Error(abs(a) * one.error, one.df), Error(abs(b) * two.error, two.df))

    return error


def _error_of_shared(first: LinearArm, second: LinearArm) -> Callable[[float, float], Error]:
    """The error of b * treatment - a * control of arms with clusters in common, whose rows are summed once."""
    return _scaled_error(*aligned_units(first.values, second.values, first.deviation, second.deviation))


def _scaled_error(scale: float, control: Units, treatment: Units) -> Callable[[float, float], Error]:
    """The error of b * treatment - a * control from units that both arms have, divided by `scale`."""

    def error(a: float, b: float) -> Error:
        size = extreme_scale(np.array([a, b]))
        found, df = paired_error(control.times(a / size), treatment.times(b / size))
        return Error(scale * size * found, df)

    return error


def two_totals(control: Values, treatment: Values) -> TwoMeans:
    """Estimate the expected totals of two arms, which may have clusters in common."""
    first, second = linearize_total(control), linearize_total(treatment)
    positive = is_positive(control, first.estimate) and is_positive(treatment, second.estimate)
    if shared_clusters((first.rows, second.rows)):
        shared = _scaled_error(*aligned_units(first.rows, second.rows, first.deviation, second.deviation))
    else:
        shared = None
        one, two = (arm_error(side.rows, side.deviation) for side in (first, second))

    def error(a: float, b: float) -> Error:
        if shared is not None:
            return shared(a * first.events, b * second.events)
        own = Error(abs(a) * first.events * one.error, one.df)
        return difference_of_errors(own, Error(abs(b) * second.events * two.error, two.df))

    return TwoMeans(first.estimate, second.estimate, error, positive, second.estimate - first.estimate)


def two_paired_means(pairs: Pairs, test: str = "comparison") -> TwoMeans:
    """Estimate the means or ratios of the same items in two arms; see `two_means`.

    Ratios of repeated items are those of all their rows.
    """
    if pairs.rows is not None and pairs.control.per is not None:
        return two_means(*pairs.rows, test)
    control, treatment = pairs.control, pairs.treatment
    pivot = float(control.x[0])
    first, second = LinearArm(control, test, pivot), LinearArm(treatment, test, pivot)

    def error(a: float, b: float) -> Error:
        return arm_error(control, b * second.deviation - a * first.deviation)

    positive = is_positive(control, first.estimate) and is_positive(treatment, second.estimate)
    return TwoMeans(first.estimate, second.estimate, error, positive, second.center - first.center)


def is_positive(arm: Values, estimate: float) -> bool:
    """Return whether all values (of a ratio also the denominators) are at least 0, and the estimate is above 0."""
    return estimate > 0 and bool(arm.x.min() >= 0) and (arm.per is None or bool(np.min(arm.per) >= 0))
