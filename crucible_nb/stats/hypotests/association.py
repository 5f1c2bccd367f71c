"""How strongly rows and columns of a table go together, and the chi-square of rows with weights or clusters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.counts import Labels, positions


def chi_square_limits(statistic: float, df: float, confidence: float) -> Interval:
    """Noncentralities of chi-square that make the observed one just too large or just too small; 0 where none does.

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


def strength(statistic: float, df: float, n: float, most: int, confidence: float) -> tuple[float, Interval]:
    """Cramer's V, or Cohen's w where `most` is 1, with its interval.

    Args:
        statistic: Pearson's, without correction for continuity.
        df: Its degrees of freedom.
        n: Values counted.
        most: The smaller of rows - 1 and columns - 1.
        confidence: Of the interval.

    Examples:
        >>> value, (low, high) = strength(12.0, 3.0, 100.0, 1, 0.95)
        >>> round(value, 3), round(low, 3), round(high, 3)
        (0.346, 0.098, 0.519)

    References:
        Cramer: Mathematical Methods of Statistics, section 21.9. Princeton (1946).
    """
    low, high = chi_square_limits(statistic, df, confidence)
    return math.sqrt(statistic / (n * most)), Interval(math.sqrt(low / (n * most)), math.sqrt(high / (n * most)))


class Corrected(NamedTuple):
    """A chi-square of rows that are not plain.

    Attributes:
        statistic: F.
        df: Degrees of freedom of F.
        pvalue: Of homogeneity.
        pearson: Pearson's statistic of the weighted shares, as if rows were plain.
        design_effect: Mean variance of the shares over what plain rows would have.
        shares: float64[arms, categories].
    """

    statistic: float
    df: tuple[float, float]
    pvalue: float
    pearson: float
    design_effect: float
    shares: np.ndarray


def rao_scott(arms: Sequence[Labels], categories: Sequence[Any]) -> Corrected:
    """Whether arms with weights or clusters have the same shares: Rao and Scott's second correction, as F.

    Args:
        arms: Labels of each; codes of clusters are common to all.
        categories: All that occur.

    Raises:
        StatError: An arm of one row or cluster, or no spread at all.

    References:
        Rao, Scott: On chi-squared tests for multiway contingency tables with cell proportions estimated from survey
        data. Annals of Statistics 12 (1984). Thomas, Rao: Small-sample comparisons of level and power for simple
        goodness-of-fit statistics under cluster sampling. JASA 82 (1987).
    """
    from scipy import special  # noqa: PLC0415

    k, rows = len(categories) - 1, np.array([len(arm.values) for arm in arms], np.float64)
    hot = [np.eye(k + 1)[positions(arm, categories)] for arm in arms]
    shares = np.array([arm.weight @ one / arm.weight.sum() for arm, one in zip(arms, hot, strict=True)])
    pooled = rows @ shares / rows.sum()
    contrast = np.kron(np.c_[np.eye(len(arms) - 1), -np.ones(len(arms) - 1)], np.eye(k))
    multinomial = np.diag(pooled[:k]) - np.outer(pooled[:k], pooled[:k])
    plain = contrast @ np.kron(np.diag(1 / rows), multinomial) @ contrast.T
    observed = contrast @ _covariance(arms, [one[:, :k] - share[:k] for one, share in zip(hot, shares, strict=True)])
    effects = np.linalg.solve(plain, observed @ contrast.T)
    apart = contrast @ shares[:, :k].ravel()
    pearson, trace = float(apart @ np.linalg.solve(plain, apart)), float(np.trace(effects))
    if not trace > 0:
        raise StatError("chi_square: the categories do not vary within arms or clusters, so nothing can be tested")
    df = trace**2 / float(np.trace(effects @ effects))
    units = _all_units(arms) - len(arms)
    f = pearson / trace
    return Corrected(f, (df, df * units), float(special.fdtrc(df, df * units, f)), pearson, trace / len(apart), shares)


def _units(arm: Labels) -> int:
    return weighted.units(len(arm.values), arm.cluster)


def _all_units(arms: Sequence[Labels]) -> int:
    """Independent units of all arms; a cluster that lies in several counts once."""
    codes = [arm.cluster for arm in arms if arm.cluster is not None]
    return len(np.unique(np.concatenate(codes))) if codes else sum(_units(arm) for arm in arms)


def _covariance(arms: Sequence[Labels], away: Sequence[np.ndarray]) -> np.ndarray:
    """Of the shares of all arms, one after the other; a cluster that lies in several arms makes them vary together."""
    k, codes = away[0].shape[1], 1 + max(int(arm.cluster.max()) if arm.cluster is not None else 0 for arm in arms)
    whole = np.zeros((k * len(arms), k * len(arms)))
    sums = np.zeros((codes, k * len(arms)))
    for i, (arm, apart) in enumerate(zip(arms, away, strict=True)):
        n = _units(arm)
        if n < 2:
            raise StatError("chi_square: expected at least 2 rows, or clusters, in every arm, got 1")
        each = math.sqrt(n / (n - 1)) * arm.weight[:, None] * apart / arm.weight.sum()
        part = slice(i * k, (i + 1) * k)
        if arm.cluster is None:
            whole[part, part] = each.T @ each
        else:
            np.add.at(sums[:, part], arm.cluster, each)
    return np.asarray(whole + sums.T @ sums)
