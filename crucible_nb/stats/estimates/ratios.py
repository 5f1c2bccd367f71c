"""Intervals of ratios of two totals, such as cost per success or tokens per second."""

from __future__ import annotations

import math

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.limits import Limits, choose_scale, exact_limits, require_units, symmetric_limits
from crucible_nb.stats.heavy_tails import heavy_tail_warnings
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of


def ratio_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Interval of a ratio R = sum(w a) / sum(w b), by the linearised standard error, that of (a - R b) / mean(b).

    Rows with b = 0 count in the numerator: a failed call costs money and is no success.

    Args:
        values: Values with a as `x` and b as `per`; rows without a or b were left out.
        confidence: Coverage.
        of: "process" or "run".
        method: "log" (the default if all values are >= 0), "t" or "fieller" (numerator and denominator vary; infinite
            if the denominator may be 0).

    Raises:
        StatError: Too few values, a denominator whose sum is 0, method="log" with a ratio that is not positive.

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.6. Springer (1992).
        Fieller: Some problems in interval estimation. JRSS B 16 (1954).
    """
    require_units(values, 1 if of == "run" else 2, of)
    estimate = ratio(values)
    if of == "run" and not values.sampled:
        return exact_limits(estimate)
    require_units(values, 2, of)
    per = np.asarray(values.per)
    positive = estimate > 0 and bool((values.x >= 0).all() and (per >= 0).all())
    if method == "log" and not positive:
        raise StatError(
            f"method='log' needs numerator and denominator >= 0 and a ratio > 0, which {values.metric.name} has not; "
            "use method='t'"
        )
    if method == "fieller":
        return _fieller(values, estimate, confidence, of)
    error = weighted.error_of(weighted.influence(values, estimate), values.weight, of, values.cluster)
    return symmetric_limits(
        estimate,
        error,
        confidence,
        method or choose_scale(values, error.df, positive=positive),
        heavy_tail_warnings(values),
    )


def ratio(values: Values) -> float:
    """The ratio sum(w a) / sum(w b).

    Raises:
        StatError: The sum of the denominator is 0.
    """
    metric, under = values.metric, float(values.weight @ np.asarray(values.per))
    if under == 0:
        raise StatError(f"{metric.name}: {metric.per} adds up to 0 in {len(values.x):,} rows, so there is no ratio")
    return float(values.weight @ values.x) / under


def _fieller(values: Values, estimate: float, confidence: float, of: Of) -> Limits:
    """Interval of all ratios rho for which the mean of a - rho b is within t standard errors of 0."""
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    weight, per = values.weight, np.asarray(values.per)
    center = weighted.mean(per, weight)
    a, b = values.x / center, per / center  # the mean of b is 1, that of a the ratio
    a, b = a - estimate, b - 1
    error, df = weighted.error_of(weighted.influence(values, estimate), weight, of, values.cluster)
    variances = [weighted.error_of(part, weight, of, values.cluster).error ** 2 for part in (a, b, a - estimate * b)]
    covariance = (variances[0] + estimate**2 * variances[1] - variances[2]) / (2 * estimate) if estimate else 0.0
    t = float(special.stdtrit(df, (1 + confidence) / 2)) ** 2
    square, middle, last = 1 - t * variances[1], estimate - t * covariance, estimate**2 - t * variances[0]
    root = middle**2 - square * last
    if square <= 0 or root < 0:
        warning = f"{values.metric.name}: the total of {values.metric.per} may be 0, so the ratio has no finite limits"
        return Limits(estimate, Interval(-math.inf, math.inf), error, "fieller", (warning,), df)
    low, high = (middle - math.sqrt(root)) / square, (middle + math.sqrt(root)) / square
    return Limits(estimate, Interval(low, high), error, "fieller", heavy_tail_warnings(values), df)
