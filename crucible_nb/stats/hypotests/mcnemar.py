"""McNemar's test of two proportions of the same items."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.risks import cohens_g_of, one_sided_size
from crucible_nb.stats.effects.standardized import differences
from crucible_nb.stats.estimates.binary import check_binary, tail_probability, variance_inflation
from crucible_nb.stats.estimates.paired_shares import paired_share_contrast
from crucible_nb.stats.hypotests.means import check_test_arguments
from crucible_nb.stats.hypotests.score import paired_variance, score_limits
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.arms import Notes, arm_error, check_size, notes_of
from crucible_nb.stats.samples.counts import counts_2x2, discordant_of
from crucible_nb.stats.samples.pairs import Pairs, clustered_pairs
from crucible_nb.stats.samples.values import rows_where
from crucible_nb.stats.wording import interval_text
from crucible_nb.utils import checks

_FEW = 25


class PairCounts(NamedTuple):
    """Counts of pairs: true only in the control, true only in the treatment, all pairs."""

    control_only: float
    treatment_only: float
    n: int

    @property
    def discordant(self) -> float:
        """Number of pairs that differ."""
        return self.control_only + self.treatment_only

    @property
    def difference(self) -> float:
        """Difference of the two proportions, treatment - control."""
        return (self.treatment_only - self.control_only) / self.n

    @property
    def error(self) -> float:
        """Standard error of the difference; NaN for a single pair."""
        squares = max(self.discordant - self.n * self.difference**2, 0.0)
        return math.sqrt(squares / self.n / (self.n - 1)) if self.n > 1 else math.nan


def mcnemar(
    control: Any,
    treatment: Any = None,
    metric: str = "success_rate",
    *,
    pair_by: str = "sample_id",
    exact: bool | None = None,
    correction: bool = True,
    alternative: str = "two-sided",
    cluster: str | None = None,
    confidence: float = 0.95,
    where: Where = None,
) -> TestResult:
    """Test whether two proportions of the same items differ, from the discordant pairs (McNemar's test).

    Args:
        control, treatment: Arms of true and false with items in common, or lists paired by position. Or one 2x2 table
            of pairs: rows the control (true, false), columns the treatment (true, false).
        metric: "success_rate", or a column of true and false.
        pair_by: Column of item ids.
        exact: Use the binomial test instead of chi-square; None uses it if fewer than 25 pairs are discordant.
        correction: Whether the chi-square is corrected for continuity.
        alternative: "two-sided", "greater" (the treatment has the larger proportion) or "less".
        cluster: Column of clusters of similar items. With clusters, and for sampled rows, a score test sums the
            differences within each cluster before squaring.
        confidence: Coverage of the intervals.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult; the estimate is treatment - control with Tango's interval, the effect size Cohen's g. Without
        discordant pairs p = 1.

    Raises:
        ConfigError: An argument is not accepted.
        StatError: No pairs, values other than true and false (also means of repeated items), or exact=True with sampled
            or clustered rows.

    Examples:
        >>> from crucible_nb.stats.hypotests.mcnemar import mcnemar
        >>> result = mcnemar([[794, 150], [86, 570]])  # approval of the president, Agresti
        >>> round(result.statistic, 4), round(result.estimate, 2)
        (16.8178, -0.04)

    References:
        McNemar: Note on the sampling error of the difference between correlated proportions or percentages.
        Psychometrika 12 (1947). Yang, Sun, Hardin: A note on the tests for clustered matched-pair binary data.
        Biometrical Journal 52 (2010).
    """
    control, treatment = rows_where(where, control, treatment)
    checks.one_of("exact", exact, (None, True, False))
    confidence = check_test_arguments(alternative, confidence)
    if treatment is None:
        table = counts_2x2(control, "pairs")
        counts = PairCounts(float(table[0, 1]), float(table[1, 0]), int(table.sum()))
        return _unweighted(counts, "table", exact, alternative, confidence, Notes(), correction=correction)
    pairs = clustered_pairs(control, treatment, metric, pair_by, cluster)
    return mcnemar_test(pairs, alternative, confidence, exact=exact, correction=correction)


def mcnemar_test(
    pairs: Pairs, alternative: str, confidence: float, *, exact: bool | None = None, correction: bool = True
) -> TestResult:
    """McNemar's test of matched pairs; see `mcnemar`."""
    check_binary(pairs.control, "control")
    check_binary(pairs.treatment, "treatment")
    notes = notes_of((differences(pairs),), ("pairs",)).plus((), pairs.exclusions)
    if not (pairs.control.plain and pairs.treatment.plain):
        if exact:
            raise StatError(
                "mcnemar: exact=True is for rows that are neither sampled nor clustered. "
                "Leave it out for the score test."
            )
        result = _weighted(pairs, alternative, confidence, notes)
    else:
        counts, metric = PairCounts(*discordant_of(pairs), len(pairs.control.x)), pairs.control.metric.name
        result = _unweighted(counts, metric, exact, alternative, confidence, notes, correction=correction)
    change = paired_share_contrast(pairs).relative(two_sided_level(confidence, alternative))
    interval = one_sided(change.interval, alternative, -1.0)
    return replace(result, relative_change=change.value, relative_interval=interval)


def _unweighted(
    counts: PairCounts,
    metric: str,
    exact: bool | None,
    alternative: str,
    confidence: float,
    notes: Notes,
    *,
    correction: bool,
) -> TestResult:
    exact = counts.discordant < _FEW if exact is None else exact
    statistic, pvalue = _statistic_and_pvalue(counts, alternative, exact=exact, correction=correction)
    variance = paired_variance(counts.control_only, counts.treatment_only, counts.n)
    limits = score_limits(counts.difference, variance, two_sided_level(confidence, alternative))
    kind = "exact" if exact else "chi-square with continuity correction" if correction else "chi-square"
    test = _Test(statistic, None if exact else 1.0, pvalue, limits, kind, "Tango", counts.error)
    return _result(counts, metric, test, alternative, confidence, notes)


def _statistic_and_pvalue(
    counts: PairCounts, alternative: str, *, exact: bool, correction: bool
) -> tuple[float, float]:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used
    from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar  # noqa: PLC0415

    control_only, treatment_only, _ = counts
    if not counts.discordant:
        return 0.0, 1.0
    test = statsmodels_mcnemar([[0, control_only], [treatment_only, 0]], exact=exact, correction=correction)
    statistic, pvalue = float(test.statistic), float(test.pvalue)
    if alternative == "two-sided":
        return statistic, pvalue
    if exact:
        one_sided_test = stats.binomtest(int(treatment_only), int(counts.discordant), 0.5, alternative)
        return statistic, float(one_sided_test.pvalue)
    z = 0.0
    if treatment_only != control_only:
        z = math.copysign(math.sqrt(statistic), treatment_only - control_only)
    return statistic, tail_probability(z, alternative)


def _weighted(pairs: Pairs, alternative: str, confidence: float, notes: Notes) -> TestResult:
    """Score test of weighted or clustered pairs: sum over units / root of the sum of squares, with t tails."""
    difference = differences(pairs)
    check_size(difference, "pairs")
    sums = difference.weight * difference.x
    if difference.cluster is not None:
        sums = np.bincount(difference.cluster, sums)
    mean = float(difference.weight @ difference.x / difference.weight.sum())
    error = arm_error(difference, difference.x - mean)
    squares = float(sums @ sums)
    z = float(sums.sum()) / math.sqrt(squares) if squares > 0 else 0.0
    level = two_sided_level(confidence, alternative)
    half = math.sqrt(variance_inflation(level, error.df)) * error.error * _z(level)
    n = len(difference.x)
    weight = difference.weight / difference.weight.sum() * n
    counts = PairCounts(float(weight @ (difference.x < 0)), float(weight @ (difference.x > 0)), n)
    test = _Test(
        statistic=z * z, df=(1.0, error.df), pvalue=tail_probability(z, alternative, error.df),
        limits=Interval(max(mean - half, -1.0), min(mean + half, 1.0)),
        kind="score test with the variance of weighted or clustered pairs", interval_method="linearised",
        error=error.error,
    )  # fmt: skip
    return _result(counts, pairs.control.metric.name, test, alternative, confidence, notes)


def _z(level: float) -> float:
    from scipy import special  # noqa: PLC0415

    return float(special.ndtri((1 + level) / 2))


class _Test(NamedTuple):
    """Statistic, degrees of freedom, p-value, two-sided limits, names of test and interval method, standard error."""

    statistic: float
    df: float | tuple[float, ...] | None
    pvalue: float
    limits: Interval
    kind: str
    interval_method: str
    error: float


def _result(
    counts: PairCounts, metric: str, test: _Test, alternative: str, confidence: float, notes: Notes
) -> TestResult:
    control_only, treatment_only, n = counts
    level = two_sided_level(confidence, alternative)
    effect = one_sided_size(cohens_g_of(control_only, treatment_only, level), alternative, -0.5, 0.5)
    interval = one_sided(test.limits, alternative, -1.0, 1.0)
    odds = treatment_only / control_only if control_only else math.inf
    outcome = (
        f"of {n:,} pairs {treatment_only:,.0f} are true only in the treatment, {control_only:,.0f} only in the control"
    )
    ratio = (f"odds ratio of the discordant pairs {number(odds)}",) if counts.discordant else ()
    warning = () if counts.discordant else ("no pair is discordant: only the interval shows how far the shares differ",)
    return TestResult(
        test="McNemar", metric=metric, estimate=counts.difference,
        estimand="difference of paired shares, treatment - control", confidence_interval=interval,
        confidence=confidence, statistic=test.statistic, df=test.df, pvalue=test.pvalue, effect="Cohen's g",
        effect_size=effect.value, effect_interval=effect.interval, alternative=alternative, n=n,
        assumptions=(outcome, *ratio, *notes.assumptions), exclusions=notes.exclusions,
        warnings=notes.warnings + warning,
        method=f"Paired shares were compared by McNemar's test ({test.kind}): {outcome}, {p_text(test.pvalue)}; the "
        f"shares differ by {number(counts.difference)} ({interval_text(interval, confidence)}, "
        f"{test.interval_method}).",
        standard_error=test.error,
    )  # fmt: skip
