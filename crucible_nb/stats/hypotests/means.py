"""Tests of means: Welch's, Student's and the paired t-test, and of one sample against a number."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.sizes import matched
from crucible_nb.stats.effects.standardized import UNKNOWN, Number, differences, g_of, one_d_of, standardized_mean
from crucible_nb.stats.outcome import TestResult, check_alternative, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.arms import (
    ARMS,
    Error,
    Moments,
    Notes,
    arms_of,
    check_spread,
    difference_error,
    equal_variances,
    linear,
    moments_of,
    notes_of,
    own_error,
    tails,
    two_arms,
)
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.wording import interval_text, joined, sizes_text, unit_of, what_of
from crucible_nb.utils import checks

TURNED = {"two-sided": "two-sided", "less": "greater", "greater": "less"}
"""What scipy calls an alternative about treatment - control, since it takes control - treatment."""


class _Found(NamedTuple):
    estimate: float
    interval: Interval
    statistic: float
    df: float
    pvalue: float


def t_test(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    paired: bool = False,
    alternative: str = "two-sided",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    equal_variance: bool = False,
    pair_by: str = "sample_id",
) -> TestResult:
    """Whether the means of two arms differ: Welch's t-test.

    Rows that were sampled count with their weights, rows in clusters are summed up within each before they are
    squared (linearised standard errors, Welch-Satterthwaite degrees of freedom over rows or clusters).

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column, "mean_" and a column, "success_rate", or a ratio such as "cost_per_success".
        paired: The same items on both sides: a test of their differences.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        confidence: Coverage of the intervals.
        resample: Width of time blocks, e.g. "1min", whose values stand in for the rows.
        cluster: Column of what groups rows that are alike, e.g. "session_id"; it may occur in both arms.
        equal_variance: Student's t-test, for rows that stand for themselves.
        pair_by: Column that names the item, with `paired`.

    Returns:
        TestResult: `estimate`, intervals and effect size (Hedges' g; Cohen's d_z of pairs) are about
        treatment - control, `statistic` is that of scipy for (control, treatment).

    Raises:
        StatError: Too few values or clusters, no spread, mismatched pairs, a quantile or a total.

    Examples:
        >>> from crucible_nb.stats.hypotests.means import t_test
        >>> control, treatment = [0.72, 0.68, 0.75, 0.71, 0.69], [0.78, 0.73, 0.81, 0.76, 0.74]
        >>> result = t_test(control, treatment, metric="score")
        >>> round(result.statistic, 3), round(result.pvalue, 4), round(result.estimate, 3)
        (-2.862, 0.0216, 0.054)

    References:
        Welch: The generalization of Student's problem when several different population variances are involved.
        Biometrika 34 (1947). Korn, Graubard: Analysis of Health Surveys, section 3.3. Wiley (1999).
    """
    confidence = checked(alternative, confidence)
    if paired:
        pairs = matched(control, treatment, metric, pair_by, cluster, resample)
        return paired_t_of(pairs, alternative, confidence)
    arms = two_arms(control, treatment, metric, cluster=cluster, resample=resample)
    return t_of(*arms, alternative, confidence, equal_variance=equal_variance)


def one_sample(
    data: Any,
    popmean: float,
    metric: str = "latency_ms",
    alternative: str = "two-sided",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
) -> TestResult:
    """Whether the mean of one sample is a given number.

    Args:
        data: Experiment, frame, Series, list or array.
        popmean: The mean under the null hypothesis, in the unit of the metric.
        metric, confidence, resample, cluster: As for `t_test`.
        alternative: "two-sided", "greater" (the mean is above `popmean`) or "less".

    Returns:
        TestResult: `estimate` is the mean itself; the effect size is Cohen's d, (mean - popmean) / sd.

    Raises:
        StatError: Too few values, no spread, a quantile or a total.

    Examples:
        >>> from crucible_nb.stats.hypotests.means import one_sample
        >>> result = one_sample([4, 7, 8, 6, 3, 2], 4, metric="score")
        >>> round(result.statistic, 4), result.df, round(result.pvalue, 4)
        (1.0351, 5.0, 0.3481)

    References:
        Student: The probable error of a mean. Biometrika 6 (1908).
    """
    confidence = checked(alternative, confidence)
    popmean = checks.number("popmean", popmean)
    (arm,) = arms_of((data,), ("data",), metric, cluster=cluster, resample=resample)
    check_spread((arm,), ("data",))
    mean, away = linear(arm, "one_sample")
    found = _one(arm, mean, away, popmean, alternative, confidence)
    effect = _effect_of_one(arm, popmean, alternative, confidence)
    notes = _with(notes_of((arm,), ("data",)), tails((arm,), ("data",), [moments_of(arm)]))
    what, unit = what_of(arm.metric), unit_of(arm.metric)
    said = joined(
        f"One-sample t-test of {what} against {number(popmean)}{unit} (n = {len(arm.x):,}): {number(mean)}{unit}",
        *_numbers(found, confidence, "Cohen's d", effect),
    )
    return _result("one-sample t-test", metric, what, found, "Cohen's d", effect, alternative, confidence,
                   len(arm.x), notes, said)  # fmt: skip


def checked(alternative: str, confidence: float) -> float:
    """`confidence`, when both are right; half of a one-sided interval has to be left over."""
    check_alternative(alternative)
    return checks.number("confidence", confidence, gt=0 if alternative == "two-sided" else 0.5, lt=1)


def t_of(
    control: Values, treatment: Values, alternative: str, confidence: float, *, equal_variance: bool = False
) -> TestResult:
    """`t_test` of arms that were read already; see there."""
    arms = (control, treatment)
    check_spread(arms, ARMS)
    (first, left), (second, right) = linear(control, "t_test"), linear(treatment, "t_test")
    simple = control.plain and treatment.plain and control.per is None
    if equal_variance and not simple:
        raise StatError("equal_variance=True is for rows that stand for themselves; leave it out, Welch's test follows")
    if simple:
        found = _scipys(control.x, treatment.x, second - first, alternative, confidence, equal_variance=equal_variance)
    else:
        error = difference_error(control, treatment, left, right)
        found = _by_t(second - first, 0.0, error, alternative, confidence, turned=True)
    effect = _two_effect(arms, alternative, confidence)
    name = "Student's t-test" if equal_variance else "Welch's t-test"
    name += "" if simple else " with linearised standard errors"
    what, unit, n = what_of(control.metric), unit_of(control.metric), (len(control.x), len(treatment.x))
    moments = [moments_of(arm) for arm in arms]
    notes = _with(
        notes_of(arms, ARMS), _spreads(arms, moments, equal_variance=equal_variance), tails(arms, ARMS, moments)
    )
    said = joined(
        f"{name} of the {what} between {sizes_text(ARMS, n)}: difference {number(found.estimate)}{unit}",
        *_numbers(found, confidence, "Hedges' g", effect),
    )
    return _result(name, control.metric.name, f"difference of {what}, treatment - control", found, "Hedges' g", effect,
                   alternative, confidence, n, notes, said)  # fmt: skip


def paired_t_of(pairs: Pairs, alternative: str, confidence: float) -> TestResult:
    """`t_test` of pairs that were brought together already; see there."""
    control, treatment = pairs.control, pairs.treatment
    arm = differences(pairs)
    if control.per is None and (arm.x == arm.x[0]).all():
        raise StatError(
            f"{control.metric.name}: every pair differs by exactly {arm.x[0]:g}, so there is no spread to test "
            "against; compare the numbers as they are"
        )
    (first, left), (second, right) = linear(control, "t_test"), linear(treatment, "t_test")
    if control.plain and control.per is None:
        found = _scipys(control.x, treatment.x, second - first, alternative, confidence, paired=True)
    else:
        error = own_error(control, right - left)
        found = _by_t(second - first, 0.0, error, alternative, confidence, turned=True)
    effect = Number(math.nan, UNKNOWN, math.nan, "")
    if control.per is None:
        effect = _effect_of_one(arm, 0.0, alternative, confidence)
    what, unit, n = what_of(control.metric), unit_of(control.metric), len(arm.x)
    name = "paired t-test" + ("" if control.plain and control.per is None else " with linearised standard errors")
    notes = _with(notes_of((arm,), ("pairs",)), tails((arm,), ("differences",), [moments_of(arm)])).plus(
        exclusions=pairs.exclusions
    )
    if arm.sampled:
        notes = notes.plus(["a pair counts as 1 / the probability that both of its sides were kept"])
    said = joined(
        f"{name[0].upper()}{name[1:]} of the {what} of {n:,} items: difference {number(found.estimate)}{unit}",
        *_numbers(found, confidence, "Cohen's d_z", effect),
    )
    return _result(name, control.metric.name, f"mean difference of {what}, treatment - control", found, "Cohen's d_z",
                   effect, alternative, confidence, n, notes, said)  # fmt: skip


def _scipys(
    control: np.ndarray, treatment: np.ndarray, estimate: float, alternative: str, confidence: float, *,
    equal_variance: bool = False, paired: bool = False,
) -> _Found:  # fmt: skip
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    turned = TURNED[alternative]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an arm that is constant: the test holds, and the result says so
        if paired:
            found = stats.ttest_rel(control, treatment, alternative=turned)
        else:
            found = stats.ttest_ind(control, treatment, equal_var=equal_variance, alternative=turned)
        low, high = found.confidence_interval(confidence)
    interval = Interval(-float(high), -float(low))
    return _Found(estimate, interval, float(found.statistic), float(found.df), float(found.pvalue))


def _one(arm: Values, mean: float, away: np.ndarray, popmean: float, alternative: str, confidence: float) -> _Found:
    from scipy import stats  # noqa: PLC0415

    if not arm.plain or arm.per is not None:
        return _by_t(mean, popmean, own_error(arm, away), alternative, confidence)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.ttest_1samp(arm.x, popmean, alternative=alternative)
        low, high = found.confidence_interval(confidence)
    return _Found(mean, Interval(float(low), float(high)), float(found.statistic), float(found.df), float(found.pvalue))


def _by_t(
    estimate: float, null: float, error: Error, alternative: str, confidence: float, *, turned: bool = False
) -> _Found:
    """An estimate over its standard error; `turned` gives the statistic the sign of control - treatment."""
    from scipy import special  # noqa: PLC0415

    if not error.error > 0:
        raise StatError("the standard error is 0: every cluster says the same; leave out cluster, or record more")
    t = (estimate - null) / error.error
    tail = {"two-sided": -abs(t), "greater": -t, "less": t}[alternative]
    pvalue = float(special.stdtr(error.df, tail)) * (2 if alternative == "two-sided" else 1)
    level = two_sided_level(confidence, alternative)
    half = float(special.stdtrit(error.df, (1 + level) / 2)) * error.error
    interval = one_sided(Interval(estimate - half, estimate + half), alternative)
    return _Found(estimate, interval, -t if turned else t, error.df, pvalue)


def _two_effect(arms: tuple[Values, Values], alternative: str, confidence: float) -> Number:
    if not standardized_mean(arms[0]):
        return Number(math.nan, UNKNOWN, math.nan, "")
    found = g_of(*arms, two_sided_level(confidence, alternative))
    return found._replace(interval=one_sided(found.interval, alternative))


def _effect_of_one(arm: Values, popmean: float, alternative: str, confidence: float) -> Number:
    if not standardized_mean(arm):
        return Number(math.nan, UNKNOWN, math.nan, "")
    found = one_d_of(arm, popmean, two_sided_level(confidence, alternative))
    return found._replace(interval=one_sided(found.interval, alternative))


def _spreads(arms: tuple[Values, Values], moments: list[Moments], *, equal_variance: bool) -> Notes:
    """What there is to say about the variances of two arms."""
    first, second = (one.variance for one in moments)
    flat = [name for name, variance in zip(ARMS, (first, second), strict=True) if not variance > 0]
    if flat:
        return Notes(warnings=(f"{flat[0]} is constant: the standard error is that of the other arm alone",))
    said = f"variance of the treatment is {second / first:.3g} times that of the control"
    if not equal_variance:
        return Notes((f"{said}; unequal variances are allowed for",))
    return equal_variances(arms, said)


def _with(*notes: Notes) -> Notes:
    first, *rest = notes
    for more in rest:
        first = first.plus(*more)
    return first


def _numbers(found: _Found, confidence: float, effect: str, size: Number) -> tuple[str, ...]:
    """The end of the sentence."""
    return (
        interval_text(found.interval, confidence),
        f"t({found.df:.5g}) = {number(found.statistic)}",
        p_text(found.pvalue),
        "" if math.isnan(size.value) else f"{effect} = {number(size.value)}",
    )


def _result(
    test: str, metric: str, estimand: str, found: _Found, effect: str, size: Number, alternative: str,
    confidence: float, n: int | tuple[int, ...], notes: Notes, said: str,
) -> TestResult:  # fmt: skip
    return TestResult(
        test, metric, found.estimate, estimand, found.interval, confidence, found.statistic, found.df, found.pvalue,
        "" if math.isnan(size.value) else effect, size.value, size.interval, alternative, n,
        notes.assumptions, notes.exclusions, None, said, notes.warnings,
    )  # fmt: skip
