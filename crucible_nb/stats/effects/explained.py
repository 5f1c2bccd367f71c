"""Proportion of variance between groups (eta and omega squared), and the F statistics that test it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Units, paired_adjust
from crucible_nb.stats.effects.noncentral import f_limits
from crucible_nb.stats.results import UNKNOWN, Interval
from crucible_nb.stats.samples.arms import (
    arm_error,
    check_spread,
    linearize,
    number_of_codes,
    shared_clusters,
    units_of_arm,
)
from crucible_nb.stats.samples.values import Values

_CERTAIN = 1e10


class FStatistic(NamedTuple):
    """An F statistic with its degrees of freedom (between and within groups) and p-value."""

    f: float
    between: float
    within: float
    pvalue: float


class Explained(NamedTuple):
    """Proportions of the variance that lie between groups.

    Attributes:
        eta: Eta squared, sum of squares between groups / total.
        omega: Omega squared, eta squared corrected for chance.
        eta_interval, omega_interval: Confidence interval of the population proportion, by the noncentral F. If F is so
            small that no proportion fits, the interval ends at the estimate, so that it always contains it.
        within: Degrees of freedom within groups.
    """

    eta: float
    omega: float
    eta_interval: Interval
    omega_interval: Interval
    within: float


def name_groups(groups: Sequence[Any], test: str) -> tuple[str, ...]:
    """Name the groups of a test "group 1", "group 2", ...

    Raises:
        StatError: Fewer than two groups.
    """
    if len(groups) < 2:
        raise StatError(
            f"{test}: expected two groups or more, got {len(groups)}; to split a frame, pass "
            "*(part for _, part in frame.groupby('model'))"
        )
    return tuple(f"group {i + 1}" for i in range(len(groups)))


def explained_of(arms: Sequence[Values], names: Sequence[str], confidence: float) -> Explained:
    """Eta and omega squared of the means of groups; sampled rows are weighted.

    Args:
        arms: Two groups or more.
        names: Names of the groups.
        confidence: Coverage of the interval.

    Raises:
        StatError: All groups are constant.
    """
    check_spread(arms, names)
    between, within = sums_of_squares(arms)
    k, n = len(arms), sum(len(arm.x) for arm in arms)
    eta = between / (between + within)
    mean_square = within / (n - k)
    omega = (between - (k - 1) * mean_square) / (between + within + mean_square)
    if all(arm.plain for arm in arms):
        test = FStatistic(between / (k - 1) / mean_square, k - 1, n - k, np.nan)
        size = float(n)
    else:
        test, size = wald_test(arms, [linearize(arm, "anova") for arm in arms])
    limits = explained_limits(test, size, confidence)
    return Explained(eta, omega, with_estimate(limits, eta), with_estimate(limits, omega), test.within)


def explained_limits(test: FStatistic, n: float, confidence: float) -> Interval:
    """Limits of the proportion of variance between groups, l / (l + n) with l the limits of the noncentrality.

    NaN if nothing varies within groups.
    """
    if not test.f < _CERTAIN:
        return UNKNOWN
    low, high = f_limits(test.f, test.between, test.within, confidence)
    return Interval(low / (low + n), high / (high + n))


def with_estimate(limits: Interval, estimate: float) -> Interval:
    """Extend an interval to its estimate, which lies outside if F is too small for any proportion.

    Examples:
        >>> with_estimate(Interval(0.0, 0.0), -0.02)
        Interval(low=-0.02, high=0.0)
    """
    return Interval(min(limits.low, estimate), max(limits.high, estimate))


def sums_of_squares(arms: Sequence[Values]) -> tuple[float, float]:
    """Sums of squares between and within groups, about a pivot; weights are scaled to sum to the number of rows."""
    pivot = float(arms[0].x[0])
    weights = [arm.weight for arm in arms]
    scale = sum(map(len, weights)) / sum(float(weight.sum()) for weight in weights)
    sizes = np.array([float(weight.sum()) * scale for weight in weights])
    away = [arm.x - pivot for arm in arms]
    means = np.array([weighted.mean(x, weight) for x, weight in zip(away, weights, strict=True)])
    grand = float(sizes @ means) / sizes.sum()
    within = sum(scale * float(weight @ (x - mean) ** 2) for x, weight, mean in zip(away, weights, means, strict=True))
    return float(sizes @ (means - grand) ** 2), within


def wald_test(arms: Sequence[Values], estimates: Sequence[tuple[float, np.ndarray]]) -> tuple[FStatistic, float]:
    """Test whether the estimates of groups differ; also give the effective number of equally weighted values.

    Welch's formula if groups are independent; Hotelling's if a cluster occurs in several groups.

    Args:
        arms: Values of the groups.
        estimates: For each group the estimate, and the deviation of each of its rows.

    References:
        Welch: On the comparison of several mean values: an alternative approach. Biometrika 38 (1951).
        Korn, Graubard: Simultaneous testing of regression coefficients with complex survey data. The American
        Statistician 44 (1990).
    """
    from statsmodels.stats.oneway import anova_generic  # noqa: PLC0415  heavy; imported where used

    means = np.array([estimate for estimate, _ in estimates])
    errors = [arm_error(arm, away) for arm, (_, away) in zip(arms, estimates, strict=True)]
    squares = np.array([error.error**2 for error in errors])
    if not (squares > 0).all():
        raise StatError(
            f"{arms[0].metric.name}: a constant group has no standard error; leave it out, or use equal_variance=True"
        )
    spread = [float(arm.weight @ away**2 / arm.weight.sum()) for arm, (_, away) in zip(arms, estimates, strict=True)]
    size = float(np.sum(np.array(spread) / squares))
    if shared_clusters(arms):
        codes = number_of_codes(arms)
        units = [units_of_arm(arm, away, codes) for arm, (_, away) in zip(arms, estimates, strict=True)]
        return _hotelling(means, units), size
    sizes = np.array([error.df + 1 for error in errors])
    welch = anova_generic(means, squares * sizes, sizes, use_var="unequal", welch_correction=True)
    between, within = map(float, welch.df)
    return FStatistic(float(welch.statistic), between, within, float(welch.pvalue)), size


def _hotelling(means: np.ndarray, units: Sequence[Units]) -> FStatistic:
    """Hotelling's F of the differences from the first group; as many clusters count as the differences have df."""
    from scipy import special  # noqa: PLC0415

    k = len(means)
    pairs = [paired_adjust(units[0], other) for other in units[1:]]
    each = np.array([parts for parts, _ in pairs])
    covariance, away = each @ each.T, means[1:] - means[0]
    clusters = min(df for _, df in pairs) + 1
    within = clusters - k + 1
    if within < 1 or np.linalg.matrix_rank(covariance) < k - 1:
        raise StatError(f"expected more clusters than groups, got {clusters:,.1f} effective clusters for {k} groups")
    f = float(away @ np.linalg.solve(covariance, away)) * within / ((clusters - 1) * (k - 1))
    return FStatistic(f, k - 1, within, float(special.fdtrc(k - 1, within, f)))
