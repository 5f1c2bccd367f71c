"""Metrics of the rows of a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from crucible_nb.events.columns import group_codes, numbers_of, outcomes_of, tokens_of
from crucible_nb.events.times import times_of
from crucible_nb.metrics.block_state import block_of, state_of_block
from crucible_nb.metrics.group_state import GroupState
from crucible_nb.metrics.metrics import Metrics
from crucible_nb.utils import checks


class ActiveTime(Protocol):
    """Protocol of a lifecycle that knows active time."""

    def active(self, start: int, stop: int) -> int:
        """Return the nanoseconds of [start, stop] in which the experiment was running."""


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
    return Metrics(state, span=(start, stop), active_seconds=active, estimated=estimated or is_weighted(state))


def is_weighted(state: GroupState) -> bool:
    """Return whether any row represents more than one event."""
    return bool(state.table.sums[0, 0] != state.table.sums[1, 0])


def frame_metrics(
    frame: pd.DataFrame,
    by: Any = None,
    life: ActiveTime | None = None,
    span: tuple[int | None, int] = (None, 0),
    *,
    partial: bool = False,
) -> Metrics:
    """Compute metrics of the rows of a DataFrame; quantiles are exact.

    Args:
        frame: Any of the event columns; a time index or `time` column for rates.
        by: Column or columns to group by.
        life: Lifecycle of the experiment that recorded the rows, for active time.
        span: The window that the rows represent, in UTC nanoseconds; without a start their own times are.
        partial: Whether rows of the window are missing.

    Raises:
        SchemaError: No such column, or values that are no numbers.
    """
    names = () if by is None else checks.columns("by", by, frame.columns)
    times = _times(frame)
    block = block_of(lambda name: _numbers(frame, name), np.zeros(len(frame), np.int64) if times is None else times)

    def view(state: GroupState) -> Metrics:
        if life is not None:
            return metrics_of(state, life, span, estimated=partial)
        return Metrics(state, estimated=is_weighted(state), active_seconds=0.0 if times is None else None)

    total = view(state_of_block(block))
    if not names:
        return total
    groups = {}
    if len(frame):
        _, codes = group_codes(frame, names, sort=False)
        keys = _keys(frame, names, codes)
        tally = state_of_block(block, codes, len(keys))
        groups = {key: view(tally.merge_groups(np.array([row]))) for row, key in enumerate(keys)}
    return total.grouped(groups, names)


def _times(frame: pd.DataFrame) -> np.ndarray | None:
    """Return the times of the rows; rows without a time get the earliest one; None without any time."""
    times = times_of(frame)
    if times is None or (len(frame) and not times.known.any()):
        return None
    return times.ns if times.known.all() else np.where(times.known, times.ns, times.ns[times.known].min())


def _keys(frame: pd.DataFrame, names: Sequence[str], codes: np.ndarray) -> list[Any]:
    """Return the key of each group in order of first appearance; None for missing values."""
    _, first = np.unique(codes, return_index=True)
    rows = frame[list(names)].iloc[first].itertuples(index=False, name=None)
    keys = [tuple(None if pd.isna(value) else value for value in row) for row in rows]
    return [key[0] for key in keys] if len(names) == 1 else keys


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray | None:
    """Return a column as float64, NaN where missing; None for a missing column."""
    if name == "total_tokens":
        return tokens_of(frame)
    if name not in frame.columns:
        return None
    return outcomes_of(frame[name]) if name == "success" else numbers_of(frame[name], name)
