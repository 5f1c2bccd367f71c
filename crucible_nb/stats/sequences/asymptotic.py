"""Asymptotic confidence sequences of means without a bound, by the central limit theorem."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats.results import Interval

SHARP = 1000
"""Number of events for which the interval is tuned to be narrowest."""


def tuning(alpha: float = 0.05, n: int = SHARP) -> float:
    """The parameter rho^2 of the normal mixture that gives the narrowest interval after n events.

    Examples:
        >>> round(tuning() * SHARP, 2)
        8.78
    """
    log_level = -2 * np.log(alpha)
    return float((log_level + np.log(log_level) + 1) / n)


def radius(error: float, n: float, alpha: float) -> float:
    """Half the width of the interval.

    Args:
        error: Standard error of the estimate; NaN, or 0 for constant values, gives an infinite width.
        n: Number of events; of two arms, that of the smaller one.
        alpha: Asymptotic probability of ever excluding the true value.

    Examples:
        >>> round(radius(1.0, 1000, 0.05), 2)                        # 1.96 for a test with a fixed n
        3.04

    References:
        Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas: Time-uniform central limit theory and asymptotic confidence
        sequences. Ann. Stat. 52 (2024).
    """
    if not error > 0:
        return float("inf")
    growth = n * tuning()
    return float(error * np.sqrt((growth + 1) / growth * np.log((growth + 1) / alpha**2)))


def log_evidence(estimate: float, error: float, n: float) -> float:
    """Log evidence (e-value) against a true value of 0, by the same normal mixture.

    Examples:
        >>> round(np.exp(log_evidence(radius(1.0, 1000, 0.05), 1.0, 1000)).item(), 9)  # 1 / alpha
        20.0
    """
    if not error > 0:
        return 0.0
    growth = n * tuning()
    return float((estimate / error) ** 2 / 2 * growth / (growth + 1) - np.log1p(growth) / 2)


def around(estimate: float, error: float, n: float, alpha: float) -> Interval:
    """The interval around an estimate at a level alpha."""
    half = radius(error, n, alpha)
    return Interval(estimate - half, estimate + half) if half < float("inf") else Interval(-half, half)
