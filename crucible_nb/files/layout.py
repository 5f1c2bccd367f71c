"""What a file says about its frame: the columns and their kinds, the index, the facts; as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.events.schema import DTYPES
from crucible_nb.utils import checks

KEY = "crucible"
"""Where a file keeps its header: a key of the Parquet metadata, of the first JSONL line, of the CSV's side file."""

VERSION = 1
KINDS = frozenset({*DTYPES, "time"})
_CATEGORIES = ("str", "object", "float64", "int64")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file.

    Attributes:
        name: Its name in the frame.
        kind: A kind of `crucible_nb.events.schema`, or "time" for UTC nanoseconds.
        categories: The categories in their order (kind "category" of our own files), else None.
        ordered: Whether that order means something.
        dtype: The dtype of the categories' index; an empty category may have any.
    """

    name: str
    kind: str
    categories: tuple[str, ...] | None = None
    ordered: bool = False
    dtype: str = "str"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file in their order, and how to make the frame of them again.

    Attributes:
        columns: The index first, where it is one of the columns.
        index: The column that is the DatetimeIndex; None means a RangeIndex.
        rows: How many rows were written; None when the file is not ours.
        escaped: Whether text that a spreadsheet would run carries a leading apostrophe (CSV).
        attrs: `DataFrame.attrs`, what JSON can hold of it.
    """

    columns: tuple[Column, ...]
    index: str | None = None
    rows: int | None = None
    escaped: bool = False
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]


def describe(frame: pd.DataFrame) -> Layout:
    """The layout of a frame; SchemaError when a file could not give that frame back."""
    index = _index(frame)
    names = list(frame.columns)
    checks.texts("columns", names)
    if len(set(names)) != len(names) or index in names:
        raise SchemaError(f"frame: expected every column name once, got {', '.join(map(repr, names))}")
    columns = [Column(index, "time")] if index is not None else []
    columns += [_column(name, frame[name]) for name in names]
    if not columns:
        raise SchemaError("frame: expected at least one column, got none")
    return Layout(tuple(columns), index, rows=len(frame), attrs=_attrs(frame))


def _index(frame: pd.DataFrame) -> str | None:
    index = frame.index
    if isinstance(index, pd.DatetimeIndex):
        return str(index.name or "time")
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1:
        return None
    raise SchemaError(f"frame: expected a DatetimeIndex or plain RangeIndex, got {_named(index)}; reset_index() helps")


def _named(index: pd.Index) -> str:
    kind = type(index).__name__
    return f"an {kind}" if kind[0] in "AEIOU" else f"a {kind}"


def _column(name: str, values: pd.Series) -> Column:
    kind = kind_of(values.dtype)
    if kind is None:
        raise SchemaError(
            f"column {name!r}: expected text, category, numbers, booleans or datetimes, got dtype {values.dtype}"
        )
    if kind != "category":
        return Column(name, kind)
    dtype: Any = values.dtype
    labels = list(dtype.categories)
    if not all(isinstance(label, str) for label in labels):
        raise SchemaError(f"column {name!r}: expected categories of text, got {dtype.categories.dtype}")
    return Column(name, kind, tuple(labels), bool(dtype.ordered), str(dtype.categories.dtype))


def kind_of(dtype: Any) -> str | None:
    """The kind that holds a pandas dtype; None for those that no kind holds."""
    extension = isinstance(dtype, pd.api.extensions.ExtensionDtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if isinstance(dtype, pd.StringDtype) or dtype == "object":
        return "string"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean" if extension else "flag"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer" if extension else "count"
    if pd.api.types.is_float_dtype(dtype):
        return "float"
    return "time" if pd.api.types.is_datetime64_any_dtype(dtype) else None


def _attrs(frame: pd.DataFrame) -> dict[str, Any]:
    """The attributes that come back from JSON as they went in."""
    return {key: value for key, value in frame.attrs.items() if isinstance(key, str) and _survives(value)}


def _survives(value: Any) -> bool:
    try:
        return bool(orjson.loads(orjson.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def pack(layout: Layout, facts: Mapping[str, Any] | None) -> bytes:
    """The header of a file, as JSON."""
    plain = checks.mapping("facts", facts)
    try:
        return orjson.dumps({"version": VERSION, "schema": asdict(layout), "facts": plain})
    except TypeError as error:
        raise checks.wrong("facts", plain, f"what JSON can hold ({error})") from error


def unpack(header: Any) -> tuple[Layout, dict[str, Any]]:
    """The layout and the facts of a header that was read; ValueError when it is not one of ours."""
    if not isinstance(header, dict) or not isinstance(header.get("version"), int):
        raise ValueError("its crucible header is broken")  # noqa: TRY004  all that is read fails as ValueError
    if header["version"] > VERSION:
        raise ValueError(f"it was written by a newer crucible_nb (file version {header['version']})")
    try:
        schema = dict(header["schema"])
        columns = tuple(map(_read_column, schema.pop("columns")))
        layout = Layout(columns, **schema)
        facts = dict(header["facts"])
        sound = _sound(layout)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError("its crucible header is broken") from error
    if not sound:
        raise ValueError("its crucible header is broken")
    return layout, facts


def _read_column(raw: dict[str, Any]) -> Column:
    labels = raw.get("categories")
    return Column(**{**raw, "categories": tuple(labels) if isinstance(labels, list) else labels})


def _sound(layout: Any) -> bool:
    """Whether the fields are of their types: what was read is anything."""
    names = layout.names
    return (
        all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
        and (layout.index is None or Column(layout.index, "time") in layout.columns)
        and type(layout.rows) is int
        and type(layout.escaped) is bool
        and isinstance(layout.attrs, dict)
        and all(map(_sound_column, layout.columns))
    )


def _sound_column(column: Any) -> bool:
    labels = column.categories
    if column.kind not in KINDS or type(column.ordered) is not bool or column.dtype not in _CATEGORIES:
        return False
    if column.kind != "category":
        return labels is None
    return isinstance(labels, tuple) and all(isinstance(label, str) for label in labels)
