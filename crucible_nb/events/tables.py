"""Convert tables to batches, with the meaning of one `record` per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.batch import Batch, Column
from crucible_nb.events.coerce import text_cells
from crucible_nb.events.columns import Read, Text, fits_int64, numbers_of, read_column
from crucible_nb.events.dtypes import family_of
from crucible_nb.events.json_text import is_object, json_of, to_json
from crucible_nb.events.kinds import Columns, Fitted
from crucible_nb.events.rows import STANDARD, Misfits, add_misfits, add_unread
from crucible_nb.events.scalars import PLAIN, plain
from crucible_nb.events.times import UTC, Times, read_times, time_source
from crucible_nb.utils import checks
from crucible_nb.utils.checks import text_of
from crucible_nb.utils.instants import NEVER
from crucible_nb.utils.problems import Problems

CHUNK = 65_536
"""Rows converted at a time, so that temporaries fit the cache."""

DROPPED = ("seq", "anomaly", "anomaly_score", "anomaly_metric")
"""Columns that an experiment writes itself; those of an input come from another run."""

_STRING = pd.StringDtype(na_value=np.nan)


# -- any table as a canonical frame ------------------------------------------------------------------------------------


def frame_of(table: Any, event: str | None = None) -> pd.DataFrame:
    """Convert what `extend` accepts to a canonical frame.

    Its index is a DatetimeIndex in UTC, NaT where a row has no time, or a RangeIndex. Its columns are booleans,
    numbers, text, or plain Python values with JSON for what is no scalar. Values that are no times stand in a column
    `time`. Named levels of the index are columns.

    Args:
        table: A DataFrame, an Arrow table, or a list of mappings.
        event: Name of the rows of a list.

    Raises:
        ConfigError: It is something else.
        SchemaError: A column name occurs twice.
        StatError: Its weights are not finite numbers > 0.
    """
    frame = _frame_of_rows(table, event) if isinstance(table, list) else _frame_of_table(table)
    names = [text_of(str(name)) for name in frame.columns]
    frame = frame if names == frame.columns.tolist() else frame.set_axis(names, axis=1)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].tolist()
        raise SchemaError(f"frame: column names must be unique, got {twice} more than once")
    frame = _with_times(frame)
    changed = {name: _canonical(name, frame[name]) for name in frame.columns if not _is_canonical(name, frame[name])}
    return frame.assign(**changed) if changed else frame


def _frame_of_table(table: Any) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return table
    if not isinstance(table, (pa.Table, pa.RecordBatch)):
        raise checks.wrong("frame", table, "a DataFrame, a list of mappings or an Arrow table")
    table = pa.table(table) if isinstance(table, pa.RecordBatch) else table
    try:
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame
    except (pa.ArrowException, NotImplementedError, TypeError, ValueError):  # a type that pandas has no place for
        columns = [_series_of_arrow(values) for values in table.columns]
        frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(table.num_rows))
        return frame.set_axis(table.column_names, axis=1)


def _series_of_arrow(values: pa.ChunkedArray) -> pd.Series:
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    try:
        series: pd.Series = values.to_pandas(types_mapper=pd.ArrowDtype)
        return series
    except (pa.ArrowException, NotImplementedError, TypeError, ValueError):
        return pd.Series(_array(values.to_pylist()), dtype=object)


def brings_weights(table: Any) -> bool:
    """Return whether a list has columns that `record` does not take: weights, or columns written by another run."""
    return any(isinstance(row, Mapping) and not _OF_A_TABLE.isdisjoint(map(str, row)) for row in table)


_OF_A_TABLE = frozenset({"weight", *DROPPED})


def rows_of(table: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the mappings of a list, with text keys."""
    for row in table:
        if not isinstance(row, Mapping):
            raise checks.wrong("frame", row, "a mapping in every place of the list")
        yield {str(name): value for name, value in row.items()}


def _frame_of_rows(table: list[Mapping[str, Any]], event: str | None) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {}
    for place, row in enumerate(rows_of(table)):
        for name, value in row.items():
            columns.setdefault(name, [None] * len(table))[place] = value
    if event is not None:
        columns.pop("event", None)
    index = pd.RangeIndex(len(table))
    return pd.DataFrame({name: pd.Series(_array(values), index, object) for name, values in columns.items()}, index)


def _array(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Index the frame by its times; other index levels become columns, values that are not times the column `time`."""
    index: Any = frame.index
    if isinstance(index, pd.DatetimeIndex) and index.unit == "ns" and "time" not in frame.columns:
        if index.tz is None or str(index.tz) != "UTC":
            frame = frame.set_axis(index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC"), axis=0)
        return frame
    source = time_source(frame)
    if source is None or source.level is None:
        frame = with_levels(frame)
        return frame if source is None else _timed(frame.drop(columns="time"), read_times(source.values))
    beside = frame["time"] if "time" in frame.columns else None
    times = read_times(source.values)
    frame = frame if beside is None else frame.drop(columns="time")
    frame = _timed(with_levels(frame, source.level), times)
    if beside is not None and not _same(read_times(beside), times):
        unread = _array([times.unread.get(row, value) for row, value in enumerate(beside)])
        frame = frame.assign(time=pd.Series(unread, frame.index, object))
    return frame


def _same(one: Times, two: Times) -> bool:
    return not one.unread and bool((one.known == two.known).all() and (one.ns == two.ns).all())


def _timed(frame: pd.DataFrame, times: Times) -> pd.DataFrame:
    ns = times.ns if times.known.all() else np.where(times.known, times.ns, NEVER)
    frame = frame.set_axis(pd.DatetimeIndex(ns, dtype=UTC, copy=False, name="time"), axis=0)
    if times.unread:
        values = _array([times.unread.get(row) for row in range(len(frame))])
        frame = frame.assign(time=pd.Series(values, frame.index, object))
    return frame


def with_levels(frame: pd.DataFrame, time: int | None = None) -> pd.DataFrame:
    """Return the frame with the named levels of its index as columns, but for the level of times.

    Raises:
        SchemaError: A level has the name of a column and other values.
    """
    index = frame.index
    levels = {}
    for place in range(index.nlevels):
        level, name = index.get_level_values(place), str(index.names[place])
        if place == time or index.names[place] is None:
            continue
        if name not in frame.columns:
            levels[name] = level.array
        elif not level.equals(pd.Index(frame[name])):
            raise SchemaError(f"frame: {name!r} is a column and a level of the index, with different values; drop one")
    frame = frame.set_axis(pd.RangeIndex(len(frame)), axis=0)
    return frame.assign(**levels) if levels else frame


def _is_canonical(name: str, column: pd.Series) -> bool:
    """Return whether the dtype of a column needs no conversion."""
    dtype: Any = column.dtype
    if name in _KEPT:
        return True
    if name == "weight":
        return bool(dtype == np.float64)
    family = family_of(dtype)
    if family == "float":
        return isinstance(dtype, np.dtype) and dtype.itemsize <= 8
    if family == "category":
        return isinstance(dtype, pd.CategoricalDtype) and isinstance(dtype.categories.dtype, pd.StringDtype)
    if family == "text":
        return not (isinstance(dtype, pd.ArrowDtype) and pa.types.is_string_view(dtype.pyarrow_dtype))
    return family == "boolean" or (family == "integer" and fits_int64(column))


_KEPT = frozenset({*DROPPED, "metadata"})


def _canonical(name: str, column: pd.Series) -> Any:
    """Convert a column to a canonical dtype."""
    if name == "weight":
        return _weights(column)
    read = read_column(name, column)
    if isinstance(read, Column):
        return _pandas(read)
    if isinstance(read, Text):
        return pd.array(pa.array(column, from_pandas=True).cast(pa.large_string()), dtype=_STRING)
    values = _array([value if type(value) in PLAIN else orjson.Fragment(json_of(value)) for value in read])
    return pd.Series(values, column.index, object)  # pandas would guess at an array


def _pandas(column: Column) -> Any:
    if column.mask is None:
        return column.values
    make: Any = pd.arrays.BooleanArray if column.kind == "boolean" else pd.arrays.IntegerArray
    return make(column.values, column.mask)


def _weights(column: pd.Series) -> np.ndarray:
    try:
        weights = numbers_of(column, "weight")
    except SchemaError as error:
        raise StatError(str(error)) from error
    return check_weights(weights)


def check_weights(weights: np.ndarray) -> np.ndarray:
    """Return the weights that rows of an input bring; StatError unless they are finite and > 0."""
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise StatError("weight: expected finite numbers > 0 in every row of the input")
    return weights


# -- a canonical frame as batches --------------------------------------------------------------------------------------


def index_times(frame: pd.DataFrame) -> Times | None:
    """Return the times of a canonical frame; None when it has none."""
    if not isinstance(frame.index, pd.DatetimeIndex):
        return None
    ns = frame.index.asi8
    return Times(ns, ns != NEVER, {})


def batches_of_frame(frame: pd.DataFrame, first_seq: int, columns: Columns, problems: Problems) -> Iterator[Batch]:
    """Make batches of at most CHUNK rows of a canonical frame; `batch.given` says which times came with the frame."""
    if "weight" in frame.columns:
        check_weights(frame["weight"].to_numpy(np.float64))  # before kinds are inferred from the table
    dropped = [name for name in DROPPED if name in frame.columns]
    if dropped:
        said = f"columns that the experiment writes itself were dropped from the input: {', '.join(dropped)}"
        problems.report("dropped_columns", said, len(dropped))
    names = [name for name in frame.columns if name not in DROPPED]
    ordered = [name for name in STANDARD if name in names] + [name for name in names if name not in STANDARD]
    for start in range(0, len(frame), CHUNK):
        yield _batch(frame.iloc[start : start + CHUNK], ordered, first_seq + start, columns, problems)


def _batch(frame: pd.DataFrame, names: list[str], first_seq: int, columns: Columns, problems: Problems) -> Batch:
    times = index_times(frame)
    batch = Batch(np.zeros(len(frame), np.int64) if times is None else times.ns, first_seq)
    batch.given = np.zeros(len(frame), np.bool_) if times is None else times.known
    others: Misfits = {}  # no scalars; they come first in `metadata`, as those of `record`
    misfits: Misfits = {}
    for name in names:
        if name == "weight":
            batch.cells[name] = Column("float", frame[name].to_numpy(np.float64))
        elif name == "time":
            add_unread(misfits, name, dict(enumerate(frame[name])))
        elif name == "metadata":
            _add_metadata(batch, frame[name], misfits)
        else:
            column, unfit = _fitted(name, _read(name, frame[name]), columns, others)
            if column is not None:
                batch.cells[name] = column
            add_unread(misfits, name, unfit)
    add_misfits(batch, {row: others.get(row, {}) | misfits.get(row, {}) for row in {**others, **misfits}}, problems)
    return batch


def _read(name: str, column: pd.Series) -> Read:
    """Read a column of a canonical frame, whose objects are plain already."""
    return column.tolist() if column.dtype == np.object_ else read_column(name, column)


def _fitted(name: str, read: Read, columns: Columns, others: Misfits) -> Fitted:
    if isinstance(read, Column):
        return columns.refit(name, read)
    if isinstance(read, Text):
        return columns.fit_text(name, read.series)
    unsupported = {row: value for row, value in enumerate(read) if type(value) not in PLAIN}
    if name not in STANDARD and len(unsupported) == len(read):
        add_unread(others, name, unsupported)
        return None, {}
    column, misfits = columns.fit(name, [value if type(value) in PLAIN else None for value in read])
    if name in STANDARD:
        return column, misfits | unsupported
    add_unread(others, name, unsupported)
    return column, misfits


def _add_metadata(batch: Batch, column: pd.Series, misfits: Misfits) -> None:
    """Add the metadata of the input: mappings and JSON objects; other values do not fit."""
    texts: list[str | None] = [None] * len(batch)
    for row, value in enumerate(column):
        if isinstance(value, dict):
            texts[row] = to_json({str(key): item for key, item in value.items()}) if value else None
        elif is_object(value):
            texts[row] = str(value)
        else:
            add_unread(misfits, "metadata", {row: plain(value, "metadata")})
    if any(text is not None for text in texts):
        batch.cells["metadata"] = text_cells(texts)
