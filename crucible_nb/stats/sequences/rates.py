"""Confidence sequences of a rate, and of the difference of two, from counts of successes in any order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crucible_nb.stats.results import Interval
from crucible_nb.stats.sequences.betting import log_shares, spread_bets
from crucible_nb.stats.sequences.mixture import log_mixture
from crucible_nb.stats.sequences.roots import find_edge

STRENGTH = 30.0
"""Strength of the beta mixture of one arm: sharpest at about 250 events, within 10 % of the sharpest from 50 to 1e5."""
BETS = spread_bets(3.0)
"""Stakes on a difference of rates."""
_TINY = 1e-12
_ALONE = 0.05


class SuccessCounts(NamedTuple):
    """Outcomes of one arm: number of successes, number of outcomes."""

    successes: float
    n: float

    @property
    def rate(self) -> float:
        """Proportion of successes; NaN without outcomes."""
        return self.successes / self.n if self.n else float("nan")


def _error(arm: SuccessCounts) -> float:
    """Approximate standard error of the rate, never 0."""
    share = (arm.successes + 0.5) / (arm.n + 1)
    return float(np.sqrt(share * (1 - share) / arm.n))


def rate_interval(arm: SuccessCounts, alpha: float) -> Interval:
    """Interval of the rates that the beta mixture does not exclude; see `log_mixture`.

    Examples:
        >>> low, high = rate_interval(SuccessCounts(20, 20), 0.05)
        >>> round(low, 2), high
        (0.58, 1.0)
    """
    if not arm.n:
        return Interval(0.0, 1.0)
    limit = -float(np.log(alpha))

    def excess(p: float) -> float:
        return float(log_mixture(arm.successes, arm.n, p, STRENGTH) - limit)

    inside = min(max(arm.rate, _TINY), 1 - _TINY)
    step = 4 * _error(arm)
    low = 0.0 if arm.successes == 0 else find_edge(excess, inside, _TINY, step)
    high = 1.0 if arm.successes == arm.n else find_edge(excess, inside, 1 - _TINY, step)
    return Interval(0.0 if low <= _TINY else low, 1.0 if high >= 1 - _TINY else high)


def log_difference(control: SuccessCounts, treatment: SuccessCounts, gap: float = 0.0) -> float:
    """Log evidence against "rate of the treatment = rate of the control + gap", at the control rate with the least.

    For each rate p of the control, events of the treatment multiply the capital by theta / (p + gap) or
    (1 - theta) / (1 - p - gap), those of the control likewise: a martingale under p, in any order of arrival. It is
    mixed over `BETS`: mostly both arms deviating by the same stake in opposite directions, otherwise one arm only. The
    smallest capital over p is evidence against every p.

    Args:
        control, treatment: Counts of both arms.
        gap: Hypothesised difference of the rates, in (-1, 1).

    Examples:
        >>> round(log_difference(SuccessCounts(20, 1000), SuccessCounts(50, 1000)), 1)
        4.9
        >>> log_difference(SuccessCounts(0, 0), SuccessCounts(0, 0))
        0.0

    References:
        Waudby-Smith and Ramdas: Estimating means of bounded random variables by betting. JRSS B 86 (2024).
        Turner, Ly and Grunwald: Generic E-variables for exact sequential k-sample tests that allow for optional
        stopping. J. Stat. Plan. Inference 230 (2024).
    """
    if not control.n or not treatment.n:
        return 0.0
    low, high = max(0.0, -gap), min(1.0, 1 - gap)
    p = _candidate_rates(control, treatment, gap, low, high)
    for _ in range(5):
        logs = log_capital(control, treatment, p, gap)
        at = int(logs.argmin())
        p = np.linspace(p[max(at - 1, 0)], p[min(at + 1, len(p) - 1)], 13)
    return float(min(logs.min(), log_capital(control, treatment, p, gap).min()))


def _candidate_rates(
    control: SuccessCounts, treatment: SuccessCounts, gap: float, low: float, high: float
) -> np.ndarray:
    """Rates of the control at which the search starts: dense around the pooled rate, sparse elsewhere."""
    n = control.n + treatment.n
    pooled = (control.successes + treatment.successes - gap * treatment.n + 0.5) / (n + 1)
    pooled = min(max(pooled, low), high)
    reach = 8 * np.sqrt((pooled * (1 - pooled) + 1 / n) / n)
    close = pooled + reach * np.linspace(-1, 1, 33)
    far = low + (high - low) / (1 + np.exp(-np.linspace(-14, 14, 29)))
    return np.unique(np.clip(np.concatenate((close, far, [low, high])), low, high))


def log_capital(control: SuccessCounts, treatment: SuccessCounts, p: np.ndarray, gap: float) -> np.ndarray:
    """Log capital of the mixture for each rate p of the control; see `log_difference`."""
    second = {sign: log_shares(treatment.successes, treatment.n, p + gap, sign * BETS.amount) for sign in (1, -1)}
    first = {sign: log_shares(control.successes, control.n, p, sign * BETS.amount) for sign in (1, -1)}
    both, alone = np.log((1 - 2 * _ALONE) / 2), np.log(_ALONE / 2)
    parts = [both + first[-sign] + second[sign] for sign in (1, -1)]
    parts += [alone + arm[sign] for arm in (first, second) for sign in (1, -1)]
    logs = np.stack(parts) + BETS.log_weight
    top = logs.max(axis=(0, 2))
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).sum(axis=(0, 2))))


def difference_interval(control: SuccessCounts, treatment: SuccessCounts, alpha: float) -> Interval:
    """Interval of the differences of rates, treatment - control, that are not excluded; see `log_difference`.

    Examples:
        >>> low, high = difference_interval(SuccessCounts(20, 1000), SuccessCounts(50, 1000), 0.05)
        >>> 0 < low < 0.03 < high < 0.06
        True
    """
    if not control.n or not treatment.n:
        return Interval(-1.0, 1.0)
    limit = -float(np.log(alpha))

    def excess(gap: float) -> float:
        return log_difference(control, treatment, gap) - limit

    inside = treatment.rate - control.rate
    step = 4 * float(np.hypot(_error(control), _error(treatment)))
    low, high = (find_edge(excess, inside, end, step) for end in (-1.0 + _TINY, 1.0 - _TINY))
    return Interval(-1.0 if low <= _TINY - 1 else low, 1.0 if high >= 1 - _TINY else high)
