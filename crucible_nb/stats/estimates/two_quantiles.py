"""Contrasts of a quantile in two arms, by order statistics of each."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.contrast import Contrast, mover_contrast
from crucible_nb.stats.estimates.sorted_arm import SortedArm, sort_arm
from crucible_nb.stats.samples.arms import arm_error, difference_error, shared_clusters
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values


def quantile_contrast(control: Values, treatment: Values) -> Contrast:
    """Contrast of a quantile in two independent arms, valid for any distribution; they may have clusters in common.

    Raises:
        StatError: Fewer than two values in an arm.
    """
    one, two = sort_arm(control), sort_arm(treatment)
    return _contrast(one, two, _correlation_of_shared(one, two))


def _correlation_of_shared(control: SortedArm, treatment: SortedArm) -> float:
    """Correlation of the shares below the quantiles of two arms that have clusters in common; otherwise 0."""
    arms = control.values, treatment.values
    if not shared_clusters(arms):
        return 0.0
    below = [np.asarray(side.values.x <= side.estimate, np.float64) for side in (control, treatment)]
    away = [part - weighted.mean(part, arm.weight) for part, arm in zip(below, arms, strict=True)]
    one, two = (arm_error(arm, part).error for arm, part in zip(arms, away, strict=True))
    if not one * two > 0:
        return 0.0
    both = difference_error(*arms, away[0], away[1]).error
    return min(max((one**2 + two**2 - both**2) / (2 * one * two), -1.0), 1.0)


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
