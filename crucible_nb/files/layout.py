"""The header of a file: columns and their types, the index and the facts, as JSON."""

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
"""Key of the header: in the Parquet metadata, in the first JSONL line, in the CSV's side file."""

VERSION = 1
KINDS = frozenset({*DTYPES, "time"})
_CATEGORIES = ("str", "object", "float64", "int64")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file.

    Attributes:
        name: Name in the frame.
        kind: Column type of `crucible_nb.events.schema`, or "time" for UTC nanoseconds.
        categories: Categories in order (kind "category", files written by crucible_nb), else None.
        ordered: Whether the categories are ordered.
        dtype: Dtype of the categories' index; an empty category may have any.
    """

    name: str
    kind: str
    categories: tuple[str, ...] | None = None
    ordered: bool = False
    dtype: str = "str"


@dataclass(frozen=True, slots=True)
class WholeColumn(Column):
    """A column of identifiers in a foreign CSV that holds whole numbers alone, some of them written as 1.0."""


@dataclass(frozen=True, slots=True)
class CommaColumn(Column):
    """A column of numbers in a foreign CSV with decimal commas."""


@dataclass(frozen=True, slots=True)
class HexColumn(Column):
    """A column of a foreign Parquet file with bytes that are no UTF-8, read as hexadecimal text."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file in order, and how the frame is rebuilt from them.

    Attributes:
        columns: The columns; the index first, if it is one of them.
        index: Column that becomes the DatetimeIndex; None for a RangeIndex.
        rows: Number of rows written; None for a foreign file.
        escaped: Whether texts that a spreadsheet would run as formulas have a leading apostrophe (CSV).
        attrs: The part of `DataFrame.attrs` that JSON can represent.
    """

    columns: tuple[Column, ...]
    index: str | None = None
    rows: int | None = None
    escaped: bool = False
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]


def describe(frame: pd.DataFrame) -> Layout:
    """Return the layout of a frame; SchemaError if the frame could not be read back equal."""
    index = _index(frame)
    names = list(frame.columns)
    if not all(isinstance(name, str) for name in names):
        raise checks.wrong("columns", names, "a list of non-empty strings")
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
    article = "an" if (name := type(index).__name__)[0] in "AEIOU" else "a"
    raise SchemaError(
        f"frame: expected a DatetimeIndex or plain RangeIndex, got {article} {name}; use reset_index() first"
    )


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
    """Return the column type for a pandas dtype; None if there is none."""
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
    """Return the attributes that JSON represents exactly."""
    return {key: value for key, value in frame.attrs.items() if isinstance(key, str) and _is_exact_in_json(value)}


def _is_exact_in_json(value: Any) -> bool:
    try:
        return bool(orjson.loads(orjson.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def pack(layout: Layout, facts: Mapping[str, Any] | None) -> bytes:
    """Encode the header of a file as JSON."""
    checked = checks.mapping("facts", facts)
    try:
        return orjson.dumps({"version": VERSION, "schema": asdict(layout), "facts": checked})
    except TypeError as error:
        raise checks.wrong("facts", checked, f"values that JSON can represent ({error})") from error


def unpack(header: Any) -> tuple[Layout, dict[str, Any]]:
    """Decode a header into layout and facts; ValueError if it is not a valid header."""
    if not isinstance(header, dict) or not isinstance(header.get("version"), int):
        raise ValueError("its crucible header is broken")  # noqa: TRY004  invalid input always raises ValueError
    if header["version"] > VERSION:
        raise ValueError(f"it was written by a newer crucible_nb (file version {header['version']})")
    try:
        schema = dict(header["schema"])
        columns = tuple(map(_read_column, schema.pop("columns")))
        layout = Layout(columns, **schema)
        facts = dict(header["facts"])
        valid = _is_valid(layout)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError("its crucible header is broken") from error
    if not valid:
        raise ValueError("its crucible header is broken")
    return layout, facts


def _read_column(raw: dict[str, Any]) -> Column:
    labels = raw.get("categories")
    return Column(**{**raw, "categories": tuple(labels) if isinstance(labels, list) else labels})


def _is_valid(layout: Any) -> bool:
    """Whether the fields, read from untrusted input, have their types."""
    names = layout.names
    return (
        all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
        and (layout.index is None or Column(layout.index, "time") in layout.columns)
        and type(layout.rows) is int
        and type(layout.escaped) is bool
        and isinstance(layout.attrs, dict)
        and all(map(_is_valid_column, layout.columns))
    )


def _is_valid_column(column: Any) -> bool:
    labels = column.categories
    if column.kind not in KINDS or type(column.ordered) is not bool or column.dtype not in _CATEGORIES:
        return False
    if column.kind != "category":
        return labels is None
    return isinstance(labels, tuple) and all(isinstance(label, str) for label in labels)
