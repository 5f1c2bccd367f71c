"""`SortedArm`: a quantile of one arm and its interval at any confidence, from values sorted once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.effective_size import EffectiveSize, size_of_quantile
from crucible_nb.stats.estimates.quantiles import open_ends, rank_limits, rows_at_nearer_end
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values


class SortedArm(NamedTuple):
    """Sorted values of one arm.

    Attributes:
        x: float64[n], values in ascending order.
        cumulated: float64[n], proportion of the events at or below each value; None if all rows have equal weight.
        values: Values of the arm, in order of arrival.
        estimate: The quantile of the values.
        size: Effective number of independent rows for the proportion below the quantile; see `size_of_quantile`.
        ends: Total weight divided by the largest weight near the nearer end; see `rows_at_nearer_end`.
    """

    x: np.ndarray
    cumulated: np.ndarray | None
    values: Values
    estimate: float
    size: EffectiveSize
    ends: float

    def limits(self, confidence: float) -> Interval:
        """Interval of the quantile, interpolated between order statistics; infinite if no value is that far out.

        Order statistics without interpolation cover at least `confidence`, in steps. A difference of two arms would add
        the steps of both, and be far too wide.

        References:
            Woodruff: Confidence intervals for medians and other position measures. JASA 47 (1952).
            Hettmansperger, Sheather: Confidence intervals based on interpolated order statistics. Statistics and
            Probability Letters 4 (1986).
        """
        size = self.size.at(confidence)
        ranks = rank_limits(self.values.metric.q, size, confidence)
        interval = Interval(self._at(ranks.low / size), self._at(ranks.high / size))
        return open_ends(interval, self.values, min(size, self.ends), confidence)[0]

    def _at(self, share: float) -> float:
        """The value below which a proportion `share` of the events lies."""
        if self.cumulated is not None:
            return float(np.interp(share, self.cumulated, self.x))
        index = share * len(self.x) - 1
        below = min(max(math.floor(index), 0), len(self.x) - 1)
        above = min(below + 1, len(self.x) - 1)
        part = min(max(index - below, 0.0), 1.0)
        return float(self.x[below] + part * (self.x[above] - self.x[below]))


def sort_arm(values: Values) -> SortedArm:
    """Sort the values of an arm, and compute their quantile.

    Raises:
        StatError: Fewer than two values.

    Examples:
        >>> import numpy as np
        >>> from crucible_nb.stats.samples.values import values_of
        >>> arm = sort_arm(values_of(np.arange(1.0, 101.0), "p50_latency_ms"))
        >>> arm.estimate, [round(limit, 2) for limit in arm.limits(0.95)]
        (50.5, [40.72, 60.28])
    """
    q, x = values.metric.q, values.x
    if len(x) < 2:
        raise StatError(f"{values.metric.name}: expected at least 2 values, got {len(x)}")
    if values.sampled:
        order = np.argsort(x, kind="stable")
        x, weight = x[order], values.weight[order]
        estimate = weighted.sorted_quantile(x, weight, q)
        size = size_of_quantile(values, estimate, "process")
        return SortedArm(x, np.cumsum(weight) / weight.sum(), values, estimate, size, rows_at_nearer_end(weight, q))
    x, n = np.sort(x), float(len(x))
    estimate = float(quantile_of_sorted(x, q))
    return SortedArm(x, None, values, estimate, size_of_quantile(values, estimate, "process"), n)


def linearize_quantile(values: Values) -> tuple[float, np.ndarray]:
    """The quantile of an arm, with the linearised deviation of each row; their weighted sum is 0.

    A row moves the quantile by the change of the share below it, divided by the density there. The density is that
    between the 95 % limits of the quantile.

    Raises:
        StatError: Fewer than two values, an open limit, or equal values between the limits.

    Examples:
        >>> import numpy as np
        >>> from crucible_nb.stats.samples.values import values_of
        >>> estimate, deviation = linearize_quantile(values_of(np.arange(100.0), "p50_latency_ms"))
        >>> estimate, round(float(deviation.min()), 6), round(float(deviation.max()), 6)  # the density is 1 / 100
        (49.5, -50.0, 50.0)

    References:
        Koenker: Quantile Regression, section 3.4 (sparsity). Cambridge (2005). Francisco, Fuller: Quantile estimation
        with a complex survey design. Annals of Statistics 19 (1991).
    """
    arm = sort_arm(values)
    size = arm.size.at(_DENSITY_AT)
    ranks, limits = rank_limits(values.metric.q, size, _DENSITY_AT), arm.limits(_DENSITY_AT)
    width = limits.high - limits.low
    if not 0 < width < math.inf:
        raise StatError(f"{values.metric.name}: the density at the quantile is not known")
    below = weighted.influence(values, arm.estimate)
    per_share = width * size / (ranks.high - ranks.low)
    return arm.estimate, (weighted.mean(below, values.weight) - below) * per_share


_DENSITY_AT = 0.95
