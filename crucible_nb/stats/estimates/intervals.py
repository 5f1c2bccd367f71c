"""Confidence intervals from rows with weights: of means and totals here, of every kind in `LIMITS`."""

from __future__ import annotations

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.limits import CLUSTERS, Limits, around, enough, exactly
from crucible_nb.stats.estimates.quantiles import quantile_limits, rank_limits
from crucible_nb.stats.estimates.ratios import ratio_limits
from crucible_nb.stats.estimates.shares import beta_limits, rate_limits, wilson
from crucible_nb.stats.lazy_imports import heavy
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of

__all__ = [
    "CLUSTERS", "LIMITS", "Limits", "beta_limits", "heavy", "mean_limits", "quantile_limits", "rank_limits",
    "rate_limits", "ratio_limits", "total_limits", "wilson",
]  # fmt: skip


def mean_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of a mean: on the log scale where all values are positive, else t.

    Args:
        values: At least two, or one that stands for itself alone with of="run".
        confidence: Coverage, e.g. 0.95.
        of: "process" or "run".
        method: "t" or "log"; None chooses.

    Raises:
        StatError: Too few values or clusters; method="log" with values that are not positive.

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.7. Springer (1992).
    """
    enough(values, 1 if of == "run" else 2, of)
    x, weight = values.x, values.weight
    estimate = weighted.mean(x, weight)
    if of == "run" and not values.sampled:
        return exactly(estimate)
    units = enough(values, 2, of)
    error = weighted.standard_error(x, weight, of, values.cluster)
    return around(estimate, error, units - 1, confidence, _scale(values, method), heavy(values))


def total_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of a total: events seen times the mean, or Horvitz-Thompson for the column that the sampler was sized by.

    Args:
        values: As for `mean_limits`; a missing value adds nothing.
        confidence: Coverage.
        of: "run" (what the full log adds up to) or "process" (what so many events cost in the long run).
        method: "t" or "log"; None chooses.

    Raises:
        StatError: Too few values or clusters; method="log" with values that are not positive.
    """
    enough(values, 1 if of == "run" else 2, of)
    x, weight = values.x, values.weight
    if of == "run" and not values.sampled:
        return exactly(float(weight @ x))
    units = enough(values, 2, of)
    if values.seen is None or values.sized:
        scale, center = 1.0, 0.0 if of == "run" else weighted.mean(x, weight)
        lost = 0.0
    else:
        # rows without a value count as 0, so that the weights of all rows stand for all events
        scale = values.seen / values.rows_weight
        lost = center = float(weight @ x) / values.rows_weight
    error = scale * float(np.sqrt(_squares(values, center, lost, of)))
    return around(scale * float(weight @ x), error, units - 1, confidence, _scale(values, method), heavy(values))


def _squares(values: Values, center: float, lost: float, of: Of) -> float:
    """Squared standard error of sum(w (x - center)); rows without a value add -lost each."""
    if values.cluster is not None and of == "process":
        absent = np.zeros(0) if values.lost is None or lost == 0 else values.lost
        totals: np.ndarray = np.bincount(values.cluster, values.weight * (values.x - center), minlength=len(absent))
        totals[: len(absent)] -= lost * absent
        held = np.bincount(values.cluster, minlength=len(absent)) > 0
        held[: len(absent)] |= absent > 0
        n, squares = int(np.count_nonzero(held)), float(totals @ totals)
    else:
        n = len(values.x) + values.missing
        squares = float(weighted.spread(values.weight, of) @ (values.x - center) ** 2) + _absent(values, of) * lost**2
    return n / (n - 1) * squares


def _absent(values: Values, of: Of) -> float:
    """What the rows without a value add to the squares; their weights are taken as alike."""
    if not values.missing:
        return 0.0
    weight = (values.rows_weight - values.weight.sum()) / values.missing
    return float(values.missing * weighted.spread(np.array([weight]), of)[0])


def _scale(values: Values, method: str | None) -> str:
    """On which scale the interval is symmetric: "log" for positive values, else "t"."""
    positive = bool((values.x > 0).all())
    if method == "log" and not positive:
        raise StatError(f"method='log' needs positive values, {values.metric.name} has {values.x.min():g}; use 't'")
    return method or ("log" if positive else "t")


LIMITS = {
    "mean": mean_limits,
    "total": total_limits,
    "rate": rate_limits,
    "quantile": quantile_limits,
    "ratio": ratio_limits,
}
"""How the interval of each kind of metric is made."""
