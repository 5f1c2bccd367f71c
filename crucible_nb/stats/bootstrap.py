"""Bootstrap intervals (BCa), seeded."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.intervals import Limits
from crucible_nb.stats.results import Interval
from crucible_nb.stats.values import Values


def bootstrap_limits(values: Values, confidence: float, seed: int = 0, resamples: int = 9999) -> Limits:
    """The interval of a mean, rate or quantile of the process by resampling rows with their weights.

    Args:
        values: At least ten.
        confidence: Coverage.
        seed: The same seed gives the same interval.
        resamples: Number of resamples.

    Raises:
        StatError: Fewer than ten values, all alike, or a total.

    References:
        Efron: Better bootstrap confidence intervals. JASA 82 (1987).
    """
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    x, weight, metric = values.x, values.weight, values.metric
    if metric.kind == "total":
        raise StatError("method='bootstrap' is for means, rates and quantiles, got a total")
    if len(x) < 10 or (x == x[0]).all():
        raise StatError(f"{metric.name}: a bootstrap needs ten values that are not all alike, got {len(x)}")

    def mean(sample: Any, its_weight: Any, axis: int = -1) -> Any:
        return (sample * its_weight).sum(axis) / its_weight.sum(axis)

    def quantile(sample: np.ndarray, its_weight: np.ndarray) -> float:
        return weighted.quantile(sample, its_weight, metric.q)

    vectorised = metric.kind != "quantile"
    statistic = mean if vectorised else quantile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate resamples; a NaN limit is refused below
        found = stats.bootstrap(
            (x, weight), statistic, paired=True, vectorized=vectorised, confidence_level=confidence, method="BCa",
            n_resamples=resamples if vectorised else min(resamples, 1999), batch=max(1, 10**7 // len(x)),
            rng=np.random.default_rng(seed),
        )  # fmt: skip
    low, high = map(float, found.confidence_interval)
    if np.isnan([low, high]).any():
        raise StatError(f"{metric.name}: the bootstrap found no interval; use method=None")
    return Limits(float(statistic(x, weight)), Interval(low, high), float(found.standard_error), "bootstrap")
