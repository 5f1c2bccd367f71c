"""Effect sizes with confidence intervals: Cohen's d and its variants, Cliff's delta, eta and omega squared."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from crucible_nb.errors import ConfigError, StatError
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.dominance import dominance
from crucible_nb.stats.effects.explained import explained_of, name_groups
from crucible_nb.stats.effects.noncentral import hedges_factor
from crucible_nb.stats.effects.signed_ranks import matched_rank_biserial
from crucible_nb.stats.effects.standardized import (
    StandardizedEffect,
    cohens_d_av_of,
    cohens_d_of,
    cohens_d_of_sample,
    differences,
    glass_delta_of,
    hedges_g_of,
)
from crucible_nb.stats.results import Interval, Result, number
from crucible_nb.stats.samples.arms import ARMS, Notes, arms_of, check_size, notes_of, two_arms
from crucible_nb.stats.samples.pairs import Pairs, clustered_pairs, independent_pairs
from crucible_nb.stats.samples.values import Values, rows_where
from crucible_nb.stats.wording import interval_text
from crucible_nb.utils import checks

Standardizer = Literal["difference", "average"]


@dataclass(frozen=True, repr=False)
class Effect(Result):
    """An effect size; `float(effect)` gives its value.

    Attributes:
        name: Name of the effect size.
        metric: Metric that was compared.
        estimate: The value; positive if the treatment has more.
        effect_size: The same value.
        confidence_interval: (low, high) of the value.
        confidence: Coverage of the interval.
        n: Values used, one number per group (a single number for pairs).
        method: One sentence for a paper.
        assumptions: Assumptions of the interval, and the results of the checks made.
        exclusions: Values that were left out, with the reason.
        warnings: Reasons to doubt the result.
        standard_error: Standard error of the value. NaN where none exists: for eta and omega squared, whose interval is
            by the noncentral F, for odds ratios, whose interval is on the log scale, and for arms without overlap.

    Examples:
        >>> effect = cohens_d([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
        >>> float(effect), effect.n, round(effect.standard_error, 4)  # sqrt(1 / 3 + 1 / 3 + 1 / (2 * 4))
        (1.0, (3, 3), 0.8898)
    """

    name: str
    metric: str
    estimate: float
    effect_size: float
    confidence_interval: Interval
    confidence: float
    n: int | tuple[int, ...]
    method: str
    assumptions: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    standard_error: float = math.nan

    def __float__(self) -> float:
        return self.estimate


def cohens_d(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    paired: bool = False,
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    pair_by: str = "sample_id",
    standardizer: Standardizer = "difference",
    *,
    where: Where = None,
) -> Effect:
    """Cohen's d: difference of means, treatment - control, in standard deviations.

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column, or "mean_" and a column, or "success_rate".
        paired: Both arms have the same items.
        confidence: Coverage of the interval.
        resample: Width of time blocks whose values replace the rows.
        cluster: Column of clusters of similar rows.
        pair_by: Column of item ids.
        standardizer: For pairs. "difference": d_z, in standard deviations of the differences, with the exact interval
            of the paired t-test. "average": d_av, in the root mean square of both standard deviations, comparable with
            d of independent arms.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect, in pooled standard deviations for independent arms. The interval is by the noncentral t; linearised for
        sampled or clustered rows and for d_av.

    Raises:
        StatError: Too few values, constant values, mismatched pairs.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import cohens_d
        >>> effect = cohens_d([0.72, 0.68, 0.75, 0.71, 0.69], [0.78, 0.73, 0.81, 0.76, 0.74], metric="score")
        >>> round(float(effect), 2), round(effect.confidence_interval.low, 2)
        (1.81, 0.26)

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. Erlbaum (1988). Steiger, Fouladi (1997), see
        `crucible_nb.stats.effects.noncentral`. Lakens: Calculating and reporting effect sizes. Frontiers in
        Psychology 4 (2013).
    """
    control, treatment = rows_where(where, control, treatment)
    options = _Options(metric, confidence, resample, cluster)
    if paired:
        return _of_pairs(control, treatment, options, pair_by, standardizer, hedges=False)
    return _of_arms("Cohen's d", cohens_d_of, control, treatment, options)


def hedges_g(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    paired: bool = False,
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    pair_by: str = "sample_id",
    standardizer: Standardizer = "difference",
    *,
    where: Where = None,
) -> Effect:
    """Hedges' g: Cohen's d corrected for its bias in small samples, by the exact gamma correction.

    Args:
        control, treatment, metric, paired, confidence, resample, cluster, pair_by, standardizer: As for `cohens_d`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect.

    Raises:
        StatError: Too few values, constant values, mismatched pairs.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import hedges_g
        >>> round(float(hedges_g([0.72, 0.68, 0.75, 0.71, 0.69], [0.78, 0.73, 0.81, 0.76, 0.74], metric="score")), 2)
        1.63

    References:
        Hedges: Distribution theory for Glass's estimator of effect size and related estimators. Journal of
        Educational Statistics 6 (1981).
    """
    control, treatment = rows_where(where, control, treatment)
    options = _Options(metric, confidence, resample, cluster)
    if paired:
        return _of_pairs(control, treatment, options, pair_by, standardizer, hedges=True)
    return _of_arms("Hedges' g", hedges_g_of, control, treatment, options)


def glass_delta(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    *,
    where: Where = None,
) -> Effect:
    """Glass's delta: difference of means, treatment - control, in standard deviations of the control.

    Args:
        control, treatment, metric, confidence, resample, cluster: As for `cohens_d`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect.

    Raises:
        StatError: Too few values, or a constant control.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import glass_delta
        >>> float(glass_delta([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], metric="score"))
        2.0

    References:
        Glass: Primary, secondary, and meta-analysis of research. Educational Researcher 5 (1976).
    """
    control, treatment = rows_where(where, control, treatment)
    return _of_arms(
        "Glass's delta", glass_delta_of, control, treatment, _Options(metric, confidence, resample, cluster)
    )


def cliffs_delta(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    *,
    where: Where = None,
) -> Effect:
    """Cliff's delta: P(treatment > control) - P(treatment < control), from -1 to 1.

    Args:
        control, treatment, metric, confidence, resample, cluster: As for `cohens_d`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect, with an interval from placement values that is asymmetric near -1 and 1.

    Raises:
        StatError: Too few values.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import cliffs_delta
        >>> round(float(cliffs_delta([14, 34, 34, 77], [48, 48, 77, 86, 85, 85, 16], metric="score")), 4)
        0.6071

    References:
        Cliff: Dominance statistics: ordinal analyses to answer ordinal questions. Psychological Bulletin 114 (1993).
        Feng, Cliff: Monte Carlo evaluation of ordinal d with improved confidence interval. Journal of Modern Applied
        Statistical Methods 3 (2004).
    """
    control, treatment = rows_where(where, control, treatment)
    return _of_arms(
        "Cliff's delta", _cliffs_delta_of, control, treatment, _Options(metric, confidence, resample, cluster)
    )


def rank_biserial(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    paired: bool = False,
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    pair_by: str = "sample_id",
    *,
    where: Where = None,
) -> Effect:
    """Rank-biserial correlation: Cliff's delta for independent arms, the matched-pairs correlation for pairs.

    Args:
        control, treatment, metric, paired, confidence, resample, cluster, pair_by: As for `cohens_d`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect.

    Raises:
        StatError: Too few values, mismatched pairs, all pairs equal, sampled or clustered pairs.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import rank_biserial
        >>> float(rank_biserial([1.0, 2.0, 3.0, 4.0], [3.0, 5.0, 2.0, 8.0], paired=True))
        0.8

    References:
        Kerby: The simple difference formula. Comprehensive Psychology 3 (2014).
    """
    control, treatment = rows_where(where, control, treatment)
    options = _Options(metric, confidence, resample, cluster)
    if not paired:
        return _of_arms("rank-biserial correlation", _cliffs_delta_of, control, treatment, options)
    pairs = options.independent_pairs(control, treatment, pair_by)
    arm = differences(pairs)
    if not arm.plain:
        raise StatError(
            "rank_biserial: signed ranks have no form for weighted or clustered rows. Use cohens_d(paired=True)."
        )
    value, interval, error = matched_rank_biserial(arm.x, options.confidence)
    effect = StandardizedEffect(value, interval, len(arm.x) - 1, "a U-statistic", error)
    return _effect("matched-pairs rank-biserial correlation", effect, (arm,), options, _pair_notes(pairs, arm))


def eta_squared(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    where: Where = None,
) -> Effect:
    """Eta squared: proportion of the variance that lies between the groups.

    Args:
        *groups: Two or more experiments, frames, Series, lists or arrays.
        metric, resample, cluster: As for `cohens_d`.
        confidence: Coverage of the interval; 0.90 is customary, because the lower limit is then above 0 if the F test
            has p < 0.05.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect, with an interval by the noncentral F.

    Raises:
        StatError: Less than two groups, too few values, constant values.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import eta_squared
        >>> float(eta_squared([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [6.0, 7.0, 8.0]))
        0.875

    References:
        Steiger: Beyond the F test. Psychological Methods 9 (2004).
    """
    groups = rows_where(where, *groups)
    return _of_groups("eta squared", groups, _Options(metric, confidence, resample, cluster))


def omega_squared(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    where: Where = None,
) -> Effect:
    """Omega squared: eta squared corrected for its bias; below 0 if groups differ less than expected by chance.

    Args:
        *groups, metric, confidence, resample, cluster: As for `eta_squared`.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        Effect. The interval is that of eta squared: both estimate the same population proportion.

    Raises:
        StatError: Less than two groups, too few values, constant values.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import omega_squared
        >>> round(float(omega_squared([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [6.0, 7.0, 8.0])), 3)
        0.816

    References:
        Hays: Statistics for Psychologists. Holt (1963).
    """
    groups = rows_where(where, *groups)
    return _of_groups("omega squared", groups, _Options(metric, confidence, resample, cluster))


class _Options:
    """Checked arguments that all effect sizes share."""

    def __init__(self, metric: str, confidence: float, resample: Any, cluster: str | None) -> None:
        self.metric = metric
        self.confidence = checks.number("confidence", confidence, gt=0, lt=1)
        self.resample, self.cluster = resample, cluster

    def arms(self, groups: tuple[Any, ...], names: tuple[str, ...]) -> tuple[Values, ...]:
        return arms_of(groups, names, self.metric, cluster=self.cluster, resample=self.resample)

    def two(self, control: Any, treatment: Any) -> tuple[Values, Values]:
        return two_arms(control, treatment, self.metric, cluster=self.cluster, resample=self.resample)

    def pairs(self, control: Any, treatment: Any, by: str) -> Pairs:
        return match_pairs(control, treatment, self.metric, by, self.cluster, self.resample)

    def independent_pairs(self, control: Any, treatment: Any, by: str) -> Pairs:
        if self.cluster is not None or self.resample is not None:
            return self.pairs(control, treatment, by)
        return match_independent_pairs(control, treatment, self.metric, by)


def match_pairs(control: Any, treatment: Any, metric: str, by: str, cluster: str | None, resample: Any) -> Pairs:
    """Match the items of two arms; at least two pairs.

    Raises:
        ConfigError: `resample` is given.
        StatError: Fewer than two pairs; see also `pairs_of`.
    """
    if resample is not None:
        raise ConfigError(
            f"resample={resample!r}: time blocks cannot be paired by item. Use paired=False, or leave out resample."
        )
    pairs = clustered_pairs(control, treatment, metric, by, cluster)
    check_size(pairs.control, "pairs")
    return pairs


def match_independent_pairs(control: Any, treatment: Any, metric: str, by: str) -> Pairs:
    """Match the items of two arms for a test without clusters; at least two pairs."""
    pairs = independent_pairs(control, treatment, metric, by)
    check_size(pairs.control, "pairs")
    return pairs


def _cliffs_delta_of(control: Values, treatment: Values, confidence: float) -> StandardizedEffect:
    cliff = dominance(control, treatment, confidence)
    error = cliff.error.error or math.nan  # 0 if one arm lies wholly above the other
    return StandardizedEffect(cliff.delta, cliff.interval, cliff.error.df, "placement values", error)


def _of_arms(
    name: str,
    compute: Callable[[Values, Values, float], StandardizedEffect],
    control: Any,
    treatment: Any,
    options: _Options,
) -> Effect:
    arms = options.two(control, treatment)
    return _effect(name, compute(*arms, options.confidence), arms, options, notes_of(arms, ARMS))


def _of_pairs(control: Any, treatment: Any, options: _Options, by: str, standardizer: str, *, hedges: bool) -> Effect:
    checks.one_of("standardizer", standardizer, ("difference", "average"))
    pairs = options.pairs(control, treatment, by)
    arm = differences(pairs)
    if standardizer == "average":
        effect = cohens_d_av_of(pairs, options.confidence)
    else:
        effect = cohens_d_of_sample(arm, 0.0, options.confidence)
    name = ("Hedges' g" if hedges else "Cohen's d") + ("_av" if standardizer == "average" else "_z")
    effect = effect.times(hedges_factor(effect.df)) if hedges else effect
    return _effect(name, effect, (arm,), options, _pair_notes(pairs, arm))


def _pair_notes(pairs: Pairs, arm: Values) -> Notes:
    return notes_of((arm,), ("pairs",)).plus(exclusions=pairs.exclusions)


def _of_groups(name: str, groups: tuple[Any, ...], options: _Options) -> Effect:
    names = name_groups(groups, name.replace(" ", "_"))
    arms = options.arms(groups, names)
    explained = explained_of(arms, names, options.confidence)
    value, interval = explained.eta, explained.eta_interval
    if name.startswith("omega"):
        value, interval = explained.omega, explained.omega_interval
    effect = StandardizedEffect(value, interval, explained.within, "noncentral F")
    return _effect(name, effect, arms, options, notes_of(arms, names))


def _effect(name: str, effect: StandardizedEffect, arms: tuple[Values, ...], options: _Options, notes: Notes) -> Effect:
    n = tuple(arm.n for arm in arms)
    sizes = f"{n[0]:,} pairs" if len(n) == 1 else "n = " + " and ".join(f"{size:,}" for size in n)
    limits = interval_text(effect.interval, options.confidence)
    return Effect(
        name=name, metric=options.metric, estimate=effect.value, effect_size=effect.value,
        confidence_interval=effect.interval, confidence=options.confidence, n=n[0] if len(n) == 1 else n,
        method=f"{name[0].upper()}{name[1:]} of {options.metric} = {number(effect.value)}, {limits} by {effect.how}, "
        f"{sizes}.",
        assumptions=notes.assumptions, exclusions=notes.exclusions, warnings=notes.warnings,
        standard_error=effect.error,
    )  # fmt: skip
