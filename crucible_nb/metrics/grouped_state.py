"""State of rows by the values of columns, some rows at a time: of a frame, or of the parts of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.events.columns import group_codes, numbers_of, one_column, outcomes_of, tokens_of
from crucible_nb.events.times import Times
from crucible_nb.metrics.block_state import add_block, block_of
from crucible_nb.metrics.fold import cells_of, one_cell
from crucible_nb.metrics.group_state import GroupState


class GroupedState:
    """Sums and latency quantiles of each group of rows; the same bits for the same rows in any order and any parts.

    Args:
        names: Columns to group by; empty for one group of all rows.

    Attributes:
        names: These columns.
        places: Index in `state` of each group, by its key: a value, or a tuple for several columns; None for missing.
        state: State of the groups.
        timed: Whether any row had a time. Rows without one count everywhere but in time spans.

    Examples:
        >>> state = GroupedState(["model"])
        >>> for model in ("a", "b", "a"):
        ...     state.add(pd.DataFrame({"model": [model], "latency_ms": [10.0]}), None)
        >>> {key: group.event_count for key, group in state.groups().items()}, state.total().event_count
        ({'a': 2, 'b': 1}, 3)
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        self.places: dict[Any, int] = {}
        self.state = GroupState(0 if names else 1)
        self.timed = False

    def add(self, rows: pd.DataFrame, times: Times | None) -> None:
        """Add rows, in place.

        Args:
            rows: At least one row, with the columns `names`.
            times: Their times; None if they have none.

        Raises:
            SchemaError: Values that are no numbers, or that cannot be told apart.
        """
        if times is None or not times.known.any():
            self._add(rows, np.zeros(len(rows), np.int64), timed=False)
        elif times.known.all():
            self._add(rows, times.ns, timed=True)
        else:
            self._add(rows[times.known], times.ns[times.known], timed=True)
            self._add(rows[~times.known], np.zeros(int((~times.known).sum()), np.int64), timed=False)

    def _add(self, rows: pd.DataFrame, time: np.ndarray, *, timed: bool) -> None:
        block = block_of(lambda name: column_numbers(rows, name), time)
        self.timed |= timed
        if not self.names:
            add_block(self.state, block, one_cell(len(rows)), [0], timed=timed)
            return
        values, codes = group_codes(rows, self.names, sort=False)
        groups = self._places_of(keys_of(values))
        add_block(self.state, block, cells_of(codes, len(groups)), groups, timed=timed)

    def _places_of(self, keys: Sequence[Any]) -> list[int]:
        places = [self.places.setdefault(key, len(self.places)) for key in keys]
        self.state.grow(len(self.places))
        return places

    def merge(self, other: GroupedState) -> GroupedState:
        """Add the state of other rows, in place; return this state."""
        self.timed |= other.timed
        places = self._places_of(list(other.places)) if self.names else [0]
        self.state.table.add(places, other.state.table.take(slice(0, len(places))))
        for place, sketch in zip(places, other.state.sketches, strict=False):
            self.state.sketches[place] = self.state.sketches[place].merge(sketch)
        return self

    def total(self) -> GroupState:
        """Return the state of all rows."""
        return self._settled(self.state.merge_groups(np.arange(len(self.places) if self.names else 1)))

    def groups(self) -> dict[Any, GroupState]:
        """Return the state of each group, in order of first appearance."""
        return {key: self._settled(self.state.merge_groups(np.array([place]))) for key, place in self.places.items()}

    def _settled(self, state: GroupState) -> GroupState:
        if not self.timed and state.event_count:
            state.table.span[:] = 0
        return state


def keys_of(groups: pd.Index) -> list[Any]:
    """Return the key of each group; None for missing values."""
    if isinstance(groups, pd.MultiIndex):
        return [tuple(None if pd.isna(value) else value for value in group) for group in groups]
    return [None if pd.isna(value) else value for value in groups]


def check_numbers(frame: pd.DataFrame) -> None:
    """Read all columns of the metrics of a frame, so that an error names the row of the frame."""
    block_of(lambda name: column_numbers(frame, name), np.zeros(len(frame), np.int64))


def column_numbers(frame: pd.DataFrame, name: str) -> np.ndarray | None:
    """Return a column as float64, NaN where missing; outcomes may be bool; None for a missing column."""
    if name == "total_tokens":
        return tokens_of(frame)
    if name not in frame.columns:
        return None
    if name != "success":
        return numbers_of(frame[name], name)
    column = one_column(frame[name], name)
    return column.to_numpy() if column.dtype == np.bool_ else outcomes_of(column)
