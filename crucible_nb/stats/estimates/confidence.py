"""`cr.confidence_interval`: one number, how far it may be off, and about what."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.bootstrap import bootstrap_limits
from crucible_nb.stats.estimates.intervals import CLUSTERS, LIMITS, Limits
from crucible_nb.stats.lazy_imports import carried
from crucible_nb.stats.results import Interval, Result, number
from crucible_nb.stats.samples.blocks import neighbours, sample_of
from crucible_nb.stats.samples.values import Kind, Values, frame_of
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
        metric: What was asked for.
        estimate: The number, in the unit of its column.
        confidence_interval: (low, high).
        confidence: Its coverage.
        of: "process" (what the system does in the long run) or "run" (what the full log would have said).
        method: How the interval was made.
        standard_error: Of the estimate; NaN for quantiles.
        n: Rows with a value, or blocks.
        effective_n: Kish's effective number of rows; shown, not used.
        missing: Rows without a value, left out.
        warnings: What a reader should know.
        assumptions: What was checked or taken for granted, and what was found.
        exclusions: What was left out, and why.
        text: One sentence for a paper.

    Examples:
        >>> import crucible_nb as cr
        >>> found = cr.confidence_interval([True] * 18 + [False] * 2)
        >>> found.estimate, round(found.confidence_interval.low, 3), found.method
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


def confidence_interval(
    data: Any,
    metric: str = "success_rate",
    confidence: float = 0.95,
    method: str | None = None,
    of: str | None = None,
    seed: int = 0,
    cluster: str | None = None,
    resample: Any = None,
) -> Estimate:
    """The interval of a metric; rows that were sampled count with their weights.

    Args:
        data: Experiment, DataFrame, Series, list or array; with bare values `metric` only says what they are.
        metric: "mean_", "p50_", "p95_", ... or "total_" and a column, "success_rate", "cost_per_success", two columns
            as "<a>_per_<b>", or a column for its mean.
        confidence: Coverage, in (0, 1).
        method: Means: "t" or "log"; rates: "wilson", "wilson_cc", "clopper_pearson" or "agresti_coull"; quantiles:
            "quantile" (order statistics); ratios: "log", "t" or "fieller"; any but totals: "bootstrap" (BCa). None
            chooses: log for positive data, else t; Wilson for plain rows, else beta limits on the effective n.
        of: "process": what the system does in the long run, the default for means, rates, quantiles and ratios. "run":
            what the full log would have said, the default for totals; it shrinks to a point when no row was dropped.
        seed: Of the bootstrap.
        cluster: Column of what groups rows that are alike, e.g. "session_id": standard errors are of whole clusters,
            with clusters - 1 degrees of freedom. From 30 clusters on.
        resample: Width of time blocks, e.g. "1min", whose values stand in for rows that resemble their neighbours.

    Returns:
        Estimate, in the unit of the column.

    Raises:
        ConfigError: An argument is not what is accepted.
        SchemaError: No such column, or it holds no numbers.
        StatError: Too few values, clusters or blocks, or a method that does not fit them.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.confidence_interval([True] * 20, metric="success_rate").confidence_interval.low.__round__(3)
        0.839
        >>> import pandas as pd
        >>> calls = pd.DataFrame({"cost_usd": [0.02, 0.02, 0.05, 0.03], "success": [True, True, False, True]})
        >>> print(cr.confidence_interval(calls, metric="cost_per_success").text)
        cost_per_success was 0.04 (95% confidence interval 0.006708 to 0.2385 by Student's t on the log scale, 4 rows).

    References:
        See the functions of `crucible_nb.stats.estimates.intervals`.
    """
    confidence = checks.number("confidence", confidence, gt=0, lt=1)
    data = frame_of(data)
    values = sample_of(data, metric, cluster=cluster, resample=resample)
    kind = values.metric.kind
    checks.one_of("method", method, (None, *_METHODS[kind]))
    checks.one_of("of", of, (None, "process", "run"))
    about: Of = "run" if (of or ("run" if kind == "total" else "process")) == "run" else "process"
    if about == "run" and resample is not None:
        raise checks.wrong("of", of, "'process' or None with resample")
    if method == "bootstrap":
        if about == "run":
            raise checks.wrong("method", method, "None with of='run'")
        limits = bootstrap_limits(values, confidence, checks.whole("seed", seed))
    else:
        limits = LIMITS[kind](values, confidence, about, method)
    assumptions, warned = _checked(data, metric, values, about, limits.estimate, cluster, resample)
    return Estimate(
        metric, limits.estimate, limits.interval, confidence, about, limits.method, limits.error,
        len(values.x), effective_size(values.weight), values.missing, (*limits.warnings, *warned), assumptions,
        _excluded(values), _text(metric, values, limits, confidence, about, cluster, resample),
    )  # fmt: skip


def _checked(
    data: Any, metric: str, values: Values, about: Of, estimate: float, cluster: str | None, resample: Any
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was checked, and what to warn of."""
    found, warned = [said for said in values.said if not said.startswith("warning: ")], []
    warned += [said.removeprefix("warning: ") for said in values.said if said.startswith("warning: ")]
    if values.sampled:
        found.append("rows count with their weights, 1 / the probability of having been kept")
    if about == "run":
        found.append("about the rows that were dropped, by independent coins; the rows that were kept are known")
    elif cluster is not None:
        units = weighted.units(len(values.x), values.cluster)
        found.append(f"{units:,} clusters ({cluster}) are taken as independent; rows within one need not be")
        if units < CLUSTERS:
            warned.append(f"only {units} clusters: intervals from fewer than {CLUSTERS} may be too narrow")
    elif resample is None:
        said, r = neighbours(data, metric, values, estimate)
        warned += [] if said is None else [f'{said}; use resample="1min" or the like, or cluster=']
        alone = "" if said or math.isnan(r) else f"; neighbours do not correlate more than by chance ({r:.2f})"
        found.append(f"rows are taken as independent{alone}")
    share = carried(values.x, values.weight) if values.metric.kind in {"mean", "total", "ratio"} else math.nan
    if share > 0 and resample is None:
        found.append(f"the largest 1% of events carry {share:.0%} of the total")
    return tuple(found), tuple(warned)


def _excluded(values: Values) -> tuple[str, ...]:
    what = values.metric.column if values.metric.per is None else f"{values.metric.column} or {values.metric.per}"
    return (f"{values.missing:,} rows without {what}",) if values.missing else ()


def _text(
    metric: str, values: Values, limits: Limits, confidence: float, about: Of, cluster: str | None, resample: Any
) -> str:
    """One sentence for a paper."""
    rows = f"{len(values.x):,} rows" if resample is None else f"{len(values.x):,} blocks of {resample}"
    if cluster is not None and about == "process":
        rows += f" in {weighted.units(len(values.x), values.cluster):,} clusters by {cluster}"
    rows += ", weighted for sampling" if values.sampled else ""
    run, mean = (" of the run" if about == "run" else ""), (" a block on average" if resample is not None else "")
    estimate = f"{metric}{run} was {number(limits.estimate)}{mean}"
    if limits.method == "exact":
        return f"{estimate}, known exactly ({rows})."
    low, high = map(number, limits.interval)
    how = _HOW[limits.method]
    if limits.method in {"clopper_pearson", "quantile", "wilson"} and not values.plain:
        how += " on the effective number of events"
    return f"{estimate} ({100 * confidence:g}% confidence interval {low} to {high} by {how}, {rows})."
