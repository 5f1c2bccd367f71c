"""Infer the layout of a foreign file: known columns by name, other columns from all their values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from crucible_nb.events.dtypes import is_text
from crucible_nb.events.schema import COLUMNS
from crucible_nb.files.columns import known, plain
from crucible_nb.files.layout import Column, Layout, WholeColumn

# 007 and 20-digit numbers are identifiers, not quantities, and stay text
_WHOLE = r"^-?(0|[1-9][0-9]{0,18})$"
_FLOAT = r"(?i)^[-+]?(((0|[1-9][0-9]{0,17})(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?|inf|infinity)$"
_WHOLE_FLOAT = r"^-?(0|[1-9][0-9]{0,17})(\.0*)?$"
_TRUTH = r"(?i)^(true|false)$"

_NULLABLE = {"count": "integer", "flag": "boolean"}


def guess(tables: Iterable[pa.Table], ours: Collection[str], kind_of: Callable[[pa.ChunkedArray], str]) -> Layout:
    """Infer the layout that fits all tables.

    Args:
        tables: Chunks of the file, in order.
        ours: Columns that the caller's map replaces; their kind is not forced on what the file holds.
        kind_of: Returns the kind of a chunk of a column: "empty" without values, "unknown" if all values are words
            such as NA.
    """
    kinds: dict[str, str] = {}
    holes: dict[str, int] = {}
    rows = 0
    for table in tables:
        for name in table.column_names:
            kind = kind_of(table[name])
            kinds[name] = joined(kinds.get(name, "empty"), kind)
            there = len(table) - _missing(table[name], kind)
            holes[name] = holes.get(name, 0) + there
        rows += table.num_rows
    return foreign({name: (kind, holes[name] < rows) for name, kind in kinds.items()}, ours)


def foreign(kinds: dict[str, tuple[str, bool]], ours: Collection[str]) -> Layout:
    """Build a layout from the kind of each column and whether it has missing values."""
    return Layout(tuple(_column(name, kind, gaps, ours) for name, (kind, gaps) in kinds.items()))


def _column(name: str, kind: str, gaps: bool, ours: Collection[str]) -> Column:
    if name in COLUMNS and name not in ours:
        identifiers = kind == "whole" and name.endswith("_id")
        return (WholeColumn if identifiers else Column)(name, COLUMNS[name].kind)
    kind = {"empty": "float", "whole": "float", "unknown": "string"}.get(kind, kind)
    return Column(name, _NULLABLE.get(kind, kind) if gaps else kind)


def joined(one: str, other: str) -> str:
    """Return the narrowest kind that holds both kinds; text holds every kind."""
    for weak in ("empty", "unknown"):
        if weak in (one, other):
            return one if other == weak else other
    if one == other:
        return one
    return next((kind for kind in _NUMBERS if {one, other} <= _NUMBERS[kind]), "string")


_NUMBERS = {"whole": {"count", "whole"}, "float": {"count", "whole", "float"}}
"""Kinds of numbers that a wider kind holds; "whole" are the whole floats of a CSV, such as 1.0."""


def _missing(values: pa.ChunkedArray, kind: str) -> int:
    return int((values if kind == "string" else known(values)).null_count)


def kind_of_text(values: pa.ChunkedArray) -> str:
    """Return the kind that all texts of a CSV column can be parsed as."""
    given = known(values).drop_null()
    if not len(given):
        return "empty" if pc.all(pc.equal(values, "")).as_py() is not False else "unknown"
    for kind, pattern in (("count", _WHOLE), ("whole", _WHOLE_FLOAT), ("float", _FLOAT), ("flag", _TRUTH)):
        if pc.all(pc.match_substring_regex(given, pattern)).as_py():
            return kind if kind != "count" or _fits(given) else "string"
    return "string"


def _fits(values: pa.ChunkedArray) -> bool:
    try:
        (values if is_text(values.type) else plain(values, "")).cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def kind_of_values(values: pa.ChunkedArray) -> str:
    """Return the kind of a typed column."""
    kind = kind_of_type(values.type)
    return kind if kind != "count" or not may_exceed_int64(values.type) or _fits(values) else "string"


def may_exceed_int64(arrow: pa.DataType) -> bool:
    """Return whether an Arrow type may hold integers beyond 64 bits, so that its values decide the kind."""
    if pa.types.is_dictionary(arrow):
        return may_exceed_int64(arrow.value_type)
    wide = pa.types.is_decimal(arrow) and arrow.precision > _DIGITS
    return bool(wide or pa.types.is_uint64(arrow))


_DIGITS = 18  # that every int64 holds


def kind_of_type(arrow: pa.DataType) -> str:
    """Return the kind of an Arrow type; ValueError for an unsupported type."""
    if isinstance(arrow, pa.BaseExtensionType):
        return kind_of_type(arrow.storage_type)
    if pa.types.is_dictionary(arrow):
        return "category" if is_text(arrow.value_type) else kind_of_type(arrow.value_type)
    if pa.types.is_decimal(arrow) and arrow.scale <= 0:
        return "count"
    for kind, tests in _TYPES.items():
        if any(test(arrow) for test in tests):
            return kind
    raise ValueError(f"nothing holds the type {arrow}")


_TYPES: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "empty": (pa.types.is_null,),
    "flag": (pa.types.is_boolean,),
    "count": (pa.types.is_integer,),
    "float": (pa.types.is_floating, pa.types.is_decimal, pa.types.is_duration),
    "time": (pa.types.is_timestamp, pa.types.is_date),
    "string": (
        is_text,
        pa.types.is_time,
        pa.types.is_nested,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    ),
}
