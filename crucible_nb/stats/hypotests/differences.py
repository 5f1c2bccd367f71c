"""`TestableDifference`: a difference of two arms that can be tested against any value, for tests with a margin."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import Metric
from crucible_nb.stats.effects.risks import EffectSize, cohens_g_of, cohens_h_of
from crucible_nb.stats.effects.standardized import cohens_d_of, cohens_d_of_sample, differences, has_standard_deviation
from crucible_nb.stats.estimates.binary import (
    RARE,
    is_binary,
    margin_contrast,
    rarest_count,
    tail_probability,
    two_shares,
)
from crucible_nb.stats.estimates.contrast import Contrast
from crucible_nb.stats.estimates.mover import Limit, side_pvalue
from crucible_nb.stats.estimates.paired_shares import paired_share_contrast
from crucible_nb.stats.estimates.two_means import TwoMeans, two_means, two_paired_means
from crucible_nb.stats.estimates.two_quantiles import paired_quantile_contrast, quantile_contrast
from crucible_nb.stats.hypotests.score import Variance, independent_variance, paired_variance, score_limits, z_at
from crucible_nb.stats.results import UNKNOWN, Interval
from crucible_nb.stats.samples.arms import (
    ARMS,
    Notes,
    check_normality,
    check_spread,
    moments_of,
    notes_of,
)
from crucible_nb.stats.samples.counts import discordant_of
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values


class MarginTest(NamedTuple):
    """A one-sided test: p-value, statistic of treatment - control, and degrees of freedom (infinite if normal)."""

    pvalue: float
    statistic: float
    df: float


Test = Callable[[float, float, str], MarginTest]
"""Function of (null, ratio, side) that tests whether treatment - ratio * control is above or below `null`."""


class TestableDifference(NamedTuple):
    """A difference, treatment - control, with the functions that test it.

    Attributes:
        contrast: The estimates, with the intervals of treatment - ratio * control.
        limits: Function from confidence to the interval of the difference, by the test of `test`.
        test: Function of (null, ratio, side) that tests whether treatment - ratio * control is above ("greater") or
            below ("less") `null`.
        effect: Name of the effect size.
        size: Function from confidence to the effect size with its interval.
        how: Name of the test.
        metric: Metric that was compared.
        n: Number of values used.
        notes: Assumptions, exclusions and warnings.
        error: Standard error of the difference; NaN for quantiles.
    """

    contrast: Contrast
    limits: Callable[[float], Interval]
    test: Test
    effect: str
    size: Callable[[float], EffectSize]
    how: str
    metric: Metric
    n: int | tuple[int, ...]
    notes: Notes
    error: float = math.nan

    @property
    def estimate(self) -> float:
        """The difference, in the unit of the metric."""
        return self.contrast.treatment - self.contrast.control


def difference_of_arms(control: Values, treatment: Values) -> TestableDifference:
    """Compute the difference of two independent arms.

    Raises:
        StatError: Constant values, or a total.
    """
    arms, n = (control, treatment), (control.n, treatment.n)
    notes = notes_of(arms, ARMS)
    if control.metric.kind == "quantile":
        return _difference_of_quantiles(quantile_contrast(control, treatment), control.metric, n, notes)
    if is_binary(control) and is_binary(treatment):
        return _difference_of_shares(arms, n, notes)
    check_spread(arms, ARMS)
    how = "Welch's t-test" + ("" if control.plain and treatment.plain else " with linearised standard errors")
    effect, size = "", _no_effect_size
    if has_standard_deviation(control):
        effect, size = "Cohen's d", lambda level: EffectSize(*cohens_d_of(control, treatment, level)[:2])
        notes = notes.plus(*check_normality(arms, ARMS, [moments_of(arm) for arm in arms]))
    means = two_means(control, treatment, "equivalence")
    return _difference_of_means(means, effect=effect, size=size, how=how, metric=control.metric, n=n, notes=notes)


def difference_of_pairs(pairs: Pairs) -> TestableDifference:
    """Compute the difference of two paired arms.

    Raises:
        StatError: Constant differences, or a total.
    """
    control, treatment = pairs.control, pairs.treatment
    arm, n = differences(pairs), len(control.x)
    notes = notes_of((arm,), ("pairs",)).plus(exclusions=pairs.exclusions)
    if control.metric.kind == "quantile":
        return _difference_of_quantiles(paired_quantile_contrast(pairs)[0], control.metric, n, notes)
    if is_binary(control) and is_binary(treatment) and control.plain and treatment.plain:
        return _difference_of_paired_shares(pairs, notes)
    how = "paired t-test" + ("" if arm.plain else " with linearised standard errors")
    effect, size, means = "", _no_effect_size, two_paired_means(pairs, "equivalence")
    if has_standard_deviation(control) and means.error(1.0, 1.0).error > 0:
        effect, size = "Cohen's d_z", lambda level: EffectSize(*cohens_d_of_sample(arm, 0.0, level)[:2])
        notes = notes.plus(*check_normality((arm,), ("differences",), [moments_of(arm)]))
    return _difference_of_means(means, effect=effect, size=size, how=how, metric=control.metric, n=n, notes=notes)


def _no_effect_size(level: float) -> EffectSize:
    del level
    return EffectSize(math.nan, UNKNOWN)


def _difference_of_quantiles(
    contrast: Contrast, metric: Metric, n: int | tuple[int, int], notes: Notes
) -> TestableDifference:
    return TestableDifference(
        contrast, contrast.difference, partial(_test_by_limits, contrast), "", _no_effect_size,
        "order statistics of each arm (MOVER)", metric, n, notes,
    )  # fmt: skip


def _difference_of_shares(arms: tuple[Values, Values], n: tuple[int, int], notes: Notes) -> TestableDifference:
    shares = two_shares(*arms)
    contrast, plain = margin_contrast(shares), "" if shares.plain else " with linearised standard errors"
    variance, how = independent_variance(shares), f"score test of two shares{plain}"
    test: Test = partial(_score_test, contrast, variance, shares.df)
    limits: Limit = partial(score_limits, shares.difference, variance, df=shares.df)
    if rarest_count(shares) < RARE:
        how, test = f"Clopper-Pearson limits of two shares{plain}", partial(_test_by_limits, contrast)
        limits = contrast.difference
    return TestableDifference(
        contrast, limits, test, "Cohen's h", lambda level: cohens_h_of(shares, level), how, arms[0].metric, n, notes,
        shares.error,
    )  # fmt: skip


def _difference_of_paired_shares(pairs: Pairs, notes: Notes) -> TestableDifference:
    (control_only, treatment_only), n = discordant_of(pairs), len(pairs.control.x)
    contrast, variance = paired_share_contrast(pairs), paired_variance(control_only, treatment_only, n)
    how, test = "score test of paired shares", cast("Test", partial(_score_test, contrast, variance, math.inf))
    limits: Limit = partial(score_limits, (treatment_only - control_only) / n, variance)
    if min(control_only, treatment_only) < RARE:
        how, test = "Clopper-Pearson limits of the discordant pairs", partial(_test_by_limits, contrast)
        limits = contrast.difference
    return TestableDifference(
        contrast, limits, test, "Cohen's g", lambda level: cohens_g_of(control_only, treatment_only, level), how,
        pairs.control.metric, n, notes, two_paired_means(pairs).error(1.0, 1.0).error,
    )  # fmt: skip


def _score_test(contrast: Contrast, variance: Variance, df: float, null: float, ratio: float, side: str) -> MarginTest:
    if ratio != 1.0:
        return _test_by_limits(contrast, null, ratio, side)
    z = z_at(contrast.treatment - contrast.control, variance, null)
    return MarginTest(tail_probability(z, side, df), z, df)


def _test_by_limits(contrast: Contrast, null: float, ratio: float, side: str) -> MarginTest:
    """Test by the limits of a contrast; the statistic is the z of the p-value."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    pvalue = side_pvalue(lambda level: contrast.limits(level, ratio), null, side)
    z = float(special.ndtri(pvalue))
    return MarginTest(pvalue, -z if side == "greater" else z, math.inf)


def _difference_of_means(means: TwoMeans, *, metric: Metric, **fields: Any) -> TestableDifference:
    if not means.error(1.0, 1.0).error > 0:
        raise StatError(
            f"{metric.name}: every pair or cluster differs by exactly {means.treatment - means.control:g}, so there is "
            "no variance to test against; compare the numbers as they are"
        )

    def test(null: float, ratio: float, side: str) -> MarginTest:
        error = means.error(ratio, 1.0)
        t = (means.treatment - ratio * means.control - null) / error.error
        return MarginTest(tail_probability(t, side, error.df), t, error.df)

    contrast = means.contrast
    error = means.error(1.0, 1.0).error
    return TestableDifference(contrast, contrast.difference, test, metric=metric, error=error, **fields)
