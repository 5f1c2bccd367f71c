"""Bootstrap intervals (BCa), seeded, of rows or of whole clusters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import extreme_scale
from crucible_nb.stats.estimates.effective_size import size_of_quantile
from crucible_nb.stats.estimates.limits import Limits, require_units
from crucible_nb.stats.estimates.quantiles import open_ends, rows_at_nearer_end
from crucible_nb.stats.heavy_tails import heavy_tail_warnings
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values

_SUMS, _QUANTILE = (2000, 9999), (1000, 1999)  # (maximal number of resampled units, resamples)
_FAR = 10.0


def bootstrap_limits(values: Values, confidence: float, seed: int = 0, resamples: int | None = None) -> Limits:
    """BCa bootstrap interval of a mean, rate, ratio or quantile of the process; rows keep their weights.

    Clustered rows are resampled by cluster. More than 2,000 units (1,000 for a quantile) are grouped at random into
    that many groups, which are resampled as a whole: the interval has the same distribution, in bounded time.

    Args:
        values: At least ten values, in at least ten clusters if they are clustered.
        confidence: Coverage.
        seed: Random seed.
        resamples: Number of resamples; None is 9,999, for a quantile 1,999.

    Raises:
        StatError: Fewer than ten values or clusters, all values equal, or a total.

    References:
        Efron: Better bootstrap confidence intervals. JASA 82 (1987).
        Field, Welsh: Bootstrapping clustered data. JRSS B 69 (2007).
    """
    metric = values.metric
    if metric.kind == "total":
        raise StatError("method='bootstrap' is for means, rates, ratios and quantiles, got a total")
    units = require_units(values, 1)
    if units < 10 or (values.per is None and (values.x == values.x[0]).all()):
        what = "ten values" if values.cluster is None else "ten clusters with values"
        raise StatError(f"{metric.name}: a bootstrap needs at least {what} that are not all equal, got {units}")
    scale = extreme_scale(values.x)
    if scale != 1:
        limits = bootstrap_limits(values._replace(x=values.x / scale), confidence, seed, resamples)
        interval = Interval(scale * limits.interval.low, scale * limits.interval.high)
        return limits._replace(estimate=scale * limits.estimate, interval=interval, error=scale * limits.error)
    rng = np.random.default_rng(seed)
    quantile = metric.kind == "quantile"
    max_units, default = _QUANTILE if quantile else _SUMS
    unit = _unit_codes(values, max_units, rng)
    bootstrap = (_bootstrap_quantile if quantile else _bootstrap_ratio)(
        values, unit, confidence, resamples or default, rng
    )
    low, high = map(float, bootstrap.confidence_interval)
    if np.isnan([low, high]).any():
        raise StatError(
            f"{metric.name}: the bootstrap distribution is degenerate, without an interval; use method=None"
        )
    under = None if values.per is None else values.weight @ values.per
    estimate = (
        weighted.quantile(values.x, values.weight, metric.q) if quantile
        else weighted.mean(values.x, values.weight) if under is None else float(values.weight @ values.x / under)
    )  # fmt: skip
    interval, reasons = Interval(low, high), heavy_tail_warnings(values)
    if quantile:
        interval, reasons = open_ends(interval, values, _rows_at_the_end(values, estimate, confidence), confidence)
    return Limits(estimate, interval, float(bootstrap.standard_error), "bootstrap", reasons)


def _rows_at_the_end(values: Values, estimate: float, confidence: float) -> float:
    """Effective number of rows at the end of the sample that is nearer to the quantile."""
    order = np.argsort(values.x, kind="stable")
    size = size_of_quantile(values, estimate, "process").at(confidence)
    return min(size, rows_at_nearer_end(values.weight[order], values.metric.q))


def _unit_codes(values: Values, max_units: int, rng: np.random.Generator) -> np.ndarray:
    """Code of the unit that each row is resampled with, from 0 without gaps: a row, a cluster or a random group."""
    cluster = values.cluster
    unit = np.arange(len(values.x)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    n = int(unit.max()) + 1
    return unit if n <= max_units else (rng.permutation(n) % max_units)[unit]


def _bootstrap_ratio(
    values: Values, unit: np.ndarray, confidence: float, resamples: int, rng: np.random.Generator
) -> Any:
    top = np.bincount(unit, values.weight * values.x)
    under = np.bincount(unit, values.weight * (1.0 if values.per is None else values.per))

    def ratio(a: Any, b: Any, axis: int = -1) -> Any:
        return a.sum(axis) / b.sum(axis)

    return _bca((top, under), ratio, confidence, resamples, rng, vectorized=True)


def _bootstrap_quantile(
    values: Values, unit: np.ndarray, confidence: float, resamples: int, rng: np.random.Generator
) -> Any:
    """Bootstrap a quantile; values more than ten standard errors away are only counted, as below or above."""
    order, q = np.argsort(values.x, kind="stable"), values.metric.q
    x, weight, unit = values.x[order], values.weight[order], unit[order]
    n, cumulated = int(unit.max()) + 1, np.cumsum(weight) / weight.sum()
    reach = (
        _FAR * weighted.quantile_error(x, weight, float(quantile_of_sorted(x, q, weight)), q, "process", unit).error
        + _FAR / n
    )
    low, high = np.searchsorted(cumulated, [q - reach, q + reach]).tolist()
    near = slice(low, min(high + 1, len(x)))
    below, above = (np.bincount(unit[part], weight[part], n) for part in (slice(low), slice(near.stop, None)))
    nearby = np.r_[x[max(low - 1, 0)], x[near], x[min(near.stop, len(x) - 1)]]

    def quantile(drawn: np.ndarray) -> float:
        times = np.bincount(drawn, minlength=n)
        return float(
            quantile_of_sorted(nearby, q, np.r_[below @ times, weight[near] * times[unit[near]], above @ times])
        )

    return _bca((np.arange(n),), quantile, confidence, resamples, rng, vectorized=False)


def _bca(
    data: tuple[np.ndarray, ...], statistic: Any, confidence: float, resamples: int, rng: Any, *, vectorized: bool
) -> Any:
    from scipy import stats  # noqa: PLC0415  heavy; imported where used

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # degenerate resamples; the caller rejects NaN limits
        return stats.bootstrap(
            data, statistic, paired=True, vectorized=vectorized, confidence_level=confidence, method="BCa",
            n_resamples=resamples, batch=max(1, 10**6 // len(data[0])), rng=rng,
        )  # fmt: skip
