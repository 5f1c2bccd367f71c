"""Names of metrics: a statistic of a column ("p95_latency_ms"), a share, a ratio, a rate per time; and their units.

One grammar for rules, windows, intervals, comparisons, tables and figures; docs/guides/metric_names.md lists it.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.conditions import parse_condition
from crucible_nb.events.schema import COLUMNS
from crucible_nb.utils import checks

Kind = Literal["mean", "total", "rate", "quantile", "ratio", "min", "max", "first", "last", "count", "per_time"]
SELECTIONS: frozenset[Kind] = frozenset({"min", "max", "first", "last"})
"""Kinds that are a single value of a column."""
PLAIN: frozenset[Kind] = SELECTIONS | {"count"}
"""Kinds that have no standard error."""

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
    "percentile (p50_, p95_, p99.9_ or p999_; above p0, below p100), min_, max_, first_ or last_ and a column, "
    "share(<condition>), events_per_second, output_tokens_per_second or usd_per_hour, in lower case"
)
_SHARE = re.compile(r"share\((?P<condition>.*)\)", re.DOTALL)
_PER_TIME = re.compile(r"(?P<amount>.+)_per_(?P<unit>second|minute|hour|day)")
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
EVENTS = ""
"""The `column` of metrics that count events."""
_AMOUNTS = {
    "events": EVENTS,
    "usd": "cost_usd",
    "total_tokens": "total_tokens",
    "output_tokens": "completion_tokens",
    "completion_tokens": "completion_tokens",
    "input_tokens": "prompt_tokens",
    "prompt_tokens": "prompt_tokens",
}


class Metric(NamedTuple):
    """A metric: a statistic of a column.

    Attributes:
        name: As written.
        kind: mean, total, rate (share of true), quantile, ratio (of two totals), min, max, first, last (by time and
            seq), count (of events) or per_time (a total, or a number of events, divided by time).
        column: Of the frame; "" for events; for a condition the name of the metric.
        q: The quantile, NaN for other kinds.
        per: The column that a ratio divides by.
        condition: Condition whose share or count is meant; None for a column.
        seconds: Length of the unit of time of kind per_time; NaN for other kinds.
    """

    name: str
    kind: Kind
    column: str
    q: float = float("nan")
    per: str | None = None
    condition: str | None = None
    seconds: float = float("nan")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a frame that the metric is computed from.

        Examples:
            >>> metric_of("share(latency_ms < 2000 and success)").columns, metric_of("cost_per_success").columns
            (('latency_ms', 'success'), ('cost_usd', 'success'))
        """
        if self.condition is not None:
            return parse_condition(self.condition, "metric").columns
        return tuple(column for column in (self.column, self.per) if column)


_OWN = {
    "success_rate": Metric("success_rate", "rate", "success"),
    "total_tokens": Metric("total_tokens", "total", "total_tokens"),
    "cost_per_success": Metric("cost_per_success", "ratio", "cost_usd", per="success"),
}
_UNLESS_COLUMNS = {
    "error_rate": Metric("error_rate", "rate", "error_rate", condition="not success"),
    "event_count": Metric("event_count", "count", EVENTS),
    "success_count": Metric("success_count", "count", "success_count", condition="success"),
    "failure_count": Metric("failure_count", "count", "failure_count", condition="not success"),
    "cost_per_hour": Metric("cost_per_hour", "per_time", "cost_usd", seconds=3600.0),
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
        >>> metric_of("loss").kind, metric_of("max_loss").kind, metric_of("max_loss", ["max_loss"]).kind
        ('mean', 'max', 'mean')
        >>> metric_of("cost_per_success")[:5]
        ('cost_per_success', 'ratio', 'cost_usd', nan, 'success')
        >>> metric_of("share(latency_ms < 2000 and success)")[1:3]
        ('rate', 'share(latency_ms < 2000 and success)')
        >>> metric_of("usd_per_hour").column, metric_of("usd_per_hour").seconds
        ('cost_usd', 3600.0)
    """
    checks.text("metric", name)
    if name in _OWN:
        return _OWN[name]
    if name in columns:
        return Metric(name, "mean", name)
    if name in _UNLESS_COLUMNS:
        return _UNLESS_COLUMNS[name]
    return (
        _share(name)
        or _ratio(name, columns)
        or _per_time(name, columns)
        or _statistic(name, columns)
        or _mean(name, columns)
    )


def _share(name: str) -> Metric | None:
    match = _SHARE.fullmatch(name)
    if match is None:
        return None
    parse_condition(match["condition"], "metric")
    return Metric(name, "rate", name, condition=match["condition"].strip())


def _per_time(name: str, columns: Any) -> Metric | None:
    """Return a rate per time; any column of the data can be its amount."""
    match = _PER_TIME.fullmatch(name)
    if match is None or (match["amount"] not in _AMOUNTS and match["amount"] not in columns):
        return None
    column = _AMOUNTS.get(match["amount"], match["amount"])
    return Metric(name, "per_time", column, seconds=_SECONDS[match["unit"]])


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
    selected = next((kind for kind in SELECTIONS if kind == word), None)
    if selected is not None:
        return Metric(name, selected, column)
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
    if metric.per is not None or metric.kind in {"rate", "count"} or not math.isnan(metric.seconds):
        return ""
    if metric.column in COLUMNS:
        unit = COLUMNS[metric.column].unit
    else:
        unit = next((unit for end, unit in _UNITS.items() if metric.column.endswith(end)), "")
    return f" {unit}" if unit else ""
