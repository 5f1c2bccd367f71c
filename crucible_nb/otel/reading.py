"""Read attributes by their aliases."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson

_LONG = 10_000  # characters of a repr that are parsed
_EMPTY: tuple[Any, ...] = (None, "", "null", "None")


@cache
def _split(aliases: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return attribute and path of each alias."""
    parts = (alias.partition(":") for alias in aliases)
    return tuple((name, path) for name, _, path in parts)


def first(attributes: Mapping[str, Any], aliases: tuple[str, ...]) -> Any:
    """Return the value of the first alias that is there and not empty; None without one.

    Examples:
        >>> first({"gen_ai.system": "", "llm.system": "openai"}, ("gen_ai.system", "llm.system"))
        'openai'
        >>> first({"usage": '{"details": {"cached": 5}}'}, ("usage:details.cached",))
        5
    """
    for name, path in _split(aliases):
        value = attributes.get(name)
        if value is not None and path:
            value = _field(value, path)
        if value is not None and value not in _EMPTY:
            return value
    return None


class Aliases:
    """Tables of aliases that are read together, in one pass over the attributes of a span.

    Args:
        tables: Aliases by column, in order of priority, as for `first`.

    Examples:
        >>> tables = Aliases({"provider": ("gen_ai.system", "llm.system"), "cached": ("usage:cached",)})
        >>> tables.read({"llm.system": "openai", "gen_ai.system": "", "usage": '{"cached": 5}'})
        {'provider': 'openai', 'cached': 5}
    """

    def __init__(self, tables: Mapping[str, tuple[str, ...]]) -> None:
        self._columns: dict[str, list[tuple[str, int, str]]] = {}
        for column, aliases in tables.items():
            for rank, (name, path) in enumerate(_split(aliases)):
                self._columns.setdefault(name, []).append((column, rank, path))

    def read(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return for each column the value of the first alias that is there and not empty."""
        ranks: dict[str, int] = {}
        found: dict[str, Any] = {}
        for name, value in attributes.items():
            for column, rank, path in self._columns.get(name, ()):
                if ranks.get(column, rank) < rank:
                    continue
                inner = _field(value, path) if path else value
                if inner is not None and inner not in _EMPTY:
                    ranks[column], found[column] = rank, inner
        return found


def _field(value: Any, path: str) -> Any:
    """Return a field of a mapping by a dotted path; the mapping may be text, JSON or the repr of a dict."""
    if isinstance(value, str):
        value = _parsed(value) if value.startswith("{") else None
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _parsed(written: str) -> Any:
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(written) if len(written) < _LONG else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def text(value: Any) -> str | None:
    """Return a value as text, without the quotes of JSON; None for lists and mappings."""
    if value is None or isinstance(value, (list, tuple, Mapping, bytes)):
        return None
    value = str(value)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return value or None


def whole(value: Any) -> int | None:
    """Return a number of tokens; None if the value is no whole number >= 0.

    Examples:
        >>> whole("21"), whole(21.0), whole(-1), whole(True), whole("many")
        (21, 21, None, None, None)
    """
    number = real(value)
    return int(number) if number is not None and 0 <= number < 2**53 and number == int(number) else None


def real(value: Any) -> float | None:
    """Return a finite number, also of text; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number * 0 == 0 else None


def boolean(value: Any) -> bool | None:
    """Return a boolean, also of its text; None if it is none."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())
