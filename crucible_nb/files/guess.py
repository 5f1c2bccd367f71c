"""Infer the layout of a foreign file: known columns by name, other columns from all their values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from crucible_nb.events.dtypes import is_text
from crucible_nb.events.schema import COLUMNS
from crucible_nb.files.columns import TEXT, TIME, by_label, known, numbers_in, plain
from crucible_nb.files.layout import Column, HexColumn, Layout, WholeColumn
from crucible_nb.files.misfits import METADATA, fits
from crucible_nb.files.text_bytes import has_leading_zeros, holds_any

# 007 and 20-digit numbers are identifiers, not quantities, and stay text
_WHOLE = r"^-?(0|[1-9][0-9]{0,18})$"
_FLOAT = r"(?i)^[-+]?(((0|[1-9][0-9]{0,17})(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?|inf|infinity)$"
_WHOLE_FLOAT = r"^-?(0|[1-9][0-9]{0,17})(\.0*)?$"
_TRUTH = r"(?i)^(true|false)$"

_NULLABLE = {"count": "integer", "flag": "boolean"}
_EXACT = 2**53
_FIRST = 100  # texts that are tried before all of them

_CERTAIN = {
    "float": {"count", "long", "whole", "float"},
    "integer": {"count", "long"},
    "count": {"count", "long"},
    "boolean": {"flag"},
    "flag": {"flag"},
    "category": {"count", "long", "whole", "float", "flag", "time", "string", "category"},
    "string": {"count", "long", "whole", "float", "flag", "time", "string", "category"},
}
"""Kinds whose values all fit a known column's kind; other values are tried."""


class Guess:
    """Guess of the columns of a foreign file, refined part by part.

    Args:
        ours: Columns that the caller's map replaces; their kind is not forced on what the file holds.
    """

    def __init__(self, ours: Collection[str]) -> None:
        self._ours = ours
        self._kinds: dict[str, str] = {}
        self._odd: set[str] = set()

    def see(self, name: str, kind: str, values: pa.ChunkedArray | None = None) -> None:
        """Take in a column of a part; `values` are None where its type says all."""
        self._kinds[name] = joined(self._kinds.get(name, "empty"), kind)
        forced = self._forced(name)
        certain = is_certain(name, kind) and not (values is not None and pa.types.is_duration(values.type))
        untried = values is not None and name not in self._odd and not certain
        if forced is not None and untried and not fits(name, values, forced):
            self._odd.add(name)

    def _forced(self, name: str) -> str | None:
        return str(COLUMNS[name].kind) if name in COLUMNS and name not in self._ours else None

    def layout(self, gaps: Collection[str]) -> Layout:
        """Return the layout that fits all parts.

        Args:
            gaps: Columns with missing values.
        """
        columns = [self._column(name, kind, name in gaps) for name, kind in self._kinds.items() if kind != "none"]
        tolerated = any(column.name in self._odd and column.kind == self._forced(column.name) for column in columns)
        if tolerated and METADATA not in self._kinds and METADATA not in self._ours:
            columns.append(Column(METADATA, "string"))
        return Layout(tuple(columns))

    def _column(self, name: str, kind: str, gaps: bool) -> Column:
        forced = self._forced(name)
        never_missing = forced in ("flag", "count")
        if forced is not None and not (never_missing and (gaps or name in self._odd)) and kind != "hex":
            identifiers = kind == "whole" and name.endswith("_id")
            return (WholeColumn if identifiers else Column)(name, forced)
        if kind == "hex":
            return HexColumn(name, "string")
        kind = {"empty": "float", "whole": "float", "unknown": "string", "long": "count"}.get(kind, kind)
        return Column(name, _NULLABLE.get(kind, kind) if gaps else kind)


def is_certain(name: str, kind: str) -> bool:
    """Return whether values of a kind fit a column without a look at them."""
    return name not in COLUMNS or kind in ("empty", "unknown") or kind in _CERTAIN[COLUMNS[name].kind]


def guess(
    tables: Iterable[pa.Table],
    ours: Collection[str],
    kind_of: Callable[[pa.ChunkedArray], str],
    is_droppable: Callable[[str], bool] = lambda _: False,
) -> Layout:
    """Infer the layout that fits all tables.

    Args:
        tables: Chunks of the file, in order.
        ours: Columns that the caller's map replaces.
        kind_of: Returns the kind of a chunk of a column: "empty" without values, "unknown" if all values are words
            such as NA.
        is_droppable: Whether a column of this name is left out when it has no values.
    """
    guessed, there = Guess(ours), dict[str, int]()
    rows = 0
    for table in tables:
        for name in table.column_names:
            kind = kind_of(table[name])
            guessed.see(name, kind, table[name])
            there[name] = there.get(name, 0) + len(table) - _missing(table[name], kind)
        rows += table.num_rows
    layout = guessed.layout({name for name, count in there.items() if count < rows})
    kept = [column for column in layout.columns if there.get(column.name) != 0 or not is_droppable(column.name)]
    return replace(layout, columns=tuple(kept))


def joined(one: str, other: str) -> str:
    """Return the narrowest kind that holds both kinds; text holds every kind."""
    for weak in ("empty", "unknown"):
        if weak in (one, other):
            return one if other == weak else other
    if one == other:
        return one
    for pair, kind in (({"long", "count"}, "long"), ({"hex", "string"}, "hex")):
        if {one, other} == pair:
            return kind
    return next((kind for kind in _NUMBERS if {one, other} <= _NUMBERS[kind]), "string")


_NUMBERS = {"whole": {"count", "whole"}, "float": {"count", "whole", "float"}}
"""Kinds of numbers that a wider kind holds; "whole" are the whole floats of a CSV, such as 1.0. Integers of which some
are "long", beyond 2**53, meet no fraction: a float would not hold them."""


def _missing(values: pa.ChunkedArray, kind: str) -> int:
    return int((values if kind == "string" else known(values)).null_count)


def kind_of_text(values: pa.ChunkedArray) -> str:
    """Return the kind that all texts of a CSV column can be parsed as."""
    numeric = _kind_of_numbers(values)
    if numeric is not None:
        return numeric
    given = known(values).drop_null()
    if not len(given):
        return "empty" if pc.all(pc.equal(values, "")).as_py() is not False else "unknown"
    first = given.slice(0, _FIRST)
    for kind, pattern in (("count", _WHOLE), ("whole", _WHOLE_FLOAT), ("float", _FLOAT), ("flag", _TRUTH)):
        matches = partial(pc.match_substring_regex, pattern=pattern)
        if all(pc.all(by_label(texts, matches)).as_py() for texts in (first, given)):
            if kind == "count":
                return _kind_of_count(given)
            return "string" if kind in ("whole", "float") and _has_long(given) else kind
    return "string"


_SURE = 1e15
"""Numbers below that are held by a float to the unit, and have at most 15 digits before the point."""


def _kind_of_numbers(values: pa.ChunkedArray) -> str | None:
    """Return "count" or "float" if it is certain without a look at each text; None asks for that."""
    if values.null_count == len(values) or numbers_in(values.slice(0, _FIRST)) is None:
        return None
    numbers = numbers_in(values)
    if numbers is None or not pc.all(pc.less(pc.abs(numbers), _SURE)).as_py() or has_leading_zeros(values):
        return None
    if not holds_any(values, b".eE+"):
        return "count"
    fractions = pc.any(pc.not_equal(numbers, pc.floor(numbers))).as_py()
    return "float" if fractions else None  # 1.0 is "whole", 1e5 is not


def _has_long(numbers: pa.ChunkedArray) -> bool:
    """Return whether some of the texts are integers that a float does not hold."""
    whole = numbers.filter(pc.invert(pc.match_substring(numbers, ".")))
    long = whole.filter(pc.and_(pc.greater(pc.utf8_length(whole), 15), pc.match_substring_regex(whole, _WHOLE)))
    return len(long) > 0 and _kind_of_count(long) != "count"


def _kind_of_count(values: pa.ChunkedArray) -> str:
    """Return the kind of integers: "count", "long" when some are beyond 2**53, "string" beyond int64."""
    try:
        numbers = (values if is_text(values.type) else plain(values, "")).cast(pa.int64())
    except pa.ArrowInvalid:
        return "string"
    bounds = pc.min_max(numbers).as_py()
    largest = max(abs(bounds["min"] or 0), abs(bounds["max"] or 0))
    return "long" if largest > _EXACT else "count"


def kind_of_values(values: pa.ChunkedArray) -> str:
    """Return the kind of a typed column."""
    kind = kind_of_type(values.type)
    if kind == "count":
        return _kind_of_count(values)
    if kind == "time":
        return kind if _converts(values, TIME) else "string"
    if kind == "bytes":
        return "string" if _is_printable(plain(values, "")) else "hex"
    return kind


def _is_printable(values: pa.ChunkedArray) -> bool:
    """Return whether bytes are UTF-8 without control characters, as they are where text is stored as bytes."""
    if not _converts(values, TEXT):
        return False
    return not pc.any(pc.match_substring_regex(values.cast(TEXT), r"[\x00-\x08\x0e-\x1f]")).as_py()


def _converts(values: pa.ChunkedArray, target: pa.DataType) -> bool:
    try:
        values.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def depends_on_values(arrow: pa.DataType) -> bool:
    """Return whether an Arrow type alone does not say the kind: large integers, bytes, times beyond nanoseconds."""
    if pa.types.is_dictionary(arrow):
        return depends_on_values(arrow.value_type)
    kind = kind_of_type(arrow)
    if kind == "count":
        return bool((pa.types.is_decimal(arrow) and arrow.precision > _DIGITS) or pa.types.is_uint64(arrow))
    nanoseconds = pa.types.is_timestamp(arrow) and arrow.unit == "ns"
    return kind == "bytes" or (kind == "time" and not nanoseconds) or bool(pa.types.is_duration(arrow))


_DIGITS = 18  # that every int64 holds


def kind_of_type(arrow: pa.DataType) -> str:
    """Return the kind of an Arrow type: "bytes" for text or bytes, "none" for a type that no kind holds."""
    if isinstance(arrow, pa.UuidType):
        return "string"
    if isinstance(arrow, pa.BaseExtensionType):
        return kind_of_type(arrow.storage_type)
    if pa.types.is_dictionary(arrow):
        return "category" if is_text(arrow.value_type) else kind_of_type(arrow.value_type)
    if pa.types.is_decimal(arrow) and arrow.scale <= 0:
        return "count"
    for kind, tests in _TYPES.items():
        if any(test(arrow) for test in tests):
            return kind
    return "none"


_TYPES: dict[str, tuple[Callable[[pa.DataType], bool], ...]] = {
    "empty": (pa.types.is_null,),
    "flag": (pa.types.is_boolean,),
    "count": (pa.types.is_integer,),
    "float": (pa.types.is_floating, pa.types.is_decimal, pa.types.is_duration),
    "time": (pa.types.is_timestamp, pa.types.is_date),
    "string": (is_text, pa.types.is_time, pa.types.is_nested),
    "bytes": (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    ),
}
