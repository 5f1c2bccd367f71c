"""Tests of ranks: Mann-Whitney, Wilcoxon's signed ranks, Kruskal-Wallis."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.dominance import Dominance, below, dominance
from crucible_nb.stats.effects.explained import Ratio, groups_named, share_limits, wald_of
from crucible_nb.stats.effects.signed import pseudomedian, signed_dominance
from crucible_nb.stats.effects.sizes import matched
from crucible_nb.stats.effects.standardized import UNKNOWN, differences
from crucible_nb.stats.hypotests.means import TURNED, checked
from crucible_nb.stats.outcome import TestResult, one_sided, p_text, two_sided_level
from crucible_nb.stats.results import number
from crucible_nb.stats.samples.arms import ARMS, Notes, arms_of, check_spread, difference_error, notes_of, two_arms
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.wording import interval_text, joined, sizes_text, unit_of
from crucible_nb.utils import checks

METHODS = (None, "exact", "asymptotic")


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
) -> TestResult:
    """Whether values of one arm tend to be larger than those of the other: the Mann-Whitney U test.

    Rows that were sampled or lie in clusters are tested by Lumley and Scott's design-based rank test: ranks are
    estimated with the weights, then the difference of their means is tested with linearised standard errors.

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column; of a quantile or a mean, its column.
        alternative: "two-sided", "greater" (the treatment tends to have more) or "less".
        confidence: Coverage of the intervals.
        resample: Width of time blocks, e.g. "1min", whose values stand in for the rows.
        cluster: Column of what groups rows that are alike, e.g. "session_id".
        method: "exact" or "asymptotic"; None is exact where an arm has at most 8 values and none are tied.
        continuity: Correct the asymptotic p-value for continuity.

    Returns:
        TestResult. `estimate` is P(treatment > control) + P(equal) / 2: what U estimates, whatever the shapes of the
        distributions; a shift of medians it would be only if one were the other moved. The effect size is the
        rank-biserial correlation, that is Cliff's delta. `statistic` is U of the control.

    Raises:
        StatError: Too few values or clusters, no spread at all, `method` with sampled or clustered rows.

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
    confidence = checked(alternative, confidence)
    checks.one_of("method", method, METHODS)
    arms = two_arms(control, treatment, metric, cluster=cluster, resample=resample)
    return mann_whitney_of(*arms, alternative, confidence, method, continuity=continuity)


def mann_whitney_of(
    control: Values, treatment: Values, alternative: str, confidence: float, method: str | None = None, *,
    continuity: bool = True,
) -> TestResult:  # fmt: skip
    """`mann_whitney_u` of arms that were read already; see there."""
    arms = (control, treatment)
    _check_rows(arms, "mann_whitney_u", ARMS)
    found = dominance(control, treatment, two_sided_level(confidence, alternative))
    if control.plain and treatment.plain:
        statistic, pvalue, note = _u_test(control.x, treatment.x, alternative, method, continuity=continuity)
        test, df, shown = "Mann-Whitney U test", None, f"U = {number(statistic)}"
    elif method is not None:
        raise StatError(f"method={method!r} is for rows that stand for themselves; leave it out for the rank test")
    else:
        statistic, df, pvalue = _design_based(control, treatment, found, alternative)
        test, note = "Lumley-Scott rank test", Notes(("ranks are of the events that rows stand for",))
        shown = f"t({df:.5g}) = {number(statistic)}"
    delta = one_sided(found.interval, alternative, -1.0, 1.0)
    share = one_sided(found.share_interval, alternative, 0.0, 1.0)
    notes, n = notes_of(arms, ARMS).plus(*note), (len(control.x), len(treatment.x))
    said = joined(
        f"{test} of {control.metric.column} between {sizes_text(ARMS, n)}: a value of the treatment is the larger one "
        f"with probability {number(found.share)}", interval_text(share, confidence), shown, p_text(pvalue),
        f"rank-biserial correlation = {number(found.delta)}",
    )  # fmt: skip
    return TestResult(
        test, control.metric.name, found.share, "P(treatment > control) + P(equal) / 2", share, confidence, statistic,
        df, pvalue, "rank-biserial correlation", found.delta, delta, alternative, n,
        notes.assumptions, notes.exclusions, None, said, notes.warnings,
    )  # fmt: skip


def _u_test(
    control: np.ndarray, treatment: np.ndarray, alternative: str, method: str | None, *, continuity: bool
) -> tuple[float, float, Notes]:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    found = stats.mannwhitneyu(
        control, treatment, use_continuity=continuity, alternative=TURNED[alternative], method=method or "auto"
    )
    both = np.concatenate([control, treatment])
    tied = len(both) - len(np.unique(both))
    exact = method == "exact" or (method is None and min(len(control), len(treatment)) <= 8 and not tied)
    way = "exact" if exact else f"normal approximation {'with' if continuity else 'without'} continuity correction"
    said = [f"p-value: {way}{', corrected for ties' if tied and not exact else ''}"]
    warned = [f"{tied:,} values are tied, and the exact p-value knows no ties: use method='asymptotic'"]
    return float(found.statistic), float(found.pvalue), Notes(tuple(said), (), tuple(warned if exact and tied else ()))


def _design_based(control: Values, treatment: Values, found: Dominance, alternative: str) -> tuple[float, float, float]:
    """The difference of mean ranks over its standard error; ranks are shares of all events, of both arms."""
    from scipy import special  # noqa: PLC0415

    x, weight = (np.concatenate([getattr(arm, part) for arm in (control, treatment)]) for part in ("x", "weight"))
    ranks = below(x, weight, x)
    first, second = np.split(ranks, [len(control.x)])
    means = [float(arm.weight @ rank / arm.weight.sum()) for arm, rank in ((control, first), (treatment, second))]
    error = difference_error(control, treatment, first - means[0], second - means[1])
    if not error.error > 0:
        raise StatError("the standard error of the ranks is 0: each arm is constant; compare the values as they are")
    t = (found.share - 0.5) / error.error
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
) -> TestResult:
    """Whether the differences of pairs are symmetric about zero: Wilcoxon's signed-rank test.

    Args:
        control, treatment: Experiments or frames with the column `pair_by`, or bare values of equal length.
        metric: A column.
        alternative: "two-sided", "greater" (the treatment has more) or "less".
        confidence: Coverage of the intervals.
        pair_by: Column that names the item.
        method: "exact" or "asymptotic"; None is exact for at most 50 pairs without ties.
        continuity: Correct the asymptotic p-value for continuity.

    Returns:
        TestResult. `estimate` is the Hodges-Lehmann pseudomedian of treatment - control; the effect size is the
        matched-pairs rank-biserial correlation; pairs that are equal are left out of the test and counted.

    Raises:
        StatError: Mismatched pairs, all pairs equal, rows that were sampled.

    Examples:
        >>> from crucible_nb.stats.hypotests.ranks import wilcoxon
        >>> result = wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.1, 3.2, 4.3, 5.4, 6.5, 7.6])
        >>> result.statistic, result.pvalue, round(result.estimate, 2), result.effect_size
        (0.0, 0.03125, 1.35, 1.0)

    References:
        Wilcoxon: Individual comparisons by ranking methods. Biometrics Bulletin 1 (1945). Hodges, Lehmann: Estimates
        of location based on rank tests. Annals of Mathematical Statistics 34 (1963).
    """
    confidence = checked(alternative, confidence)
    checks.one_of("method", method, METHODS)
    pairs = matched(control, treatment, metric, pair_by, None, None)
    return wilcoxon_of(pairs, alternative, confidence, method, continuity=continuity)


def wilcoxon_of(
    pairs: Pairs, alternative: str, confidence: float, method: str | None = None, *, continuity: bool = False
) -> TestResult:
    """`wilcoxon` of pairs that were brought together already; see there."""
    from scipy import stats  # noqa: PLC0415

    arm = differences(pairs)
    _check_rows((pairs.control,), "wilcoxon", ())
    if not arm.plain:
        raise StatError("wilcoxon: signed ranks know no weights or clusters; use t_test(paired=True), which does")
    if not arm.x.any():
        raise StatError(f"wilcoxon: {arm.metric.name} is the same on both sides of all {len(arm.x):,} pairs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of small samples and ties: said below
        found = stats.wilcoxon(
            pairs.control.x, pairs.treatment.x, correction=continuity, alternative=TURNED[alternative],
            method=method or "auto",
        )  # fmt: skip
    level = two_sided_level(confidence, alternative)
    middle, effect = pseudomedian(arm.x, level), signed_dominance(arm.x, level)
    interval = one_sided(middle.interval, alternative)
    notes = notes_of((arm,), ("pairs",)).plus(exclusions=pairs.exclusions).plus(*_of_pairs(arm.x, method))
    unit, n = unit_of(arm.metric), len(arm.x)
    said = joined(
        f"Wilcoxon's signed-rank test of {arm.metric.column} of {n:,} items: pseudomedian of the differences "
        f"{number(middle.value)}{unit}", interval_text(interval, confidence), f"T = {number(float(found.statistic))}",
        p_text(float(found.pvalue)), f"rank-biserial correlation = {number(effect.value)}",
    )  # fmt: skip
    return TestResult(
        "Wilcoxon signed-rank test", arm.metric.name, middle.value, "pseudomedian of treatment - control", interval,
        confidence, float(found.statistic), None, float(found.pvalue), "matched-pairs rank-biserial correlation",
        effect.value, one_sided(effect.interval, alternative, -1.0, 1.0), alternative, n,
        notes.assumptions, notes.exclusions, None, said, notes.warnings,
    )  # fmt: skip


def _of_pairs(difference: np.ndarray, method: str | None) -> Notes:
    equal = int(np.count_nonzero(difference == 0))
    sizes = np.abs(difference[difference != 0])
    tied = len(np.unique(sizes)) < len(sizes)
    excluded = [f"{equal:,} pairs without a difference are left out of the test"] if equal else []
    warned = []
    if method == "exact" and (tied or equal):
        warned.append("the exact p-value knows no ties and no equal pairs: use method='asymptotic'")
    said = "differences are taken as symmetric about their middle; where they are not, it tests that, too"
    return Notes((said,), tuple(excluded), tuple(warned))


def kruskal_wallis(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
) -> TestResult:
    """Whether values of some groups tend to be larger than those of others: the Kruskal-Wallis test.

    Rows that were sampled or lie in clusters are tested as in `mann_whitney_u`: mean ranks, estimated with the
    weights, are compared by Welch's formula with linearised standard errors.

    Args:
        *groups: Two or more experiments, frames, Series, lists or arrays.
        metric: A column.
        confidence: Coverage of the interval of the effect size; 0.90 is customary for it.
        resample: Width of time blocks, e.g. "1min", whose values stand in for the rows.
        cluster: Column of what groups rows that are alike, e.g. "session_id".

    Returns:
        TestResult. The effect size is epsilon squared, the share of the variance of the ranks that lies between the
        groups; its interval is that of the noncentral F on ranks, approximate.

    Raises:
        StatError: One group only, too few values, all values alike.

    Examples:
        >>> from crucible_nb.stats.hypotests.ranks import kruskal_wallis
        >>> result = kruskal_wallis([2.9, 3.0, 2.5, 2.6, 3.2], [3.8, 2.7, 4.0, 2.4], [2.8, 3.4, 3.7, 2.2, 2.0])
        >>> round(result.statistic, 4), result.df, round(result.pvalue, 2)
        (0.7714, 2.0, 0.68)

    References:
        Kruskal, Wallis: Use of ranks in one-criterion variance analysis. JASA 47 (1952). Lumley, Scott: Two-sample
        rank tests under complex sampling. Biometrika 100 (2013).
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    names = groups_named(groups, "kruskal_wallis")
    arms = arms_of(groups, names, metric, cluster=cluster, resample=resample)
    return kruskal_of(arms, names, confidence)


def kruskal_of(arms: Sequence[Values], names: Sequence[str], confidence: float) -> TestResult:
    """`kruskal_wallis` of groups that were read already; see there."""
    _check_rows(arms, "kruskal_wallis", names)
    k, sizes, notes = len(arms), tuple(len(arm.x) for arm in arms), notes_of(arms, names)
    n = sum(sizes)
    df: float | tuple[float, ...]
    if all(arm.plain for arm in arms):
        from scipy import stats  # noqa: PLC0415

        found = stats.kruskal(*(arm.x for arm in arms))
        statistic, pvalue, df = float(found.statistic), float(found.pvalue), float(k - 1)
        share = statistic / (n - 1)
        ratio = Ratio(share / (1 - share) * (n - k) / (k - 1) if share < 1 else math.inf, k - 1, n - k, pvalue)
        test, shown, worth = "Kruskal-Wallis test", f"H({k - 1}) = {number(statistic)}", float(n)
    else:
        ratio, worth, share = _design_based_groups(arms)
        statistic, pvalue, df = ratio.f, ratio.pvalue, (ratio.between, ratio.within)
        test = "Lumley-Scott rank test of several groups"
        shown = f"F({ratio.between:.4g}, {ratio.within:.4g}) = {number(statistic)}"
    limits = share_limits(ratio, worth, confidence)
    said = joined(
        f"{test} of {arms[0].metric.column} between {sizes_text(names, sizes)}: {shown}", p_text(pvalue),
        f"epsilon squared = {number(share)}", interval_text(limits, confidence),
    )  # fmt: skip
    return TestResult(
        test, arms[0].metric.name, math.nan, "", UNKNOWN, confidence, statistic, df, pvalue, "epsilon squared", share,
        limits, "two-sided", sizes, notes.assumptions, notes.exclusions, None, said, notes.warnings,
    )  # fmt: skip


def _design_based_groups(arms: Sequence[Values]) -> tuple[Ratio, float, float]:
    """Welch's comparison of mean ranks; how many equal rows all are worth; the share of variance between."""
    x, weight = (np.concatenate([getattr(arm, part) for arm in arms]) for part in ("x", "weight"))
    ranks = below(x, weight, x)
    parts = np.split(ranks, np.cumsum([len(arm.x) for arm in arms])[:-1])
    means = [float(arm.weight @ part / arm.weight.sum()) for arm, part in zip(arms, parts, strict=True)]
    ratio, worth = wald_of(arms, [(mean, part - mean) for mean, part in zip(means, parts, strict=True)])
    grand = float(weight @ ranks) / weight.sum()
    between = sum(float(arm.weight.sum()) * (mean - grand) ** 2 for arm, mean in zip(arms, means, strict=True))
    return ratio, worth, between / float(weight @ (ranks - grand) ** 2)


def _check_rows(arms: Sequence[Values], test: str, names: Sequence[str]) -> None:
    """Ranks are of values, not of ratios of totals or of totals; and they need to differ."""
    metric = arms[0].metric
    if metric.kind in {"ratio", "total"}:
        raise StatError(f"{test}: {metric.name} is no value of a row; use {metric.column}, or resample='1min'")
    if names and (np.concatenate([arm.x for arm in arms]) == arms[0].x[0]).all():
        check_spread(arms, names)
