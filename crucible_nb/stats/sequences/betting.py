"""Betting on means of bounded values: a gambler whom no fair game makes rich.

Who stakes a share c of the capital on values in [0, 1] with mean m turns it into 1 - c + c x / m at each value: a
martingale when m is the mean. Many stakes are held at once, each with a part of the capital (diversified Kelly
betting), so the wealth is a function of the values alone, not of their order, and nothing is guessed on the way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crucible_nb.stats.sequences.roots import edge

_LEAST, _MOST, _STEP = 1e-4, 0.999, 1.3
_FLAT = 0.1


class Bets(NamedTuple):
    """Stakes that are held at once, and how much of the capital stands behind each.

    Attributes:
        amount: float64[j] in (0, 1), ascending.
        log_weight: float64[j], logs of weights whose sum is 1.
    """

    amount: np.ndarray
    log_weight: np.ndarray


def spread_bets(shape: float) -> Bets:
    """Stakes from 0.0001 to 0.999 in steps of 30 %; 90 % of the capital as if (1 + c) / 2 ~ Beta(shape, shape).

    The rest is spread evenly, so that no difference is too small or too large to be found.

    Examples:
        >>> bets = spread_bets(1.0)
        >>> len(bets.amount), round(float(np.exp(bets.log_weight).sum()), 12)
        (36, 1.0)
    """
    count = 1 + round(np.log(_MOST / _LEAST) / np.log(_STEP))
    amount = np.geomspace(_LEAST, _MOST, count)
    weight = amount * (1 - amount**2) ** (shape - 1)  # a step is as wide as its stake
    weight = (1 - _FLAT) * weight / weight.sum() + _FLAT / count
    return Bets(amount, np.log(weight))


BETS = spread_bets(1.0)
"""What is bet on means."""


def log_shares(successes: float, n: float, p: np.ndarray, stake: np.ndarray) -> np.ndarray:
    """Log capital of each stake on outcomes with the rates p: a success pays 1 + g (1 - p), a failure 1 - g p.

    Args:
        successes, n: Counts.
        p: float64[k], rates in [0, 1].
        stake: float64[j] in (-1, 1); negative ones bet on failures.

    Returns:
        float64[k, j].

    Examples:
        >>> np.exp(log_shares(1, 2, np.array([0.5]), np.array([0.5]))).tolist()  # 1.25 * 0.75
        [[0.9375]]
    """
    return np.asarray(successes * np.log1p(np.outer(1 - p, stake)) + (n - successes) * np.log1p(np.outer(-p, stake)))


def log_above(x: np.ndarray, count: np.ndarray, mean: float, bets: Bets = BETS) -> float:
    """Log evidence that the mean of values in [0, 1] is above `mean`.

    Args:
        x: float64[k], different values.
        count: float64[k], how often each came.
        mean: In (0, 1].
        bets: The stakes.

    Examples:
        >>> one = Bets(np.array([0.5]), np.zeros(1))
        >>> round(np.exp(log_above(np.array([0.0, 1.0]), np.array([1.0, 2.0]), 0.5, one)), 12)  # 0.5 * 1.5 ** 2
        np.float64(1.125)

    References:
        Waudby-Smith and Ramdas: Estimating means of bounded random variables by betting. JRSS B 86 (2024).
        Orabona and Jun: Tight concentrations and confidence sequences from the regret of universal portfolio.
        IEEE Trans. Inf. Theory 70 (2024).
    """
    logs = np.log1p(np.outer(bets.amount, x / mean - 1)) @ count + bets.log_weight
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))


def log_apart(low: np.ndarray, high: np.ndarray, count: np.ndarray, mean: float) -> float:
    """Log evidence that the mean is not `mean`: half the capital bets on above, half on below.

    Args:
        low, high: float64[k] in [0, 1], between which the values lie.
        count: float64[k].
        mean: In (0, 1).

    Examples:
        >>> x = np.array([0.0, 1.0])
        >>> log_apart(x, x, np.array([10.0, 10.0]), 0.5) < 0 < log_apart(x, x, np.array([0.0, 20.0]), 0.5)
        True
    """
    above, below = log_above(low, count, mean), log_above(1 - high, count, 1 - mean)
    return float(np.logaddexp(above, below) - np.log(2.0))


def mean_limits(low: np.ndarray, high: np.ndarray, count: np.ndarray, alpha: float) -> tuple[float, float]:
    """Means that neither half of the capital has excluded; (0, 1) of no values.

    The capital of each half is monotone in the mean, so what is left is an interval.

    Args:
        low, high, count: As in `log_apart`.
        alpha: Probability of ever excluding the true mean.

    Examples:
        >>> x = np.array([0.0, 1.0])
        >>> [round(float(limit), 2) for limit in mean_limits(x, x, np.array([50.0, 50.0]), 0.05)]
        [0.34, 0.66]
    """
    return _above_limit(low, count, alpha), 1.0 - _above_limit(1 - high, count, alpha)


def _above_limit(x: np.ndarray, count: np.ndarray, alpha: float) -> float:
    """The largest mean at and below which the capital on "above" has reached 2 / alpha; 0 without one."""
    n = count.sum()
    mean = float(x @ count / n) if n else 0.0
    if mean <= 0:
        return 0.0
    limit = np.log(2 / alpha)

    def excess(m: float) -> float:
        return float(log_above(x, count, m) - limit)

    error = float(np.sqrt((x - mean) ** 2 @ count)) / n
    return edge(excess, mean, 1e-12 * mean, max(4 * error, 1e-3 * mean))
