"""Standardised differences of means with intervals, shared by tests and effect sizes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Error, extreme_scale
from crucible_nb.stats.effects.noncentral import hedges_factor, t_limits
from crucible_nb.stats.products import dot
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import arm_error, difference_error, in_moderate_unit, linearize
from crucible_nb.stats.samples.linear_arm import LinearArm
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values


class StandardizedEffect(NamedTuple):
    """An effect size with its interval.

    Attributes:
        value: Effect size, without a unit.
        interval: Confidence interval of `value`.
        df: Degrees of freedom of the standard deviation that is the unit of the difference.
        how: Name of the method of the interval.
        error: Standard error of `value`; NaN where none exists.
    """

    value: float
    interval: Interval
    df: float
    how: str
    error: float = math.nan

    def times(self, factor: float) -> StandardizedEffect:
        """Scale value, interval and error by a factor."""
        low, high = self.interval
        return self._replace(
            value=self.value * factor, interval=Interval(low * factor, high * factor), error=self.error * factor
        )


def cohens_d_of(control: Values, treatment: Values, confidence: float) -> StandardizedEffect:
    """Cohen's d: (mean of the treatment - mean of the control) / pooled standard deviation.

    The interval is by the noncentral t; linearised for sampled or clustered rows.

    Raises:
        StatError: Constant values, or a metric that is not a mean.

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. Erlbaum (1988).
    """
    control, treatment = in_moderate_unit(control, treatment)
    pivot = float(control.x[0])
    return _cohens_d(_linear_mean(control, pivot), _linear_mean(treatment, pivot), confidence)


def _cohens_d(first: LinearArm, second: LinearArm, confidence: float) -> StandardizedEffect:
    """Cohen's d of two means with the same pivot."""
    control, treatment = first.values, second.values
    sizes = _size(control), _size(treatment)
    s = math.sqrt((sizes[0] * first.moments.variance + sizes[1] * second.moments.variance) / sum(sizes))
    d = (second.center - first.center) / _positive(s, control)
    if control.plain and treatment.plain:
        n, m = len(control.x), len(treatment.x)
        scale = math.sqrt(1 / n + 1 / m)
        return _noncentral(d, scale, n + m - 2, confidence)
    share = sizes[1] / sum(sizes)
    parts = [
        sign * arm.deviation / s - d / (2 * s * s) * part * _centred(arm.values, arm.deviation)
        for sign, arm, part in ((-1, first, 1 - share), (1, second, share))
    ]
    # difference_error is that of a difference, d a sum of both parts: change the sign of the control's
    return _linearised(d, difference_error(control, treatment, -parts[0], parts[1]), confidence)


def hedges_g_of(control: Values, treatment: Values, confidence: float) -> StandardizedEffect:
    """Hedges' g: Cohen's d corrected for bias, by the exact gamma correction."""
    return _corrected(cohens_d_of(control, treatment, confidence))


def hedges_g_of_means(control: LinearArm, treatment: LinearArm, confidence: float) -> StandardizedEffect:
    """Hedges' g of two means that are known, with the same pivot; see `hedges_g_of`."""
    if in_moderate_unit(control.values, treatment.values)[0] is not control.values:
        return hedges_g_of(control.values, treatment.values, confidence)
    return _corrected(_cohens_d(control, treatment, confidence))


def _corrected(d: StandardizedEffect) -> StandardizedEffect:
    return d.times(hedges_factor(d.df))


def glass_delta_of(control: Values, treatment: Values, confidence: float) -> StandardizedEffect:
    """Glass's delta: difference of means in standard deviations of the control.

    The interval by the noncentral t allows for unequal variances; their ratio is taken as observed.

    References:
        Glass: Primary, secondary, and meta-analysis of research. Educational Researcher 5 (1976).
    """
    control, treatment = in_moderate_unit(control, treatment)
    first, left = _mean_of(control)
    second, right = _mean_of(treatment)
    n, m = len(control.x), len(treatment.x)
    s = math.sqrt(_squares(control, left) / _size(control))
    delta = (second - first) / _positive(s, control)
    if control.plain and treatment.plain:
        ratio = float(right @ right) / (m - 1) / s**2
        return _noncentral(delta, math.sqrt(1 / n + ratio / m), n - 1, confidence)
    part = -left / s - delta / (2 * s * s) * _centred(control, left)
    return _linearised(delta, difference_error(control, treatment, -part, right / s), confidence)


def cohens_d_of_sample(arm: Values, popmean: float, confidence: float) -> StandardizedEffect:
    """Cohen's d of one sample, (mean - popmean) / standard deviation; d_z if the sample is paired differences."""
    scale = extreme_scale(arm.x)
    if scale != 1:
        arm, popmean = arm._replace(x=arm.x / scale), popmean / scale
    mean, away = _mean_of(arm)
    s = math.sqrt(_squares(arm, away) / _size(arm))
    d = (mean - popmean) / _positive(s, arm)
    if arm.plain:
        return _noncentral(d, 1 / math.sqrt(len(arm.x)), len(arm.x) - 1, confidence)
    return _linearised(d, arm_error(arm, away / s - d / (2 * s * s) * _centred(arm, away)), confidence)


def cohens_d_av_of(pairs: Pairs, confidence: float) -> StandardizedEffect:
    """Cohen's d_av of pairs: mean difference in units of the root mean square of both standard deviations.

    References:
        Cumming: Understanding the New Statistics, chapter 11. Routledge (2012).
    """
    control, treatment = in_moderate_unit(pairs.control, pairs.treatment)
    first, left = _mean_of(control)
    second, right = _mean_of(treatment)
    s = math.sqrt(sum(_squares(arm, away) / _size(arm) for arm, away in ((control, left), (treatment, right))) / 2)
    d = (second - first) / _positive(s, control)
    spread = (_centred(control, left) + _centred(treatment, right)) / 2
    return _linearised(d, arm_error(control, (right - left) / s - d / (2 * s * s) * spread), confidence)


def differences(pairs: Pairs) -> Values:
    """Treatment - control of each item, as one arm."""
    metric = pairs.control.metric._replace(kind="mean")
    return pairs.control._replace(x=pairs.difference, metric=metric, per=None)


def has_standard_deviation(arm: Values) -> bool:
    """Whether the metric of an arm has a standard deviation: a mean has, a ratio of totals has not."""
    return arm.per is None


def _mean_of(arm: Values) -> tuple[float, np.ndarray]:
    _require_standard_deviation(arm)
    return linearize(arm, "effect size")


def _linear_mean(arm: Values, pivot: float) -> LinearArm:
    _require_standard_deviation(arm)
    return LinearArm(arm, "effect size", pivot)


def _require_standard_deviation(arm: Values) -> None:
    if not has_standard_deviation(arm):
        raise StatError(
            f"{arm.metric.name} is a ratio of totals and has no standard deviation, so no standardised effect size; "
            f"use mean_{arm.metric.column}, or t_test for the difference in its unit"
        )


def _size(arm: Values) -> float:
    """Denominator of a variance: sum of weights times (n - 1) / n."""
    n = len(arm.x)
    return float(arm.weight.sum()) * (n - 1) / n


def _squares(arm: Values, away: np.ndarray) -> float:
    return dot(arm.weight, away * away) if arm.sampled else dot(away, away)


def _centred(arm: Values, away: np.ndarray) -> np.ndarray:
    squares = away * away
    squares -= weighted.mean(squares, arm.weight)
    return np.asarray(squares)


def _positive(s: float, arm: Values) -> float:
    if not s > 0:
        raise StatError(
            f"{arm.metric.name} is constant ({arm.x[0]:g}), so its standard deviation is 0 and there is no "
            "standardised effect size; compare the means"
        )
    return s


def _noncentral(value: float, scale: float, df: float, confidence: float) -> StandardizedEffect:
    """An effect size that is a t statistic times `scale`; its error is Hedges and Olkin's (1985) of large samples."""
    low, high = t_limits(value / scale, df, confidence)
    error = math.hypot(scale, value / math.sqrt(2 * df))
    return StandardizedEffect(value, Interval(low * scale, high * scale), df, "noncentral t", error)


def _linearised(value: float, error: Error, confidence: float) -> StandardizedEffect:
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    half = float(special.stdtrit(error.df, (1 + confidence) / 2)) * error.error
    return StandardizedEffect(value, Interval(value - half, value + half), error.df, "linearised", error.error)
