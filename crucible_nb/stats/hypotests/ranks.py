"""Rank tests: Mann-Whitney U, Wilcoxon's signed ranks, Kruskal-Wallis."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import unit_of
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.dominance import Dominance, below, dominance
from crucible_nb.stats.effects.explained import FStatistic, explained_limits, name_groups, wald_test
from crucible_nb.stats.effects.signed_ranks import matched_rank_biserial, pseudomedian
from crucible_nb.stats.effects.sizes import match_independent_pairs
from crucible_nb.stats.effects.standardized import differences
from crucible_nb.stats.hypotests.exact_ranks import exact_pvalue, is_small
from crucible_nb.stats.hypotests.means import SCIPY_ALTERNATIVE, check_test_arguments
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import UNKNOWN, number
from crucible_nb.stats.samples.arms import ARMS, Notes, arms_of, check_spread, difference_error, notes_of, two_arms
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values, rows_where
from crucible_nb.stats.wording import interval_text, joined, sizes_text
from crucible_nb.utils import checks

METHODS = (None, "exact", "asymptotic")
_FEW = 5


def mann_whitney_u(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    alternative: str = "two-sided",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    method: str | None = None,
    continuity: bool = True,
    *,
    where: Where = None,
) -> TestResult:
    """Test whether values of one arm tend to be larger than those of the other: the Mann-Whitney U test.

    Sampled or clustered rows are tested by Lumley and Scott's design-based rank test: ranks are estimated with the
    weights, and the difference of mean ranks is tested with linearised standard errors.

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column; of a quantile or a mean, its column is used.
        alternative: "two-sided", "greater" (the treatment tends to have more) or "less".
        confidence: Coverage of the intervals.
        resample: Width of time blocks, e.g. "1min", whose values replace the rows.
        cluster: Column of clusters of similar rows, e.g. "session_id".
        method: "exact" or "asymptotic"; None is exact if an arm has at most 8 values and there are no ties.
        continuity: Correct the asymptotic p-value for continuity.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult. `estimate` is P(treatment > control) + P(equal) / 2, which U estimates for distributions of any
        shape (U tests a shift of medians only if the distributions differ by a shift). The effect size is the
        rank-biserial correlation, equal to Cliff's delta. `statistic` is U of the control.

    Raises:
        StatError: Too few values or clusters, constant values, `method` with sampled or clustered rows.

    Examples:
        >>> from crucible_nb.stats.hypotests.ranks import mann_whitney_u
        >>> result = mann_whitney_u([1.1, 2.2, 3.3, 4.4], [3.9, 5.5, 6.6, 7.7])
        >>> result.statistic, round(result.pvalue, 4), result.estimate, result.effect_size
        (1.0, 0.0571, 0.9375, 0.875)

    References:
        Mann, Whitney: On a test of whether one of two random variables is stochastically larger than the other.
        Annals of Mathematical Statistics 18 (1947). Lumley, Scott: Two-sample rank tests under complex sampling.
        Biometrika 100 (2013).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = check_test_arguments(alternative, confidence)
    checks.one_of("method", method, METHODS)
    arms = two_arms(control, treatment, metric, cluster=cluster, resample=resample)
    return mann_whitney_of(*arms, alternative, confidence, method, continuity=continuity)


def mann_whitney_of(
    control: Values, treatment: Values, alternative: str, confidence: float, method: str | None = None, *,
    continuity: bool = True,
) -> TestResult:  # fmt: skip
    """Mann-Whitney U test of the values of two arms; see `mann_whitney_u`."""
    arms = (control, treatment)
    _check_rows(arms, "mann_whitney_u", ARMS)
    cliff = dominance(control, treatment, two_sided_level(confidence, alternative))
    if control.plain and treatment.plain:
        statistic, pvalue, test_notes = _u_test(control.x, treatment.x, alternative, method, continuity=continuity)
        test, df, shown = "Mann-Whitney U test", None, f"U = {number(statistic)}"
    elif method is not None:
        raise StatError(
            f"method={method!r} is for rows that are neither sampled nor clustered. Leave it out for the design-based "
            "rank test."
        )
    else:
        statistic, df, pvalue = _design_based(control, treatment, cliff, alternative)
        test, test_notes = "Lumley-Scott rank test", Notes(("ranks are estimated with the weights of the rows",))
        shown = f"t({df:.5g}) = {number(statistic)}"
    delta = one_sided(cliff.interval, alternative, -1.0, 1.0)
    share = one_sided(cliff.share_interval, alternative, 0.0, 1.0)
    notes, n = notes_of(arms, ARMS).plus(*test_notes), (control.n, treatment.n)
    return TestResult(
        test=test, metric=control.metric.name, estimate=cliff.share, estimand="P(treatment > control) + P(equal) / 2",
        confidence_interval=share, confidence=confidence, statistic=statistic, df=df, pvalue=pvalue,
        effect="rank-biserial correlation", effect_size=cliff.delta, effect_interval=delta, alternative=alternative,
        n=n, assumptions=notes.assumptions, exclusions=notes.exclusions, warnings=notes.warnings,
        method=joined(
            f"{test} of {control.metric.column} between {sizes_text(ARMS, n)}: a value of the treatment is larger "
            f"with probability {number(cliff.share)}", interval_text(share, confidence), shown, p_text(pvalue),
            f"rank-biserial correlation = {number(cliff.delta)}",
        ),
        standard_error=cliff.error.error / 2,
    )  # fmt: skip


def _u_test(
    control: np.ndarray, treatment: np.ndarray, alternative: str, method: str | None, *, continuity: bool
) -> tuple[float, float, Notes]:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    test = stats.mannwhitneyu(
        control, treatment, use_continuity=continuity, alternative=SCIPY_ALTERNATIVE[alternative],
        method=method or "auto",
    )  # fmt: skip
    both = np.concatenate([control, treatment])
    tied = len(both) - len(np.unique(both))
    exact = method == "exact" or (method is None and min(len(control), len(treatment)) <= 8 and not tied)
    kind = "exact" if exact else f"normal approximation {'with' if continuity else 'without'} continuity correction"
    assumption = f"p-value: {kind}{', corrected for ties' if tied and not exact else ''}"
    warning = f"{tied:,} values are tied, and the exact p-value ignores ties: use method='asymptotic'"
    notes = Notes((assumption,), (), (warning,) if exact and tied else ())
    return float(test.statistic), float(test.pvalue), notes


def _design_based(control: Values, treatment: Values, cliff: Dominance, alternative: str) -> tuple[float, float, float]:
    """Statistic, df and p-value of the difference of mean ranks; ranks are proportions of the events of both arms."""
    from scipy import special  # noqa: PLC0415

    x, weight = (np.concatenate([getattr(arm, part) for arm in (control, treatment)]) for part in ("x", "weight"))
    ranks = below(x, weight, x)
    first, second = np.split(ranks, [len(control.x)])
    means = [float(arm.weight @ rank / arm.weight.sum()) for arm, rank in ((control, first), (treatment, second))]
    error = difference_error(control, treatment, first - means[0], second - means[1])
    if not error.error > 0:
        raise StatError("the standard error of the ranks is 0: each arm is constant; compare the values as they are")
    t = (cliff.share - 0.5) / error.error
    tail = {"two-sided": -abs(t), "greater": -t, "less": t}[alternative]
    pvalue = float(special.stdtr(error.df, tail)) * (2 if alternative == "two-sided" else 1)
    return -t, error.df, pvalue


def wilcoxon(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    alternative: str = "two-sided",
    confidence: float = 0.95,
    pair_by: str = "sample_id",
    method: str | None = None,
    continuity: bool = False,
    *,
    where: Where = None,
) -> TestResult:
    """Test whether paired differences are symmetric about zero: Wilcoxon's signed-rank test.

    Args:
        control, treatment: Experiments or frames with the column `pair_by`, or lists, arrays or Series of equal length.
        metric: A column.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        confidence: Coverage of the intervals.
        pair_by: Column of item ids.
        method: "exact" or "asymptotic"; None is exact for at most 50 pairs without ties.
        continuity: Correct the asymptotic p-value for continuity.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult. `estimate` is the Hodges-Lehmann pseudomedian of treatment - control; the effect size is the
        matched-pairs rank-biserial correlation. Pairs that are equal are left out of all of them (p-value, estimate,
        interval and `n`), and their number is reported.

    Raises:
        StatError: Mismatched pairs, all pairs equal, sampled rows.

    Examples:
        >>> from crucible_nb.stats.hypotests.ranks import wilcoxon
        >>> result = wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.1, 3.2, 4.3, 5.4, 6.5, 7.6])
        >>> result.statistic, result.pvalue, round(result.estimate, 2), result.effect_size
        (0.0, 0.03125, 1.35, 1.0)

    References:
        Wilcoxon: Individual comparisons by ranking methods. Biometrics Bulletin 1 (1945). Hodges, Lehmann: Estimates
        of location based on rank tests. Annals of Mathematical Statistics 34 (1963).
    """
    control, treatment = rows_where(where, control, treatment)
    confidence = check_test_arguments(alternative, confidence)
    checks.one_of("method", method, METHODS)
    pairs = match_independent_pairs(control, treatment, metric, pair_by)
    return wilcoxon_of(pairs, alternative, confidence, method, continuity=continuity)


def wilcoxon_of(
    pairs: Pairs, alternative: str, confidence: float, method: str | None = None, *, continuity: bool = False
) -> TestResult:
    """Wilcoxon's signed-rank test of matched pairs; see `wilcoxon`."""
    from scipy import stats  # noqa: PLC0415

    arm = differences(pairs)
    _check_rows((pairs.control,), "wilcoxon", ())
    if not arm.plain:
        raise StatError("wilcoxon: signed ranks have no form for weighted or clustered rows. Use t_test(paired=True).")
    if not arm.x.any():
        raise StatError(f"wilcoxon: {arm.metric.name} is equal in both arms for all {len(arm.x):,} pairs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small samples and ties, for which the result has warnings of its own
        test = stats.wilcoxon(
            pairs.control.x, pairs.treatment.x, correction=continuity, alternative=SCIPY_ALTERNATIVE[alternative],
            method=method or "auto",
        )  # fmt: skip
    level = two_sided_level(confidence, alternative)
    unequal = arm.x[arm.x != 0]
    center, effect = pseudomedian(unequal, level), matched_rank_biserial(unequal, level)
    interval, statistic, pvalue = one_sided(center.interval, alternative), float(test.statistic), float(test.pvalue)
    notes = notes_of((arm,), ("pairs",)).plus(exclusions=pairs.exclusions).plus(*_signed_rank_notes(arm.x, method))
    n = len(unequal)
    equal = "" if n == len(arm.x) else " of the pairs that differ"
    return TestResult(
        test="Wilcoxon signed-rank test", metric=arm.metric.name, estimate=center.value,
        estimand=f"pseudomedian of treatment - control{equal}", confidence_interval=interval, confidence=confidence,
        statistic=statistic, df=None, pvalue=pvalue, effect="matched-pairs rank-biserial correlation",
        effect_size=effect.value, effect_interval=one_sided(effect.interval, alternative, -1.0, 1.0),
        alternative=alternative, n=n, assumptions=notes.assumptions, exclusions=notes.exclusions,
        warnings=notes.warnings,
        method=joined(
            f"Wilcoxon's signed-rank test of {arm.metric.column} of {n:,} items: pseudomedian of the differences "
            f"{number(center.value)}{unit_of(arm.metric)}", interval_text(interval, confidence),
            f"T = {number(statistic)}", p_text(pvalue), f"rank-biserial correlation = {number(effect.value)}",
        ),
    )  # fmt: skip


def _signed_rank_notes(difference: np.ndarray, method: str | None) -> Notes:
    equal = int(np.count_nonzero(difference == 0))
    sizes = np.abs(difference[difference != 0])
    tied = len(np.unique(sizes)) < len(sizes)
    exclusions = (f"{equal:,} pairs without a difference are left out of the test and its interval",) if equal else ()
    warnings_: tuple[str, ...] = ()
    if method == "exact" and (tied or equal):
        warnings_ = ("the exact p-value ignores ties and equal pairs: use method='asymptotic'",)
    assumption = "differences are assumed to be symmetric about their median; the test also detects asymmetry"
    return Notes((assumption,), exclusions, warnings_)


def kruskal_wallis(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    where: Where = None,
) -> TestResult:
    """Test whether values of some groups tend to be larger than those of other groups: the Kruskal-Wallis test.

    Sampled or clustered rows are tested as in `mann_whitney_u`: mean ranks, estimated with the weights, are compared
    by Welch's formula with linearised standard errors. The p-value is exact up to 50,000 arrangements of the ranks (4
    values in each of three groups); above by chi-square.

    Args:
        *groups: Two or more experiments, frames, Series, lists or arrays.
        metric: A column.
        confidence: Coverage of the interval of the effect size; 0.90 is customary.
        resample: Width of time blocks, e.g. "1min", whose values replace the rows.
        cluster: Column of clusters of similar rows, e.g. "session_id".
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        TestResult. The effect size is epsilon squared, the proportion of the variance of ranks between the groups; its
        interval, by the noncentral F on ranks, is approximate.

    Raises:
        StatError: Less than two groups, too few values, all values equal.

    Examples:
        >>> from crucible_nb.stats.hypotests.ranks import kruskal_wallis
        >>> result = kruskal_wallis([2.9, 3.0, 2.5, 2.6, 3.2], [3.8, 2.7, 4.0, 2.4], [2.8, 3.4, 3.7, 2.2, 2.0])
        >>> round(result.statistic, 4), result.df, round(result.pvalue, 2)
        (0.7714, 2.0, 0.68)

    References:
        Kruskal, Wallis: Use of ranks in one-criterion variance analysis. JASA 47 (1952). Lumley, Scott: Two-sample
        rank tests under complex sampling. Biometrika 100 (2013).
    """
    groups = rows_where(where, *groups)
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    names = name_groups(groups, "kruskal_wallis")
    arms = arms_of(groups, names, metric, cluster=cluster, resample=resample)
    return kruskal_of(arms, names, confidence)


def kruskal_of(arms: Sequence[Values], names: Sequence[str], confidence: float) -> TestResult:
    """Kruskal-Wallis test of the values of groups; see `kruskal_wallis`."""
    _check_rows(arms, "kruskal_wallis", names)
    k, sizes, notes = len(arms), tuple(arm.n for arm in arms), notes_of(arms, names)
    n = sum(sizes)
    df: float | tuple[float, ...]
    if all(arm.plain for arm in arms):
        from scipy import stats  # noqa: PLC0415

        h_test = stats.kruskal(*(arm.x for arm in arms))
        statistic, pvalue, df = float(h_test.statistic), float(h_test.pvalue), float(k - 1)
        if is_small(sizes):
            pvalue = exact_pvalue(stats.rankdata(np.concatenate([arm.x for arm in arms])), sizes)
            notes = notes.plus([f"p-value: exact, from all arrangements of {n} ranks"])
        elif min(sizes) < _FEW:
            notes = notes.plus(
                warnings=[f"p-value: chi-square approximation, rough for groups of fewer than {_FEW} values"]
            )
        share = statistic / (n - 1)
        f = FStatistic(share / (1 - share) * (n - k) / (k - 1) if share < 1 else math.inf, k - 1, n - k, pvalue)
        test, shown, effective_n = "Kruskal-Wallis test", f"H({k - 1}) = {number(statistic)}", float(n)
    else:
        f, effective_n, share = _design_based_groups(arms)
        statistic, pvalue, df = f.f, f.pvalue, (f.between, f.within)
        test = "Lumley-Scott rank test of several groups"
        shown = f"F({f.between:.4g}, {f.within:.4g}) = {number(statistic)}"
    limits = explained_limits(f, effective_n, confidence)
    return TestResult(
        test=test, metric=arms[0].metric.name, estimate=math.nan, estimand="", confidence_interval=UNKNOWN,
        confidence=confidence, statistic=statistic, df=df, pvalue=pvalue, effect="epsilon squared", effect_size=share,
        effect_interval=limits, alternative="two-sided", n=sizes, assumptions=notes.assumptions,
        exclusions=notes.exclusions, warnings=notes.warnings,
        method=joined(
            f"{test} of {arms[0].metric.column} between {sizes_text(names, sizes)}: {shown}", p_text(pvalue),
            f"epsilon squared = {number(share)}", interval_text(limits, confidence),
        ),
    )  # fmt: skip


def _design_based_groups(arms: Sequence[Values]) -> tuple[FStatistic, float, float]:
    """Welch's test of mean ranks, the effective number of rows, and the proportion of variance between groups."""
    x, weight = (np.concatenate([getattr(arm, part) for arm in arms]) for part in ("x", "weight"))
    ranks = below(x, weight, x)
    parts = np.split(ranks, np.cumsum([len(arm.x) for arm in arms])[:-1])
    means = [float(arm.weight @ part / arm.weight.sum()) for arm, part in zip(arms, parts, strict=True)]
    f, effective_n = wald_test(arms, [(mean, part - mean) for mean, part in zip(means, parts, strict=True)])
    grand = float(weight @ ranks) / weight.sum()
    between = sum(float(arm.weight.sum()) * (mean - grand) ** 2 for arm, mean in zip(arms, means, strict=True))
    return f, effective_n, between / float(weight @ (ranks - grand) ** 2)


def _check_rows(arms: Sequence[Values], test: str, names: Sequence[str]) -> None:
    """Require a metric that rows have values of (no ratio of totals, no total), and values that differ."""
    metric = arms[0].metric
    if metric.kind in {"ratio", "total"}:
        raise StatError(
            f"{test}: rows have no value of {metric.name}, so there are no ranks; use {metric.column}, or "
            "resample='1min'"
        )
    if names and (np.concatenate([arm.x for arm in arms]) == arms[0].x[0]).all():
        check_spread(arms, names)
