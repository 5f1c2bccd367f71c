"""Fields of nested values, which files and frames hold as JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from crucible_nb.events.json_text import json_of, parse_json

_EXACT, _INT64 = 2**53, 2**63


def find_path(frame: pd.DataFrame, parts: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the column in which a path begins and the rest of the path; the longest name wins.

    Examples:
        >>> find_path(pd.DataFrame({"usage": ['{"tokens": 5}']}), ["usage", "tokens"])
        ('usage', ['tokens'])
    """
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in frame.columns:
            return name, list(parts[end:])
    return None


def column_of(frame: pd.DataFrame, name: str) -> pd.Series | None:
    """Return the column of a name or of a dotted path; None if there is neither.

    Examples:
        >>> column_of(pd.DataFrame({"usage": ['{"tokens": 5}', None]}), "usage.tokens").tolist()
        [5, <NA>]
    """
    found = find_path(frame, [name] if name in frame.columns else name.split("."))
    if found is None:
        return None
    column, rest = found
    return frame[column] if not rest else field_of(frame[column], rest)


def field_of(values: pd.Series, path: Sequence[str]) -> pd.Series | None:
    """Return a field of the JSON objects and lists in a column, missing where there is none; None if no row has it."""
    found = [_walk(value, path) for value in values.tolist()]
    if found and all(value is _ABSENT for value in found):
        return None
    return series_of([None if value is _ABSENT else value for value in found], values.index)


_ABSENT = object()


def _walk(value: Any, path: Sequence[str]) -> Any:
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return _ABSENT
    try:
        value = parse_json(value)
    except ValueError:
        return _ABSENT
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.lstrip("-").isdigit() and -len(value) <= int(part) < len(value):
            value = value[int(part)]
        else:
            return _ABSENT
    return value


def series_of(values: Sequence[Any], index: pd.Index) -> pd.Series:
    """Return a Series of the narrowest type that holds all values; nested values and mixed ones are JSON text."""
    types = {type(value) for value in values} - {type(None)}
    gaps = None in values
    if not types:
        return pd.Series(float("nan"), index=index, dtype="float64")
    if types == {bool}:
        return pd.Series(values, index=index, dtype="boolean" if gaps else "bool")
    if types == {int} and all(value is None or -_INT64 <= value < _INT64 for value in values):
        return pd.Series(values, index=index, dtype="Int64" if gaps else "int64")
    if types <= {int, float} and not any(type(value) is int and abs(value) > _EXACT for value in values):
        return pd.Series(values, index=index, dtype="float64")
    texts = [value if value is None or isinstance(value, str) else json_of(value) for value in values]
    return pd.Series(texts, index=index, dtype="str")
