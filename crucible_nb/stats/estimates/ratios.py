"""Ratios of two totals: cost per success, tokens per second."""

from __future__ import annotations

import math

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.limits import Limits, around, enough, exactly
from crucible_nb.stats.lazy_imports import heavy
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of


def ratio_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of sum(w a) / sum(w b), by the linearised standard error: of (a - R b) / mean(b).

    A row that adds to the numerator only counts too: a failed call costs money, and is no success.

    Args:
        values: `x` is a, `per` is b; rows that lack one of them were left out.
        confidence: Coverage.
        of: "process" or "run".
        method: "log" (for nothing but values >= 0 the default), "t" or "fieller" (both sides of the ratio vary at
            once; open where the denominator may be 0).

    Raises:
        StatError: Too few values, a denominator that adds up to 0, method="log" for a ratio that is not positive.

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.6. Springer (1992).
        Fieller: Some problems in interval estimation. JRSS B 16 (1954).
    """
    enough(values, 1 if of == "run" else 2, of)
    estimate = ratio(values)
    if of == "run" and not values.sampled:
        return exactly(estimate)
    units, per = enough(values, 2, of), np.asarray(values.per)
    positive = estimate > 0 and bool((values.x >= 0).all() and (per >= 0).all())
    if method == "log" and not positive:
        raise StatError(f"method='log' needs values >= 0 on both sides, {values.metric.name} has others; use 't'")
    if method == "fieller":
        return _fieller(values, estimate, units - 1, confidence, of)
    error = weighted.error_of(weighted.influence(values, estimate), values.weight, of, values.cluster)
    return around(estimate, error, units - 1, confidence, method or ("log" if positive else "t"), heavy(values))


def ratio(values: Values) -> float:
    """sum(w a) / sum(w b).

    Raises:
        StatError: The denominator adds up to 0.
    """
    metric, under = values.metric, float(values.weight @ np.asarray(values.per))
    if under == 0:
        raise StatError(f"{metric.name}: {metric.per} adds up to 0 in {len(values.x):,} rows, nothing to divide by")
    return float(values.weight @ values.x) / under


def _fieller(values: Values, estimate: float, df: int, confidence: float, of: Of) -> Limits:
    """All ratios rho for which the mean of a - rho b is not more than t standard errors from 0."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    weight, per = values.weight, np.asarray(values.per)
    center = weighted.mean(per, weight)
    a, b = values.x / center, per / center  # the mean of b is 1, that of a the ratio
    a, b = a - estimate, b - 1
    error = weighted.error_of(weighted.influence(values, estimate), weight, of, values.cluster)
    variances = [weighted.error_of(part, weight, of, values.cluster) ** 2 for part in (a, b, a - estimate * b)]
    together = (variances[0] + estimate**2 * variances[1] - variances[2]) / (2 * estimate) if estimate else 0.0
    t = float(special.stdtrit(df, (1 + confidence) / 2)) ** 2
    square, middle, last = 1 - t * variances[1], estimate - t * together, estimate**2 - t * variances[0]
    root = middle**2 - square * last
    if square <= 0 or root < 0:
        said = f"{values.metric.name}: the total of {values.metric.per} may be 0, so that no limit can be set"
        return Limits(estimate, Interval(-math.inf, math.inf), error, "fieller", (said,))
    low, high = (middle - math.sqrt(root)) / square, (middle + math.sqrt(root)) / square
    return Limits(estimate, Interval(low, high), error, "fieller", heavy(values))
