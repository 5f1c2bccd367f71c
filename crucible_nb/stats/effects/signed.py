"""Signed ranks of differences: the pseudomedian with its interval, and the rank-biserial correlation of pairs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.dominance import bent_limits
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import Error

_EXACT = 50
_BUILT = 1000


class Signed(NamedTuple):
    """A number and its interval."""

    value: float
    interval: Interval


def signed_dominance(difference: np.ndarray, confidence: float) -> Signed:
    """Matched-pairs rank-biserial correlation: (sum of positive ranks - sum of negative ones) / sum of all.

    Pairs without a difference are left out. The interval is that of the U-statistic P(d_i + d_j > 0), bent near -1
    and 1; where all differences have one sign it says how far that can go by chance.

    Raises:
        StatError: No difference at all.

    Examples:
        >>> import numpy as np
        >>> signed_dominance(np.array([2.0, 3.0, -1.0, 4.0]), 0.95).value
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
        return Signed(value, bent_limits(value, Error(error, n - 1.0), confidence))
    # none of n has the other sign: its share is at most 1 - tail^(1/n), and both of a pair lack it at least so often
    edge = 2 * ((1 - confidence) / 2) ** (2 / n) - 1
    return Signed(value, Interval(edge, 1.0) if value > 0 else Interval(-1.0, -edge))


def pseudomedian(difference: np.ndarray, confidence: float) -> Signed:
    """The Hodges-Lehmann estimate, median of the means of two differences each, with the interval of Wilcoxon's test.

    Exact up to 50 differences, normal above; O(n log n) a step for many, so that the n^2 / 2 means are never built.
    A side on which so few differences allow no limit is infinite.

    Examples:
        >>> import numpy as np
        >>> pseudomedian(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 0.95)
        Signed(value=3.5, interval=Interval(low=1.0, high=6.0))

    References:
        Hodges, Lehmann: Estimates of location based on rank tests. Annals of Mathematical Statistics 34 (1963).
        Hollander, Wolfe: Nonparametric Statistical Methods, section 3.3. Wiley (1999).
    """
    d = np.sort(difference)
    n = len(d)
    pairs = n * (n + 1) // 2
    means = None
    if n <= _BUILT:
        first, second = np.triu_indices(n)
        means = np.sort((d[first] + d[second]) / 2)

    def at(rank: int) -> float:
        """The mean of that rank, from 1."""
        return float(means[rank - 1]) if means is not None else _ranked_mean(d, rank)

    value = (at((pairs + 1) // 2) + at(pairs // 2 + 1)) / 2
    out = _left_out(n, (1 - confidence) / 2)
    if out < 1:
        return Signed(value, Interval(-math.inf, math.inf))
    return Signed(value, Interval(at(out), at(pairs + 1 - out)))


def _left_out(n: int, tail: float) -> int:
    """The rank of the lower limit: as many means as the test lets lie on the other side, and one."""
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
    """The mean of two sorted values that has this rank among all n (n + 1) / 2, by halving where it may lie."""

    def count(middle: float) -> int:
        at_most = np.searchsorted(d, 2 * middle - d, side="right")  # partners j, in order, with d_i + d_j <= 2 middle
        return int((at_most.sum() + np.count_nonzero(d <= middle)) // 2)

    low, high = float(d[0]), float(d[-1])
    under, over = count(low), len(d) * (len(d) + 1) // 2
    if under >= rank:
        return low
    least = 1e-16 * (high - low)
    while high - low > max(1e-12 * max(abs(low), abs(high)), least):
        width = high - low
        guess, near = low + width * (rank - under) / (over - under), width / 64
        for probe in (
            guess - near,
            guess + near,
            low + width / 2,
        ):  # near the guess, else halve
            if not low < probe < high or (high - low < width / 2 and probe == low + width / 2):
                continue
            found = count(probe)
            low, under, high, over = (low, under, probe, found) if found >= rank else (probe, found, high, over)
        if high - low == width:  # neighbouring numbers
            break
    return high
