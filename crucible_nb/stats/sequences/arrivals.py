"""Every event, in order of arrival: what a sequence may be fed, and what it has to refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Proportion
from crucible_nb.errors import StatError
from crucible_nb.events.sampling_info import facts_of, not_whole
from crucible_nb.stats.samples.values import Metric, Values, metric_of, values_of
from crucible_nb.stats.sequences.arm_states import Arm, Quantile, Rate, Unbounded
from crucible_nb.stats.sequences.quantile_grid import QuantileGrid
from crucible_nb.stats.sequences.running_sums import RunningSums

_NEWEST = 65_536
"""Rows in which neighbours are compared where the rest is counted live."""
_COUNTED = ("latency_ms", "cost_usd", "prompt_tokens", "completion_tokens", "total_tokens")


def is_experiment(data: Any) -> bool:
    """Whether it is an experiment."""
    return hasattr(data, "frame") and hasattr(data, "metrics") and not isinstance(data, pd.DataFrame)


def metric_in(data: Any, name: str) -> Metric:
    """What a metric name means on the data."""
    if is_experiment(data):
        return metric_of(name, data.frame().columns)
    return metric_of(name, data.columns if isinstance(data, pd.DataFrame) else ())


def arrivals(data: Any, metric: str, name: str, *, later: bool = False) -> Values:
    """Known values in order of arrival.

    Args:
        data: Experiment, DataFrame, Series, list or array. Rows of a frame are ordered by `seq` where it has that
            column, else taken as they come.
        metric: As for `values_of`.
        name: What the argument is called.
        later: Whether something has come before, so that rows need not begin with the first.

    Raises:
        StatError: Rows are missing or stand for others: sampled, evicted, cut off at the beginning.
        SchemaError: No such column.
    """
    frame = data.frame() if is_experiment(data) else data
    if not isinstance(frame, pd.DataFrame):
        return values_of([] if frame is None else frame, metric, name)
    return values_of(_in_order(check_rows(frame, name, later=later)), metric, name)


def check_rows(frame: pd.DataFrame, name: str, *, later: bool = False) -> pd.DataFrame:
    """The frame, when its rows can be everything so far."""
    reason = not_whole(frame)
    if reason is not None:
        raise StatError(f"{name}: {reason}; {_ADVICE}")
    if "weight" in frame.columns and (frame["weight"] != 1).any():
        raise StatError(f"{name}: its rows have weights, and stand for events that are not there; {_ADVICE}")
    if "seq" in frame.columns and len(frame) and not later:
        first, last = int(frame["seq"].min()), int(frame["seq"].max())
        if first > 0 and last - first + 1 == len(frame):
            raise StatError(
                f"{name}: its rows begin with seq={first:,}; a sequence needs everything so far, not a window of it "
                "(drop the column 'seq' where these rows are a whole arm)"
            )
    return frame


_ADVICE = (
    "a sequence needs every event in order of arrival: hand in the experiment itself for success_rate and quantiles of "
    "latency_ms, which it counts before it samples, or update() a sequence with every value"
)


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    if "seq" not in frame.columns or frame["seq"].is_monotonic_increasing or not frame["seq"].is_unique:
        return frame
    return frame.sort_values("seq", kind="stable")


def take_live(arm: Arm, metric: Metric, found: Any) -> int | None:
    """Fill a fresh arm from the `Metrics` that an experiment counts over every event, before it samples.

    Returns:
        How many events had no value; None where the metric is not counted live, and the arm is left alone.

    Raises:
        StatError: Events came with weights.
    """
    if found.estimated:
        raise StatError("data: its events came with weights, and stand for events that were not seen")
    if isinstance(arm, Rate) and metric.column == "success":
        yes, no = found.reliability.successful, found.reliability.failed
        arm.counts = Proportion().update([1.0, 0.0], weights=[yes, no])
        arm.counts.count = int(yes + no)
    elif isinstance(arm, Quantile) and metric.column == "latency_ms":
        sketch = found.state.latency
        if sketch.infinite:
            raise StatError(f"latency_ms: expected finite numbers, got {sketch.infinite} infinite ones")
        arm.ladder = QuantileGrid.of_sketch(sketch)
    elif isinstance(arm, Unbounded) and metric.column in _COUNTED:
        n, mean, spread = found.state.moments(metric.column)
        arm.sums = RunningSums.of_moments(int(n), mean, spread)
    else:
        return None
    return int(found.events - arm.n)


def newest_rows(experiment: Any, metric: str) -> np.ndarray:
    """The newest values in memory, in order of arrival, to compare neighbours; none where rows were sampled."""
    frame = experiment.frame()
    if facts_of(frame).get("sampled") or metric_of(metric, frame.columns).column not in frame.columns:
        return np.empty(0)
    return values_of(_in_order(frame.iloc[-_NEWEST:]), metric).x
