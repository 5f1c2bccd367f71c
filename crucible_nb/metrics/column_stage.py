"""The stage that counts columns of one's own: numbers are collected and added many at a time, or when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.schema import EVERY
from crucible_nb.metrics.column_state import ColumnStates, Newest, Values, join_values
from crucible_nb.metrics.stage import BLOCK
from crucible_nb.utils.interrupts import unbroken

_NUMERIC = ("float", "integer", "boolean")
_UNSEEN = frozenset({"weight", "seq", "metadata", "anomaly", "anomaly_score", "anomaly_metric"})
_STANDARD = frozenset(EVERY)


class ColumnStage:
    """Counts every numeric column that is not a standard one, and remembers the newest value of all columns.

    Args:
        dictionaries: Dictionary of each category column by name.

    Attributes:
        missed: Number of events before the first one that was counted: of a state of an earlier release.
    """

    def __init__(self, dictionaries: Mapping[str, Categories]) -> None:
        self._dictionaries = dictionaries
        self._states = ColumnStates()
        self._waiting: list[Values] = []
        self._events = 0
        self._frozen = False  # whether a reader holds the states
        self.missed = 0

    def add(self, batch: Batch) -> None:
        """Add a batch of at least one event."""
        cells = {name: cell for name, cell in batch.cells.items() if name not in _UNSEEN and not name.startswith("_")}
        self._see(batch, cells)
        columns = {
            name: cell.floats() for name, cell in cells.items() if cell.kind in _NUMERIC and name not in _STANDARD
        }
        # a small batch waits, and the user's arrays may change; compiled code is not made for arrays that are read-only
        take = np.copy if len(batch) < BLOCK else _own
        columns = {name: take(numbers) for name, numbers in columns.items()}
        if not columns:
            return
        weight = batch.cells.get("weight")
        self._waiting.append(Values(columns, None if weight is None else weight.values.copy(), len(batch)))
        self._events += len(batch)
        if self._events >= BLOCK:
            self.state()

    def _see(self, batch: Batch, cells: Mapping[str, Column]) -> None:
        """Remember the newest known value of each column, by time and then by order."""
        self._thaw()
        time, n = batch.time, len(batch)
        in_order = n < 2 or bool((time[1:] >= time[:-1]).all())
        order = None if in_order else np.argsort(time, kind="stable")
        steps = cells.get("step")
        for name, cell in cells.items():
            row = _last_known(cell, range(n) if order is None else order)
            if row is not None:
                step = None if steps is None or not _is_known(steps, row) else _value(steps, row, None)
                value = _value(cell, row, self._dictionaries.get(name))
                self._states.see(name, Newest(int(time[row]), batch.first_seq + row, value, step))

    def state(self) -> ColumnStates:
        """Return the state of all events so far; it changes with later events."""
        if self._waiting:
            with unbroken():
                self._add_waiting()
        return self._states

    def _add_waiting(self) -> None:
        if self._waiting:  # unless a handler of a signal has read the state since
            self._thaw()
            parts, self._waiting, self._events = self._waiting, [], 0
            self._states.add(join_values(parts))

    def freeze(self) -> Callable[[], ColumnStates]:
        """Return a function that computes the state of the events so far, now or later."""
        self._frozen = True
        states, waiting = self._states, tuple(self._waiting)

        def read() -> ColumnStates:
            copied = states.copy()
            if waiting:
                copied.add(join_values(waiting))
            return copied

        return read

    def _thaw(self) -> None:
        if self._frozen:
            self._states, self._frozen = self._states.copy(), False

    def newest(self, name: str) -> Newest | None:
        """Return the newest known value of a column; None without one."""
        return self._states.newest.get(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {**self.state().to_dict(), "missed": self.missed}

    def load(self, state: Mapping[str, Any] | None, seq: int) -> None:
        """Restore a state of `to_dict`; None for one of an earlier release, which had counted none of `seq` events."""
        if state is None:
            self.missed = seq
        else:
            self._states, self.missed = ColumnStates.from_dict(state), int(state["missed"])


def _own(numbers: np.ndarray) -> np.ndarray:
    return np.require(numbers, requirements=["C", "W"])


def _last_known(cell: Column, order: Iterable[Any]) -> int | None:
    """Return the last of these rows whose value is known; None without one."""
    rows = order if isinstance(order, np.ndarray) else None
    last = len(cell.values) - 1 if rows is None else int(rows[-1])
    if _is_known(cell, last):
        return last
    known = _known(cell)
    if not known.any():
        return None
    if rows is None:
        return int(len(known) - 1 - np.argmax(known[::-1]))
    return int(rows[len(rows) - 1 - np.argmax(known[rows][::-1])])


def _is_known(cell: Column, row: int) -> bool:
    if cell.kind == "category":
        return bool(cell.values[row] >= 0)
    if cell.kind == "string":
        return bool(cell.values[row].is_valid)
    if cell.kind == "float":
        return bool(cell.values[row] == cell.values[row])
    return cell.mask is None or not cell.mask[row]


def _known(cell: Column) -> np.ndarray:
    if cell.kind == "category":
        return np.asarray(cell.values >= 0)
    if cell.kind == "string":
        return np.asarray(cell.values.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    return cell.known()


def _value(cell: Column, row: int, dictionary: Categories | None) -> Any:
    if cell.kind == "category":
        return None if dictionary is None else dictionary.values[int(cell.values[row])]
    return cell.values[row].as_py() if cell.kind == "string" else cell.values[row].item()
