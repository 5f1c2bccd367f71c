"""Score intervals of a difference of proportions: all differences that the score test does not reject."""

from __future__ import annotations

import math
from collections.abc import Callable

from crucible_nb.stats.estimates.binary import TwoShares, variance_inflation
from crucible_nb.stats.results import Interval

Variance = Callable[[float], float]
"""Function from a true difference to the variance of the observed one."""

_NEAR = 1e-12


def z_at(difference: float, variance: Variance, at: float) -> float:
    """Score statistic of a difference against the null hypothesis `at`; infinite if the variance is 0."""
    excess, squared_error = difference - at, variance(at)
    if squared_error > 0:
        return excess / math.sqrt(squared_error)
    return math.copysign(math.inf, excess) if excess else 0.0


def score_limits(difference: float, variance: Variance, confidence: float, df: float = math.inf) -> Interval:
    """Confidence interval by inversion of the score test.

    Args:
        difference: Observed difference, in [-1, 1].
        variance: Variance of the observed difference, as a function of the true one.
        confidence: Coverage.
        df: Degrees of freedom of the variance.
    """
    from scipy import optimize, special  # noqa: PLC0415  heavy; imported where used

    square = float(special.ndtri((1 + confidence) / 2)) ** 2 * variance_inflation(confidence, df)

    def off(at: float) -> float:
        return (difference - at) ** 2 - square * variance(at)

    def limit(end: float) -> float:
        start = difference + math.copysign(_NEAR, end - difference)  # at the difference itself `off` may be 0
        if abs(end - difference) <= _NEAR or off(end) <= 0:
            return end
        return float(optimize.brentq(off, start, end, xtol=1e-14, rtol=1e-13))

    return Interval(limit(-1.0), limit(1.0))


def paired_variance(control_only: float, treatment_only: float, n: float) -> Variance:
    """Variance of the difference of two paired proportions, treatment - control (Tango).

    At a difference of 0 the score test equals McNemar's test without continuity correction.

    Args:
        control_only: Number of pairs in which only the control is true.
        treatment_only: Number of pairs in which only the treatment is true.
        n: Number of all pairs.

    Examples:
        >>> low, high = score_limits(0.2, paired_variance(2, 12, 50), 0.95)
        >>> round(low, 4), round(high, 4)
        (0.0611, 0.3447)

    References:
        Tango: Equivalence test and confidence interval for the difference in proportions for the paired-sample
        design. Statistics in Medicine 17 (1998).
    """

    def variance(at: float) -> float:
        b = (2 * n - treatment_only + control_only) * at - treatment_only - control_only
        c = -control_only * at * (1 - at)
        share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)  # most likely proportion of control_only
        return max(2 * share + at * (1 - at), 0.0) / n

    return variance


def independent_variance(shares: TwoShares) -> Variance:
    """Variance of the difference of two independent proportions, treatment - control (Miettinen and Nurminen).

    Args:
        shares: The proportions with their effective n; correlated if clusters occur in both arms.

    Examples:
        >>> from crucible_nb.stats.estimates.binary import share_of_counts
        >>> two = TwoShares(share_of_counts(48, 80), share_of_counts(56, 70))
        >>> low, high = score_limits(two.difference, independent_variance(two), 0.95)
        >>> round(low, 4), round(high, 4)  # published by Newcombe
        (0.0528, 0.3382)

    References:
        Miettinen, Nurminen: Comparative analysis of two rates. Statistics in Medicine 4 (1985). Newcombe: Interval
        estimation for the difference between independent proportions. Statistics in Medicine 17 (1998), method 6.
    """
    control, treatment = shares.control, shares.treatment
    n = control.n + treatment.n

    def variance(at: float) -> float:
        share = _restricted_share(shares, at)
        first = share * (1 - share) / control.n
        second = max((share + at) * (1 - share - at), 0.0) / treatment.n
        return (first + second - 2 * shares.correlation * math.sqrt(first * second)) * n / (n - 1)

    return variance


def _restricted_share(shares: TwoShares, at: float) -> float:
    """Maximum-likelihood proportion of the control if that of the treatment is larger by `at`.

    The likelihood has one maximum, which bisection finds. The closed form picks a wrong root if a count is 0, and that
    of statsmodels 0.14 and 0.15 uses a count in place of the size of the arm.
    """
    control, treatment = shares.control, shares.treatment
    if at == 0:
        return (control.hits + treatment.hits) / (control.n + treatment.n)
    cells = control.hits, control.n - control.hits, treatment.hits, treatment.n - treatment.hits
    low, high = max(0.0, -at), min(1.0, 1 - at)
    if high - low < _NEAR:
        return low
    for _ in range(56):
        share = (low + high) / 2
        chances = share, 1 - share, share + at, 1 - share - at
        slopes = [cell / chance if cell else 0.0 for cell, chance in zip(cells, chances, strict=True)]
        rises = slopes[0] - slopes[1] + slopes[2] - slopes[3] > 0
        low, high = (share, high) if rises else (low, share)
    return (low + high) / 2
