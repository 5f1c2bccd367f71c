"""`TestableDifference`: a difference of two arms that can be tested against any value, for tests with a margin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from crucible_nb.errors import StatError
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.effects.risks import EffectSize, cohens_g_of, cohens_h_of
from crucible_nb.stats.effects.standardized import (
    UNKNOWN,
    cohens_d_of,
    cohens_d_of_sample,
    differences,
    has_standard_deviation,
)
from crucible_nb.stats.estimates.binary import is_binary, two_shares
from crucible_nb.stats.hypotests.score import Variance, independent_variance, paired_variance, score_limits, z_at
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import (
    ARMS,
    Notes,
    arm_error,
    check_normality,
    check_spread,
    difference_error,
    linearize,
    moments_of,
    notes_of,
)
from crucible_nb.stats.samples.counts import discordant_of
from crucible_nb.stats.samples.metric_names import Metric
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values


class TestableDifference(NamedTuple):
    """A difference, treatment - control, with the functions that test it.

    Attributes:
        estimate: The difference, in the unit of the metric.
        base: Estimate of the control, of which relative margins are a percentage.
        limits: Function from confidence to the interval of the difference.
        statistic: Function from a difference under the null hypothesis to the test statistic.
        df: Degrees of freedom of the statistic; infinite if it is normal.
        effect: Name of the effect size.
        size: Function from confidence to the effect size with its interval.
        how: Name of the test.
        metric: Metric that was compared.
        n: Number of values used.
        notes: Assumptions, exclusions and warnings.
    """

    estimate: float
    base: float
    limits: Callable[[float], Interval]
    statistic: Callable[[float], float]
    df: float
    effect: str
    size: Callable[[float], EffectSize]
    how: str
    metric: Metric
    n: int | tuple[int, ...]
    notes: Notes


def difference_of_arms(control: Values, treatment: Values) -> TestableDifference:
    """Compute the difference of two independent arms.

    Raises:
        StatError: Constant values, a quantile or a total.
    """
    arms, n = (control, treatment), (control.n, treatment.n)
    notes = notes_of(arms, ARMS)
    if is_binary(control) and is_binary(treatment):
        shares = two_shares(control, treatment)
        how = "score test of two shares" + ("" if shares.plain else " with linearised standard errors")
        return _difference_of_shares(
            shares.difference, independent_variance(shares), shares.df, base=shares.control.share, effect="Cohen's h",
            size=lambda level: cohens_h_of(shares, level), how=how, metric=control.metric, n=n, notes=notes,
        )  # fmt: skip
    check_spread(arms, ARMS)
    (first, left), (second, right) = linearize(control, "equivalence"), linearize(treatment, "equivalence")
    error = difference_error(control, treatment, left, right)
    how = "Welch's t-test" + ("" if control.plain and treatment.plain else " with linearised standard errors")
    effect, size = "", _no_effect_size
    if has_standard_deviation(control):
        effect, size = "Cohen's d", lambda level: EffectSize(*cohens_d_of(control, treatment, level)[:2])
        notes = notes.plus(*check_normality(arms, ARMS, [moments_of(arm) for arm in arms]))
    return _difference_of_means(
        second - first, error, base=first, effect=effect, size=size, how=how, metric=control.metric, n=n, notes=notes
    )


def difference_of_pairs(pairs: Pairs) -> TestableDifference:
    """Compute the difference of two paired arms.

    Raises:
        StatError: Constant differences, a quantile or a total.
    """
    control, treatment = pairs.control, pairs.treatment
    if pairs.rows is not None and control.per is not None:
        difference = difference_of_arms(*pairs.arms)
        return difference._replace(notes=difference.notes.plus(exclusions=pairs.exclusions))
    arm, n = differences(pairs), len(control.x)
    notes = notes_of((arm,), ("pairs",)).plus(exclusions=pairs.exclusions)
    if is_binary(control) and is_binary(treatment) and control.plain and treatment.plain:
        control_only, treatment_only = discordant_of(pairs)
        return _difference_of_shares(
            (treatment_only - control_only) / n, paired_variance(control_only, treatment_only, n), math.inf,
            base=float(control.x.mean()), effect="Cohen's g",
            size=lambda level: cohens_g_of(control_only, treatment_only, level), how="score test of paired shares",
            metric=control.metric, n=n, notes=notes,
        )  # fmt: skip
    (first, left), (second, right) = linearize(control, "equivalence"), linearize(treatment, "equivalence")
    error = arm_error(arm, right - left)
    how = "paired t-test" + ("" if arm.plain else " with linearised standard errors")
    effect, size = "", _no_effect_size
    if has_standard_deviation(control) and error.error > 0:
        effect, size = "Cohen's d_z", lambda level: EffectSize(*cohens_d_of_sample(arm, 0.0, level)[:2])
        notes = notes.plus(*check_normality((arm,), ("differences",), [moments_of(arm)]))
    return _difference_of_means(
        second - first, error, base=first, effect=effect, size=size, how=how, metric=control.metric, n=n, notes=notes
    )


def _no_effect_size(level: float) -> EffectSize:
    del level
    return EffectSize(math.nan, UNKNOWN)


def _difference_of_shares(estimate: float, variance: Variance, df: float, **fields: Any) -> TestableDifference:
    return TestableDifference(
        estimate=estimate, limits=lambda level: score_limits(estimate, variance, level, df),
        statistic=lambda at: z_at(estimate, variance, at), df=df, **fields,
    )  # fmt: skip


def _difference_of_means(estimate: float, error: Error, *, metric: Metric, **fields: Any) -> TestableDifference:
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if not error.error > 0:
        raise StatError(
            f"{metric.name}: every pair or cluster differs by exactly {estimate:g}, so there is no variance to test "
            "against; compare the numbers as they are"
        )

    def limits(level: float) -> Interval:
        half = float(special.stdtrit(error.df, (1 + level) / 2)) * error.error
        return Interval(estimate - half, estimate + half)

    return TestableDifference(
        estimate=estimate, limits=limits, statistic=lambda at: (estimate - at) / error.error, df=error.df,
        metric=metric, **fields,
    )  # fmt: skip
