"""`Metrics.columns`: the numbers of columns of one's own, live or of a frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Quantiles
from crucible_nb.errors import ConfigError, SchemaError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.dtypes import family_of
from crucible_nb.events.schema import EVERY
from crucible_nb.events.times import times_of
from crucible_nb.metrics.column_state import ColumnStates, Newest, Values
from crucible_nb.utils import checks
from crucible_nb.utils.suggest import Near

_NAN = math.nan
_LAST = 2.0**62  # a missing `seq` is the last
_NUMBERS = ("boolean", "integer", "float", "decimal", "duration", "sparse")
_OBJECTS = ("boolean", "integer", "floating", "mixed-integer-float", "decimal")
_NOT_OWN = frozenset({*EVERY, "time", "writer"})


@dataclass(frozen=True)
class NumericColumn(Near):
    """Numbers of one column, over the events with a known value.

    Attributes:
        count: Number of known values (the sum of their weights, where rows were sampled).
        mean, std: Mean and standard deviation (with n - 1), each rounded once; NaN until known.
        min, max: Extremes, exact.
        last: Newest known value by time, and by order of recording among equal times.
        last_step: Value of the column `step` in that event; NaN without one.
        exact: Whether quantiles are exact: up to 2,048 values.
        error_bound: Largest relative error of a quantile; 0 if exact.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     for step, loss in enumerate((0.9, 0.5, 0.4)):
        ...         _ = exp.record("train.step", step=step, loss=loss)
        >>> loss = exp.metrics().columns["loss"]
        >>> loss.count, loss.min, loss.last, loss.last_step, loss.quantile(0.5)
        (3, 0.4, 0.4, 2, 0.5)
    """

    count: float
    mean: float
    std: float
    min: float
    max: float
    last: float
    last_step: float
    exact: bool
    error_bound: float
    _sketch: Quantiles = field(repr=False)

    def quantile(self, q: Any) -> Any:
        """Compute a quantile of the column.

        Args:
            q: A number in [0, 1], or an array of numbers.

        Returns:
            The quantile, interpolated linearly between order statistics; float, or float64 of the shape of `q`.

        Raises:
            ConfigError: `q` is outside [0, 1].

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> pd.DataFrame({"loss": [1.0, 2.0]}).crucible.metrics().columns["loss"].quantile(0.5)
            1.5
        """
        if not np.all((np.asarray(q, float) >= 0) & (np.asarray(q, float) <= 1)):
            raise ConfigError(f"q={q!r}: expected numbers between 0 and 1")
        return self._sketch.quantile(q)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> pd.DataFrame({"loss": [1.0, 2.0]}).crucible.metrics().columns["loss"].to_dict()["max"]
            2.0
        """
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name[0] != "_"}


class NumericColumns(Mapping[str, NumericColumn]):
    """The numeric columns that are not standard ones, by name: a mapping in order of their first values.

    Columns with numbers of their own in `Metrics` (latency, cost, tokens, success) are not among them.

    Args:
        state: The state, or a function that computes it when it is first needed.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> columns = pd.DataFrame({"latency_ms": [5.0], "loss": [0.5], "note": ["a"]}).crucible.metrics().columns
        >>> list(columns), columns["loss"].mean
        (['loss'], 0.5)
    """

    def __init__(self, state: ColumnStates | Callable[[], ColumnStates]) -> None:
        self._given = state

    @property
    def state(self) -> ColumnStates:
        """The state behind the numbers.

        Examples:
            >>> list(NumericColumns(ColumnStates()).state.numbers)
            []
        """
        if callable(self._given):
            self._given = self._given()
        return self._given

    def __reduce__(self) -> tuple[Any, ...]:
        return NumericColumns, (self.state,)

    def __getitem__(self, name: str) -> NumericColumn:
        found = self.state.numbers.get(name)
        if found is None:
            held = f"{name!r} has numbers of its own: metrics.latency, .cost, .tokens, .reliability; " * (name in EVERY)
            shown = ", ".join(map(repr, self)) or "no numeric column"
            raise SchemaError(f"columns[{name!r}]: {held}expected one of {shown}{checks.suggestion(name, list(self))}")
        sums, sketch, newest = found.moments(), found.sketch, self.state.newest[name]
        variance = sums.variance
        return NumericColumn(
            count=int(sums.weight) if float(sums.weight).is_integer() else sums.weight,
            mean=sums.mean,
            std=math.sqrt(variance) if variance >= 0 else _NAN,
            min=sketch.minimum,
            max=sketch.maximum,
            last=float(newest.value),
            last_step=_NAN if newest.step is None else newest.step,
            exact=sketch.exact,
            error_bound=sketch.error_bound,
            _sketch=sketch,
        )

    def __contains__(self, name: object) -> bool:
        return name in self.state.numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self.state.numbers)

    def __len__(self) -> int:
        return len(self.state.numbers)

    def __repr__(self) -> str:
        return f"NumericColumns({', '.join(map(repr, self))})"


class Rows(NamedTuple):
    """Rows with numeric columns, in the order in which the newest of equal time comes last.

    Attributes:
        columns: float64[n] by name, NaN where unknown.
        weight: float64[n]; None means 1 each.
        time: UTC nanoseconds, int64[n], ascending.
        number: Number of each row, int64[n], which orders rows of equal time; None for their order.
    """

    columns: Mapping[str, np.ndarray]
    weight: np.ndarray | None
    time: np.ndarray
    number: np.ndarray | None = None


def states_of_rows(parts: Iterable[Rows]) -> ColumnStates:
    """Compute the state of rows, of one writer after the other."""
    state = ColumnStates()
    for columns, weight, time, number in parts:
        if not len(time) or not columns:
            continue
        weighted = weight is not None and bool((weight != 1).any())
        state.add(Values(columns, weight if weighted else None, len(time)))
        for name, numbers in columns.items():
            known = np.flatnonzero(~np.isnan(numbers))
            if len(known):
                row = int(known[-1])
                step = columns["step"][row] if "step" in columns else _NAN
                step = None if step != step else int(step) if step.is_integer() else float(step)
                seq = row if number is None else int(number[row])
                state.see(name, Newest(int(time[row]), seq, float(numbers[row]), step))
    return state


def states_of_frame(frame: pd.DataFrame, rows: np.ndarray | None = None, first: int = 0) -> ColumnStates:
    """Compute the state of the columns of a frame.

    Args:
        frame: Any frame. Rows of equal time, or without times, are in order of `seq` or else of the frame; rows whose
            time is missing come first.
        rows: Indices of the rows to use, ascending; None for all.
        first: Number of the first row of the frame, if it is a part of a larger one.
    """
    number = np.arange(first, first + len(frame))
    if rows is not None:
        frame, number = frame.iloc[rows], number[rows]
    columns = {name: numbers_of(frame[name], name) for name in own_columns(frame)}
    weight = numbers_of(frame["weight"], "weight") if "weight" in frame.columns and columns else None
    times = times_of(frame) if columns else None
    if times is None:
        return states_of_rows([Rows(columns, weight, np.zeros(len(frame), np.int64), number)])
    time = np.where(times.known, times.ns, np.iinfo(np.int64).min)
    if "seq" in frame.columns and "writer" not in frame.columns:
        seq = numbers_of(frame["seq"], "seq")
        order, number = np.lexsort((seq, time)), np.nan_to_num(seq, nan=_LAST).astype(np.int64)
    else:
        order = np.argsort(time, kind="stable")
    columns = {name: numbers[order] for name, numbers in columns.items()}
    return states_of_rows([Rows(columns, None if weight is None else weight[order], time[order], number[order])])


def own_columns(frame: pd.DataFrame) -> Sequence[str]:
    """Return the numeric columns of a frame that are not standard ones, without those that hold other values too."""
    found = []
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if type(name) is not str or not is_own(name) or frame[name].ndim > 1:
            continue
        objects = dtype.kind == "O" and pd.api.types.infer_dtype(frame[name], skipna=True) in _OBJECTS
        if objects or family_of(dtype) in _NUMBERS:
            found.append(name)
    return found


def is_own(name: str) -> bool:
    """Return whether a column is not a standard one."""
    return name not in _NOT_OWN
