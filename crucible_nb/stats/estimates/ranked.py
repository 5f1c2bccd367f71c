"""A quantile and its interval at any confidence, from values sorted once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.quantiles import rank_limits, rows_at_the_ends, share_worth
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values


class Ranked(NamedTuple):
    """Sorted values of one arm.

    Attributes:
        x: float64[n], ascending.
        filled: float64[n], share of the events at or below each value; None where rows count alike.
        values: The arm.
        estimate: The quantile of the values.
        size: Independent values that the share below it is worth.
        ends: Rows as heavy as those near its nearer end that all events are worth.
    """

    x: np.ndarray
    filled: np.ndarray | None
    values: Values
    estimate: float
    size: float
    ends: float

    def limits(self, confidence: float) -> Interval:
        """By order statistics, between which it interpolates; infinite where no value is that far out.

        The plain order statistics of one arm cover at least as often as they say. A difference of two takes the
        steps of both, and would be far too wide.

        References:
            Woodruff: Confidence intervals for medians and other position measures. JASA 47 (1952).
            Hettmansperger, Sheather: Confidence intervals based on interpolated order statistics. Statistics and
            Probability Letters 4 (1986).
        """
        q, tail = self.values.metric.q, (1 - confidence) / 2
        size = weighted.fewer(self.size, self.values, "process", confidence)
        ranks, ends = rank_limits(q, size, confidence), min(size, self.ends)
        return Interval(
            self._at(ranks.low / size) if (1 - q) ** ends <= tail else -math.inf,
            self._at(ranks.high / size) if q**ends <= tail else math.inf,
        )

    def _at(self, share: float) -> float:
        """The value below which this share of the events lies."""
        if self.filled is not None:
            return float(np.interp(share, self.filled, self.x))
        place = share * len(self.x) - 1
        below = min(max(math.floor(place), 0), len(self.x) - 1)
        above = min(below + 1, len(self.x) - 1)
        part = min(max(place - below, 0.0), 1.0)
        return float(self.x[below] + part * (self.x[above] - self.x[below]))


def ranked(values: Values) -> Ranked:
    """Sort the values of an arm.

    Raises:
        StatError: Fewer than two values.

    Examples:
        >>> import numpy as np
        >>> from crucible_nb.stats.samples.values import values_of
        >>> arm = ranked(values_of(np.arange(1.0, 101.0), "p50_latency_ms"))
        >>> arm.estimate, [round(limit, 2) for limit in arm.limits(0.95)]
        (50.5, [40.72, 60.28])
    """
    q, x = values.metric.q, values.x
    if len(x) < 2:
        raise StatError(f"{values.metric.name}: expected at least 2 values, got {len(x)}")
    if values.plain:
        x, n = np.sort(x), float(len(x))
        return Ranked(x, None, values, float(quantile_of_sorted(x, q)), n, n)
    order = np.argsort(x, kind="stable")
    x, weight = x[order], values.weight[order]
    estimate = float(quantile_of_sorted(x, q, weight if values.sampled else None))
    cluster = None if values.cluster is None else values.cluster[order]
    size = share_worth(x, weight, cluster, estimate, q, "process")
    return Ranked(x, np.cumsum(weight) / weight.sum(), values, estimate, size, rows_at_the_ends(weight, q))
