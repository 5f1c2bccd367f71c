"""Whole tables into batches: the meaning of one `record` per row, at the cost of a few numpy calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.batch import Batch, Column
from crucible_nb.events.coerce import text_cells
from crucible_nb.events.rows import STANDARD, Columns
from crucible_nb.events.scalars import PLAIN, scalar, to_json
from crucible_nb.events.schema import Kind
from crucible_nb.utils import checks
from crucible_nb.utils.checks import text_of
from crucible_nb.utils.problems import Problems

CHUNK = 65_536
"""Rows converted at a time: temporaries that fit the cache."""

_LARGEST = np.iinfo(np.int64).max

DROPPED = ("seq", "anomaly", "anomaly_score", "anomaly_metric")
"""Columns that the experiment writes itself; in an input they are of another run."""


def frame_of(table: Any) -> pd.DataFrame:
    """The DataFrame behind what `extend` accepts, other than a list of mappings, with names that can be written."""
    if isinstance(table, pd.DataFrame):
        frame = table
    elif isinstance(table, (pa.Table, pa.RecordBatch)):
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    else:
        raise checks.wrong("frame", table, "a DataFrame, a list of mappings or an Arrow table")
    names = [text_of(str(name)) for name in frame.columns]
    frame = frame if names == frame.columns.tolist() else frame.set_axis(names, axis=1)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].tolist()
        raise SchemaError(f"frame: column names must be unique, got {twice} more than once")
    return frame


def rows_of(table: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The mappings of a list, each checked."""
    for row in table:
        if not isinstance(row, Mapping):
            raise checks.wrong("frame", row, "a mapping in every place of the list")
        yield {str(name): value for name, value in row.items()}


def times_of(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
    """int64 UTC nanoseconds and which of them are known; None when the frame has no time."""
    if isinstance(frame.index, pd.DatetimeIndex):
        index = frame.index
    elif "time" in frame.columns:
        index = _index(frame["time"])
    else:
        return None
    index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return index.as_unit("ns").asi8, ~np.asarray(index.isna())


def _index(column: pd.Series) -> pd.DatetimeIndex:
    if pd.api.types.is_integer_dtype(column.dtype):
        column = column.astype("Int64")
        return pd.DatetimeIndex(pd.to_datetime(column, unit="ns", utc=True))
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or isinstance(column.dtype, pd.ArrowDtype):
        return pd.DatetimeIndex(column)
    return pd.DatetimeIndex(pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce"))


def batches_of_frame(frame: pd.DataFrame, first_seq: int, columns: Columns, problems: Problems) -> Iterator[Batch]:
    """Batches of at most CHUNK rows; `batch.given` says which times came with the frame."""
    if "weight" in frame.columns:
        weights_of(frame["weight"])  # before anything is learnt from the table
    dropped = [name for name in DROPPED if name in frame.columns]
    if dropped:
        said = f"columns that the experiment writes itself were dropped from the input: {', '.join(dropped)}"
        problems.report("dropped_columns", said, len(dropped))
    names = [name for name in frame.columns if name not in (*DROPPED, "time")]
    ordered = [name for name in STANDARD if name in names] + [name for name in names if name not in STANDARD]
    for start in range(0, len(frame), CHUNK):
        yield _batch(frame.iloc[start : start + CHUNK], ordered, first_seq + start, columns, problems)


def _batch(frame: pd.DataFrame, names: list[str], first_seq: int, columns: Columns, problems: Problems) -> Batch:
    times = times_of(frame)
    batch = Batch(np.zeros(len(frame), np.int64) if times is None else times[0], first_seq)
    batch.given = np.zeros(len(frame), np.bool_) if times is None else times[1]
    misfits: dict[int, dict[str, Any]] = {}
    for name in names:
        if name == "weight":
            batch.cells[name] = Column("float", weights_of(frame[name]))
        elif name != "metadata":
            _settle(batch, name, frame[name], columns, misfits)
    _metadata(batch, frame, misfits)
    if misfits:
        found = sorted({name for row in misfits.values() for name in row})
        said = f"values that do not fit their column went to `metadata` (first: {', '.join(found[:3])})"
        problems.report("misfits", said, sum(map(len, misfits.values())))
    return batch


def weights_of(column: pd.Series) -> np.ndarray:
    """The weights that rows of an input bring; StatError unless they are finite and > 0."""
    weights = column.to_numpy(np.float64, na_value=np.nan)
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise StatError("weight: expected finite numbers > 0 in every row of the input")
    return weights


def _settle(batch: Batch, name: str, column: pd.Series, columns: Columns, misfits: dict[int, dict[str, Any]]) -> None:
    cells = cells_of(name, column, columns)
    if cells is None:
        values = [None if gone else scalar(value) for value, gone in zip(column, column.isna(), strict=True)]
        known = [value if type(value) in PLAIN else None for value in values]
        cells, strangers = columns.fit(name, known)
        strangers |= {row: value for row, value in enumerate(values) if type(value) not in PLAIN}
        for row, value in strangers.items():
            misfits.setdefault(row, {})[name] = value
    if cells is not None:
        batch.cells[name] = cells


def cells_of(name: str, column: pd.Series, columns: Columns) -> Column | None:
    """Cells of a column whose dtype settles everything at once; None sends it through its values."""
    dtype = column.dtype
    kind = columns.kinds.get(name)
    is_float, is_whole = pd.api.types.is_float_dtype(dtype), pd.api.types.is_integer_dtype(dtype)
    if kind is None or (kind == "integer" and is_float):
        inferred = _kind_of(dtype)
        if kind is None and inferred is not None:
            columns.kinds[name] = kind = inferred
    if kind == "float" and (is_float or is_whole):
        return Column("float", column.to_numpy(np.float64, na_value=np.nan))
    if kind == "integer" and (is_whole or is_float):
        return _integers(column)
    if kind == "boolean" and pd.api.types.is_bool_dtype(dtype):
        gone = column.isna().to_numpy()
        return Column("boolean", column.to_numpy(np.bool_, na_value=False), gone if gone.any() else None)
    if kind in ("category", "string") and _is_text(dtype):
        return _codes(name, column, columns) if kind == "category" else _texts(column)
    return None


def _kind_of(dtype: Any) -> Kind | None:
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "float"
    return "string" if _is_text(dtype) else None


def _is_text(dtype: Any) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return isinstance(dtype.categories.dtype, pd.StringDtype)
    return isinstance(dtype, pd.StringDtype) or dtype in (pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.large_string()))


def _integers(column: pd.Series) -> Column | None:
    """Whole numbers; a float column passes when all its known values are whole."""
    if pd.api.types.is_float_dtype(column.dtype):
        floats = column.to_numpy(np.float64, na_value=np.nan)
        with np.errstate(invalid="ignore"):
            whole = floats.astype(np.int64)
        if (whole == floats).all() and whole.max(initial=0) < _LARGEST:
            return Column("integer", whole)
        gone = np.isnan(floats)
        known = np.where(gone, 0.0, floats)
        if (known != np.floor(known)).any() or (np.abs(known) >= 2.0**63).any():
            return None
        return Column("integer", known.astype(np.int64), gone if gone.any() else None)
    gone = column.isna().to_numpy()
    if column.dtype == np.uint64 and len(column) and column.max() >= 2**63:
        return None
    values = column.to_numpy(np.int64, na_value=0)
    return Column("integer", values, gone if gone.any() else None)


def _codes(name: str, column: pd.Series, columns: Columns) -> Column:
    """Category codes; new values join the dictionary in order of first appearance, as with `record`."""
    dictionary = columns.dictionaries[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, values = pd.factorize(column)
    most = int(codes.max(initial=-1))
    if any(value not in dictionary for value in values[: most + 1]):
        for code in pd.unique(codes[codes >= 0].astype(np.int64)).tolist():
            dictionary.code(values[code])
    mapped = [dictionary.find(value) for value in values[: most + 1]]
    if mapped == list(range(most + 1)):
        return Column("category", codes)
    return Column("category", np.array([*mapped, -1], np.int32)[codes])  # the last one is for -1, missing


def _texts(column: pd.Series) -> Column:
    text = column.astype("str") if isinstance(column.dtype, pd.CategoricalDtype) else column
    array = pa.array(text, from_pandas=True)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return Column("string", array.cast(pa.large_string()))


def _metadata(batch: Batch, frame: pd.DataFrame, misfits: dict[int, dict[str, Any]]) -> None:
    """The input's metadata, where it is a JSON object, and what did not fit."""
    if not misfits and "metadata" not in frame.columns:
        return
    texts: list[str | None] = [None] * len(batch)
    if "metadata" in frame.columns:
        for row, value in enumerate(frame["metadata"]):
            if isinstance(value, dict):
                texts[row] = to_json(value)
            elif isinstance(value, str) and _is_object(value):
                texts[row] = value
            elif not (pd.api.types.is_scalar(value) and pd.isna(value)):
                misfits.setdefault(row, {})["metadata"] = value
    for row, values in misfits.items():
        text = texts[row]
        texts[row] = to_json({**(json.loads(text) if text else {}), **values})
    if any(text is not None for text in texts):
        batch.cells["metadata"] = text_cells(texts)


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
