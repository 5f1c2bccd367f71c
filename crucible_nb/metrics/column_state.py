"""Live state of the columns of one's own: exact sums, quantiles and the newest value, over every event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, cast

import numpy as np

from crucible_nb.accumulators import Quantiles
from crucible_nb.accumulators.exact_sum import ColumnSums, ExactSum, moments_of_sums
from crucible_nb.accumulators.shared_values import SharedValues
from crucible_nb.metrics.fold import fold, one_cell
from crucible_nb.metrics.sum_table import KNOWN, NUMBERS, ONES, Block, SumTable

_ROWS = len(NUMBERS)  # columns that are summed at a time
_WEIGHT, _TOTAL, _SQUARES = range(3)


class Newest(NamedTuple):
    """The newest known value of a column.

    Attributes:
        time: Its time in UTC nanoseconds.
        seq: Its sequence number.
        value: A number, a boolean or text.
        step: Value of the column `step` in the same event; None without one.
    """

    time: int
    seq: int
    value: Any
    step: Any = None


class Values(NamedTuple):
    """Values of some columns in consecutive events.

    Attributes:
        columns: float64[n] by name, NaN where unknown; a column may be missing.
        weight: Weights, float64[n]; None means 1 each.
        size: Number of events n.
    """

    columns: Mapping[str, np.ndarray]
    weight: np.ndarray | None
    size: int


class ColumnState:
    """Sums and quantiles of one column.

    Attributes:
        count: Number of known values of weight 1.
        sums: Sum of the other weights, of the values and of their squares, weighted.
        sketch: Quantiles.
    """

    __slots__ = ("count", "sketch", "sums")

    def __init__(self) -> None:
        self.count = 0
        self.sums = ExactSum(3, 1)
        self.sketch = Quantiles()

    def moments(self) -> ColumnSums:
        """Return weight, total and moments, each rounded once."""
        weight = Fraction(self.count) + self.sums.fraction(_WEIGHT, 0)
        totals, squares = (self._row(row) for row in (_TOTAL, _SQUARES))
        return moments_of_sums(weight, totals, squares, 0, 0)

    @property
    def total(self) -> ExactSum:
        """Sum of the values, one row and one cell."""
        return self._row(_TOTAL)

    def _row(self, row: int) -> ExactSum:
        sums = ExactSum.of(self.sums.chunks[row : row + 1], self.sums.low)
        sums.infinite = None if self.sums.infinite is None else self.sums.infinite[row : row + 1]
        return sums

    def add(self, table: SumTable, row: int, values: SharedValues) -> None:
        """Add the sums of a row of a table of one group, and its known values."""
        self.count += int(table.counts[KNOWN + row, 0])
        parts = [(_TOTAL, table.totals, row), (_SQUARES, table.squares, row)]
        if table.weights is not None:
            parts.append((_WEIGHT, table.weights, KNOWN - ONES + row))
        for mine, sums, theirs in parts:
            self._add(mine, sums, theirs)
        self.sketch = self.sketch.copy().keep(values)

    def merge(self, later: ColumnState) -> ColumnState:
        """Merge with the state of other events; both inputs stay unchanged."""
        state = ColumnState()
        state.count, state.sums = self.count + later.count, self.sums.copy()
        for row in range(3):
            state._add(row, later.sums, row)
        state.sketch = self.sketch.merge(later.sketch)
        return state

    def _add(self, row: int, sums: ExactSum, theirs: int) -> None:
        self.sums.add_integer(row, 0, *sums.integer(theirs, 0))
        if special := sums.special(theirs, 0):
            self.sums.add_infinite(row, np.zeros(1, np.intp), np.array([special]))

    def copy(self) -> ColumnState:
        """Return a copy that can be updated."""
        state = ColumnState()
        state.count, state.sums, state.sketch = self.count, self.sums.copy(), self.sketch
        return state

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {"count": self.count, "sums": self.sums.to_dict(), "sketch": self.sketch.to_dict()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> ColumnState:
        """Rebuild a state from the result of `to_dict`."""
        new = cls()
        new.count, new.sums = int(state["count"]), ExactSum.from_dict(state["sums"])
        if new.sums.chunks.shape[:2] != (3, 1):
            raise ValueError(f"sums of the shape {new.sums.chunks.shape[:2]}")
        new.sketch = Quantiles.from_dict(state["sketch"])
        return new


class ColumnStates:
    """The state of any number of columns, and the newest value of each; the same bits in any parts.

    Attributes:
        numbers: State of each column with a known number.
        newest: Newest known value by column; of columns that are no numbers too.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, ColumnState] = {}
        self.newest: dict[str, Newest] = {}

    def add(self, values: Values) -> None:
        """Add the numbers of consecutive events, in place."""
        names = list(values.columns)
        for start in range(0, len(names), _ROWS):
            some = names[start : start + _ROWS]
            table = fold(_block([values.columns[name] for name in some], values), one_cell(values.size))
            for row, name in enumerate(some):
                whole = int(table.counts[KNOWN + row, 0]) == values.size
                known = (values.columns[name], None) if whole else _known(values.columns[name], values.weight)
                if len(known[0]):
                    self.numbers.setdefault(name, ColumnState()).add(table, row, SharedValues(*known))

    def see(self, name: str, value: Newest) -> None:
        """Take a value as the newest of a column unless it is older; values of one time come in their order."""
        before = self.newest.get(name)
        if before is None or value.time >= before.time:
            self.newest[name] = value

    def merge(self, later: ColumnStates) -> ColumnStates:
        """Merge with the state of other events; both inputs stay unchanged."""
        state = self.copy()
        for name, column in later.numbers.items():
            mine = self.numbers.get(name)
            state.numbers[name] = column.copy() if mine is None else mine.merge(column)
        for name, value in later.newest.items():
            state.see(name, value)
        return state

    def copy(self) -> ColumnStates:
        """Return a copy that can be updated."""
        state = ColumnStates()
        state.numbers = {name: column.copy() for name, column in self.numbers.items()}
        state.newest = dict(self.newest)
        return state

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {
            "numbers": {name: column.to_dict() for name, column in self.numbers.items()},
            "newest": [[name, *newest] for name, newest in self.newest.items()],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> ColumnStates:
        """Rebuild a state from the result of `to_dict`."""
        new = cls()
        new.numbers = {str(name): ColumnState.from_dict(column) for name, column in state["numbers"].items()}
        new.newest = {str(name): Newest(int(time), int(seq), *rest) for name, time, seq, *rest in state["newest"]}
        return new


def merge_states(states: Sequence[ColumnStates]) -> ColumnStates:
    """Merge the states of several writers; a single one is copied."""
    first, *others = states
    whole = first.copy()
    for other in others:
        whole = whole.merge(other)
    return whole


def join_values(parts: Sequence[Values]) -> Values:
    """Return the values of consecutive parts as one."""
    if len(parts) == 1:
        return parts[0]
    names: Iterable[str] = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {
        name: np.concatenate(
            [part.columns[name] if name in part.columns else np.full(part.size, np.nan) for part in parts]
        )
        for name in names
    }
    weight = None
    if any(part.weight is not None for part in parts):
        weight = np.concatenate([np.ones(part.size) if part.weight is None else part.weight for part in parts])
    return Values(columns, weight, sum(part.size for part in parts))


def _known(numbers: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the known numbers with a weight, and their weights."""
    missing = np.isnan(numbers)
    kept = ~missing if weight is None else ~missing & (weight > 0)
    return numbers[kept], None if weight is None else weight[kept]


def _block(columns: Sequence[np.ndarray], values: Values) -> Block:
    return Block(
        time=np.zeros(values.size, np.int64),
        values=cast("np.ndarray", columns),  # `fold` reads them one by one
        active=list(range(len(columns))),
        success=np.empty(0, np.int8),
        weight=values.weight,
    )
