"""Differences of means in units of their standard deviation: numbers and intervals that tests and effects share."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.effects.noncentral import hedges_factor, t_limits
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import Error, difference_error, linear, own_error
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values

UNKNOWN = Interval(math.nan, math.nan)


class Number(NamedTuple):
    """An effect size.

    Attributes:
        value: A number without a unit.
        interval: Its interval.
        df: Degrees of freedom of the standard deviation it is measured in.
        how: How the interval was made.
    """

    value: float
    interval: Interval
    df: float
    how: str

    def times(self, factor: float) -> Number:
        """Scaled."""
        low, high = self.interval
        return self._replace(value=self.value * factor, interval=Interval(low * factor, high * factor))


def d_of(control: Values, treatment: Values, confidence: float) -> Number:
    """Cohen's d: (mean of the treatment - mean of the control) / pooled standard deviation.

    Rows that stand for themselves get the interval of the noncentral t; sampled or clustered ones a linearised one.

    Raises:
        StatError: No spread, or a metric that is not a mean.

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. Erlbaum (1988).
    """
    first, left = _mean_of(control)
    second, right = _mean_of(treatment)
    sizes = [_size(arm) for arm in (control, treatment)]
    squares = [_squares(arm, away) for arm, away in ((control, left), (treatment, right))]
    s = math.sqrt(sum(squares) / (sizes[0] + sizes[1]))
    d = (second - first) / _positive(s, control)
    if control.plain and treatment.plain:
        n, m = len(control.x), len(treatment.x)
        scale = math.sqrt(1 / n + 1 / m)
        return _noncentral(d, scale, n + m - 2, confidence)
    share = sizes[1] / (sizes[0] + sizes[1])
    parts = [
        sign * away / s - d / (2 * s * s) * part * _centred(arm, away)
        for sign, arm, away, part in ((-1, control, left, 1 - share), (1, treatment, right, share))
    ]
    # the error of a sum of two: turn the sign of the control's, which is subtracted
    return _linearised(d, difference_error(control, treatment, -parts[0], parts[1]), confidence)


def g_of(control: Values, treatment: Values, confidence: float) -> Number:
    """Hedges' g: Cohen's d without its bias, by the exact gamma correction."""
    d = d_of(control, treatment, confidence)
    return d.times(hedges_factor(d.df))


def glass_of(control: Values, treatment: Values, confidence: float) -> Number:
    """Glass's delta: the difference of means in standard deviations of the control.

    The interval of the noncentral t allows for unequal variances, taken as observed.

    References:
        Glass: Primary, secondary, and meta-analysis of research. Educational Researcher 5 (1976).
    """
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


def one_d_of(arm: Values, popmean: float, confidence: float) -> Number:
    """Cohen's d of one sample: (mean - popmean) / standard deviation; of pairs, d_z."""
    mean, away = _mean_of(arm)
    s = math.sqrt(_squares(arm, away) / _size(arm))
    d = (mean - popmean) / _positive(s, arm)
    if arm.plain:
        return _noncentral(d, 1 / math.sqrt(len(arm.x)), len(arm.x) - 1, confidence)
    return _linearised(d, own_error(arm, away / s - d / (2 * s * s) * _centred(arm, away)), confidence)


def average_d_of(pairs: Pairs, confidence: float) -> Number:
    """d_av of pairs: the mean difference in the root mean square of the two standard deviations.

    References:
        Cumming: Understanding the New Statistics, chapter 11. Routledge (2012).
    """
    control, treatment = pairs.control, pairs.treatment
    first, left = _mean_of(control)
    second, right = _mean_of(treatment)
    s = math.sqrt(sum(_squares(arm, away) / _size(arm) for arm, away in ((control, left), (treatment, right))) / 2)
    d = (second - first) / _positive(s, control)
    spread = (_centred(control, left) + _centred(treatment, right)) / 2
    return _linearised(d, own_error(control, (right - left) / s - d / (2 * s * s) * spread), confidence)


def differences(pairs: Pairs) -> Values:
    """Treatment - control of each item, as one arm."""
    metric = pairs.control.metric._replace(kind="mean")
    return pairs.control._replace(x=pairs.difference, metric=metric, per=None)


def standardized_mean(arm: Values) -> bool:
    """Whether the metric of an arm is a mean with a standard deviation; a ratio of totals has none."""
    return arm.per is None


def _mean_of(arm: Values) -> tuple[float, np.ndarray]:
    if not standardized_mean(arm):
        raise StatError(
            f"{arm.metric.name} is a ratio of totals, without a standard deviation to measure in; "
            f"use mean_{arm.metric.column}, or t_test for the difference itself"
        )
    return linear(arm, "effect size")


def _size(arm: Values) -> float:
    """Events that an arm stands for, less one row's share of them."""
    n = len(arm.x)
    return float(arm.weight.sum()) * (n - 1) / n


def _squares(arm: Values, away: np.ndarray) -> float:
    return float(arm.weight @ (away * away)) if arm.sampled else float(away @ away)


def _centred(arm: Values, away: np.ndarray) -> np.ndarray:
    squares = away * away
    return np.asarray(squares - weighted.mean(squares, arm.weight))


def _positive(s: float, arm: Values) -> float:
    if not s > 0:
        raise StatError(
            f"{arm.metric.name} is constant ({arm.x[0]:g}): its standard deviation is 0, and nothing can be measured "
            "in it; compare the means themselves"
        )
    return s


def _noncentral(value: float, scale: float, df: float, confidence: float) -> Number:
    low, high = t_limits(value / scale, df, confidence)
    return Number(value, Interval(low * scale, high * scale), df, "noncentral t")


def _linearised(value: float, error: Error, confidence: float) -> Number:
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    half = float(special.stdtrit(error.df, (1 + confidence) / 2)) * error.error
    return Number(value, Interval(value - half, value + half), error.df, "linearised")
