"""Metrics of a dataset: the question, its state, and the answer as `Metrics`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.datasets.memory import check_groups
from crucible_nb.datasets.state import Spec
from crucible_nb.datasets.units import Place
from crucible_nb.events.columns import group_codes
from crucible_nb.events.sampling_info import check_weights
from crucible_nb.events.times import times_of
from crucible_nb.metrics import ColumnStates, Metrics, NumericColumns
from crucible_nb.metrics.column_state import Newest
from crucible_nb.metrics.columns import states_of_frame
from crucible_nb.metrics.frames import metrics_of_rows
from crucible_nb.metrics.group_state import GroupState
from crucible_nb.metrics.grouped_state import GroupedState, keys_of
from crucible_nb.metrics.sum_table import NUMBERS

STANDARD = (*NUMBERS, "success", "weight", "time")
"""Columns that metrics read."""


@dataclass(frozen=True, kw_only=True)
class MetricsSpec(Spec):
    """The question for metrics.

    Attributes:
        by: Columns to group by.
        own: Numeric columns that are not standard ones, for `Metrics.columns`.
        budget: Bytes that the states of the groups may take; None for no limit.
    """

    by: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    budget: int | None = None

    def empty(self, place: Place) -> MetricsState:  # noqa: ARG002  the same at every place
        """Return the state of no rows."""
        return MetricsState(self)


class MetricsState:
    """Sums of standard columns by group, and the state of columns of one's own by group.

    Attributes:
        groups: Standard columns by group.
    """

    def __init__(self, spec: MetricsSpec) -> None:
        self._own, self._budget = spec.own, spec.budget
        self.groups = GroupedState(spec.by)
        self._states: dict[Any, ColumnStates] = {}

    def add(self, rows: pd.DataFrame, first: int) -> None:
        """Add rows, in place."""
        check_weights(rows)
        self.groups.add(rows, times_of(rows))
        if self._own:
            self._add_own(rows, first)
        self._check()

    def _add_own(self, rows: pd.DataFrame, first: int) -> None:
        kept = [name for name in (*self._own, "weight", "time", "seq", "writer", "step") if name in rows.columns]
        numbers = rows[list(dict.fromkeys(kept))]
        if not self.groups.names:
            self._see(None, states_of_frame(numbers, first=first))
            return
        values, codes = group_codes(rows, self.groups.names, sort=False)
        order = np.argsort(codes, kind="stable")
        cuts = np.cumsum(np.bincount(codes, minlength=len(values)))[:-1]
        for key, some in zip(keys_of(values), np.split(order, cuts), strict=True):
            self._see(key, states_of_frame(numbers, some, first))

    def _see(self, key: Any, later: ColumnStates) -> None:
        before = self._states.get(key)
        self._states[key] = later if before is None else merge_columns(before, later)

    def own(self) -> ColumnStates:
        """Return the state of columns of one's own of all rows, in order of the columns."""
        return self._sorted(reduce(merge_columns, self._states.values(), ColumnStates()))

    def own_of(self, key: Any) -> ColumnStates:
        """Return the state of columns of one's own of a group, in order of the columns."""
        return self._sorted(self._states.get(key, ColumnStates()))

    def _sorted(self, state: ColumnStates) -> ColumnStates:
        state.numbers = {name: state.numbers[name] for name in self._own if name in state.numbers}
        return state

    def close(self) -> None:
        """Do nothing: any row of another unit can change any group."""

    def merge(self, other: MetricsState) -> MetricsState:
        """Add the state of other rows, in place; return this state."""
        self.groups.merge(other.groups)
        for key, columns in other._states.items():
            self._see(key, columns)
        self._check()
        return self

    def _check(self) -> None:
        if self._budget is not None and self.groups.names:
            sketches = self.groups.state.sketches
            waiting = sum(min(sketch.count, 8192) for sketch in sketches)
            check_groups(self.groups.names, len(self.groups.places), 8 * waiting, self._budget)


def merge_columns(one: ColumnStates, other: ColumnStates) -> ColumnStates:
    """Merge the states of columns of different rows, in any order: the newest value is that of the last time and row.

    Examples:
        >>> parts = []
        >>> for row in range(2):
        ...     part = ColumnStates()
        ...     part.see("loss", Newest(time=5, seq=row, value=float(row)))
        ...     parts.append(part)
        >>> merge_columns(*parts).newest["loss"].value, merge_columns(*reversed(parts)).newest["loss"].value
        (1.0, 1.0)
    """
    merged = one.merge(other)
    for name, value in one.newest.items():
        if name in other.newest:
            merged.newest[name] = max(value, other.newest[name], key=_age)
    return merged


def _age(value: Newest) -> tuple[int, int]:
    return value.time, value.seq


def answer(state: MetricsState, *, partial: bool, with_own: Callable[[], MetricsState] | None = None) -> Metrics:
    """Return the metrics of a state; groups are sorted.

    Args:
        state: State of all units.
        partial: Whether units are missing.
        with_own: Function that computes the state with columns of one's own, for groups, when they are first asked for.
    """
    groups = state.groups

    def view(found: GroupState, columns: Callable[[], ColumnStates]) -> Metrics:
        metrics = metrics_of_rows(found, partial=partial, timed=groups.timed)
        metrics.columns = NumericColumns(columns)
        return metrics

    if with_own is None:
        return view(groups.total(), state.own)
    parts = groups.groups()
    views = {key: view(parts[key], lambda key=key: with_own().own_of(key)) for key in sorted_keys(parts)}  # type: ignore[misc]
    return view(groups.total(), lambda: with_own().own()).grouped(views, groups.names)


def sorted_keys(keys: Any) -> list[Any]:
    """Sort keys of groups: missing values last, values of different types by type.

    Examples:
        >>> sorted_keys(["b", None, "a"]), sorted_keys([(2, None), (2, "x"), (1, "y")])
        (['a', 'b', None], [(1, 'y'), (2, 'x'), (2, None)])
    """
    keys = list(keys)

    def place(key: Any) -> list[tuple[int, str, Any]]:
        parts = key if isinstance(key, tuple) else (key,)
        return [(2, "", 0) if part is None else _rank(part) for part in parts]

    return sorted(keys, key=place)


def _rank(value: Any) -> tuple[int, str, Any]:
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return 0, "", float(value)
    return 1, type(value).__name__, value
