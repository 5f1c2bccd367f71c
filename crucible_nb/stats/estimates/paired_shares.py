"""Contrasts of two proportions of the same items."""

from __future__ import annotations

import math

import numpy as np

from crucible_nb.stats.estimates.binary import RARE, share_of
from crucible_nb.stats.estimates.contrast import Contrast, mover_contrast
from crucible_nb.stats.estimates.mover import difference_limits
from crucible_nb.stats.estimates.shares import beta_limits, wilson
from crucible_nb.stats.estimates.two_means import two_paired_means
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.counts import discordant_of
from crucible_nb.stats.samples.pairs import Pairs


def paired_share_contrast(pairs: Pairs) -> Contrast:
    """Contrast of two proportions of the same items: the difference from the discordant pairs, the ratio by MOVER.

    The shares of pairs that are true only in the treatment and only in the control have Wilson's limits, and those of
    Clopper and Pearson if one of them has fewer than 10 pairs. Sampled or clustered pairs are linearised.
    """
    if not pairs.control.plain or not pairs.treatment.plain:
        means = two_paired_means(pairs)
        if means.error(1.0, 1.0).error > 0:
            return means.contrast
    shares = [share_of(arm) for arm in (pairs.control, pairs.treatment)]
    correlation = _correlation(pairs.control.x, pairs.treatment.x)
    sides = [(side.share, side.exact_limits if _is_rare(side.hits, side.n) else side.limits) for side in shares]
    ratios = mover_contrast(sides[0], sides[1], correlation)
    n, rows = shares[0].n, len(pairs.control.x)
    control_only, treatment_only = (count * n / rows for count in discordant_of(pairs))

    def limits(confidence: float, ratio: float) -> Interval:
        if ratio == 1.0:
            return discordant_limits(control_only, treatment_only, n, confidence)
        return ratios.limits(confidence, ratio)

    return ratios._replace(limits=limits)


def discordant_limits(control_only: float, treatment_only: float, n: float, confidence: float) -> Interval:
    """Interval of the difference of two paired proportions, treatment - control, from the discordant pairs (MOVER).

    Args:
        control_only: Number of pairs in which only the control is true.
        treatment_only: Number of pairs in which only the treatment is true.
        n: Number of all pairs.
        confidence: Coverage.

    Examples:
        >>> low, high = discordant_limits(0, 0, 100, 0.90)
        >>> round(high, 4)  # no failure among 100 pairs: fewer than 2.95%, by the rule of three
        0.0295

    References:
        Tang, Li, Tang: Confidence intervals for the difference between two correlated proportions. Statistics in
        Medicine 29 (2010).
    """
    by = beta_limits if min(control_only, treatment_only) < RARE else wilson
    x, y = control_only / n, treatment_only / n
    correlation = -math.sqrt(x * y / ((1 - x) * (1 - y))) if max(x, y) < 1 else 0.0
    return difference_limits((x, by(x, n, confidence)), (y, by(y, n, confidence)), correlation)


def _is_rare(hits: float, n: float) -> bool:
    return min(hits, n - hits) < RARE


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if not (x.std() > 0 and y.std() > 0):
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
