"""Tests of means: Welch's, Student's, the paired and the one-sample t-test."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import unit_of
from crucible_nb.events.where import Where
from crucible_nb.stats.cluster_robust import Error, extreme_scale
from crucible_nb.stats.effects.sizes import match_pairs
from crucible_nb.stats.effects.standardized import (
    StandardizedEffect,
    cohens_d_of_sample,
    differences,
    has_standard_deviation,
    hedges_g_of_means,
)
from crucible_nb.stats.estimates.contrast import NO_CHANGE
from crucible_nb.stats.estimates.two_means import TwoMeans, two_means, two_paired_means
from crucible_nb.stats.outcome import TestResult, check_alternative, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import UNKNOWN, Interval, number
from crucible_nb.stats.samples.arms import (
    ARMS,
    Moments,
    Notes,
    arm_error,
    arms_of,
    check_equal_variances,
    check_normality,
    check_spread,
    in_moderate_unit,
    linearize,
    moments_of,
    notes_of,
    two_arms,
)
from crucible_nb.stats.samples.pairs import Pairs, is_constant_shift
from crucible_nb.stats.samples.values import Values, rows_where
from crucible_nb.stats.wording import interval_text, joined, sizes_text, what_of, what_of_pairs
from crucible_nb.utils import checks

SCIPY_ALTERNATIVE = {"two-sided": "two-sided", "less": "greater", "greater": "less"}
"""Alternative about treatment - control -> its name in scipy, which tests control - treatment."""


class _Test(NamedTuple):
    """Estimate with its interval, statistic, degrees of freedom, p-value and standard error."""

    estimate: float
    interval: Interval
    statistic: float
    df: float
    pvalue: float
    error: float


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
    *,
    where: Where = None,
) -> TestResult:
    """Test whether the means of two arms differ: Welch's t-test by default.

    Sampled rows are weighted, and clustered rows are summed within their cluster before squaring (linearised standard
    errors, Welch-Satterthwaite degrees of freedom over rows or clusters).

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column, "mean_" and a column, "success_rate", or a ratio such as "cost_per_success".
        paired: Both arms have the same items; test their differences.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        confidence: Coverage of the intervals.
        resample: Width of time blocks, e.g. "1min", whose values replace the rows.
        cluster: Column of clusters of similar rows, e.g. "session_id"; a cluster may occur in both arms.
        equal_variance: Use Student's t-test; only for rows that are neither sampled nor clustered.
        pair_by: Column of item ids, with `paired`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult: `estimate`, intervals and effect size (Hedges' g; Cohen's d_z for pairs) are of
        treatment - control, `statistic` is that of scipy for (control, treatment).

    Raises:
        StatError: Too few values or clusters, constant values, mismatched pairs, a quantile or a total.

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
    control, treatment = rows_where(where, control, treatment)
    confidence = check_test_arguments(alternative, confidence)
    if paired:
        pairs = match_pairs(control, treatment, metric, pair_by, cluster, resample)
        return paired_t_test(pairs, alternative, confidence)
    arms = two_arms(control, treatment, metric, cluster=cluster, resample=resample)
    return two_sample_t_test(*arms, alternative, confidence, equal_variance=equal_variance)


def one_sample(
    data: Any,
    popmean: float,
    metric: str = "latency_ms",
    alternative: str = "two-sided",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    *,
    where: Where = None,
) -> TestResult:
    """Test whether the mean of one sample differs from a given number: one-sample t-test.

    Args:
        data: Experiment, frame, Series, list or array.
        popmean: Mean under the null hypothesis, in the unit of the metric.
        metric, confidence, resample, cluster: As for `t_test`.
        alternative: "two-sided", "greater" (the mean is above `popmean`) or "less".
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult: `estimate` is the mean; the effect size is Cohen's d, (mean - popmean) / sd.

    Raises:
        StatError: Too few values, constant values, a quantile or a total.

    Examples:
        >>> from crucible_nb.stats.hypotests.means import one_sample
        >>> result = one_sample([4, 7, 8, 6, 3, 2], 4, metric="score")
        >>> round(result.statistic, 4), result.df, round(result.pvalue, 4)
        (1.0351, 5.0, 0.3481)

    References:
        Student: The probable error of a mean. Biometrika 6 (1908).
    """
    [data] = rows_where(where, data)
    confidence = check_test_arguments(alternative, confidence)
    popmean = checks.number("popmean", popmean)
    (arm,) = arms_of((data,), ("data",), metric, cluster=cluster, resample=resample)
    check_spread((arm,), ("data",))
    mean, away = linearize(arm, "one_sample")
    test = _one_sample(arm, mean, away, popmean, alternative, confidence)
    size = _sample_effect(arm, popmean, alternative, confidence)
    notes = notes_of((arm,), ("data",)).plus(*check_normality((arm,), ("data",), [moments_of(arm)]))
    what, unit = what_of(arm.metric), unit_of(arm.metric)
    report = joined(
        f"One-sample t-test of {what} against {number(popmean)}{unit} (n = {arm.n:,}): {number(mean)}{unit}",
        *_test_texts(test, confidence, "Cohen's d", size),
    )
    return _result(
        test, size, notes, name="one-sample t-test", metric=metric, estimand=what, effect="Cohen's d",
        alternative=alternative, confidence=confidence, n=arm.n, report=report,
    )  # fmt: skip


def check_test_arguments(alternative: str, confidence: float) -> float:
    """Check alternative and confidence, return confidence; a one-sided alternative needs a confidence above 0.5."""
    check_alternative(alternative)
    return checks.number("confidence", confidence, gt=0 if alternative == "two-sided" else 0.5, lt=1)


def two_sample_t_test(
    control: Values, treatment: Values, alternative: str, confidence: float, *, equal_variance: bool = False
) -> TestResult:
    """Two-sample t-test of the values of two arms; see `t_test`."""
    means = two_means(control, treatment, "t_test")
    return t_test_of_means(control, treatment, means, alternative, confidence, equal_variance=equal_variance)


def t_test_of_means(
    control: Values, treatment: Values, means: TwoMeans, alternative: str, confidence: float, *,
    equal_variance: bool = False,
) -> TestResult:  # fmt: skip
    """Two-sample t-test of the values of two arms whose means are known; see `t_test`."""
    arms = (control, treatment)
    check_spread(arms, ARMS)
    simple = control.plain and treatment.plain and control.per is None
    if equal_variance and not simple:
        raise StatError(
            "equal_variance=True is for rows that are neither sampled nor clustered. Leave it out for Welch's test."
        )
    if equal_variance:
        test = _scipy_t_test(control.x, treatment.x, _pooled_error(means), alternative, confidence)
    else:
        error = means.error(1.0, 1.0)
        test = _t_test_by_error(means.difference, 0.0, error, alternative, confidence, reverse_sign=True)
    size = _two_sample_effect(means, alternative, confidence)
    name = "Student's t-test" if equal_variance else "Welch's t-test"
    name += "" if simple else " with linearised standard errors"
    what, unit, n = what_of(control.metric), unit_of(control.metric), (control.n, treatment.n)
    moments = _moments(means, arms)
    notes = notes_of(arms, ARMS).plus(*_variance_notes(arms, moments, equal_variance=equal_variance))
    notes = notes.plus(*check_normality(arms, ARMS, moments))
    report = joined(
        f"{name} of the {what} between {sizes_text(ARMS, n)}: difference {number(test.estimate)}{unit}",
        *_test_texts(test, confidence, "Hedges' g", size),
    )
    return _result(
        test, size, notes, name=name, metric=control.metric.name, estimand=f"difference of {what}, treatment - control",
        effect="Hedges' g", alternative=alternative, confidence=confidence, n=n, report=report, means=means,
    )  # fmt: skip


def paired_t_test(pairs: Pairs, alternative: str, confidence: float) -> TestResult:
    """Paired t-test of matched pairs; see `t_test`."""
    control, treatment = pairs.control, pairs.treatment
    arm = differences(pairs)
    if control.per is None and is_constant_shift(pairs):
        raise StatError(
            f"{control.metric.name}: every pair differs by exactly {arm.x[0]:g}, so there is no variance to test "
            "against; compare the numbers as they are"
        )
    means = two_paired_means(pairs, "t_test")
    error = means.error(1.0, 1.0)
    if control.plain and control.per is None:
        test = _scipy_t_test(control.x, treatment.x, error.error, alternative, confidence, paired=True)
    else:
        test = _t_test_by_error(means.difference, 0.0, error, alternative, confidence, reverse_sign=True)
    size = _NO_EFFECT
    if control.per is None:
        size = _sample_effect(arm, 0.0, alternative, confidence)
    what, unit, n = what_of_pairs(pairs), unit_of(control.metric), len(arm.x)
    name = "paired t-test" + ("" if control.plain and control.per is None else " with linearised standard errors")
    notes = notes_of((arm,), ("pairs",)).plus(*check_normality((arm,), ("differences",), [moments_of(arm)]))
    notes = notes.plus(exclusions=pairs.exclusions)
    if arm.sampled:
        notes = notes.plus(["pairs are weighted by 1 / the probability that both rows were kept"])
    report = joined(
        f"{name[0].upper()}{name[1:]} of the {what} of {n:,} items: difference {number(test.estimate)}{unit}",
        *_test_texts(test, confidence, "Cohen's d_z", size),
    )
    return _result(
        test, size, notes, name=name, metric=control.metric.name,
        estimand=f"mean difference of {what}, treatment - control", effect="Cohen's d_z", alternative=alternative,
        confidence=confidence, n=n, report=report, means=means,
    )  # fmt: skip


def _scipy_t_test(
    control: np.ndarray, treatment: np.ndarray, error: float, alternative: str, confidence: float, *,
    paired: bool = False,
) -> _Test:  # fmt: skip
    """Student's t-test of two arms, or the t-test of pairs."""
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    side, scale = SCIPY_ALTERNATIVE[alternative], extreme_scale(control, treatment)
    if scale != 1:
        control, treatment = control / scale, treatment / scale
    pivot = treatment if paired else control[0]  # subtracted, so that a large common offset costs no digits
    control, treatment = control - pivot, treatment - pivot
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant arm: the test is valid, and the result has a warning of its own
        if paired:
            test = stats.ttest_rel(control, treatment, alternative=side)
        else:
            test = stats.ttest_ind(control, treatment, equal_var=True, alternative=side)
        low, high = test.confidence_interval(confidence)
    interval, estimate = Interval(-scale * float(high), -scale * float(low)), float(treatment.mean() - control.mean())
    return _Test(scale * estimate, interval, float(test.statistic), float(test.df), float(test.pvalue), error)


def _moments(means: TwoMeans, arms: tuple[Values, Values]) -> list[Moments]:
    """Moments of both arms, in a unit in which variances neither over- nor underflow."""
    moderate = in_moderate_unit(*arms)
    if means.arms is not None and moderate[0] is arms[0]:
        return [arm.moments for arm in means.arms]
    return [moments_of(arm) for arm in moderate]


def _pooled_error(means: TwoMeans) -> float:
    """Standard error of a difference of two means whose variances are equal."""
    n, m = (len(arm.deviation) for arm in means.arms or ())
    first, second = (arm.moments.variance for arm in means.arms or ())
    return math.sqrt(((n - 1) * first + (m - 1) * second) / (n + m - 2) * (1 / n + 1 / m))


def _one_sample(
    arm: Values, mean: float, away: np.ndarray, popmean: float, alternative: str, confidence: float
) -> _Test:
    from scipy import stats  # noqa: PLC0415

    error = arm_error(arm, away)
    if not arm.plain or arm.per is not None:
        return _t_test_by_error(mean, popmean, error, alternative, confidence)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scale = extreme_scale(arm.x)
        test = stats.ttest_1samp((arm.x - popmean) / scale, 0.0, alternative=alternative)
        low, high = test.confidence_interval(confidence)
    interval = Interval(popmean + scale * float(low), popmean + scale * float(high))
    return _Test(mean, interval, float(test.statistic), float(test.df), float(test.pvalue), error.error)


def _t_test_by_error(
    estimate: float, null: float, error: Error, alternative: str, confidence: float, *, reverse_sign: bool = False
) -> _Test:
    """T-test of an estimate by its standard error; `reverse_sign` gives the statistic of control - treatment."""
    from scipy import special  # noqa: PLC0415

    if not error.error > 0:
        raise StatError("the standard error is 0: all clusters have equal values; leave out cluster, or record more")
    t = (estimate - null) / error.error
    tail = {"two-sided": -abs(t), "greater": -t, "less": t}[alternative]
    pvalue = float(special.stdtr(error.df, tail)) * (2 if alternative == "two-sided" else 1)
    level = two_sided_level(confidence, alternative)
    half = float(special.stdtrit(error.df, (1 + level) / 2)) * error.error
    interval = one_sided(Interval(estimate - half, estimate + half), alternative)
    return _Test(estimate, interval, -t if reverse_sign else t, error.df, pvalue, error.error)


_NO_EFFECT = StandardizedEffect(math.nan, UNKNOWN, math.nan, "")


def _two_sample_effect(means: TwoMeans, alternative: str, confidence: float) -> StandardizedEffect:
    if means.arms is None or not has_standard_deviation(means.arms[0].values):
        return _NO_EFFECT
    size = hedges_g_of_means(*means.arms, two_sided_level(confidence, alternative))
    return size._replace(interval=one_sided(size.interval, alternative))


def _sample_effect(arm: Values, popmean: float, alternative: str, confidence: float) -> StandardizedEffect:
    if not has_standard_deviation(arm):
        return _NO_EFFECT
    size = cohens_d_of_sample(arm, popmean, two_sided_level(confidence, alternative))
    return size._replace(interval=one_sided(size.interval, alternative))


def _variance_notes(arms: tuple[Values, Values], moments: list[Moments], *, equal_variance: bool) -> Notes:
    """Notes on the variances of two arms."""
    first, second = (moment.variance for moment in moments)
    constant = [name for name, variance in zip(ARMS, (first, second), strict=True) if not variance > 0]
    if constant:
        return Notes(warnings=(f"{constant[0]} is constant: the standard error is that of the other arm alone",))
    ratio = f"variance of the treatment is {second / first:.3g} times that of the control"
    if not equal_variance:
        return Notes((f"{ratio}; unequal variances are allowed for",))
    return check_equal_variances(arms, ratio)


def _test_texts(test: _Test, confidence: float, effect: str, size: StandardizedEffect) -> tuple[str, ...]:
    """Interval, statistic, p-value and effect size as text."""
    return (
        interval_text(test.interval, confidence),
        f"t({test.df:.5g}) = {number(test.statistic)}",
        p_text(test.pvalue),
        "" if math.isnan(size.value) else f"{effect} = {number(size.value)}",
    )


def _result(
    test: _Test, size: StandardizedEffect, notes: Notes, *, name: str, metric: str, estimand: str, effect: str,
    alternative: str, confidence: float, n: int | tuple[int, ...], report: str, means: TwoMeans | None = None,
) -> TestResult:  # fmt: skip
    change = NO_CHANGE if means is None else means.contrast.relative(two_sided_level(confidence, alternative))
    return TestResult(
        test=name, metric=metric, estimate=test.estimate, estimand=estimand, confidence_interval=test.interval,
        confidence=confidence, statistic=test.statistic, df=test.df, pvalue=test.pvalue,
        effect="" if math.isnan(size.value) else effect, effect_size=size.value, effect_interval=size.interval,
        alternative=alternative, n=n, assumptions=notes.assumptions, exclusions=notes.exclusions, method=report,
        warnings=notes.warnings, relative_change=change.value,
        relative_interval=one_sided(change.interval, alternative), standard_error=test.error,
    )  # fmt: skip
