"""Score intervals of a difference of shares: all differences that a test with its own variance does not reject."""

from __future__ import annotations

import math
from collections.abc import Callable

from crucible_nb.stats.estimates.binary import Two, widening
from crucible_nb.stats.results import Interval

Variance = Callable[[float], float]
"""Of the observed difference, were the true one the argument."""

_NEAR = 1e-12


def z_at(difference: float, variance: Variance, at: float) -> float:
    """The score statistic of a difference against `at`; infinite where there is no variance."""
    apart, spread = difference - at, variance(at)
    return apart / math.sqrt(spread) if spread > 0 else math.copysign(math.inf, apart) if apart else 0.0


def score_limits(difference: float, variance: Variance, confidence: float, df: float = math.inf) -> Interval:
    """The interval that inverts the score test.

    Args:
        difference: Observed, in [-1, 1].
        variance: Of it.
        confidence: Coverage.
        df: Degrees of freedom of the variance.
    """
    from scipy import optimize, special  # noqa: PLC0415  heavy; imported where used

    square = float(special.ndtri((1 + confidence) / 2)) ** 2 * widening(confidence, df)

    def off(at: float) -> float:
        return (difference - at) ** 2 - square * variance(at)

    def limit(end: float) -> float:
        start = difference + math.copysign(_NEAR, end - difference)  # at the difference itself both may be 0
        if abs(end - difference) <= _NEAR or off(end) <= 0:
            return end
        return float(optimize.brentq(off, start, end, xtol=1e-14, rtol=1e-13))

    return Interval(limit(-1.0), limit(1.0))


def paired_variance(lost: float, won: float, n: float) -> Variance:
    """Of the difference of two paired shares, treatment - control.

    At a difference of 0 the test is McNemar's without correction, so that both say the same.

    Args:
        lost: Pairs where the control alone is true.
        won: Pairs where the treatment alone is true.
        n: All pairs.

    Examples:
        >>> low, high = score_limits(0.2, paired_variance(2, 12, 50), 0.95)
        >>> round(low, 4), round(high, 4)
        (0.0611, 0.3447)

    References:
        Tango: Equivalence test and confidence interval for the difference in proportions for the paired-sample
        design. Statistics in Medicine 17 (1998).
    """

    def variance(at: float) -> float:
        b, c = (2 * n - won + lost) * at - won - lost, -lost * at * (1 - at)
        least = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        return max(2 * least + at * (1 - at), 0.0) / n

    return variance


def two_variance(two: Two) -> Variance:
    """Of the difference of two independent shares, treatment - control.

    Args:
        two: The shares, on the n that each is worth; correlated where clusters lie in both arms.

    Examples:
        >>> from crucible_nb.stats.estimates.binary import counted
        >>> two = Two(counted(48, 80), counted(56, 70))
        >>> low, high = score_limits(two.difference, two_variance(two), 0.95)
        >>> round(low, 4), round(high, 4)  # as Newcombe has it
        (0.0528, 0.3382)

    References:
        Miettinen, Nurminen: Comparative analysis of two rates. Statistics in Medicine 4 (1985). Newcombe: Interval
        estimation for the difference between independent proportions. Statistics in Medicine 17 (1998), method 6.
    """
    control, treatment = two.control, two.treatment
    n = control.n + treatment.n

    def variance(at: float) -> float:
        share = _likeliest(two, at)
        first = share * (1 - share) / control.n
        second = max((share + at) * (1 - share - at), 0.0) / treatment.n
        return (first + second - 2 * two.correlation * math.sqrt(first * second)) * n / (n - 1)

    return variance


def _likeliest(two: Two, at: float) -> float:
    """The share of the control that is most likely where the treatment's is larger by `at`.

    The likelihood rises to its maximum and falls beyond it, so halving finds it. The closed form takes a root that is
    no maximum where a count is 0, and statsmodels' (0.14, 0.15) has a count in it where the size of the arm belongs.
    """
    control, treatment = two.control, two.treatment
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
