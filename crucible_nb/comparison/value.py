"""The value of a metric in one arm or one run."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats import weighted
from crucible_nb.stats.samples.values import Values


def value_of(values: Values, *, total: bool = True) -> float:
    """A mean, rate, quantile, ratio or total of weighted values; NaN of none.

    Args:
        values: Of one arm.
        total: False gives the mean of what a total would add up.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> value_of(values_of([1.0, 2.0, 6.0], "mean_loss")), value_of(values_of([1.0, 2.0, 6.0], "total_loss"))
        (3.0, 9.0)
    """
    kind, x, weight = values.metric.kind, values.x, values.weight
    if not len(x):
        return float("nan")
    if kind == "quantile":
        return weighted.quantile(x, weight, values.metric.q)
    if kind == "total" and total:
        return float(weight @ x)
    if values.per is not None:
        return float(weight @ x) / float(weight @ np.asarray(values.per))
    return weighted.mean(x, weight) if values.sampled else float(x.mean())
