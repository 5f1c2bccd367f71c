"""Shape a table read from a file: computed columns, selected rows, event name and time index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.events.dtypes import family_of
from crucible_nb.events.schema import COLUMNS
from crucible_nb.events.times import read_times
from crucible_nb.files.columns import MisfitError, converted
from crucible_nb.files.expressions import Formula, parse
from crucible_nb.files.layout import kind_of
from crucible_nb.files.misfits import METADATA
from crucible_nb.files.nested import column_of
from crucible_nb.utils import checks
from crucible_nb.utils.instants import NEVER

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_TIMES = (
    "time", "timestamp", "@timestamp", "ts", "datetime", "date_time", "date", "event_time", "created_at", "createdat",
    "created", "started_at", "start_time", "starttime", "logged_at", "gmt_create",
)  # fmt: skip
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
        kept: The columns of the file to keep; None keeps all.
        gaps: Whether rows may lack a time in a column that is found by its name.
        untimed: Why columns with the name of a time hold none; None if there is no such column.
    """

    columns: dict[str, Callable[[pd.DataFrame], Any]]
    where: Callable[[pd.DataFrame], Any] | None
    event: str | None
    time: str | None
    unit: int | None
    origin: int
    kept: tuple[str, ...] | None = None
    gaps: bool = False
    untimed: str | None = None

    def read(self, names: Sequence[str] | None) -> list[str] | None:
        """Return the columns of the file to read, of those that it has if they are known; None for all."""
        formulas = [*self.columns.values(), *([] if self.where is None else [self.where])]
        if self.kept is None or not all(isinstance(formula, Formula) for formula in formulas):
            return None
        wanted = {*self.kept, *(() if self.time else _TIMES)}
        for formula in formulas:
            wanted |= formula.columns()  # type: ignore[attr-defined]
        for path in (self.event, self.time):
            parts = [] if path is None else path.split(".")
            wanted |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        if names is None:
            return sorted(wanted)
        return [name for name in names if name in wanted or (self.time is None and name.lower() in _TIMES)]

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
            return replace(self, gaps=False)
        named = [index] if index in frame.columns else []
        named += [name for wanted in _TIMES for name in frame.columns if name.lower() == wanted]
        reasons = {name: self._untimed(frame[name]) for name in named}
        time = next((name for name, reason in reasons.items() if reason is None), None)
        return replace(self, time=time, untimed=None if time else next(iter(reasons.values()), None))

    def _untimed(self, values: pd.Series) -> str | None:
        """Return why a column holds no times; None if it does."""
        if self.unit is None and family_of(values.dtype) in ("integer", "float") and values.notna().any():
            return f"{values.name!r} is a number, give its unit ('s', 'ms', 'us' or 'ns')"
        try:
            known = instants(values, self.unit, self.origin, self.gaps)
        except (MisfitError, ConfigError) as error:
            return str(error)
        return f"{values.name!r} has no values" if known.isna().all() else None

    def timed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with its time index, and of the file's columns those that are kept."""
        if self.time is not None and self.time != frame.index.name:
            values = column_of(frame, self.time)
            if values is None:
                checks.columns("time", self.time, frame.columns)
                raise AssertionError
            index = instants(values.rename(self.time), self.unit, self.origin, self.gaps)
            frame = frame.drop(columns=self.time, errors="ignore").set_axis(index, axis=0)
        if self.gaps and self.untimed is not None:
            frame.attrs["untimed"] = self.untimed
        if self.kept is None:
            return frame
        kept = {*self.kept, *self.columns, METADATA, *(() if self.event is None else ("event",))}
        return frame[[name for name in frame.columns if name in kept]]


def shaping(
    columns: Mapping[str, Any] | None,
    where: Any,
    *,
    event: str | None,
    time: str | None,
    unit: str | None,
    origin: Any,
    kept: Any = None,
    gaps: bool = False,
) -> Shaping:
    """Check the arguments of `load` (`columns` is its `map`) before the file is opened."""
    return Shaping(
        columns={name: _function("map", value) for name, value in checks.mapping("map", columns).items()},
        where=None if where is None else _function("where", where),
        event=checks.text("event", event, optional=True),
        time=checks.text("time", time, optional=True),
        unit=None if unit is None else UNITS[checks.one_of("unit", unit, UNITS)],
        origin=0 if origin is None else checks.instant("origin", origin),
        kept=None if kept is None else checks.texts("columns", kept),
        gaps=gaps,
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
    values = column_of(frame, event)
    if values is not None:
        return _as_kind("event", values, frame.index)
    return pd.Categorical.from_codes(np.zeros(len(frame), dtype=np.int8), pd.Index([event], dtype="str"))


def _mask(kept: Any, rows: int) -> np.ndarray:
    """Convert a condition to one boolean per row; missing is False."""
    mask = pd.Series(np.full(rows, kept) if isinstance(kept, (bool, np.bool_)) else kept)
    if not pd.api.types.is_bool_dtype(mask.dtype) or len(mask) != rows:
        raise ConfigError(f"where: expected a condition, true or false in each of {rows} rows, got {mask.dtype}")
    return mask.to_numpy(dtype=bool, na_value=False)


def instants(values: pd.Series, unit: int | None, origin: int, gaps: bool = False) -> pd.DatetimeIndex:
    """Read times as a UTC index in nanoseconds; MisfitError names the first value that is none.

    Args:
        values: Datetimes of any resolution (naive means UTC), ISO text, or numbers counted in `unit`.
        unit: Nanoseconds of one unit.
        origin: UTC nanoseconds where numbers start.
        gaps: Whether times may be missing.
    """
    missing = values.isna().to_numpy()
    if family_of(values.dtype) in ("integer", "float"):
        if missing.all():
            return _index(np.zeros(len(values), np.int64), missing, values, gaps)
        return _index(_counted(values.mask(missing, 0), unit, origin), missing, values, gaps)
    times = read_times(values)
    unread = np.zeros(len(values), np.bool_)
    unread[list(times.unread)] = True
    _refuse(values, unread)
    return _index(times.ns, ~times.known, values, gaps)


def _index(ns: np.ndarray, missing: np.ndarray, values: pd.Series, gaps: bool) -> pd.DatetimeIndex:
    if missing.any() and not gaps:
        raise MisfitError(f"column {values.name!r}: a time is missing")
    return pd.DatetimeIndex(np.where(missing, NEVER, ns).view("M8[ns]"), tz="UTC", name="time")


def _counted(values: pd.Series, unit: int | None, origin: int) -> np.ndarray:
    """Convert numbers counted in a unit; whole units and fractions separately, so that no digit is lost."""
    if unit is None:
        raise ConfigError(f"unit=None: column {values.name!r} holds numbers; expected one of 's', 'ms', 'us', 'ns'")
    numbers = values.to_numpy(np.float64) if values.dtype.kind == "f" else values.to_numpy(np.int64)
    units = np.floor(numbers)
    _refuse(values, ~(np.abs(units.astype(np.float64)) <= (_LIMIT - abs(origin)) // unit - 1))
    fraction = np.round((numbers - units) * unit).astype(np.int64)
    result: np.ndarray = units.astype(np.int64) * unit + fraction + origin
    return result


def _refuse(values: pd.Series, bad: np.ndarray) -> None:
    if bad.any():
        raise MisfitError(f"column {values.name!r}: {values[bad].tolist()[0]!r} is not a time")
