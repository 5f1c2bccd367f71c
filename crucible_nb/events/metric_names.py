"""Names of metrics: a statistic of a column, such as "p95_latency_ms", or a column for its mean; and their units."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.schema import COLUMNS
from crucible_nb.utils import checks

Kind = Literal["mean", "total", "rate", "quantile", "ratio"]

_PERCENTILE = re.compile(r"p(?P<whole>\d{1,2}(?:\.\d+)?)|p99(?P<nines>9+)")
_STATISTICS = (
    "mean|avg|average|median|med|mode|total|sum|count|nunique|min|max|minimum|maximum|first|last|std|stdev|stddev|sd|sem|"
    "var|variance|range|iqr|mad|skew|skewness|kurt|kurtosis|quantiles?|percentiles?|pct|perc"
)
_SHAPE = re.compile(
    rf"(?:{_STATISTICS}|p\d+(?:\.\d+)?|(?:q|pct|perc|percentile|quantile)\d\d+)(?![a-z0-9]).*|.*_(?:p\d+|median)",
    re.DOTALL,
)
_UNITS = {"_ms": "ms", "_s": "s", "_usd": "USD", "_tokens": "tokens"}
_FORMS = (
    "success_rate, cost_per_success, two columns as <a>_per_<b>, a column for its mean, or mean_, total_, median_ or a "
    "percentile (p50_, p95_, p99.9_ or p999_; above p0, below p100) and a column, in lower case"
)


class Metric(NamedTuple):
    """A metric: a statistic of a column.

    Attributes:
        name: As written.
        kind: mean, total, rate (share of true), quantile or ratio (of two totals).
        column: Of the frame.
        q: The quantile, NaN for other kinds.
        per: The column that a ratio divides by.
    """

    name: str
    kind: Kind
    column: str
    q: float = float("nan")
    per: str | None = None


_OWN = {
    "success_rate": Metric("success_rate", "rate", "success"),
    "total_tokens": Metric("total_tokens", "total", "total_tokens"),
    "cost_per_success": Metric("cost_per_success", "ratio", "cost_usd", per="success"),
}


def metric_of(name: str, columns: Any = ()) -> Metric:
    """Read a metric name; a name that is a column itself means its mean.

    Args:
        name: Name of the metric.
        columns: Columns of the data; empty for values without columns.

    Raises:
        SchemaError, StatError: A name with the shape of a statistic, such as max_latency_ms, that is none of the
            accepted forms: SchemaError if the data has columns.

    Examples:
        >>> metric_of("p95_latency_ms").q, metric_of("p999_latency_ms").q, metric_of("median_latency_ms").q
        (0.95, 0.999, 0.5)
        >>> metric_of("loss").kind, metric_of("max_loss", ["max_loss"]).kind
        ('mean', 'mean')
        >>> metric_of("cost_per_success")
        Metric(name='cost_per_success', kind='ratio', column='cost_usd', q=nan, per='success')
    """
    checks.text("metric", name)
    if name in _OWN:
        return _OWN[name]
    if name in columns:
        return Metric(name, "mean", name)
    return _ratio(name, columns) or _statistic(name, columns) or _mean(name, columns)


def _ratio(name: str, columns: Any) -> Metric | None:
    for at in re.finditer("_per_", name):
        column, per = name[: at.start()], name[at.end() :]
        if column in columns and per in columns:
            return Metric(name, "ratio", column, per=per)
    return None


def _statistic(name: str, columns: Any) -> Metric | None:
    word, _, column = name.partition("_")
    if not column:
        return None
    if word == "mean":
        return Metric(name, "mean", column)
    if word == "total":
        return Metric(name, "total", column)
    q = 0.5 if word == "median" else _quantile(word)
    if q is None or (column not in columns and re.match(r"\d+(_|$)", column)):  # p99_9_latency_ms is not p99
        return None
    return Metric(name, "quantile", column, q)


def _quantile(word: str) -> float | None:
    """Return the quantile of a percentile above p0 and below p100; p999 is p99.9."""
    match = _PERCENTILE.fullmatch(word)
    if match is None:
        return None
    percent = Fraction(match["whole"] or f"99.{match['nines']}")
    return float(percent / 100) if percent else None


def _mean(name: str, columns: Any) -> Metric:
    """Return the mean of a column of this name, unless the name asks for another statistic."""
    folded = name.casefold()
    if folded != "mean" and (folded in _OWN or _SHAPE.fullmatch(folded)):
        error = SchemaError if len(columns) else StatError
        raise checks.wrong("metric", name, f"{_FORMS}; the mean of values that have this name is mean_{name}", error)
    return Metric(name, "mean", name)


def unit_of(metric: Metric) -> str:
    """The unit of a metric with a leading space; "" if there is none or it is unknown.

    Examples:
        >>> unit_of(metric_of("latency_ms")), unit_of(metric_of("loss"))
        (' ms', '')
    """
    if metric.per is not None or metric.kind == "rate":
        return ""
    if metric.column in COLUMNS:
        unit = COLUMNS[metric.column].unit
    else:
        unit = next((unit for end, unit in _UNITS.items() if metric.column.endswith(end)), "")
    return f" {unit}" if unit else ""
