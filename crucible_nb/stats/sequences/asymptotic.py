"""Means of anything, by the central limit theorem: right in the long run only, and labelled so."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats.results import Interval

SHARP = 1000
"""Events at which the interval is about as narrow as it can be."""


def tuning(alpha: float = 0.05, n: int = SHARP) -> float:
    """rho^2 of the normal mixture that is sharpest after n events.

    Examples:
        >>> round(tuning() * SHARP, 2)
        8.78
    """
    doubt = -2 * np.log(alpha)
    return float((doubt + np.log(doubt) + 1) / n)


def radius(error: float, n: float, alpha: float) -> float:
    """Half the width of the interval.

    Args:
        error: Standard error of the estimate; unknown, or 0 because nothing has varied yet, makes it infinite.
        n: Events behind it, those of the smaller of two arms.
        alpha: Probability of ever excluding the truth, in the limit.

    Examples:
        >>> round(radius(1.0, 1000, 0.05), 2)                        # a planned test has 1.96
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
    """Log evidence that the truth is not 0, for the same normal mixture.

    Examples:
        >>> round(np.exp(log_evidence(radius(1.0, 1000, 0.05), 1.0, 1000)).item(), 9)  # 1 / alpha
        20.0
    """
    if not error > 0:
        return 0.0
    growth = n * tuning()
    return float((estimate / error) ** 2 / 2 * growth / (growth + 1) - np.log1p(growth) / 2)


def around(estimate: float, error: float, n: float, alpha: float) -> Interval:
    """The interval around an estimate."""
    half = radius(error, n, alpha)
    return Interval(estimate - half, estimate + half) if half < float("inf") else Interval(-half, half)
