"""A quantile and its interval at any confidence, from values sorted once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.intervals import rank_limits
from crucible_nb.stats.results import Interval
from crucible_nb.stats.values import Values


class Ranked(NamedTuple):
    """Sorted values of one arm.

    Attributes:
        x: float64[n], ascending.
        filled: float64[n], share of the events at or below each value; None where rows count alike.
        q: The quantile.
        estimate: The quantile of the values.
        size: Independent values that the share below it is worth.
    """

    x: np.ndarray
    filled: np.ndarray | None
    q: float
    estimate: float
    size: float

    def limits(self, confidence: float) -> Interval:
        """By order statistics; infinite where no value is that far out.

        References:
            Woodruff: Confidence intervals for medians and other position measures. JASA 47 (1952).
        """
        n, ranks = len(self.x), rank_limits(self.q, self.size, confidence)
        below, above = ranks.low / self.size * (1 + 1e-12), ranks.high / self.size * (1 - 1e-12)
        if self.filled is None:
            low, high = math.floor(below * n) - 1, math.ceil(above * n) - 1
        else:
            low = int(np.searchsorted(self.filled, below, side="right")) - 1
            high = int(np.searchsorted(self.filled, above))
        tail = (1 - confidence) / 2
        return Interval(
            float(self.x[low]) if low >= 0 and (1 - self.q) ** self.size <= tail else -math.inf,
            float(self.x[high]) if high < n and self.q**self.size <= tail else math.inf,
        )


def ranked(values: Values) -> Ranked:
    """Sort the values of an arm.

    Raises:
        StatError: Fewer than two values.

    Examples:
        >>> import numpy as np
        >>> from crucible_nb.stats.values import values_of
        >>> arm = ranked(values_of(np.arange(1.0, 101.0), "p50_latency_ms"))
        >>> arm.estimate, arm.limits(0.95)
        (50.5, Interval(low=40.0, high=61.0))
    """
    q, x = values.metric.q, values.x
    if len(x) < 2:
        raise StatError(f"{values.metric.name}: expected at least 2 values, got {len(x)}")
    if values.plain:
        x = np.sort(x)
        return Ranked(x, None, q, float(quantile_of_sorted(x, q)), float(len(x)))
    order = np.argsort(x, kind="stable")
    x, weight = x[order], values.weight[order]
    estimate = float(quantile_of_sorted(x, q, weight if values.sampled else None))
    cluster = None if values.cluster is None else values.cluster[order]
    error = weighted.error_of((x <= estimate) - q, weight, "process", cluster)
    return Ranked(x, np.cumsum(weight) / weight.sum(), q, estimate, weighted.share_size(q, error))
