"""`cr.confidence_interval`: the estimate of a metric with its confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, overload

from crucible_nb.errors import ConfigError
from crucible_nb.events.metric_names import Kind
from crucible_nb.events.where import Where
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.bootstrap import bootstrap_limits
from crucible_nb.stats.estimates.grouped import Estimates, estimate_groups
from crucible_nb.stats.estimates.intervals import LIMITS, Limits
from crucible_nb.stats.few_units import few_units_warnings
from crucible_nb.stats.heavy_tails import top_share
from crucible_nb.stats.results import Interval, Result, number
from crucible_nb.stats.samples.blocks import neighbours, sample_of
from crucible_nb.stats.samples.clusters import INDEPENDENT, Clustering, choose_cluster, cluster_of_units
from crucible_nb.stats.samples.units import unit_values
from crucible_nb.stats.samples.values import Values, frame_of, rows_where
from crucible_nb.stats.weighted import Of, effective_size
from crucible_nb.utils import checks

_METHODS: dict[Kind, tuple[str, ...]] = {
    "mean": ("t", "log", "bootstrap"),
    "total": ("t", "log"),
    "rate": ("wilson", "wilson_cc", "clopper_pearson", "agresti_coull", "bootstrap"),
    "quantile": ("quantile", "bootstrap"),
    "ratio": ("log", "t", "fieller", "bootstrap"),
}
_HOW = {
    "t": "Student's t",
    "log": "Student's t on the log scale",
    "wilson": "Wilson's score method",
    "wilson_cc": "Wilson's score method with continuity correction",
    "clopper_pearson": "Clopper and Pearson's beta limits",
    "agresti_coull": "Agresti and Coull's method",
    "quantile": "order statistics",
    "fieller": "Fieller's method",
    "bootstrap": "the bias-corrected and accelerated bootstrap",
}


@dataclass(frozen=True, repr=False)
class Estimate(Result):
    """An estimate with its confidence interval.

    Attributes:
        metric: Name of the metric.
        estimate: The estimate, in the unit of its column.
        confidence_interval: (low, high) of the estimate.
        confidence: Coverage of the interval.
        of: "process" (the process that makes the events) or "run" (the full log of this run).
        method: Name of the method of the interval.
        standard_error: Standard error of the estimate; NaN for quantiles.
        n: Number of rows with a value, or of time blocks.
        effective_n: Kish's effective number of rows; for information, not used.
        missing: Number of rows without a value, which were left out.
        warnings: Reasons to doubt the result.
        assumptions: Assumptions, and the results of the checks made.
        exclusions: Rows that were left out, with the reason.
        text: One sentence for a paper.

    Examples:
        >>> import crucible_nb as cr
        >>> result = cr.confidence_interval([True] * 18 + [False] * 2)
        >>> result.estimate, round(result.confidence_interval.low, 3), result.method
        (0.9, 0.699, 'wilson')
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
    assumptions: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    text: str = ""


@overload
def confidence_interval(
    data: Any, metric: str = ..., confidence: float = ..., method: str | None = ..., of: str | None = ...,
    seed: int = ..., cluster: str | None = ..., resample: Any = ..., *, where: Where = ..., by: None = ...,
    unit: str | None = ...,
) -> Estimate: ...  # fmt: skip
@overload
def confidence_interval(
    data: Any, metric: str = ..., confidence: float = ..., method: str | None = ..., of: str | None = ...,
    seed: int = ..., cluster: str | None = ..., resample: Any = ..., *, where: Where = ..., by: str,
    unit: str | None = ...,
) -> Estimates: ...  # fmt: skip
def confidence_interval(
    data: Any,
    metric: str = "success_rate",
    confidence: float = 0.95,
    method: str | None = None,
    of: str | None = None,
    seed: int = 0,
    cluster: str | None = None,
    resample: Any = None,
    *,
    where: Where = None,
    by: str | None = None,
    unit: str | None = None,
) -> Estimate | Estimates:
    """Estimate a metric with its confidence interval; sampled rows are weighted.

    Args:
        data: Experiment, DataFrame, Series, list or array; for bare values `metric` only names their kind.
        metric: "mean_", "p50_", "p95_", ... or "total_" and a column, "success_rate", "share(<condition>)",
            "cost_per_success", two columns as "<a>_per_<b>", a column for its mean; or a rate per time such as
            "events_per_second", "output_tokens_per_second" or "usd_per_hour", with errors between blocks of time.
        confidence: Coverage, in (0, 1).
        method: Means: "t" or "log"; rates: "wilson", "wilson_cc", "clopper_pearson" or "agresti_coull"; quantiles:
            "quantile" (order statistics); ratios: "log", "t" or "fieller"; all but totals: "bootstrap" (BCa). None
            chooses: "log" for positive data (if unequal clusters or weights leave 4 degrees of freedom), otherwise "t";
            "wilson" for rows that are neither sampled nor clustered, otherwise "clopper_pearson" on the effective n.
        of: "process": the process that makes the events, the default for means, rates, quantiles and ratios. "run": the
            full log of this run, the default for totals; the interval is a point if no row was dropped.
        seed: Random seed of the bootstrap.
        cluster: Column of clusters of similar rows, e.g. "session_id": standard errors are between clusters, with the
            degrees of freedom that their sizes allow. Fewer than 30 clusters of equal size, or as many unequal ones
            as are worth 30, give a warning. None uses `session_id`, else `sample_id`, if it has several rows per
            value; pass the column alone to take its rows as independent.
        resample: Width of time blocks, e.g. "1min", for neighbouring rows that correlate: standard errors are between
            blocks. Of a total, the mean total of a block. Rates per time have 10 to 20 blocks if it is None.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.
        by: Column of groups, e.g. "device": an estimate of each, as if the group were alone; at most 200.
        unit: Column of units, e.g. "session_id" or "user_id": the metric is aggregated by unit first, and the interval
            is over units: "total_cost_usd" is the mean total of a session, "event_count" its number of events,
            "p95_latency_ms" the mean of the p95 of each, "usd_per_hour" of its cost by its time; "success_rate" and
            shares the share of sessions of which all events succeed, "error_rate" that of sessions of which any fails.

    Returns:
        Estimate, in the unit of the column; with `by`, `Estimates`: group -> Estimate, with `to_frame`.

    Raises:
        ConfigError: An argument is not accepted.
        SchemaError: The column does not exist, or has values other than numbers.
        StatError: Too few values, clusters or blocks, or a method that does not fit the values.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.confidence_interval([True] * 20, metric="success_rate").confidence_interval.low.__round__(3)
        0.839
        >>> import pandas as pd
        >>> calls = pd.DataFrame({"cost_usd": [0.02, 0.02, 0.05, 0.03], "success": [True, True, False, True]})
        >>> print(cr.confidence_interval(calls, metric="cost_per_success").text)
        cost_per_success was 0.04 (95% confidence interval 0.006708 to 0.2385 by Student's t on the log scale, 4 rows).
        >>> calls["session_id"] = ["a", "a", "b", "b"]
        >>> cr.confidence_interval(calls, metric="total_cost_usd", unit="session_id").estimate
        0.06

    References:
        See the functions of `crucible_nb.stats.estimates.intervals`.
    """
    [data] = rows_where(where, data)
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    data = frame_of(data)
    if by is not None:

        def estimate(rows: Any) -> Estimate:
            return confidence_interval(rows, metric, confidence, method, of, seed, cluster, resample, unit=unit)

        return estimate_groups(estimate, data, metric, by)
    if unit is not None:
        if resample is not None:
            raise ConfigError(f"unit={unit!r}, resample={resample!r}: expected one of them, got both")
        clustering = cluster_of_units(data, unit, cluster)
        values = unit_values(data, metric, unit, clustering.column)
        data, metric = None, values.metric.name
    else:
        clustering = Clustering(cluster, given=True) if resample is not None else choose_cluster([data], cluster)
        values = sample_of(data, metric, cluster=clustering.column, resample=resample)
    kind, timed = values.metric.kind, not math.isnan(values.metric.seconds)
    if timed and resample is None:
        clustering, resample = INDEPENDENT, "time"
    checks.one_of("method", method, (None, *_METHODS[kind]))
    checks.one_of("of", of, (None, "process", "run"))
    population: Of = "run" if (of or ("run" if kind == "total" else "process")) == "run" else "process"
    if population == "run" and resample is not None:
        raise checks.wrong("of", of, "'process' or None with resample")
    if method == "bootstrap":
        if population == "run":
            raise checks.wrong("method", method, "None with of='run'")
        limits = bootstrap_limits(values, confidence, checks.whole("seed", seed))
    else:
        limits = LIMITS[kind](values, confidence, population, method)
    design = clustering if population == "process" else INDEPENDENT
    assumptions, warnings = _check_assumptions(data, metric, values, population, limits.estimate, design, resample)
    return Estimate(
        metric=metric, estimate=limits.estimate, confidence_interval=limits.interval, confidence=confidence,
        of=population, method=limits.method, standard_error=limits.error, n=values.n,
        effective_n=effective_size(values.weight), missing=values.missing, warnings=(*limits.warnings, *warnings),
        assumptions=assumptions, exclusions=_exclusions(values),
        text=_text(
            metric, values, limits, confidence, population, design, resample,
            "rows" if unit is None else f"values of {unit}",
        ),
    )  # fmt: skip


def _check_assumptions(
    data: Any, metric: str, values: Values, population: Of, estimate: float, clustering: Clustering, resample: Any
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Check the assumptions of the interval; give assumptions and warnings as sentences."""
    assumptions = [note for note in values.notes if not note.startswith("warning: ")]
    warnings = [note.removeprefix("warning: ") for note in values.notes if note.startswith("warning: ")]
    warnings += few_units_warnings(values if population == "process" else values._replace(cluster=None))
    if values.sampled:
        assumptions.append("rows are weighted by 1 / the probability of having been kept")
    if population == "run" and weighted.are_inverse_probabilities(values.weight):
        assumptions.append(
            "only the sampling of rows varies, independently for each row; the rows that were kept are fixed"
        )
    elif population == "run":
        warnings.append("weights below 1 are not inverse probabilities: the interval is as wide as that of the process")
    elif clustering.column is not None:
        units = weighted.units(len(values.x), values.cluster)
        assumptions += clustering.found
        assumptions.append(
            f"{units:,} clusters ({clustering.column}) are taken as independent; rows within one need not be"
        )
    elif resample is None:
        correlation_note, r = neighbours(data, metric, values, estimate)
        warnings += (
            [] if correlation_note is None else [f'{correlation_note}; use resample="1min" or longer, or cluster=']
        )
        checked = ""
        if not correlation_note and not math.isnan(r):
            checked = f"; neighbours do not correlate more than by chance ({r:.2f})"
        assumptions.append(f"rows are taken as independent{checked}")
    warnings += clustering.warnings
    share = top_share(values.x, values.weight) if values.metric.kind in {"mean", "total", "ratio"} else math.nan
    if share > 0 and resample is None and data is not None:
        assumptions.append(f"the largest 1% of events carry {share:.0%} of the total")
    return tuple(assumptions), tuple(warnings)


def _exclusions(values: Values) -> tuple[str, ...]:
    what = values.metric.column if values.metric.per is None else f"{values.metric.column} or {values.metric.per}"
    return (f"{values.missing:,} rows without {what}",) if values.missing else ()


def _text(
    metric: str,
    values: Values,
    limits: Limits,
    confidence: float,
    population: Of,
    clustering: Clustering,
    resample: Any,
    counted: str = "rows",
) -> str:
    """Report the estimate in one sentence for a paper."""
    rows = f"{values.n:,} {counted}" if resample is None else f"{values.n:,} blocks of {resample}"
    if clustering.column is not None:
        rows += f" in {weighted.units(len(values.x), values.cluster):,} clusters by {clustering.column}"
    rows += ", weighted for sampling" if values.sampled else ""
    run = " of the run" if population == "run" else ""
    timed = not math.isnan(values.metric.seconds)
    mean = " per block on average" if resample is not None and not values.blocks and not timed else ""
    estimate = f"{metric}{run} was {number(limits.estimate)}{mean}"
    if limits.method == "exact":
        return f"{estimate}, known exactly ({rows})."
    low, high = map(number, limits.interval)
    how = _HOW[limits.method]
    if limits.method in {"clopper_pearson", "quantile", "wilson"} and not values.plain:
        how += " on the effective number of events"
    return f"{estimate} ({100 * confidence:g}% confidence interval {low} to {high} by {how}, {rows})."
