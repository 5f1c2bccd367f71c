"""How much of the variance lies between groups, and the F that tests it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.effects.noncentral import f_limits
from crucible_nb.stats.effects.standardized import UNKNOWN
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import check_spread, codes_of, contributions, linear, shared_clusters
from crucible_nb.stats.samples.values import Values

_CERTAIN = 1e10


class Ratio(NamedTuple):
    """An F statistic with its degrees of freedom and p-value."""

    f: float
    between: float
    within: float
    pvalue: float


class Explained(NamedTuple):
    """Shares of the variance.

    Attributes:
        eta: Between groups / total.
        omega: The same, less what chance puts between groups.
        interval: Of the share of the population, by the noncentral F.
        within: Degrees of freedom within groups.
    """

    eta: float
    omega: float
    interval: Interval
    within: float


def groups_named(groups: Sequence[Any], test: str) -> tuple[str, ...]:
    """Names for the groups of a test.

    Raises:
        StatError: Fewer than two.
    """
    if len(groups) < 2:
        raise StatError(
            f"{test}: expected two groups or more, got {len(groups)}; split a frame with "
            "*(part for _, part in frame.groupby('model'))"
        )
    return tuple(f"group {i + 1}" for i in range(len(groups)))


def explained_of(arms: Sequence[Values], names: Sequence[str], confidence: float) -> Explained:
    """Eta and omega squared of the means of groups; sampled rows count with their weights.

    Args:
        arms: Two or more.
        names: What they are called.
        confidence: Coverage.

    Raises:
        StatError: No spread within any group.
    """
    check_spread(arms, names)
    between, within = sums_of_squares(arms)
    k, n = len(arms), sum(len(arm.x) for arm in arms)
    eta = between / (between + within)
    mean_square = within / (n - k)
    omega = (between - (k - 1) * mean_square) / (between + within + mean_square)
    if all(arm.plain for arm in arms):
        ratio = Ratio(between / (k - 1) / mean_square, k - 1, n - k, np.nan)
        size = float(n)
    else:
        ratio, size = wald_of(arms, [linear(arm, "anova") for arm in arms])
    return Explained(eta, omega, share_limits(ratio, size, confidence), ratio.within)


def share_limits(ratio: Ratio, n: float, confidence: float) -> Interval:
    """Limits of the share of the variance that lies between groups, from those of the noncentrality: l / (l + n).

    Unknown where nothing varies within groups.
    """
    if not ratio.f < _CERTAIN:
        return UNKNOWN
    low, high = f_limits(ratio.f, ratio.between, ratio.within, confidence)
    return Interval(low / (low + n), high / (high + n))


def sums_of_squares(arms: Sequence[Values]) -> tuple[float, float]:
    """Between and within groups, about a pivot; weights are scaled so that all rows together count as their number."""
    pivot = float(arms[0].x[0])
    weights = [arm.weight for arm in arms]
    scale = sum(map(len, weights)) / sum(float(weight.sum()) for weight in weights)
    sizes = np.array([float(weight.sum()) * scale for weight in weights])
    away = [arm.x - pivot for arm in arms]
    means = np.array([weighted.mean(x, weight) for x, weight in zip(away, weights, strict=True)])
    grand = float(sizes @ means) / sizes.sum()
    within = sum(scale * float(weight @ (x - mean) ** 2) for x, weight, mean in zip(away, weights, means, strict=True))
    return float(sizes @ (means - grand) ** 2), within


def wald_of(arms: Sequence[Values], estimates: Sequence[tuple[float, np.ndarray]]) -> tuple[Ratio, float]:
    """Whether estimates of groups differ, given the error of each; and how many equal values all are worth.

    Welch's formula where groups are independent; Hotelling's where clusters occur in several of them.

    Args:
        arms: The groups.
        estimates: Estimate of each, and what each of its rows adds to it.

    References:
        Welch: On the comparison of several mean values: an alternative approach. Biometrika 38 (1951).
        Korn, Graubard: Simultaneous testing of regression coefficients with complex survey data. The American
        Statistician 44 (1990).
    """
    from statsmodels.stats.oneway import anova_generic  # noqa: PLC0415  heavy; imported where used

    codes = codes_of(arms)
    each = [contributions(arm, away, codes) for arm, (_, away) in zip(arms, estimates, strict=True)]
    means = np.array([estimate for estimate, _ in estimates])
    squares = np.array([float(one @ one) for one in each])
    units = np.array([weighted.units(len(arm.x), arm.cluster) for arm in arms])
    if not (squares > 0).all():
        raise StatError(
            f"{arms[0].metric.name}: a group without any spread has no standard error; leave it out, or use "
            "equal_variance=True"
        )
    spread = [float(arm.weight @ away**2 / arm.weight.sum()) for arm, (_, away) in zip(arms, estimates, strict=True)]
    size = float(np.sum(np.array(spread) / squares))
    if shared_clusters(arms):
        return _hotelling(means, np.array(each), codes), size
    found = anova_generic(means, squares * units, units, use_var="unequal", welch_correction=True)
    between, within = map(float, found.df)
    return Ratio(float(found.statistic), between, within, float(found.pvalue)), size


def _hotelling(means: np.ndarray, each: np.ndarray, clusters: int) -> Ratio:
    from scipy import special  # noqa: PLC0415

    k = len(means)
    contrasts = np.eye(k)[1:] - np.eye(k)[0]
    covariance = contrasts @ (each @ each.T) @ contrasts.T
    away = contrasts @ means
    within = clusters - k + 1
    if within < 1 or np.linalg.matrix_rank(covariance) < k - 1:
        raise StatError(f"expected more clusters than groups, got {clusters} clusters for {k} groups")
    f = float(away @ np.linalg.solve(covariance, away)) * within / ((clusters - 1) * (k - 1))
    return Ratio(f, k - 1, within, float(special.fdtrc(k - 1, within, f)))
