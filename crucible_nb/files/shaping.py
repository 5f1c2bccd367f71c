"""Shape a table read from a file: computed columns, selected rows, event name and time index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.events.dtypes import family_of
from crucible_nb.events.schema import COLUMNS
from crucible_nb.events.times import read_times
from crucible_nb.files.columns import MisfitError, converted
from crucible_nb.files.expressions import parse
from crucible_nb.files.layout import kind_of
from crucible_nb.utils import checks

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_TIMES = ("time", "timestamp")
_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Shaping:
    """Validated arguments of `load`.

    Attributes:
        columns: The columns to calculate, each from the frame as the file has it.
        where: The rows to keep, by the file's columns and the calculated ones; None keeps all.
        event: A column's name, or the event name of every row; None leaves what there is.
        time: The column that becomes the index; None leaves the index.
        unit: Nanoseconds of one unit of a numeric time; None when the caller gave none.
        origin: Where a numeric time starts, in UTC nanoseconds.
    """

    columns: dict[str, Callable[[pd.DataFrame], Any]]
    where: Callable[[pd.DataFrame], Any] | None
    event: str | None
    time: str | None
    unit: int | None
    origin: int

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the selected rows of a frame with its computed columns and event names."""
        made = {name: calculate(frame) for name, calculate in self.columns.items()}
        frame = frame.assign(**{name: _as_kind(name, value, frame.index) for name, value in made.items()})
        if self.event is not None:
            frame = frame.assign(event=_event(frame, self.event))
        if self.where is None:
            return frame
        kept = frame[_mask(self.where(frame), len(frame))]
        return kept.reset_index(drop=True) if isinstance(frame.index, pd.RangeIndex) else kept

    def settled(self, frame: pd.DataFrame, index: str | None) -> Shaping:
        """Return a copy with the time column of a foreign file: its index, or a column of a usual name with times."""
        if self.time is not None:
            return self
        named = [index] if index in frame.columns else []
        named += [name for wanted in _TIMES for name in frame.columns if name.lower() == wanted]
        return replace(self, time=next((name for name in named if self._holds_times(frame[name])), None))

    def _holds_times(self, values: pd.Series) -> bool:
        try:
            instants(values, self.unit, self.origin)
        except (MisfitError, ConfigError):
            return False
        return True

    def timed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with its time index."""
        if self.time is None or self.time == frame.index.name:
            return frame
        checks.columns("time", self.time, frame.columns)
        index = instants(frame[self.time], self.unit, self.origin)
        return frame.drop(columns=self.time).set_axis(index, axis=0)


def shaping(
    columns: Mapping[str, Any] | None,
    where: Any,
    *,
    event: str | None,
    time: str | None,
    unit: str | None,
    origin: Any,
) -> Shaping:
    """Check the arguments of `load` (`columns` is its `map`) before the file is opened."""
    return Shaping(
        columns={name: _function("map", value) for name, value in checks.mapping("map", columns).items()},
        where=None if where is None else _function("where", where),
        event=checks.text("event", event, optional=True),
        time=checks.text("time", time, optional=True),
        unit=None if unit is None else UNITS[checks.one_of("unit", unit, UNITS)],
        origin=0 if origin is None else checks.instant("origin", origin),
    )


def _function(argument: str, value: Any) -> Callable[[pd.DataFrame], Any]:
    if isinstance(value, str):
        return parse(value, argument)
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise checks.wrong(argument, value, "an expression as text, or a callable that takes the frame")


def _as_kind(name: str, value: Any, index: pd.Index) -> Any:
    """Convert a computed column to the kind of its name, or to one that files can store."""
    values = value if isinstance(value, pd.Series) else pd.Series(value, index=index)
    kind = COLUMNS[name].kind if name in COLUMNS else _kind_of(values)
    if kind is None:
        raise ConfigError(f"map={name!r}: expected text, numbers, booleans or datetimes, got {values.dtype}")
    if kind == "category" == kind_of(values.dtype):
        return values.array
    return converted(values, name, kind)


def _kind_of(values: pd.Series) -> str | None:
    """Return the kind of a computed column; durations and decimals are floats, also as objects."""
    family = family_of(values.dtype)
    objects = pd.api.types.infer_dtype(values, skipna=True) if family == "other" else ""
    if family in ("duration", "decimal") or objects in ("timedelta", "timedelta64", "decimal"):
        return "float"
    return kind_of(values.dtype)


def _event(frame: pd.DataFrame, event: str) -> Any:
    if event in frame.columns:
        return _as_kind("event", frame[event], frame.index)
    return pd.Categorical.from_codes(np.zeros(len(frame), dtype=np.int8), pd.Index([event], dtype="str"))


def _mask(kept: Any, rows: int) -> np.ndarray:
    """Convert a condition to one boolean per row; missing is False."""
    mask = pd.Series(np.full(rows, kept) if isinstance(kept, (bool, np.bool_)) else kept)
    if not pd.api.types.is_bool_dtype(mask.dtype) or len(mask) != rows:
        raise ConfigError(f"where: expected a condition, true or false in each of {rows} rows, got {mask.dtype}")
    return mask.to_numpy(dtype=bool, na_value=False)


def instants(values: pd.Series, unit: int | None, origin: int) -> pd.DatetimeIndex:
    """Read times as a UTC index in nanoseconds; MisfitError names the first value that is none.

    Args:
        values: Datetimes of any resolution (naive means UTC), ISO text, or numbers counted in `unit`.
        unit: Nanoseconds of one unit.
        origin: UTC nanoseconds where numbers start.
    """
    if values.isna().any():
        raise MisfitError(f"column {values.name!r}: a time is missing")
    if family_of(values.dtype) in ("integer", "float"):
        return _counted(values, unit, origin)
    times = read_times(values)
    _refuse(values, ~times.known)
    return pd.DatetimeIndex(times.ns, tz="UTC", name="time")


def _counted(values: pd.Series, unit: int | None, origin: int) -> pd.DatetimeIndex:
    """Convert numbers counted in a unit; whole units and fractions separately, so that no digit is lost."""
    if unit is None:
        raise ConfigError(f"unit=None: column {values.name!r} holds numbers; expected one of 's', 'ms', 'us', 'ns'")
    numbers = values.to_numpy()
    units = np.floor(numbers)
    _refuse(values, ~(np.abs(units.astype(np.float64)) <= (_LIMIT - abs(origin)) // unit - 1))
    fraction = np.round((numbers - units) * unit).astype(np.int64)
    return pd.DatetimeIndex(units.astype(np.int64) * unit + fraction + origin, tz="UTC", name="time")


def _refuse(values: pd.Series, bad: np.ndarray) -> None:
    if bad.any():
        raise MisfitError(f"column {values.name!r}: {values[bad].tolist()[0]!r} is not a time")
