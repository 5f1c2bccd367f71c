"""`cr.confidence_interval`: one number, how far it may be off, and about what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crucible_nb import checks
from crucible_nb.stats.bootstrap import bootstrap_limits
from crucible_nb.stats.intervals import LIMITS
from crucible_nb.stats.results import Interval, Result
from crucible_nb.stats.values import Kind, values_of
from crucible_nb.stats.weighted import Of, effective_size

_METHODS: dict[Kind, tuple[str, ...]] = {
    "mean": ("t", "log", "bootstrap"),
    "total": ("t", "log"),
    "rate": ("wilson", "clopper_pearson", "bootstrap"),
    "quantile": ("quantile", "bootstrap"),
}


@dataclass(frozen=True, repr=False)
class Estimate(Result):
    """An estimate with its confidence interval.

    Attributes:
        metric: What was asked for.
        estimate: The number, in the unit of its column.
        confidence_interval: (low, high).
        confidence: Its coverage.
        of: "process" (what the system does in the long run) or "run" (what the full log would have said).
        method: How the interval was made.
        standard_error: Of the estimate; NaN for quantiles.
        n: Rows with a value.
        effective_n: Kish's effective number of rows; shown, not used.
        missing: Rows without a value, left out.
        warnings: What a reader should know.
    """

    metric: str
    estimate: float
    confidence_interval: Interval
    confidence: float
    of: str
    method: str
    standard_error: float
    n: int
    effective_n: float
    missing: int
    warnings: tuple[str, ...] = ()


def confidence_interval(
    data: Any,
    metric: str = "success_rate",
    confidence: float = 0.95,
    method: str | None = None,
    of: str | None = None,
    seed: int = 0,
) -> Estimate:
    """The interval of a metric; rows that were sampled count with their weights.

    Args:
        data: Experiment, DataFrame, Series, list or array; with bare values `metric` only says what they are.
        metric: "mean_", "p50_", "p95_", ... or "total_" and a column, "success_rate", or a column for its mean.
        confidence: Coverage, in (0, 1).
        method: Means: "t" or "log"; rates: "wilson" or "clopper_pearson"; quantiles: "quantile" (order statistics);
            any but totals: "bootstrap" (BCa). None chooses: log for positive data, else t; Wilson for rows that
            were not sampled, else beta limits on the effective n.
        of: "process": what the system does in the long run, the default for means, rates and quantiles. "run": what
            the full log would have said, the default for totals; it shrinks to a point when no row was dropped.
        seed: Of the bootstrap.

    Returns:
        Estimate, in the unit of the column.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column, or it holds no numbers.
        StatError: Too few values, or a method that does not fit them.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.confidence_interval([True] * 20, metric="success_rate").confidence_interval.low.__round__(3)
        0.839
        >>> import numpy as np
        >>> latency = np.random.default_rng(0).lognormal(6, 1, 400)
        >>> found = cr.confidence_interval(latency, metric="p95_latency_ms")
        >>> found.confidence_interval.low < found.estimate < found.confidence_interval.high
        True

    References:
        See the functions of `crucible_nb.stats.intervals`.
    """
    confidence = checks.number("confidence", confidence, above=0, below=1)
    values = values_of(data, metric)
    kind = values.metric.kind
    checks.one_of("method", method, (None, *_METHODS[kind]))
    checks.one_of("of", of, (None, "process", "run"))
    about: Of = "run" if (of or ("run" if kind == "total" else "process")) == "run" else "process"
    if method == "bootstrap":
        if about == "run":
            raise checks.wrong("method", method, "None with of='run'")
        limits = bootstrap_limits(values, confidence, checks.whole("seed", seed))
    else:
        limits = LIMITS[kind](values, confidence, about, method)
    return Estimate(
        metric, limits.estimate, limits.interval, confidence, about, limits.method, limits.error,
        len(values.x), effective_size(values.weight), values.missing, limits.warnings,
    )  # fmt: skip
