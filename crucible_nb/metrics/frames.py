"""Metrics of the rows of a DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.events.columns import group_codes
from crucible_nb.events.durations import stored_time
from crucible_nb.events.times import Times, times_of
from crucible_nb.metrics.column_state import ColumnStates
from crucible_nb.metrics.columns import NumericColumns, states_of_frame
from crucible_nb.metrics.group_state import GroupState
from crucible_nb.metrics.grouped_state import GroupedState, check_numbers, keys_of
from crucible_nb.metrics.metrics import Metrics
from crucible_nb.utils import checks


class ActiveTime(Protocol):
    """Protocol of a lifecycle that knows active time."""

    @property
    def started(self) -> int | None:
        """Start in UTC nanoseconds; None before the first event in event time."""

    def active(self, start: int, stop: int) -> int:
        """Return the nanoseconds of [start, stop] in which the experiment was running."""


class EventTime(NamedTuple):
    """The lifecycle of an experiment in event time, which begins with the first start of an event.

    Attributes:
        life: The lifecycle, which begins with the first completion.
        started: First start in UTC nanoseconds.

    Examples:
        >>> from crucible_nb.pipeline.lifecycle import Lifecycle
        >>> EventTime(Lifecycle("demo", started=100), 40).active(0, 150)
        110
    """

    life: ActiveTime
    started: int

    def active(self, start: int, stop: int) -> int:
        """Return the active nanoseconds of [start, stop]; all of them before the first completion."""
        first = self.life.started
        lead = 0 if first is None else max(0, min(stop, first) - max(start, self.started))
        return lead + self.life.active(start, stop)


def metrics_of(
    state: GroupState, life: ActiveTime, span: tuple[int | None, int], *, estimated: bool = False
) -> Metrics:
    """Compute metrics from a state, with rates over the active time of a window.

    Args:
        state: The state.
        life: Lifecycle of the experiment.
        span: The window in UTC nanoseconds; without a start there are no rates.
        estimated: Whether events of the window are missing from the state.
    """
    start, stop = span
    if start is None:
        return Metrics(state)
    active = life.active(start, stop) / 1e9
    return Metrics(state, span=(start, stop), active_seconds=active, estimated=estimated or state.is_weighted)


def group_metrics_of(state: GroupState, life: ActiveTime) -> Metrics:
    """Compute metrics of a group of all events, with rates over the active time from its first start to its last time.

    Args:
        state: The state of the group.
        life: Lifecycle of the experiment.
    """
    duration = state.duration or (0, 0)
    active = life.active(*duration) / 1e9
    return Metrics(state, duration=duration, active_seconds=active, estimated=state.is_weighted)


def frame_metrics(
    frame: pd.DataFrame,
    by: Any = None,
    life: ActiveTime | None = None,
    span: tuple[int | None, int] = (None, 0),
    *,
    partial: bool = False,
    windowed: bool = True,
) -> Metrics:
    """Compute metrics of the rows of a DataFrame, some rows at a time.

    Rates are over the window that the rows represent: without one, over the time from their first start (time -
    latency) to their last time, of a group from its first start to its last time.

    Args:
        frame: Any of the event columns; a time index or `time` column for rates.
        by: Column or columns to group by.
        life: Lifecycle of the experiment that recorded the rows, for active time.
        span: The window that the rows represent, in UTC nanoseconds; without a start their own times are.
        partial: Whether rows of the window are missing.
        windowed: Whether a span is a window that was asked for, in which groups have the same time as all rows.

    Raises:
        SchemaError: No such column, or values that are no numbers.
    """
    names = () if by is None else checks.columns("by", by, frame.columns)
    states = _states(frame, names)
    rows = frame.copy(deep=False)  # pandas copies on write: columns are computed when they are asked for
    total = states.total()

    given = None if span[0] is None else (span[0], span[1])
    observed = stored_time(frame) if life is None and span[0] is None and states.timed else None

    def view(state: GroupState, columns: Callable[[], ColumnStates]) -> Metrics:
        if observed is not None and state is total:
            estimated = partial or state.is_weighted
            metrics = Metrics(state, duration=observed[:2], active_seconds=observed.seconds, estimated=estimated)
        else:
            shown = given if windowed or state is total else None
            metrics = metrics_of_rows(state, life, shown, partial=partial, timed=states.timed)
        metrics.columns = NumericColumns(columns)
        return metrics

    whole = view(total, lambda: states_of_frame(rows))
    if not names:
        return whole
    by_group = groups_of_frame(rows, names)
    views = {key: view(state, lambda key=key: by_group(key)) for key, state in states.groups().items()}  # type: ignore[misc]
    return whole.grouped(views, names)


def metrics_of_rows(
    state: GroupState,
    life: ActiveTime | None = None,
    span: tuple[int, int] | None = None,
    *,
    partial: bool = False,
    timed: bool = True,
) -> Metrics:
    """Compute metrics from the state of rows, with rates over a window, or else over the time of the rows.

    Args:
        state: The state of one group.
        life: Lifecycle of the experiment that recorded the rows, for active time.
        span: The window in UTC nanoseconds; None for the time from the first start to the last time of the rows.
        partial: Whether rows of the window are missing.
        timed: Whether the rows have times; without, there are no rates.
    """
    estimated = partial or state.is_weighted
    duration = state.duration if span is None else span
    if duration is None or not timed:
        return Metrics(state, span=span, duration=(0, 0), active_seconds=0.0, estimated=estimated)
    active = (duration[1] - duration[0] if life is None else life.active(*duration)) / 1e9
    return Metrics(state, span=span, duration=duration, active_seconds=active, estimated=estimated)


def groups_of_frame(rows: pd.DataFrame, names: Sequence[str]) -> Callable[[Any], ColumnStates]:
    """Return a function that computes the columns of a group of rows; rows are divided at its first call."""

    @cache
    def places() -> dict[Any, np.ndarray]:
        absent = {name: None for name in names if name not in rows.columns}  # no kept row has a value of it
        values, codes = group_codes(rows.assign(**absent) if absent else rows, names, sort=False)
        order = np.argsort(codes, kind="stable")
        cuts = np.cumsum(np.bincount(codes, minlength=len(values)))[:-1]
        return dict(zip(keys_of(values), np.split(order, cuts), strict=True))

    return lambda key: states_of_frame(rows, places().get(key, np.empty(0, np.int64)))


ROWS = 131_072
"""Rows converted at a time, so that temporaries are small."""


def _states(frame: pd.DataFrame, names: Sequence[str]) -> GroupedState:
    """Compute the state of the rows by group."""
    times, states = times_of(frame), GroupedState(names)
    states.timed = times is not None and not len(frame)
    for start in range(0, len(frame), ROWS):
        part = slice(start, start + ROWS)
        some = None if times is None else Times(times.ns[part], times.known[part], {})
        try:
            states.add(frame.iloc[part], some)
        except SchemaError:
            check_numbers(frame)
            raise
    return states
