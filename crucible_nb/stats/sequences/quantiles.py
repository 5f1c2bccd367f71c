"""Quantiles: which values the beta mixture has not excluded, for one arm and for the difference of two."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crucible_nb.stats.results import Interval
from crucible_nb.stats.sequences.mixture import log_sides
from crucible_nb.stats.sequences.quantile_grid import QuantileGrid, Steps

STRENGTH = 30.0
"""Of the beta mixture of one arm."""
AGAINST = 100.0
"""Of each arm where two are compared: sharpest at about 800 events an arm."""


class Profile(NamedTuple):
    """Log evidence against each value being the quantile.

    Attributes:
        steps: Where the values are.
        log: float64[k], for values inside each step; it is larger between them.
        before, after: Below the first and above the last step.
    """

    steps: Steps
    log: np.ndarray
    before: float
    after: float


def profile(steps: Steps, q: float, strength: float) -> Profile:
    """Log evidence on the whole ladder.

    Evidence between two observed values is at least that at either of them, so the observed ones say it all.

    Examples:
        >>> found = profile(QuantileGrid().update(np.arange(100.0)).steps(), 0.5, 50.0)
        >>> int(found.log.argmin()) in (49, 50), found.log[0] > 20
        (True, np.True_)
    """
    at_most = np.cumsum(steps.held)
    below, n = at_most - steps.held, float(at_most[-1]) if len(at_most) else 0.0
    ends = np.array([0.0, n])
    log = log_sides(np.concatenate((at_most, ends)), np.concatenate((below, ends)), n, q, strength)
    return Profile(steps, log[:-2], float(log[-2]), float(log[-1]))


def quantile_interval(ladder: QuantileGrid, q: float, alpha: float) -> Interval:
    """Values that are not excluded as the quantile q; rounded outwards to the ends of a bucket.

    Examples:
        >>> quantile_interval(QuantileGrid().update(np.arange(1000.0)), 0.5, 0.05)
        Interval(low=450.0, high=549.0)
    """
    found = profile(ladder.steps(), q, STRENGTH)
    limit = -float(np.log(alpha))
    inside = np.flatnonzero(found.log < limit)
    low = found.steps.low[inside[0]] if len(inside) and found.before >= limit else -np.inf
    high = found.steps.high[inside[-1]] if len(inside) and found.after >= limit else np.inf
    return Interval(float(low), float(high))


def log_difference(control: QuantileGrid, treatment: QuantileGrid, q: float) -> float:
    """Log evidence that two arms have different quantiles: the product over both, at the value that fits best.

    For the common quantile the product is a supermartingale however fast each arm grows, as long as the arms are
    independent of each other.

    Examples:
        >>> one, two = QuantileGrid().update(np.arange(500.0)), QuantileGrid().update(np.arange(500.0) + 100)
        >>> log_difference(one, one, 0.5) < 0 < log_difference(one, two, 0.5)
        True

    References:
        Howard and Ramdas: Sequential estimation of quantiles with applications to A/B testing. Bernoulli 28 (2022).
    """
    if not control.n or not treatment.n:
        return 0.0
    sides = control.steps(), treatment.steps()
    values = np.unique(np.concatenate([ends for side in sides for ends in (side.low, side.high)]))
    return float(sum(_at(side, values, q) for side in sides).min())  # type: ignore[union-attr]


def _at(steps: Steps, values: np.ndarray, q: float) -> np.ndarray:
    """Log evidence of one arm against each of the values."""
    total = np.concatenate(([0.0], np.cumsum(steps.held)))
    at_most = total[np.searchsorted(steps.low, values, side="right")]
    below = total[np.searchsorted(steps.high, values, side="left")]
    return log_sides(at_most, below, float(total[-1]), q, AGAINST)


def difference_interval(control: QuantileGrid, treatment: QuantileGrid, q: float, alpha: float) -> Interval:
    """Differences, treatment - control, of pairs of values that are not excluded together.

    Examples:
        >>> one, two = QuantileGrid().update(np.arange(500.0)), QuantileGrid().update(np.arange(500.0) + 100)
        >>> low, high = difference_interval(one, two, 0.5, 0.05)
        >>> 0 < low < 100 < high < 200
        True
    """
    if not control.n or not treatment.n:
        return Interval(-np.inf, np.inf)
    one, two = (profile(arm.steps(), q, AGAINST) for arm in (control, treatment))
    limit = -float(np.log(alpha))
    high = _largest(two, _mirrored(one), limit)
    return Interval(-_largest(_mirrored(two), one, limit), high)


def _mirrored(found: Profile) -> Profile:
    steps = Steps(-found.steps.high[::-1], -found.steps.low[::-1], found.steps.held[::-1])
    return Profile(steps, found.log[::-1], found.after, found.before)


def _largest(one: Profile, two: Profile, limit: float) -> float:
    """The largest sum of a value of each whose evidence adds up to less than the limit."""
    if min(one.after + two.log.min(), two.after + one.log.min()) < limit:
        return float("inf")
    least = np.minimum.accumulate(one.log[::-1])[::-1]  # what the best value from here on has against it
    at = np.searchsorted(least, limit - two.log, side="left") - 1
    sums = one.steps.high[at] + two.steps.high
    return float(sums[at >= 0].max(initial=-np.inf))
