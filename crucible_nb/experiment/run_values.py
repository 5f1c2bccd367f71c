"""The value of a metric of a whole run, for the table of experiments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.events.metric_names import PLAIN, Metric, metric_of
from crucible_nb.events.metric_values import has_columns, known_rows, plain_number
from crucible_nb.events.schema import EVERY
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.stats.estimates.confidence import confidence_interval
from crucible_nb.utils import checks


class Run(NamedTuple):
    """A run of the table.

    Attributes:
        live: Gives the experiment; its rows need not be read.
        rows: Gives the kept rows.
        summary: Its summary, see `run_summary`; None without one.
    """

    live: Callable[[], Experiment]
    rows: Callable[[], pd.DataFrame]
    summary: Mapping[str, Any] | None = None

    def value(self, name: str) -> float:
        """Return the value of a metric: that of the summary where it has one, else of the run."""
        if self.summary is not None:
            metric = metric_of(name, [*EVERY, *self.summary["columns"]])
            values = self.summary["values"]
            known = metric.name if metric.name in values else f"{metric.kind}_{metric.column}"
            if known in values:
                return float(values[known])
            own = metric.column in (*self.summary["columns"], *EVERY)
            if metric.kind in ("mean", "min", "max", "last") and not own:
                return math.nan
        return run_value(self.live(), self.rows, name)


def values_of_runs(runs: Mapping[str, Run], metrics: Sequence[str]) -> dict[str, dict[str, float]]:
    """Values of metrics of runs, by id and name; NaN for a run without one.

    Raises:
        SchemaError: No run has a value of a metric, or a name is not accepted.
        ConfigError: `metrics` is no sequence of texts.
    """
    names = list(dict.fromkeys(checks.texts("metrics", metrics)))
    values = {identity: {name: run.value(name) for name in names} for identity, run in runs.items()}
    for name in names:
        if values and all(math.isnan(own[name]) for own in values.values()):
            raise SchemaError(f"metrics: no run has a value of {name!r}")
    return values


def run_value(live: Experiment, rows: Callable[[], pd.DataFrame], name: str) -> float:
    """Value of a metric of a run: over every event where it is counted live, else of the kept rows, weighted.

    Args:
        live: The experiment; its rows need not be read.
        rows: Gives the kept rows.
        name: Name of the metric.

    Returns:
        NaN if the run has no value of it.

    Raises:
        SchemaError, StatError: Such names are not accepted.
    """
    metrics = live.metrics()
    metric = metric_of(name, [*EVERY, *metrics.columns])
    if metric.kind == "last":
        value = live.last(metric.column)
        return float(value) if isinstance(value, (int, float)) else math.nan
    found = _counted(metrics, metric)
    return _of_rows(rows(), metric) if found is None else found


def _counted(metrics: Metrics, metric: Metric) -> float | None:
    """Value of a metric that is counted over every event; None if it is not."""
    named = {
        "success_rate": metrics.reliability.success_rate,
        "event_count": float(metrics.events),
        "total_cost_usd": metrics.cost.total,
        "mean_cost_usd": metrics.cost.mean,
        "total_tokens": metrics.tokens.total,
    }
    if metric.kind == "count":
        named |= {"success_count": metrics.reliability.successful, "failure_count": metrics.reliability.failed}
    if metric.name in named:
        return float(named[metric.name])
    counted: dict[str, Any] = {"latency_ms": metrics.latency, **metrics.columns}
    if metric.column not in counted:
        return None
    column = counted[metric.column]
    if metric.kind == "quantile" and column.exact:
        return float(column.quantile(metric.q))
    return float(getattr(column, metric.kind)) if metric.kind in {"mean", "min", "max"} else None


def _of_rows(rows: pd.DataFrame, metric: Metric) -> float:
    if not has_columns(rows, metric) or not known_rows(rows, metric).any():
        return math.nan
    if metric.kind in PLAIN:
        return plain_number(rows, metric)[0]
    return float(confidence_interval(rows, metric=metric.name).estimate or math.nan)
