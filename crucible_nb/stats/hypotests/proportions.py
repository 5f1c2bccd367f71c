"""Tests of shares of true values: two arms, or one against a known share."""

from __future__ import annotations

import math
from typing import Any

from crucible_nb.stats.effects.risks import h_of, sided
from crucible_nb.stats.estimates.binary import (
    Share,
    Two,
    binary_arms,
    check_binary,
    newcombe,
    share_of,
    share_text,
    tail_of,
    two_of,
    z_of,
)
from crucible_nb.stats.estimates.shares import beta_limits
from crucible_nb.stats.hypotests.means import checked
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.arms import ARMS, arms_of, notes_of
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.wording import interval_text
from crucible_nb.utils import checks

_FEW = 5


def two_proportions(
    control: Any,
    treatment: Any,
    metric: str = "success_rate",
    *,
    alternative: str = "two-sided",
    cluster: str | None = None,
    confidence: float = 0.95,
) -> TestResult:
    """Whether two independent shares differ: the score (pooled z) test, with Newcombe's interval of the difference.

    Rows that were sampled count with their weights, and rows in clusters are not taken as independent: each share
    then counts as the n for which a plain share has the same linearised standard error, and z is judged as a t.

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays of true and false.
        metric: "success_rate", or a column of true and false.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        cluster: Column of what groups rows that are alike, e.g. "session_id".
        confidence: Of the intervals.

    Returns:
        TestResult; the estimate is treatment - control, the effect Cohen's h. Two arms without a single success, or
        failure, give p = 1 and the interval that is left.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column.
        StatError: Values other than true and false, or none.

    Examples:
        >>> from crucible_nb.stats.hypotests.proportions import two_proportions
        >>> found = two_proportions([True] * 48 + [False] * 32, [True] * 56 + [False] * 14)
        >>> round(found.estimate, 3), round(found.pvalue, 4), round(found.confidence_interval.low, 3)
        (0.2, 0.008, 0.052)

    References:
        Newcombe: Interval estimation for the difference between independent proportions. Statistics in Medicine 17
        (1998). Rao, Scott: On chi-squared tests for multiway contingency tables with cell proportions estimated from
        survey data. Annals of Statistics 12 (1984).
    """
    confidence = checked(alternative, confidence)
    return proportions_test(*binary_arms(control, treatment, metric, cluster), alternative, confidence)


def proportions_test(control: Values, treatment: Values, alternative: str, confidence: float) -> TestResult:
    """`two_proportions` of values that are true or false."""
    two, arms = two_of(control, treatment), (control, treatment)
    z, pvalue = z_of(two), tail_of(-z_of(two), alternative, two.df)
    level = two_sided_level(confidence, alternative)
    interval = one_sided(newcombe(two, level), alternative, -1.0, 1.0)
    effect, notes = sided(h_of(two, level), alternative, -math.pi, math.pi), notes_of(arms, ARMS).plus(*_checked(two))
    how = "pooled variance" if two.plain else f"linearised standard errors, t with {two.df:,.0f} degrees of freedom"
    return TestResult(
        "two proportions", control.metric.name, two.difference, "difference of shares, treatment - control",
        interval, confidence, z, None if two.plain else two.df, pvalue, "Cohen's h", effect.value, effect.interval,
        alternative, (two.control.rows, two.treatment.rows), notes.assumptions, notes.exclusions,
        method=f"Shares of {control.metric.column} (treatment {share_text(two.treatment)}, control "
        f"{share_text(two.control)}) were compared by a two-proportion score test with {how}: z = {number(z)}, "
        f"{p_text(pvalue)}; the difference is {number(two.difference)} ({interval_text(interval, confidence)}, "
        "Newcombe).",
        warnings=notes.warnings,
    )  # fmt: skip


def _checked(two: Two) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Assumptions, exclusions and warnings: whether the normal approximation holds."""
    n, hits = two.control.n + two.treatment.n, two.control.hits + two.treatment.hits
    least = min(min(hits, n - hits) / n * side.n for side in (two.control, two.treatment))
    if hits in (0, n):
        what = "success" if not hits else "failure"
        return (), (), (f"no {what} in either arm: only the interval says how far the shares may differ",)
    said = (f"smallest expected count {number(least)}",)
    return said, (), (f"an expected count is below {_FEW}: use fisher",) if least < _FEW and two.plain else ()


def one_proportion(
    data: Any,
    share: float,
    metric: str = "success_rate",
    *,
    alternative: str = "two-sided",
    cluster: str | None = None,
    confidence: float = 0.95,
) -> TestResult:
    """Whether a share of true values is another than a known one: the exact binomial test.

    Rows that were sampled or lie in clusters: the score test on the n that the share is worth.

    Args:
        data: Experiment, DataFrame, Series, list or array of true and false.
        share: The known share, in (0, 1).
        metric, alternative, cluster, confidence: As for `two_proportions`; "greater" is more than the known share.

    Returns:
        TestResult; the estimate is the share itself with Clopper and Pearson's interval, the effect Cohen's h.

    Raises:
        ConfigError: An argument is not what is accepted.
        StatError: Values other than true and false, or none.

    Examples:
        >>> from crucible_nb.stats.hypotests.proportions import one_proportion
        >>> found = one_proportion([True] * 682 + [False] * 243, 0.75)  # Mendel's peas
        >>> round(found.estimate, 4), round(found.pvalue, 4)
        (0.7373, 0.3825)

    References:
        Clopper, Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial.
        Biometrika 26 (1934).
    """
    confidence = checked(alternative, confidence)
    known = checks.number("share", share, gt=0, lt=1)
    (values,) = arms_of((data,), ("data",), metric, cluster=cluster)
    found, level = share_of(check_binary(values, "data")), two_sided_level(confidence, alternative)
    if found.plain:
        from scipy import stats  # noqa: PLC0415  heavy; imported where used

        name, statistic, df = "exact binomial", found.hits, None
        pvalue = float(stats.binomtest(int(found.hits), found.rows, known, alternative).pvalue)
        limits = beta_limits(found.share, found.n, level)
    else:
        name, df = "one-proportion score", float(found.units - 1)
        statistic = (found.share - known) / math.sqrt(known * (1 - known) / found.n)
        pvalue, limits = tail_of(statistic, alternative, df), found.limits(level)
    interval, notes = one_sided(limits, alternative, 0.0, 1.0), notes_of((values,), ("data",))
    size = h_of(Two(Share(known, math.inf, 1, 1), found, df=math.inf if df is None else df), level)
    size = sided(size, alternative, -math.pi, math.pi)
    return TestResult(
        f"{name} test", values.metric.name, found.share, "share", interval, confidence, statistic, df, pvalue,
        "Cohen's h", size.value, size.interval, alternative, found.rows, notes.assumptions, notes.exclusions,
        method=f"The share of {values.metric.column} ({share_text(found)}) was compared with {number(known)} by the "
        f"{name} test: {p_text(pvalue)} ({interval_text(interval, confidence)}).",
        warnings=notes.warnings,
    )  # fmt: skip
