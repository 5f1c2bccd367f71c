"""Effect sizes with their intervals: how large a difference is, in numbers without a unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.dominance import dominance
from crucible_nb.stats.effects.explained import explained_of, groups_named
from crucible_nb.stats.effects.noncentral import hedges_factor
from crucible_nb.stats.effects.signed import signed_dominance
from crucible_nb.stats.effects.standardized import Number, average_d_of, d_of, differences, g_of, glass_of, one_d_of
from crucible_nb.stats.results import Interval, Result, number
from crucible_nb.stats.samples.arms import ARMS, Notes, arms_of, check_size, notes_of, two_arms
from crucible_nb.stats.samples.pairs import Pairs, pairs_of
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.wording import interval_text
from crucible_nb.utils import checks

Standardizer = Literal["difference", "average"]


@dataclass(frozen=True, repr=False)
class Effect(Result):
    """An effect size; `float(effect)` is the number.

    Attributes:
        name: Of the effect size.
        metric: What was compared.
        estimate: The number; positive where the treatment has more.
        effect_size: The same number.
        confidence_interval: (low, high).
        confidence: Its coverage.
        n: Values used, one number a group (a single number for pairs).
        method: One sentence for a paper.
        assumptions: What the interval rests on.
        exclusions: What was left out, and why.
        warnings: What a reader should know.

    Examples:
        >>> found = cohens_d([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
        >>> float(found), found.n
        (1.0, (3, 3))
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
) -> Effect:
    """Cohen's d: the difference of means, treatment - control, in standard deviations.

    Args:
        control, treatment: Experiments, frames, Series, lists or arrays.
        metric: A column, or "mean_" and a column, or "success_rate".
        paired: The same items on both sides.
        confidence: Coverage of the interval.
        resample: Width of time blocks whose values stand in for the rows.
        cluster: Column of what groups rows that are alike.
        pair_by: Column that names the item.
        standardizer: Of pairs: "difference" is d_z, in standard deviations of the differences, with the exact interval
            of the paired t-test; "average" is d_av, in the root mean square of both standard deviations, which can
            be set beside a d of independent arms.

    Returns:
        Effect. Independent arms are measured in the pooled standard deviation. The interval is that of the noncentral
        t; a linearised one for rows that were sampled or clustered, and for d_av.

    Raises:
        StatError: Too few values, no spread, mismatched pairs.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import cohens_d
        >>> found = cohens_d([0.72, 0.68, 0.75, 0.71, 0.69], [0.78, 0.73, 0.81, 0.76, 0.74], metric="score")
        >>> round(float(found), 2), round(found.confidence_interval.low, 2)
        (1.81, 0.26)

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. Erlbaum (1988). Steiger, Fouladi (1997), see
        `crucible_nb.stats.effects.noncentral`. Lakens: Calculating and reporting effect sizes. Frontiers in
        Psychology 4 (2013).
    """
    options = _Options(metric, confidence, resample, cluster)
    if paired:
        return _of_pairs(control, treatment, options, pair_by, standardizer, hedges=False)
    return _of_arms("Cohen's d", d_of, control, treatment, options)


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
) -> Effect:
    """Hedges' g: Cohen's d without its bias in small samples, by the exact gamma correction.

    Args:
        control, treatment, metric, paired, confidence, resample, cluster, pair_by, standardizer: As for `cohens_d`.

    Returns:
        Effect.

    Raises:
        StatError: Too few values, no spread, mismatched pairs.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import hedges_g
        >>> round(float(hedges_g([0.72, 0.68, 0.75, 0.71, 0.69], [0.78, 0.73, 0.81, 0.76, 0.74], metric="score")), 2)
        1.63

    References:
        Hedges: Distribution theory for Glass's estimator of effect size and related estimators. Journal of
        Educational Statistics 6 (1981).
    """
    options = _Options(metric, confidence, resample, cluster)
    if paired:
        return _of_pairs(control, treatment, options, pair_by, standardizer, hedges=True)
    return _of_arms("Hedges' g", g_of, control, treatment, options)


def glass_delta(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
) -> Effect:
    """Glass's delta: the difference of means in standard deviations of the control alone.

    Args:
        control, treatment, metric, confidence, resample, cluster: As for `cohens_d`.

    Returns:
        Effect.

    Raises:
        StatError: Too few values, or a control without spread.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import glass_delta
        >>> float(glass_delta([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], metric="score"))
        2.0

    References:
        Glass: Primary, secondary, and meta-analysis of research. Educational Researcher 5 (1976).
    """
    return _of_arms("Glass's delta", glass_of, control, treatment, _Options(metric, confidence, resample, cluster))


def cliffs_delta(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
) -> Effect:
    """Cliff's delta: P(treatment > control) - P(treatment < control), from -1 to 1.

    Args:
        control, treatment, metric, confidence, resample, cluster: As for `cohens_d`.

    Returns:
        Effect, with an interval from placement values that bends near -1 and 1.

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
    return _of_arms("Cliff's delta", _delta_of, control, treatment, _Options(metric, confidence, resample, cluster))


def rank_biserial(
    control: Any,
    treatment: Any,
    metric: str = "latency_ms",
    paired: bool = False,
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
    pair_by: str = "sample_id",
) -> Effect:
    """Rank-biserial correlation: of arms it is Cliff's delta; of pairs the share of signed ranks for minus against.

    Args:
        control, treatment, metric, paired, confidence, resample, cluster, pair_by: As for `cohens_d`.

    Returns:
        Effect.

    Raises:
        StatError: Too few values, mismatched pairs, pairs that are all equal or that were sampled.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import rank_biserial
        >>> float(rank_biserial([1.0, 2.0, 3.0, 4.0], [3.0, 5.0, 2.0, 8.0], paired=True))
        0.8

    References:
        Kerby: The simple difference formula. Comprehensive Psychology 3 (2014).
    """
    options = _Options(metric, confidence, resample, cluster)
    if not paired:
        return _of_arms("rank-biserial correlation", _delta_of, control, treatment, options)
    pairs = options.pairs(control, treatment, pair_by)
    arm = differences(pairs)
    if not arm.plain:
        raise StatError("rank_biserial: signed ranks know no weights or clusters; use cohens_d(paired=True)")
    found = signed_dominance(arm.x, options.confidence)
    number_ = Number(found.value, found.interval, len(arm.x) - 1, "a U-statistic")
    return _effect("matched-pairs rank-biserial correlation", number_, (arm,), options, _notes_of_pairs(pairs, arm))


def eta_squared(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
) -> Effect:
    """Eta squared: the share of the variance that lies between the groups.

    Args:
        *groups: Two or more experiments, frames, Series, lists or arrays.
        metric, resample, cluster: As for `cohens_d`.
        confidence: Coverage; 0.90 is customary here, because its lower limit then is above 0 when the F test says
            p < 0.05.

    Returns:
        Effect, with the interval of the noncentral F.

    Raises:
        StatError: One group only, too few values, no spread.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import eta_squared
        >>> float(eta_squared([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [6.0, 7.0, 8.0]))
        0.875

    References:
        Steiger: Beyond the F test. Psychological Methods 9 (2004).
    """
    return _of_groups("eta squared", groups, _Options(metric, confidence, resample, cluster))


def omega_squared(
    *groups: Any,
    metric: str = "latency_ms",
    confidence: float = 0.95,
    resample: Any = None,
    cluster: str | None = None,
) -> Effect:
    """Omega squared: as eta squared, with less bias; it may be below 0 where groups hardly differ.

    Args:
        *groups, metric, confidence, resample, cluster: As for `eta_squared`.

    Returns:
        Effect. The interval is that of eta squared: both estimate the same share of the population.

    Raises:
        StatError: One group only, too few values, no spread.

    Examples:
        >>> from crucible_nb.stats.effects.sizes import omega_squared
        >>> round(float(omega_squared([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [6.0, 7.0, 8.0])), 3)
        0.816

    References:
        Hays: Statistics for Psychologists. Holt (1963).
    """
    return _of_groups("omega squared", groups, _Options(metric, confidence, resample, cluster))


class _Options:
    """What every effect size is asked with, checked."""

    def __init__(self, metric: str, confidence: float, resample: Any, cluster: str | None) -> None:
        self.metric = metric
        self.confidence = checks.number("confidence", confidence, gt=0, lt=1)
        self.resample, self.cluster = resample, cluster

    def arms(self, groups: tuple[Any, ...], names: tuple[str, ...]) -> tuple[Values, ...]:
        return arms_of(groups, names, self.metric, cluster=self.cluster, resample=self.resample)

    def two(self, control: Any, treatment: Any) -> tuple[Values, Values]:
        return two_arms(control, treatment, self.metric, cluster=self.cluster, resample=self.resample)

    def pairs(self, control: Any, treatment: Any, by: str) -> Pairs:
        return matched(control, treatment, self.metric, by, self.cluster, self.resample)


def matched(control: Any, treatment: Any, metric: str, by: str, cluster: str | None, resample: Any) -> Pairs:
    """Pairs enough to say something about the spread of their differences.

    Raises:
        StatError: With `resample`, fewer than two pairs; see also `pairs_of`.
    """
    if resample is not None:
        raise StatError(f"resample={resample!r}: pairs are items, not minutes; use paired=False, or no resample")
    pairs = pairs_of(control, treatment, metric, by, cluster)
    check_size(pairs.control, "pairs")
    return pairs


def _delta_of(control: Values, treatment: Values, confidence: float) -> Number:
    found = dominance(control, treatment, confidence)
    return Number(found.delta, found.interval, found.error.df, "placement values")


def _of_arms(
    name: str, how: Callable[[Values, Values, float], Number], control: Any, treatment: Any, options: _Options
) -> Effect:
    arms = options.two(control, treatment)
    found = how(*arms, options.confidence)
    return _effect(name, found, arms, options, notes_of(arms, ARMS))


def _of_pairs(control: Any, treatment: Any, options: _Options, by: str, standardizer: str, *, hedges: bool) -> Effect:
    checks.one_of("standardizer", standardizer, ("difference", "average"))
    pairs = options.pairs(control, treatment, by)
    arm = differences(pairs)
    if standardizer == "average":
        found = average_d_of(pairs, options.confidence)
    else:
        found = one_d_of(arm, 0.0, options.confidence)
    name = ("Hedges' g" if hedges else "Cohen's d") + ("_av" if standardizer == "average" else "_z")
    found = found.times(hedges_factor(found.df)) if hedges else found
    return _effect(name, found, (arm,), options, _notes_of_pairs(pairs, arm))


def _notes_of_pairs(pairs: Pairs, arm: Values) -> Notes:
    return notes_of((arm,), ("pairs",)).plus(exclusions=pairs.exclusions)


def _of_groups(name: str, groups: tuple[Any, ...], options: _Options) -> Effect:
    names = groups_named(groups, name.replace(" ", "_"))
    arms = options.arms(groups, names)
    found = explained_of(arms, names, options.confidence)
    value = found.eta if name.startswith("eta") else found.omega
    number_ = Number(value, found.interval, found.within, "noncentral F")
    return _effect(name, number_, arms, options, notes_of(arms, names))


def _effect(name: str, found: Number, arms: tuple[Values, ...], options: _Options, notes: Notes) -> Effect:
    n = tuple(len(arm.x) for arm in arms)
    counted = f"{n[0]:,} pairs" if len(n) == 1 else "n = " + " and ".join(f"{one:,}" for one in n)
    limits = interval_text(found.interval, options.confidence)
    said = (
        f"{name[0].upper()}{name[1:]} of {options.metric} = {number(found.value)}, {limits} by {found.how}, {counted}."
    )
    return Effect(
        name, options.metric, found.value, found.value, found.interval, options.confidence, n[0] if len(n) == 1 else n,
        said, notes.assumptions, notes.exclusions, notes.warnings,
    )  # fmt: skip
