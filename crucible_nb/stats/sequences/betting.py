"""Confidence sequences of bounded means by betting: capital grows only if the hypothesised mean is wrong.

A stake c on values x in [0, 1] multiplies the capital by 1 - c + c x / m at each value: a martingale if m is the mean.
The capital is split over many stakes (diversified Kelly betting), so that it depends on the values only, not on their
order, and no stake has to be predicted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crucible_nb.stats.sequences.roots import find_edge

_LEAST, _MOST, _STEP = 1e-4, 0.999, 1.3
_FLAT = 0.1


class Bets(NamedTuple):
    """Stakes with the part of the capital that each one gets.

    Attributes:
        amount: float64[j], stakes in (0, 1), ascending.
        log_weight: float64[j], logs of the parts of the capital, which sum to 1.
    """

    amount: np.ndarray
    log_weight: np.ndarray


def spread_bets(shape: float) -> Bets:
    """Stakes from 0.0001 to 0.999 in steps of 30 %; 90 % of the capital by (1 + c) / 2 ~ Beta(shape, shape).

    The other 10 % are split evenly, so that very small and very large differences are detected, too.

    Examples:
        >>> bets = spread_bets(1.0)
        >>> len(bets.amount), round(float(np.exp(bets.log_weight).sum()), 12)
        (36, 1.0)
    """
    count = 1 + round(np.log(_MOST / _LEAST) / np.log(_STEP))
    amount = np.geomspace(_LEAST, _MOST, count)
    weight = amount * (1 - amount**2) ** (shape - 1)  # density times the width of a step, which grows with the stake
    weight = (1 - _FLAT) * weight / weight.sum() + _FLAT / count
    return Bets(amount, np.log(weight))


BETS = spread_bets(1.0)
"""Stakes on means."""


def log_shares(successes: float, n: float, p: np.ndarray, stake: np.ndarray) -> np.ndarray:
    """Log capital of each stake g on outcomes under rates p: a success pays 1 + g (1 - p), a failure 1 - g p.

    Args:
        successes, n: Number of successes and of outcomes.
        p: float64[k], rates in [0, 1].
        stake: float64[j], stakes in (-1, 1); negative ones bet on failures.

    Returns:
        float64[k, j].

    Examples:
        >>> np.exp(log_shares(1, 2, np.array([0.5]), np.array([0.5]))).tolist()  # 1.25 * 0.75
        [[0.9375]]
    """
    return np.asarray(successes * np.log1p(np.outer(1 - p, stake)) + (n - successes) * np.log1p(np.outer(-p, stake)))


def log_evidence_above(x: np.ndarray, count: np.ndarray, mean: float, bets: Bets = BETS) -> float:
    """Log evidence that the mean of values in [0, 1] is above `mean`.

    Args:
        x: float64[k], different values.
        count: float64[k], how often each came.
        mean: In (0, 1].
        bets: The stakes.

    Examples:
        >>> x, one = np.array([0.0, 1.0]), Bets(np.array([0.5]), np.zeros(1))
        >>> round(np.exp(log_evidence_above(x, np.array([1.0, 2.0]), 0.5, one)), 12)  # 0.5 * 1.5 ** 2
        np.float64(1.125)

    References:
        Waudby-Smith and Ramdas: Estimating means of bounded random variables by betting. JRSS B 86 (2024).
        Orabona and Jun: Tight concentrations and confidence sequences from the regret of universal portfolio.
        IEEE Trans. Inf. Theory 70 (2024).
    """
    logs = np.log1p(np.outer(bets.amount, x / mean - 1)) @ count + bets.log_weight
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))


def log_evidence_against(low: np.ndarray, high: np.ndarray, count: np.ndarray, mean: float) -> float:
    """Log evidence against the mean `mean`: half of the capital bets that it is larger, half that it is smaller.

    Args:
        low, high: float64[k], bounds in [0, 1] of the values.
        count: float64[k], number of values within each pair of bounds.
        mean: Hypothesised mean, in (0, 1).

    Examples:
        >>> x = np.array([0.0, 1.0])
        >>> log_evidence_against(x, x, np.array([10.0, 10.0]), 0.5) < 0
        True
        >>> log_evidence_against(x, x, np.array([0.0, 20.0]), 0.5) > 0
        True
    """
    above, below = log_evidence_above(low, count, mean), log_evidence_above(1 - high, count, 1 - mean)
    return float(np.logaddexp(above, below) - np.log(2.0))


def mean_limits(low: np.ndarray, high: np.ndarray, count: np.ndarray, alpha: float) -> tuple[float, float]:
    """Interval of the means that neither half of the capital excludes; (0, 1) without values.

    The capital of each half is monotone in the mean, so the means that are left form an interval.

    Args:
        low, high, count: As in `log_evidence_against`.
        alpha: Probability of ever excluding the true mean, at all looks together.

    Examples:
        >>> x = np.array([0.0, 1.0])
        >>> [round(float(limit), 2) for limit in mean_limits(x, x, np.array([50.0, 50.0]), 0.05)]
        [0.34, 0.66]
    """
    return _above_limit(low, count, alpha), 1.0 - _above_limit(1 - high, count, alpha)


def _above_limit(x: np.ndarray, count: np.ndarray, alpha: float) -> float:
    """The largest mean at and below which the capital on larger means has reached 2 / alpha; 0 if there is none."""
    n = count.sum()
    mean = float(x @ count / n) if n else 0.0
    if mean <= 0:
        return 0.0
    limit = np.log(2 / alpha)

    def excess(m: float) -> float:
        return float(log_evidence_above(x, count, m) - limit)

    error = float(np.sqrt((x - mean) ** 2 @ count)) / n
    return find_edge(excess, mean, 1e-12 * mean, max(4 * error, 1e-3 * mean))
