"""The values of a metric in the rows of a frame."""

from __future__ import annotations

import math

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


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by time, those of one time by `seq`; rows without times or `seq` stay in their order."""
    keys = [rows["seq"].to_numpy()] if "seq" in rows.columns else []
    if isinstance(rows.index, pd.DatetimeIndex):
        keys.append(rows.index.to_numpy())
    return rows.iloc[np.lexsort(keys)] if keys else rows


def plain_number(rows: pd.DataFrame, metric: Metric) -> tuple[float, int]:
    """Compute a metric that has no standard error: a single value, or a number of events (the sum of their weights).

    Args:
        rows: The rows.
        metric: A metric of kind min, max, first, last or count.

    Returns:
        The number, NaN without a known value; and the number of known values.

    Raises:
        SchemaError: No such column, or values that are no numbers.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> runs = pd.DataFrame({"loss": [3.0, 1.0, None], "success": [True, False, None]})
        >>> plain_number(runs, metric_of("last_loss")), plain_number(runs, metric_of("failure_count"))
        ((1.0, 2), (1.0, 2))
    """
    checks.columns("metric", metric.columns, rows.columns)
    known = rows[known_rows(rows, metric)]
    if metric.kind in ("first", "last"):
        known = in_order(known)
    x = metric_numbers(known, metric)
    if metric.kind == "count":
        weight = known["weight"].to_numpy(np.float64) if "weight" in known.columns else 1.0
        return float((x * weight).sum()), len(x)
    if not len(x):
        return math.nan, 0
    return float({"min": x.min(), "max": x.max(), "first": x[0]}.get(metric.kind, x[-1])), len(x)


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
