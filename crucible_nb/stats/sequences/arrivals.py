"""Input of sequences: all events in order of arrival; incomplete rows are rejected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Proportion
from crucible_nb.errors import StatError
from crucible_nb.events.batch import Column
from crucible_nb.events.columns import one_column, read_column
from crucible_nb.events.metric_names import Metric, metric_of
from crucible_nb.events.metric_values import has_columns, require_estimate
from crucible_nb.events.sampling_info import facts_of, not_whole
from crucible_nb.stats.samples.values import Values, bare_series, is_experiment, read_values
from crucible_nb.stats.sequences.arm_states import ArmState, Quantile, Rate, Unbounded
from crucible_nb.stats.sequences.quantile_grid import QuantileGrid
from crucible_nb.stats.sequences.running_sums import RunningSums
from crucible_nb.utils import checks

_NEWEST = 65_536
"""Number of newest rows in which neighbours are compared, if the metric itself comes from live metrics."""
_LIVE_COLUMNS = ("latency_ms", "cost_usd", "prompt_tokens", "completion_tokens", "total_tokens")


def rows_of(data: Any) -> Any:
    """Return the rows of an experiment; other data are returned as they are, and no data as no values."""
    return data.frame() if is_experiment(data) else [] if data is None else data


def metric_in(name: str, *data: Any) -> Metric:
    """Resolve a metric name on the data; see `metric_of`.

    Booleans are outcomes, so their mean is a rate. Numbers of a column may be 0 and 1 so far, and others later.

    Examples:
        >>> metric_in("correct", [True, False]).kind, metric_in("correct", [1, 0]).kind
        ('rate', 'mean')
    """
    sides = [rows_of(side) for side in data]
    metric = metric_of(name, sides[0].columns if sides and isinstance(sides[0], pd.DataFrame) else ())
    require_estimate(metric)
    if metric.kind == "per_time":
        raise StatError(f"{name}: a rate per time has no confidence sequence; use confidence_interval")
    if metric.kind != "mean":
        return metric
    boolean = [_are_booleans(side, metric.column) for side in sides if len(side)]
    return metric._replace(kind="rate") if boolean and all(boolean) else metric


def _are_booleans(data: Any, column: str) -> bool:
    if isinstance(data, pd.DataFrame):
        checks.columns("metric", column, data.columns)
        data = one_column(data[column], column)
    read = read_column(column, bare_series(data, column))
    return isinstance(read, Column) and read.kind == "boolean"


def arrivals(data: Any, metric: Metric, name: str, *, later: bool = False, after: int = -1) -> Values:
    """Read the known values in order of arrival.

    Args:
        data: Experiment, DataFrame, Series, list or array. Rows of a frame are sorted by the column `seq`, if it has
            one; otherwise they are in order of arrival.
        metric: The metric, see `metric_in`.
        name: Name of the argument, for messages.
        later: Whether these rows follow earlier ones, so that they need not begin with the first event.
        after: `last_seq` of the earlier rows.

    Raises:
        StatError: Rows are incomplete (sampled, evicted, or cut off at the beginning), or counted already.
        SchemaError: No such column.
    """
    rows = rows_of(data)
    if not isinstance(rows, pd.DataFrame):
        return read_values(rows, metric, name)
    check_later(rows, name, after)
    return read_values(sort_by_seq(check_complete(rows, name, later=later)), metric, name)


def last_seq(data: Any, before: int = -1) -> int:
    """Largest `seq` of these rows and earlier ones, `before`; -1 for rows without unique numbers."""
    rows = rows_of(data)
    return max(before, int(rows["seq"].max())) if _has_seq(rows) else before


def _has_seq(rows: Any) -> bool:
    """Return whether rows have numbers that tell them apart; those of several writers do not."""
    return isinstance(rows, pd.DataFrame) and "seq" in rows.columns and len(rows) > 0 and rows["seq"].is_unique


def check_later(rows: pd.DataFrame, name: str, after: int) -> None:
    """Require that all rows come after those counted already."""
    if after >= 0 and _has_seq(rows) and int(rows["seq"].min()) <= after:
        raise StatError(
            f"{name}: its rows begin with seq={int(rows['seq'].min()):,}, but rows up to seq={after:,} are counted "
            "already; pass only later rows (drop the column 'seq' if these rows are other events)"
        )


def check_complete(frame: pd.DataFrame, name: str, *, later: bool = False) -> pd.DataFrame:
    """Return the frame if its rows can be all events so far; raise StatError otherwise."""
    reason = not_whole(frame)
    if reason is not None:
        raise StatError(f"{name}: {reason}; {_ADVICE}")
    if "weight" in frame.columns and (frame["weight"] != 1).any():
        raise StatError(f"{name}: its rows are a weighted sample of the events; {_ADVICE}")
    if "seq" in frame.columns and len(frame) and not later:
        first, last = int(frame["seq"].min()), int(frame["seq"].max())
        if first > 0 and last - first + 1 == len(frame):
            raise StatError(
                f"{name}: its rows begin with seq={first:,}; a sequence needs all events so far, not a window of them "
                "(drop the column 'seq' if these rows are a whole arm)"
            )
    return frame


_ADVICE = (
    "a sequence needs every event in order of arrival: pass the experiment itself for success_rate and quantiles of "
    "latency_ms, which it counts before sampling, or update() a sequence with every value"
)


def sort_by_seq(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by `seq`, if that tells them apart."""
    if "seq" not in frame.columns or frame["seq"].is_monotonic_increasing or not frame["seq"].is_unique:
        return frame
    return frame.sort_values("seq", kind="stable")


def fill_from_live(arm: ArmState, metric: Metric, metrics: Any) -> int | None:
    """Fill an empty arm from the live `Metrics` of an experiment, which count every event before sampling.

    Returns:
        Number of events without a value; None if the metric is not counted live, and the arm is left empty.

    Raises:
        StatError: Events were recorded with weights.
    """
    if metrics.estimated:
        raise StatError("data: its events were recorded with weights, so they are a sample; sequences need every event")
    if isinstance(arm, Rate) and metric.column == "success":
        yes, no = metrics.reliability.successful, metrics.reliability.failed
        arm.counts = Proportion().update([1.0, 0.0], weights=[yes, no])
        arm.counts.count = int(yes + no)
    elif isinstance(arm, Quantile) and metric.column == "latency_ms":
        sketch = metrics.latency_sketch
        if sketch.infinite:
            raise StatError(f"latency_ms: expected finite numbers, got {sketch.infinite} infinite ones")
        arm.grid = QuantileGrid.of_sketch(sketch)
    elif isinstance(arm, Unbounded) and metric.column in _LIVE_COLUMNS:
        n, mean, squares = metrics.moments(metric.column)
        arm.sums = RunningSums.of_moments(int(n), mean, squares)
    else:
        return None
    return int(metrics.events - arm.n)


def newest_rows(experiment: Any, metric: Metric) -> np.ndarray:
    """The newest values in memory in order of arrival, to compare neighbours; empty if rows were sampled."""
    frame = experiment.frame()
    if facts_of(frame).get("sampled") or not has_columns(frame, metric):
        return np.empty(0)
    return read_values(sort_by_seq(frame.iloc[-_NEWEST:]), metric).x
