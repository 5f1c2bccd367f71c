"""Contrasts of a quantile in two arms, by order statistics of each."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats.estimates.contrast import Contrast, mover_contrast
from crucible_nb.stats.estimates.sorted_arm import SortedArm, sort_arm
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values


def quantile_contrast(control: Values, treatment: Values) -> Contrast:
    """Contrast of a quantile in two independent arms, valid for any distribution.

    Raises:
        StatError: Fewer than two values in an arm.
    """
    return _contrast(sort_arm(control), sort_arm(treatment), 0.0)


def paired_quantile_contrast(pairs: Pairs) -> tuple[Contrast, float]:
    """Contrast of a quantile of the same items in two arms, and the correlation of being below the quantile.

    Raises:
        StatError: Fewer than two pairs.
    """
    one, two = sort_arm(pairs.control), sort_arm(pairs.treatment)
    below = np.stack([pairs.control.x <= one.estimate, pairs.treatment.x <= two.estimate]).astype(np.float64)
    correlation = float(np.asarray(np.corrcoef(below))[0, 1]) if below.std(1).all() else 0.0
    return _contrast(one, two, correlation), correlation


def _contrast(control: SortedArm, treatment: SortedArm, correlation: float) -> Contrast:
    return mover_contrast((control.estimate, control.limits), (treatment.estimate, treatment.limits), correlation)
