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

    Of repeated items all rows are used, clustered by item.

    Raises:
        StatError: Fewer than two pairs.
    """
    control, treatment = pairs.arms
    one, two = sort_arm(control), sort_arm(treatment)
    below = [_below(control, one), _below(treatment, two)]
    if control.cluster is not None:
        present = np.bincount(control.cluster) > 0
        below = [part[present] for part in below]
    varies = all(part.std() > 0 for part in below)
    correlation = float(np.asarray(np.corrcoef(np.stack(below)))[0, 1]) if varies else 0.0
    return _contrast(one, two, correlation), correlation


def _below(arm: Values, side: SortedArm) -> np.ndarray:
    """Influence of each row, or of each cluster, on the share of events below the quantile."""
    below = (arm.x <= side.estimate) - arm.metric.q
    return np.asarray(below if arm.cluster is None else np.bincount(arm.cluster, arm.weight * below))


def _contrast(control: SortedArm, treatment: SortedArm, correlation: float) -> Contrast:
    return mover_contrast((control.estimate, control.limits), (treatment.estimate, treatment.limits), correlation)
