"""The dialect of a foreign CSV: separator, decimal mark, header, names, missing values and comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crucible_nb.utils import checks

_SEPARATORS = (",", ";", "\t", "|")
_INFER = "infer"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the text of a CSV is cut into rows and cells.

    Attributes:
        sep: Separator of cells; None to infer it from the first lines.
        decimal: Decimal mark, "." or ",".
        header: Line of the header, from 0; None without one.
        names: Names of the columns; None for those of the header.
        na_values: Further words for missing values.
        comment: Beginning of lines that are no rows.
    """

    sep: str | None = None
    decimal: str = "."
    header: int | None = 0
    names: tuple[str, ...] | None = None
    na_values: tuple[str, ...] = ()
    comment: str | None = None


def dialect(
    sep: Any = None,
    decimal: Any = ".",
    header: Any = _INFER,
    names: Any = None,
    na_values: Any = None,
    comment: Any = None,
) -> Dialect | None:
    """Check the CSV arguments of `load`, which have pandas' names; None if all have their defaults.

    Examples:
        >>> dialect(sep=";", decimal=",").decimal
        ','
        >>> dialect() is None
        True
    """
    given = Dialect(
        sep=_character("sep", sep),
        decimal=checks.one_of("decimal", decimal, (".", ",")),
        header=_header(header, names),
        names=None if names is None else checks.texts("names", names),
        na_values=_words(na_values),
        comment=_character("comment", comment),
    )
    if given.sep == given.decimal == ",":
        raise checks.wrong("decimal", decimal, "another mark than sep")
    return None if given == Dialect() else given


def _character(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value.encode()) != 1 or value in '"\r\n':
        raise checks.wrong(name, value, "one ASCII character, such as ';' or '\\t'")
    return value


def _header(header: Any, names: Any) -> int | None:
    if isinstance(header, str) and header == _INFER:
        return 0 if names is None else None
    if header is None:
        return None
    if isinstance(header, bool):
        raise checks.wrong("header", header, "'infer', None or the number of a line, from 0")
    return int(checks.whole("header", header, ge=0))


def _words(values: Any) -> tuple[str, ...]:
    if values is None:
        return ()
    if isinstance(values, Mapping):
        raise checks.wrong("na_values", values, "a word or a list of words, for all columns")
    words = values if isinstance(values, Iterable) and not isinstance(values, str) else [values]
    return tuple(str(word) for word in words)


def infer_separator(lines: list[str]) -> str:
    """Return the separator of cells: the most frequent in the first line, if the second has as many.

    Examples:
        >>> infer_separator(["time;latency_ms", "2025-01-01;1,5"]), infer_separator(["text", "a;b"])
        (';', ',')
    """
    bare = [re.sub(r'"[^"]*"?', "", line) for line in lines[:2]]
    counts = {mark: [line.count(mark) for line in bare] for mark in _SEPARATORS}
    steady = {mark: count[0] for mark, count in counts.items() if bare and count[0] == count[-1]}
    best = max(steady, key=lambda mark: steady[mark], default=",")
    return best if steady.get(best) and steady[best] >= counts[","][0] else ","
