"""Signed ranks of paired differences: pseudomedian and matched-pairs rank-biserial correlation, with intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.effects.dominance import feng_cliff_limits
from crucible_nb.stats.results import Interval

_EXACT = 50
_MATERIALIZED = 1000


class SignedRankEstimate(NamedTuple):
    """An estimate from signed ranks, with its confidence interval."""

    value: float
    interval: Interval


class MatchedRanks(NamedTuple):
    """A matched-pairs rank-biserial correlation, with its confidence interval and standard error (NaN at -1 and 1)."""

    value: float
    interval: Interval
    error: float = math.nan


def matched_rank_biserial(difference: np.ndarray, confidence: float) -> MatchedRanks:
    """Matched-pairs rank-biserial correlation: (sum of positive ranks - sum of negative ranks) / sum of all ranks.

    Pairs that are equal are left out. The interval is that of the U-statistic P(d_i + d_j > 0), asymmetric near -1
    and 1; if all differences have the same sign, it follows from the probability of that.

    Raises:
        StatError: All pairs are equal.

    Examples:
        >>> import numpy as np
        >>> matched_rank_biserial(np.array([2.0, 3.0, -1.0, 4.0]), 0.95).value
        0.8

    References:
        Kerby: The simple difference formula. Comprehensive Psychology 3 (2014). Sen: On some convergence properties
        of U-statistics. Calcutta Statistical Association Bulletin 10 (1960).
    """
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    d = difference[difference != 0]
    n = len(d)
    if not n:
        raise StatError("all pairs are equal: there are no differences to rank")
    ranks = stats.rankdata(np.abs(d))
    value = float((ranks @ np.sign(d)) / ranks.sum())
    ordered = np.sort(d)
    over = 1 - (np.searchsorted(ordered, -d) + np.searchsorted(ordered, -d, side="right")) / (2 * n)
    error = 4 * float(np.std(over, ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if error > 0 and abs(value) < 1:
        return MatchedRanks(value, feng_cliff_limits(value, Error(error, n - 1.0), confidence), error)
    # no value of n has the other sign: its probability is at most 1 - tail^(1/n), and the sum of a pair has the common
    # sign at least if both values have it
    edge = 2 * ((1 - confidence) / 2) ** (2 / n) - 1
    return MatchedRanks(value, Interval(edge, 1.0) if value > 0 else Interval(-1.0, -edge))


def pseudomedian(difference: np.ndarray, confidence: float) -> SignedRankEstimate:
    """Hodges-Lehmann estimate, the median of the means of all pairs of differences, with Wilcoxon's interval.

    Exact up to 50 differences, normal approximation above. For more than 1,000 the n^2 / 2 means are not built: the
    search takes O(n log n) per step. Both limits are infinite if there are too few differences for the confidence.

    Examples:
        >>> import numpy as np
        >>> pseudomedian(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 0.95)
        SignedRankEstimate(value=3.5, interval=Interval(low=1.0, high=6.0))

    References:
        Hodges, Lehmann: Estimates of location based on rank tests. Annals of Mathematical Statistics 34 (1963).
        Hollander, Wolfe: Nonparametric Statistical Methods, section 3.3. Wiley (1999).
    """
    d = np.sort(difference)
    n = len(d)
    pairs = n * (n + 1) // 2
    means = None
    if n <= _MATERIALIZED:
        first, second = np.triu_indices(n)
        means = np.sort((d[first] + d[second]) / 2)

    def at(rank: int) -> float:
        """The pairwise mean of a rank, counted from 1."""
        return float(means[rank - 1]) if means is not None else _ranked_mean(d, rank)

    value = (at((pairs + 1) // 2) + at(pairs // 2 + 1)) / 2
    lowest = _rank_of_lower_limit(n, (1 - confidence) / 2)
    if lowest < 1:
        return SignedRankEstimate(value, Interval(-math.inf, math.inf))
    return SignedRankEstimate(value, Interval(at(lowest), at(pairs + 1 - lowest)))


def _rank_of_lower_limit(n: int, tail: float) -> int:
    """Rank of the lower limit among the pairwise means: number of means that the test allows below it, plus 1."""
    from scipy import special  # noqa: PLC0415

    if n > _EXACT:
        sd = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return int(n * (n + 1) / 4 + special.ndtri(tail) * sd + 0.5)
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return int(np.count_nonzero(np.cumsum(ways) / 2.0**n <= tail * (1 + 1e-12)))


def _ranked_mean(d: np.ndarray, rank: int) -> float:
    """Find the pairwise mean of a rank among all n (n + 1) / 2, by bisection."""

    def count(middle: float) -> int:
        at_most = np.searchsorted(d, 2 * middle - d, side="right")  # number of j with d_i + d_j <= 2 middle, for each i
        return int((at_most.sum() + np.count_nonzero(d <= middle)) // 2)

    low, high = float(d[0]), float(d[-1])
    under, over = count(low), len(d) * (len(d) + 1) // 2
    if under >= rank:
        return low
    tolerance = 1e-16 * (high - low)
    while high - low > max(1e-12 * max(abs(low), abs(high)), tolerance):
        width = high - low
        guess, near = low + width * (rank - under) / (over - under), width / 64
        for probe in (guess - near, guess + near, low + width / 2):  # around the interpolated guess, otherwise bisect
            if not low < probe < high or (high - low < width / 2 and probe == low + width / 2):
                continue
            below_probe = count(probe)
            low, under, high, over = (
                (low, under, probe, below_probe) if below_probe >= rank else (probe, below_probe, high, over)
            )
        if high - low == width:  # adjacent floats
            break
    return high
