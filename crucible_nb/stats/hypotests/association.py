"""Association in contingency tables: Cramer's V with its interval, and Rao and Scott's chi-square for weighted rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import effective_units
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.counts import Labels, positions


def chi_square_limits(statistic: float, df: float, confidence: float) -> Interval:
    """Confidence limits of the noncentrality of chi-square; 0 if no noncentrality > 0 fits.

    Examples:
        >>> low, high = chi_square_limits(12.0, 3.0, 0.95)
        >>> round(low, 2), round(high, 2)
        (0.96, 26.91)

    References:
        Smithson: Confidence Intervals, chapter 4. Sage (2003).
    """
    from scipy import optimize, special  # noqa: PLC0415  heavy; imported where used

    def at(chance: float) -> float:
        def off(nc: float) -> float:
            return float(special.chndtr(statistic, df, nc)) - chance

        if off(0.0) <= 0:
            return 0.0
        high = 2 * statistic + 20.0
        while off(high) > 0:
            high *= 2
        return float(optimize.brentq(off, 0.0, high, xtol=1e-12, rtol=1e-12))

    tail = (1 - confidence) / 2
    return Interval(at(1 - tail), at(tail))


def cramers_v(statistic: float, df: float, n: float, smaller: int, confidence: float) -> tuple[float, Interval]:
    """Cramer's V with its interval; Cohen's w if `smaller` is 1.

    Args:
        statistic: Pearson's statistic, without continuity correction.
        df: Degrees of freedom of the statistic.
        n: Number of values counted.
        smaller: The smaller of rows - 1 and columns - 1.
        confidence: Coverage of the interval.

    Examples:
        >>> value, (low, high) = cramers_v(12.0, 3.0, 100.0, 1, 0.95)
        >>> round(value, 3), round(low, 3), round(high, 3)
        (0.346, 0.098, 0.519)

    References:
        Cramer: Mathematical Methods of Statistics, section 21.9. Princeton (1946).
    """
    low, high = chi_square_limits(statistic, df, confidence)
    return (
        math.sqrt(statistic / (n * smaller)),
        Interval(math.sqrt(low / (n * smaller)), math.sqrt(high / (n * smaller))),
    )


class RaoScott(NamedTuple):
    """Rao and Scott's chi-square test of weighted or clustered rows.

    Attributes:
        statistic: F statistic.
        df: Degrees of freedom of F.
        pvalue: P-value of equal proportions in all arms.
        pearson: Pearson's statistic of the weighted proportions, as if rows were unweighted and independent.
        design_effect: Mean ratio of the variance of the proportions to that of unweighted, independent rows.
        shares: float64[arms, categories], proportions of the categories.
    """

    statistic: float
    df: tuple[float, float]
    pvalue: float
    pearson: float
    design_effect: float
    shares: np.ndarray


def rao_scott(arms: Sequence[Labels], categories: Sequence[Any]) -> RaoScott:
    """Test whether weighted or clustered arms have equal proportions: Rao and Scott's second-order correction, as F.

    Args:
        arms: Labels of each arm; a cluster has the same code in all arms.
        categories: All labels that occur.

    Raises:
        StatError: An arm of one row or cluster, or categories that do not vary within arms.

    References:
        Rao, Scott: On chi-squared tests for multiway contingency tables with cell proportions estimated from survey
        data. Annals of Statistics 12 (1984). Thomas, Rao: Small-sample comparisons of level and power for simple
        goodness-of-fit statistics under cluster sampling. JASA 82 (1987).
    """
    from scipy import special  # noqa: PLC0415

    k, rows = len(categories) - 1, np.array([len(arm.values) for arm in arms], np.float64)
    hot = [np.eye(k + 1)[positions(arm, categories)] for arm in arms]
    shares = np.array([arm.weight @ indicators / arm.weight.sum() for arm, indicators in zip(arms, hot, strict=True)])
    pooled = rows @ shares / rows.sum()
    contrast = np.kron(np.c_[np.eye(len(arms) - 1), -np.ones(len(arms) - 1)], np.eye(k))
    multinomial = np.diag(pooled[:k]) - np.outer(pooled[:k], pooled[:k])
    plain = contrast @ np.kron(np.diag(1 / rows), multinomial) @ contrast.T
    deviations = [indicators[:, :k] - share[:k] for indicators, share in zip(hot, shares, strict=True)]
    observed = contrast @ _covariance(arms, deviations)
    effects = np.linalg.solve(plain, observed @ contrast.T)
    difference = contrast @ shares[:, :k].ravel()
    pearson, trace = float(difference @ np.linalg.solve(plain, difference)), float(np.trace(effects))
    if not trace > 0:
        raise StatError(
            "chi_square: the categories do not vary within arms or clusters, so there is no error to test by"
        )
    df = trace**2 / float(np.trace(effects @ effects))
    units = _degrees_of_freedom(arms)
    f = pearson / trace
    pvalue = float(special.fdtrc(df, df * units, f))
    return RaoScott(f, (df, df * units), pvalue, pearson, trace / len(difference), shares)


def _degrees_of_freedom(arms: Sequence[Labels]) -> float:
    """Effective number of independent units, minus arms; a cluster that occurs in several arms counts once."""
    parts = [arm.weight / arm.weight.sum() for arm in arms]
    codes = [arm.cluster for arm in arms if arm.cluster is not None]
    if len(codes) < len(arms):
        return sum(effective_units(part) for part in parts) - len(arms)
    sizes = np.bincount(np.concatenate(codes), np.concatenate(parts))
    return max(effective_units(sizes) - len(arms), 1.0)


def _covariance(arms: Sequence[Labels], away: Sequence[np.ndarray]) -> np.ndarray:
    """Covariance of the proportions of all arms, concatenated; clusters that occur in several arms correlate them."""
    k, codes = away[0].shape[1], 1 + max(int(arm.cluster.max()) if arm.cluster is not None else 0 for arm in arms)
    whole = np.zeros((k * len(arms), k * len(arms)))
    sums = np.zeros((codes, k * len(arms)))
    for i, (arm, deviation) in enumerate(zip(arms, away, strict=True)):
        if weighted.units(len(arm.values), arm.cluster) < 2:
            raise StatError("chi_square: expected at least 2 rows, or clusters, in every arm, got 1")
        n = weighted.unit_size(arm.weight, "process", arm.cluster)
        each = math.sqrt(n / (n - 1)) * arm.weight[:, None] * deviation / arm.weight.sum()
        part = slice(i * k, (i + 1) * k)
        if arm.cluster is None:
            whole[part, part] = each.T @ each
        else:
            np.add.at(sums[:, part], arm.cluster, each)
    return np.asarray(whole + sums.T @ sums)
