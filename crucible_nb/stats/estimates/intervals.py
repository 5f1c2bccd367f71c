"""Confidence intervals of means and totals; `LIMITS` maps each kind of metric to its interval function."""

from __future__ import annotations

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.limits import CLUSTERS, Limits, exact_limits, require_units, symmetric_limits
from crucible_nb.stats.estimates.quantiles import quantile_limits, rank_limits
from crucible_nb.stats.estimates.ratios import ratio_limits
from crucible_nb.stats.estimates.shares import beta_limits, rate_limits, wilson
from crucible_nb.stats.heavy_tails import heavy_tail_warnings
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of

__all__ = [
    "CLUSTERS", "LIMITS", "Limits", "beta_limits", "heavy_tail_warnings", "mean_limits", "quantile_limits",
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
    units = require_units(values, 2, of)
    error = weighted.standard_error(x, weight, of, values.cluster)
    return symmetric_limits(estimate, error, units - 1, confidence, _scale(values, method), heavy_tail_warnings(values))


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
    units = require_units(values, 2, of)
    if values.seen is None or values.sized:
        scale, center = 1.0, 0.0 if of == "run" else weighted.mean(x, weight)
        missing_value = 0.0
    else:
        # rows without a value count 0, so that the weights of all rows add up to all events
        scale = values.seen / values.rows_weight
        missing_value = center = float(weight @ x) / values.rows_weight
    error = scale * float(np.sqrt(_squared_error(values, center, missing_value, of)))
    return symmetric_limits(
        scale * float(weight @ x), error, units - 1, confidence, _scale(values, method), heavy_tail_warnings(values)
    )


def _squared_error(values: Values, center: float, missing_value: float, of: Of) -> float:
    """Squared standard error of sum(w (x - center)), in which each row without a value adds -w missing_value."""
    if values.cluster is not None and of == "process":
        absent = np.zeros(0) if values.lost is None or missing_value == 0 else values.lost
        totals: np.ndarray = np.bincount(values.cluster, values.weight * (values.x - center), minlength=len(absent))
        totals[: len(absent)] -= missing_value * absent
        present = np.bincount(values.cluster, minlength=len(absent)) > 0
        present[: len(absent)] |= absent > 0
        n, squares = int(np.count_nonzero(present)), float(totals @ totals)
    else:
        n = len(values.x) + values.missing
        squares = float(weighted.variance_factor(values.weight, of) @ (values.x - center) ** 2)
        squares += _missing_factor(values, of) * missing_value**2
    return n / (n - 1) * squares


def _missing_factor(values: Values, of: Of) -> float:
    """Sum of `variance_factor` over rows without a value, whose weights are taken as equal."""
    if not values.missing:
        return 0.0
    weight = (values.rows_weight - values.weight.sum()) / values.missing
    return float(values.missing * weighted.variance_factor(np.array([weight]), of)[0])


def _scale(values: Values, method: str | None) -> str:
    """Choose the scale on which the interval is symmetric: "log" for positive values, otherwise "t"."""
    positive = bool((values.x > 0).all())
    if method == "log" and not positive:
        raise StatError(
            f"method='log' needs positive values, {values.metric.name} has {values.x.min():g}; use method='t'"
        )
    return method or ("log" if positive else "t")


LIMITS = {
    "mean": mean_limits,
    "total": total_limits,
    "rate": rate_limits,
    "quantile": quantile_limits,
    "ratio": ratio_limits,
}
"""Kind of metric -> function that gives its interval."""
