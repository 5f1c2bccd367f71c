"""The values of a metric in the rows of a frame."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.columns import numbers_of, one_column
from crucible_nb.events.conditions import parse_condition
from crucible_nb.events.metric_names import EVENTS, SELECTIONS, Metric
from crucible_nb.utils import checks


def metric_numbers(frame: pd.DataFrame, metric: Metric) -> np.ndarray:
    """Read the column of a metric; of a condition 1 where it holds, 0 where not; of events 1 for each.

    Returns:
        float64[n], NaN where unknown.

    Raises:
        SchemaError: No such column, or values that are no numbers.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> calls = pd.DataFrame({"latency_ms": [10.0, 30.0, None]})
        >>> metric_numbers(calls, metric_of("share(latency_ms < 20)")).tolist()
        [1.0, 0.0, nan]
    """
    if metric.condition is not None:
        return parse_condition(metric.condition, "metric").of_frame(frame)
    if metric.column == EVENTS:
        return np.ones(len(frame))
    checks.columns("metric", metric.column, frame.columns)
    return numbers_of(one_column(frame[metric.column], metric.column), metric.column)


def has_columns(frame: pd.DataFrame, metric: Metric) -> bool:
    """Whether a frame has all columns that a metric is computed from."""
    return set(metric.columns) <= set(frame.columns)


def known_rows(frame: pd.DataFrame, metric: Metric) -> np.ndarray:
    """Whether each row has a value of the metric, bool[n]; a ratio needs both of its columns."""
    if metric.condition is not None:
        return np.asarray(~np.isnan(metric_numbers(frame, metric)))
    known = [frame[column].notna().to_numpy(np.bool_) for column in metric.columns]
    return np.logical_and.reduce(known) if known else np.ones(len(frame), np.bool_)


def require_estimate(metric: Metric) -> None:
    """Refuse a metric that has no standard error: a single value, or a number of events.

    Raises:
        StatError: It has none; the message names a remedy.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> require_estimate(metric_of("max_latency_ms"))
        Traceback (most recent call last):
        ...
        crucible_nb.errors.StatError: max_latency_ms is the max of the values, a single one of them: it has a number \
in metrics, windows and rules, but no interval and no test; use mean_latency_ms or a quantile such as p99_latency_ms
    """
    if metric.kind in SELECTIONS:
        raise StatError(
            f"{metric.name} is the {metric.kind} of the values, a single one of them: it has a number in metrics, "
            f"windows and rules, but no interval and no test; use mean_{metric.column} or a quantile such as "
            f"p99_{metric.column}"
        )
    if metric.kind == "count":
        rate = metric.condition is not None
        raise StatError(
            f"{metric.name} depends on how long was observed: it has a number in metrics, windows and rules, but no "
            f"interval and no test; use {f'share({metric.condition})' if rate else 'events_per_second'}"
        )
