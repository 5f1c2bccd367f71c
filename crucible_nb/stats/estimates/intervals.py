"""Confidence intervals of means and totals; `LIMITS` maps each kind of metric to its interval function."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.estimates.limits import Limits, choose_scale, exact_limits, require_units, symmetric_limits
from crucible_nb.stats.estimates.quantiles import quantile_limits, rank_limits
from crucible_nb.stats.estimates.ratios import ratio_limits
from crucible_nb.stats.estimates.shares import beta_limits, rate_limits, wilson
from crucible_nb.stats.heavy_tails import heavy_tail_warnings
from crucible_nb.stats.products import dot
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of

__all__ = [
    "LIMITS", "Limits", "beta_limits", "complete", "heavy_tail_warnings", "mean_limits", "quantile_limits",
    "rank_limits", "rate_limits", "ratio_limits", "total_limits", "wilson",
]  # fmt: skip


def mean_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Interval of a mean: by t on the log scale if all values are positive, otherwise by t.

    Args:
        values: At least two values; one is enough for of="run" without sampling.
        confidence: Coverage, e.g. 0.95.
        of: "process" or "run".
        method: "t" or "log"; None chooses.

    Raises:
        StatError: Too few values or clusters; method="log" with values that are not positive.

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.7. Springer (1992).
    """
    require_units(values, 1 if of == "run" else 2, of)
    x, weight = values.x, values.weight
    estimate = weighted.mean(x, weight)
    if of == "run" and not values.sampled:
        return exact_limits(estimate)
    require_units(values, 2, of)
    error = weighted.error_of(x - estimate, weight, of, values.cluster)
    return symmetric_limits(estimate, error, confidence, _scale(values, method, error.df), heavy_tail_warnings(values))


def total_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Interval of a total: number of events times the mean; Horvitz-Thompson for the column that sampling depends on.

    Args:
        values: As for `mean_limits`; a missing value counts 0.
        confidence: Coverage.
        of: "run" (the sum over the full log) or "process" (the expected sum of as many events).
        method: "t" or "log"; None chooses.

    Raises:
        StatError: Too few values or clusters; method="log" with values that are not positive.
    """
    require_units(values, 1 if of == "run" else 2, of)
    x, weight = values.x, values.weight
    if of == "run" and not values.sampled:
        return exact_limits(float(weight @ x))
    require_units(values, 2, of)
    sums_only = of == "run" and (values.seen is None or values.sized) and weighted.are_inverse_probabilities(weight)
    total = linearize_total(values, centred=not sums_only)
    error, df = weighted.error_of(total.deviation, total.rows.weight, of, total.rows.cluster)
    return symmetric_limits(
        total.estimate, Error(total.events * error, df), confidence, _scale(values, method, df),
        heavy_tail_warnings(values),
    )  # fmt: skip


class LinearTotal(NamedTuple):
    """A total, as the number of events times a mean.

    Attributes:
        estimate: The total.
        events: Number of events.
        rows: Rows whose weighted sum is the total, up to a factor; see `complete`.
        deviation: float64[rows], deviation of each row from the mean.
    """

    estimate: float
    events: float
    rows: Values
    deviation: np.ndarray


def linearize_total(values: Values, *, centred: bool = True) -> LinearTotal:
    """Linearise a total; `centred=False` takes the deviations from 0, for a sum whose number of events varies."""
    scale, rows = complete(values)
    center = weighted.mean(rows.x, rows.weight) if centred else 0.0
    estimate = scale * dot(values.weight, values.x)
    return LinearTotal(estimate, scale * float(rows.weight.sum()), rows, rows.x - center)


def complete(values: Values) -> tuple[float, Values]:
    """Rows whose weighted sum is the total, and the factor from it to the total of all events.

    Rows without a value count 0, so that the weights of all rows add up to all events. A column that sampling depends
    on has a total without them, and needs no factor.
    """
    if values.seen is None or values.sized:
        return 1.0, values
    scale = values.seen / values.rows_weight
    if values.lost is None:
        return scale, values
    cluster = values.cluster
    if cluster is not None and values.lost_cluster is not None:
        cluster = np.append(cluster, values.lost_cluster)
    return scale, values._replace(
        x=np.append(values.x, np.zeros(len(values.lost))), weight=np.append(values.weight, values.lost), cluster=cluster
    )


def _scale(values: Values, method: str | None, df: float) -> str:
    """The method, if it fits the values; None chooses the scale."""
    positive = bool((values.x > 0).all())
    if method == "log" and not positive:
        raise StatError(
            f"method='log' needs positive values, {values.metric.name} has {values.x.min():g}; use method='t'"
        )
    return method or choose_scale(values, df, positive=positive)


LIMITS = {
    "mean": mean_limits,
    "total": total_limits,
    "rate": rate_limits,
    "quantile": quantile_limits,
    "ratio": ratio_limits,
}
"""Kind of metric -> function that gives its interval."""
