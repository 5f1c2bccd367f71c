"""Input of sequences: all events in order of arrival; incomplete rows are rejected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Proportion
from crucible_nb.errors import StatError
from crucible_nb.events.sampling_info import facts_of, not_whole
from crucible_nb.stats.samples.values import Metric, Values, is_experiment, metric_of, values_of
from crucible_nb.stats.sequences.arm_states import ArmState, Quantile, Rate, Unbounded
from crucible_nb.stats.sequences.quantile_grid import QuantileGrid
from crucible_nb.stats.sequences.running_sums import RunningSums

_NEWEST = 65_536
"""Number of newest rows in which neighbours are compared, if the metric itself comes from live metrics."""
_LIVE_COLUMNS = ("latency_ms", "cost_usd", "prompt_tokens", "completion_tokens", "total_tokens")


def metric_in(data: Any, name: str) -> Metric:
    """Resolve a metric name on the data; see `metric_of`."""
    if is_experiment(data):
        return metric_of(name, data.frame().columns)
    return metric_of(name, data.columns if isinstance(data, pd.DataFrame) else ())


def arrivals(data: Any, metric: str, name: str, *, later: bool = False) -> Values:
    """Read the known values in order of arrival.

    Args:
        data: Experiment, DataFrame, Series, list or array. Rows of a frame are sorted by the column `seq`, if it has
            one; otherwise they are in order of arrival.
        metric: As for `values_of`.
        name: Name of the argument, for messages.
        later: Whether these rows follow earlier ones, so that they need not begin with the first event.

    Raises:
        StatError: Rows are incomplete: sampled, evicted, or cut off at the beginning.
        SchemaError: No such column.
    """
    frame = data.frame() if is_experiment(data) else data
    if not isinstance(frame, pd.DataFrame):
        return values_of([] if frame is None else frame, metric, name)
    return values_of(_sort_by_seq(check_complete(frame, name, later=later)), metric, name)


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


def _sort_by_seq(frame: pd.DataFrame) -> pd.DataFrame:
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


def newest_rows(experiment: Any, metric: str) -> np.ndarray:
    """The newest values in memory in order of arrival, to compare neighbours; empty if rows were sampled."""
    frame = experiment.frame()
    if facts_of(frame).get("sampled") or metric_of(metric, frame.columns).column not in frame.columns:
        return np.empty(0)
    return values_of(_sort_by_seq(frame.iloc[-_NEWEST:]), metric).x
