"""Confidence sequences of a quantile, and of the difference of two, by the beta mixture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crucible_nb.stats.results import Interval
from crucible_nb.stats.sequences.mixture import log_sides
from crucible_nb.stats.sequences.quantile_grid import Bins, QuantileGrid

STRENGTH = 30.0
"""Strength of the beta mixture of one arm."""
AGAINST = 100.0
"""Strength of the beta mixture of each of two arms: sharpest at about 800 events per arm."""


class Profile(NamedTuple):
    """Log evidence against each value being the quantile.

    Attributes:
        bins: Bins of the values.
        log: float64[k], evidence against values inside each bin; between bins it is larger.
        before, after: Evidence against values below the first and above the last bin.
    """

    bins: Bins
    log: np.ndarray
    before: float
    after: float


def profile(bins: Bins, q: float, strength: float) -> Profile:
    """Compute the log evidence at all bins.

    The evidence against a value between two observed ones is at least that at either of them, so these suffice.

    Examples:
        >>> evidence = profile(QuantileGrid().update(np.arange(100.0)).bins(), 0.5, 50.0)
        >>> int(evidence.log.argmin()) in (49, 50), evidence.log[0] > 20
        (True, np.True_)
    """
    at_most = np.cumsum(bins.counts)
    below, n = at_most - bins.counts, float(at_most[-1]) if len(at_most) else 0.0
    ends = np.array([0.0, n])
    log = log_sides(np.concatenate((at_most, ends)), np.concatenate((below, ends)), n, q, strength)
    return Profile(bins, log[:-2], float(log[-2]), float(log[-1]))


def quantile_interval(grid: QuantileGrid, q: float, alpha: float) -> Interval:
    """Interval of the values that are not excluded as the quantile q, rounded outwards to the ends of a bin.

    Examples:
        >>> quantile_interval(QuantileGrid().update(np.arange(1000.0)), 0.5, 0.05)
        Interval(low=450.0, high=549.0)
    """
    evidence = profile(grid.bins(), q, STRENGTH)
    limit = -float(np.log(alpha))
    inside = np.flatnonzero(evidence.log < limit)
    low = evidence.bins.low[inside[0]] if len(inside) and evidence.before >= limit else -np.inf
    high = evidence.bins.high[inside[-1]] if len(inside) and evidence.after >= limit else np.inf
    return Interval(float(low), float(high))


def log_difference(control: QuantileGrid, treatment: QuantileGrid, q: float) -> float:
    """Log evidence against equal quantiles of two arms: the product over both arms, at the value with the least.

    At the common quantile the product is a supermartingale, at any growth of each arm, if the arms are independent.

    Examples:
        >>> one, two = QuantileGrid().update(np.arange(500.0)), QuantileGrid().update(np.arange(500.0) + 100)
        >>> log_difference(one, one, 0.5) < 0 < log_difference(one, two, 0.5)
        True

    References:
        Howard and Ramdas: Sequential estimation of quantiles with applications to A/B testing. Bernoulli 28 (2022).
    """
    if not control.n or not treatment.n:
        return 0.0
    sides = control.bins(), treatment.bins()
    values = np.unique(np.concatenate([ends for side in sides for ends in (side.low, side.high)]))
    return float(sum(_at(side, values, q) for side in sides).min())  # type: ignore[union-attr]


def _at(bins: Bins, values: np.ndarray, q: float) -> np.ndarray:
    """Log evidence of one arm against each of the values."""
    total = np.concatenate(([0.0], np.cumsum(bins.counts)))
    at_most = total[np.searchsorted(bins.low, values, side="right")]
    below = total[np.searchsorted(bins.high, values, side="left")]
    return log_sides(at_most, below, float(total[-1]), q, AGAINST)


def difference_interval(control: QuantileGrid, treatment: QuantileGrid, q: float, alpha: float) -> Interval:
    """Interval of the differences, treatment - control, of pairs of values that are not excluded together.

    Examples:
        >>> one, two = QuantileGrid().update(np.arange(500.0)), QuantileGrid().update(np.arange(500.0) + 100)
        >>> low, high = difference_interval(one, two, 0.5, 0.05)
        >>> 0 < low < 100 < high < 200
        True
    """
    if not control.n or not treatment.n:
        return Interval(-np.inf, np.inf)
    one, two = (profile(arm.bins(), q, AGAINST) for arm in (control, treatment))
    limit = -float(np.log(alpha))
    high = _largest(two, _mirror(one), limit)
    return Interval(-_largest(_mirror(two), one, limit), high)


def _mirror(evidence: Profile) -> Profile:
    bins = Bins(-evidence.bins.high[::-1], -evidence.bins.low[::-1], evidence.bins.counts[::-1])
    return Profile(bins, evidence.log[::-1], evidence.after, evidence.before)


def _largest(one: Profile, two: Profile, limit: float) -> float:
    """The largest sum of one value of each arm whose evidence sums to less than the limit."""
    if min(one.after + two.log.min(), two.after + one.log.min()) < limit:
        return float("inf")
    smallest = np.minimum.accumulate(one.log[::-1])[::-1]  # smallest evidence against any value from this bin on
    at = np.searchsorted(smallest, limit - two.log, side="left") - 1
    sums = one.bins.high[at] + two.bins.high
    return float(sums[at >= 0].max(initial=-np.inf))
