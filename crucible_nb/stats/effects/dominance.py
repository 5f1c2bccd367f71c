"""Cliff's delta and its interval: how often a value of the treatment exceeds one of the control."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import difference_error
from crucible_nb.stats.samples.values import Values


class Dominance(NamedTuple):
    """Cliff's delta = P(treatment > control) - P(treatment < control), from -1 to 1.

    Attributes:
        delta: The estimate.
        interval: Confidence interval of `delta`.
        error: Standard error of `delta`, with its degrees of freedom.
    """

    delta: float
    interval: Interval
    error: Error

    @property
    def share(self) -> float:
        """The common-language effect size, P(treatment > control) + P(equal) / 2."""
        return (1 + self.delta) / 2

    @property
    def share_interval(self) -> Interval:
        """Confidence interval of `share`."""
        return Interval((1 + self.interval.low) / 2, (1 + self.interval.high) / 2)


def below(x: np.ndarray, weight: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Proportion of the events below each point; events equal to it count half.

    Examples:
        >>> below(np.array([1.0, 2.0]), np.ones(2), np.array([1.0, 1.5, 9.0])).tolist()
        [0.25, 0.5, 1.0]
    """
    order = np.argsort(x, kind="stable")
    x, cumulated = x[order], np.concatenate([[0.0], np.cumsum(weight[order])])
    rank = np.argsort(at, kind="stable")  # sorted points are looked up in memory order, which is faster
    points = at[rank]
    share = np.empty(len(at))
    share[rank] = cumulated[np.searchsorted(x, points)] + cumulated[np.searchsorted(x, points, side="right")]
    return np.asarray(share / (2 * cumulated[-1]))


def dominance(control: Values, treatment: Values, confidence: float) -> Dominance:
    """Cliff's delta from placement values in O(n log n), with weights and clusters.

    The interval is Feng and Cliff's, asymmetric near -1 and 1; if |delta| is 1, so that the standard error is 0,
    Newcombe's method 5.

    Args:
        control, treatment: Values of the arms.
        confidence: Coverage of the interval.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> arms = [values_of(x, "score") for x in ([14, 34, 34, 77], [48, 48, 77, 86, 85, 85, 16])]
        >>> cliff = dominance(*arms, 0.95)
        >>> round(cliff.delta, 4), round(cliff.interval.low, 2), round(cliff.interval.high, 2)
        (0.6071, -0.23, 0.93)

    References:
        Cliff: Dominance statistics: ordinal analyses to answer ordinal questions. Psychological Bulletin 114 (1993).
        DeLong, DeLong, Clarke-Pearson: Comparing the areas under correlated receiver operating characteristic curves.
        Biometrics 44 (1988). Feng, Cliff: Monte Carlo evaluation of ordinal d with improved confidence interval.
        Journal of Modern Applied Statistical Methods 3 (2004).
    """
    over = below(control.x, control.weight, treatment.x)
    under = below(treatment.x, treatment.weight, control.x)
    share = weighted.mean(over, treatment.weight)
    error = difference_error(control, treatment, under - weighted.mean(under, control.weight), over - share)
    delta = 2 * share - 1
    error = Error(2 * error.error, error.df)
    if error.error > 0 and abs(delta) < 1:
        return Dominance(delta, feng_cliff_limits(delta, error, confidence), error)
    first, second = (math.ceil(weighted.unit_size(arm.weight, "process", arm.cluster)) for arm in (control, treatment))
    return Dominance(delta, _newcombe(delta, first, second, confidence), error)


def feng_cliff_limits(delta: float, error: Error, confidence: float) -> Interval:
    """Feng and Cliff's interval of an estimate in [-1, 1]; see `dominance`."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    t = float(special.stdtrit(error.df, (1 + confidence) / 2)) * error.error
    one_less_square = 1 - delta * delta
    half, denominator = t * math.sqrt(one_less_square * one_less_square + t * t), one_less_square + t * t
    return Interval(
        max((delta * one_less_square - half) / denominator, -1.0),
        min((delta * one_less_square + half) / denominator, 1.0),
    )


def _newcombe(delta: float, control: int, treatment: int, confidence: float) -> Interval:
    """Newcombe's interval, with the variance of the most likely distributions in place of the observed one.

    References:
        Newcombe: Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2.
        Statistics in Medicine 25 (2006), method 5.
    """
    from scipy import optimize, special  # noqa: PLC0415

    z, pairs, more = float(special.ndtri((1 + confidence) / 2)), control * treatment, (control + treatment) / 2 - 1
    share = (1 + delta) / 2

    def off(p: float, side: int) -> float:
        variance = p * (1 - p) / pairs * (1 + more * ((1 - p) / (2 - p) + p / (1 + p)))
        return side * (share - p) - z * math.sqrt(max(variance, 0.0))

    tiny = 1e-12
    low = 0.0 if share <= tiny else float(optimize.brentq(off, 0.0, share - tiny, args=(1,)))
    high = 1.0 if share >= 1 - tiny else float(optimize.brentq(off, share + tiny, 1.0, args=(-1,)))
    return Interval(2 * low - 1, 2 * high - 1)
