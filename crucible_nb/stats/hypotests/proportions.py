"""Tests of proportions of true values: two arms, or one arm against a known proportion."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from crucible_nb.events.where import Where
from crucible_nb.stats.effects.risks import cohens_h_of, one_sided_size
from crucible_nb.stats.estimates.binary import (
    Share,
    TwoShares,
    binary_arms,
    check_binary,
    newcombe,
    newcombe_contrast,
    pooled_z,
    share_of,
    share_text,
    tail_probability,
    two_shares,
)
from crucible_nb.stats.estimates.shares import beta_limits
from crucible_nb.stats.hypotests.means import check_test_arguments
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.arms import ARMS, Notes, arms_of, notes_of
from crucible_nb.stats.samples.values import Values, frame_of, rows_where
from crucible_nb.stats.wording import interval_text, own_name
from crucible_nb.utils import checks

RATE = "success_rate"
"""The default metric of tests of proportions."""
_FEW = 5


def two_proportions(
    control: Any,
    treatment: Any,
    metric: str = "success_rate",
    *,
    alternative: str = "two-sided",
    cluster: str | None = None,
    confidence: float = 0.95,
    where: Where = None,
) -> TestResult:
    """Test whether two independent proportions differ: score (pooled z) test, with Newcombe's interval.

    For sampled or clustered rows, the effective n of a proportion is the n at which an unweighted proportion has the
    same linearised standard error, and z is compared with the t distribution.

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays of true and false.
        metric: "success_rate", or a column of true and false.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        cluster: Column of clusters of similar rows, e.g. "session_id".
        confidence: Coverage of the intervals.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult; the estimate is treatment - control, the effect size Cohen's h. Two arms without any success, or
        without any failure, give p = 1; the interval is valid.

    Raises:
        ConfigError: An argument is not accepted.
        SchemaError: No such column.
        StatError: Values other than true and false, or no values.

    Examples:
        >>> from crucible_nb.stats.hypotests.proportions import two_proportions
        >>> result = two_proportions([True] * 48 + [False] * 32, [True] * 56 + [False] * 14)
        >>> round(result.estimate, 3), round(result.pvalue, 4), round(result.confidence_interval.low, 3)
        (0.2, 0.008, 0.052)

    References:
        Newcombe: Interval estimation for the difference between independent proportions. Statistics in Medicine 17
        (1998). Rao, Scott: On chi-squared tests for multiway contingency tables with cell proportions estimated from
        survey data. Annals of Statistics 12 (1984).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = check_test_arguments(alternative, confidence)
    result = proportions_test(*binary_arms(control, treatment, metric, cluster), alternative, confidence)
    return renamed(result, own_name(metric, RATE, control, treatment), bare=is_bare(control, treatment))


def renamed(result: TestResult, name: str, *, bare: bool) -> TestResult:
    """Name the values of a test of proportions in its text: those of a Series by its name, of a list as true values."""
    if not bare or result.metric not in {RATE, name}:
        return result
    values = "true values" if name == RATE else name
    return replace(result, metric=name, method=result.method.replace(" of success (", f" of {values} (", 1))


def is_bare(*data: Any) -> bool:
    """Whether data have no columns, so that only a name of their own tells what they are."""
    return not any(isinstance(frame_of(part), pd.DataFrame) for part in data)


def proportions_test(control: Values, treatment: Values, alternative: str, confidence: float) -> TestResult:
    """Test two proportions of values that are true or false; see `two_proportions`."""
    return shares_test(two_shares(control, treatment), control, treatment, alternative, confidence)


def shares_test(
    shares: TwoShares, control: Values, treatment: Values, alternative: str, confidence: float
) -> TestResult:
    """Test two proportions of values that are true or false, whose shares are known; see `two_proportions`."""
    arms = control, treatment
    z, pvalue = pooled_z(shares), tail_probability(-pooled_z(shares), alternative, shares.df)
    level = two_sided_level(confidence, alternative)
    interval = one_sided(newcombe(shares, level), alternative, -1.0, 1.0)
    effect = one_sided_size(cohens_h_of(shares, level), alternative, -math.pi, math.pi)
    change = newcombe_contrast(shares).relative(level)
    notes = notes_of(arms, ARMS).plus(*_check_expected_counts(shares))
    how = "pooled variance"
    if not shares.plain:
        how = f"linearised standard errors, t with {shares.df:,.0f} degrees of freedom"
    return TestResult(
        test="two proportions", metric=control.metric.name, estimate=shares.difference,
        estimand="difference of shares, treatment - control", confidence_interval=interval, confidence=confidence,
        statistic=z, df=None if shares.plain else shares.df, pvalue=pvalue, effect="Cohen's h",
        effect_size=effect.value, effect_interval=effect.interval, alternative=alternative,
        n=(shares.control.rows, shares.treatment.rows), assumptions=notes.assumptions, exclusions=notes.exclusions,
        warnings=notes.warnings,
        method=f"Shares of {control.metric.column} (treatment {share_text(shares.treatment)}, control "
        f"{share_text(shares.control)}) were compared by a two-proportion score test with {how}: z = {number(z)}, "
        f"{p_text(pvalue)}; the difference is {number(shares.difference)} ({interval_text(interval, confidence)}, "
        "Newcombe).",
        relative_change=change.value, relative_interval=one_sided(change.interval, alternative, -1.0),
        standard_error=shares.error,
    )  # fmt: skip


def _check_expected_counts(shares: TwoShares) -> Notes:
    """Check whether expected counts are large enough for the normal approximation."""
    n, hits = shares.control.n + shares.treatment.n, shares.control.hits + shares.treatment.hits
    smallest = min(min(hits, n - hits) / n * side.n for side in (shares.control, shares.treatment))
    if hits in (0, n):
        outcome = "success" if not hits else "failure"
        return Notes(warnings=(f"no {outcome} in either arm: only the interval shows how far the shares may differ",))
    assumptions = (f"smallest expected count {number(smallest)}",)
    if smallest < _FEW and shares.plain:
        return Notes(assumptions, (), (f"an expected count is below {_FEW}: use fisher",))
    return Notes(assumptions)


def one_proportion(
    data: Any,
    share: float,
    metric: str = "success_rate",
    *,
    alternative: str = "two-sided",
    cluster: str | None = None,
    confidence: float = 0.95,
    where: Where = None,
) -> TestResult:
    """Test whether a proportion of true values differs from a known one: exact binomial test.

    Sampled or clustered rows are tested by the score test on the effective n.

    Args:
        data: Experiment, DataFrame, Series, list or array of true and false.
        share: Known proportion, in (0, 1).
        metric, alternative, cluster, confidence: As for `two_proportions`; "greater" is above the known proportion.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult; the estimate is the proportion with Clopper and Pearson's interval, the effect size Cohen's h.

    Raises:
        ConfigError: An argument is not accepted.
        StatError: Values other than true and false, or no values.

    Examples:
        >>> from crucible_nb.stats.hypotests.proportions import one_proportion
        >>> result = one_proportion([True] * 682 + [False] * 243, 0.75)  # Mendel's peas
        >>> round(result.estimate, 4), round(result.pvalue, 4)
        (0.7373, 0.3825)

    References:
        Clopper, Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial.
        Biometrika 26 (1934).
    """
    [data] = rows_where(where, data)
    confidence = check_test_arguments(alternative, confidence)
    known = checks.number("share", share, gt=0, lt=1)
    (values,) = arms_of((data,), ("data",), metric, cluster=cluster)
    observed, level = share_of(check_binary(values, "data")), two_sided_level(confidence, alternative)
    if observed.plain:
        from scipy import stats  # noqa: PLC0415  heavy; imported where used

        name, statistic, df = "exact binomial", observed.hits, None
        pvalue = float(stats.binomtest(int(observed.hits), observed.rows, known, alternative).pvalue)
        limits = beta_limits(observed.share, observed.n, level)
    else:
        name, df = "one-proportion score", observed.df
        statistic = (observed.share - known) / math.sqrt(known * (1 - known) / observed.n)
        pvalue, limits = tail_probability(statistic, alternative, df), observed.limits(level)
    interval, notes = one_sided(limits, alternative, 0.0, 1.0), notes_of((values,), ("data",))
    size = cohens_h_of(
        TwoShares(Share(known, math.inf, 1, math.inf), observed, df=math.inf if df is None else df), level
    )
    size = one_sided_size(size, alternative, -math.pi, math.pi)
    result = TestResult(
        test=f"{name} test", metric=values.metric.name, estimate=observed.share, estimand="share",
        confidence_interval=interval, confidence=confidence, statistic=statistic, df=df, pvalue=pvalue,
        effect="Cohen's h", effect_size=size.value, effect_interval=size.interval, alternative=alternative,
        n=observed.rows, assumptions=notes.assumptions, exclusions=notes.exclusions, warnings=notes.warnings,
        method=f"The share of {values.metric.column} ({share_text(observed)}) was compared with {number(known)} by the "
        f"{name} test: {p_text(pvalue)} ({interval_text(interval, confidence)}).",
        standard_error=observed.error,
    )  # fmt: skip
    return renamed(result, own_name(metric, RATE, data), bare=is_bare(data))
