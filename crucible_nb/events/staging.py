"""Convert the arguments of `record` to the cells of a staged row: plain scalars, and JSON of other values."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd

from crucible_nb.events.json_text import json_of, to_json
from crucible_nb.events.rows import STANDARD
from crucible_nb.events.scalars import EXTRA, NO_SCALARS, PLAIN, Rest, is_a, plain
from crucible_nb.utils import checks
from crucible_nb.utils.problems import Problems


def plain_cells(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert the standard cells of a staged row to plain scalars or JSON; its fields are converted already."""
    time, *cells, extra = row
    if PLAIN.issuperset(map(type, cells)):
        return row
    return (time, *map(plain_cell, STANDARD, cells), extra)


def plain_cell(name: str, value: Any) -> Any:
    """Convert a cell to a plain scalar, or to the JSON that goes to `metadata`."""
    value = plain(value, name)
    return value if type(value) in PLAIN else orjson.Fragment(json_of(value))


def plain_fields(fields: dict[str, Any], problems: Problems) -> dict[Any, Any]:
    """Convert fields to plain values; unsupported values go to `metadata`, and are counted with their batch."""
    scalars: dict[Any, Any] = {}
    others: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in fields.items():
        if type(value) in PLAIN:
            scalars[name] = value
            continue
        if name == "metadata" and is_a(value, dict):
            metadata = {str(key): item for key, item in value.items()}
            continue
        cell = _time(value) if name == "time" else plain(value, name)
        kept = type(cell) in PLAIN or (name == "time" and is_a(cell, _TIMES))
        (scalars if kept else others)[name] = cell
    if others or metadata:
        scalars[EXTRA] = Rest(to_json({**metadata, **others}), len(others))
    if others:
        name, value = next(iter(others.items()))
        problems.warn("misfits", f"{NO_SCALARS} (first: {name}={checks.short(value)})")
    return scalars


_TIMES = (dt.date, np.datetime64, pd.Period)


def _time(value: Any) -> Any:
    """Return a time as it is (times are immutable), any other value plain."""
    if is_a(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value if is_a(value, _TIMES) and value is not pd.NaT else plain(value)


_IN_MAPPINGS = frozenset(STANDARD[1:])


def merged(
    time: int, values: Any, standard: tuple[Any, ...], extra: dict[Any, Any] | None, problems: Problems
) -> tuple[Any, ...]:
    """Build a staged row from a mapping and keywords; keywords take precedence."""
    if not is_a(values, Mapping):
        values = {"values": values}
    return _merged(time, {str(name): value for name, value in values.items()}, standard, extra, problems)


def _merged(
    time: int, values: dict[str, Any], standard: tuple[Any, ...], extra: dict[Any, Any] | None, problems: Problems
) -> tuple[Any, ...]:
    cells = dict(zip(STANDARD, standard, strict=True))
    for name in _IN_MAPPINGS.intersection(values):
        value = values.pop(name)
        cells[name] = value if cells[name] is None else cells[name]
    fields = plain_fields(values, problems)
    if extra is None:
        return (time, *cells.values(), fields or None)
    row: dict[Any, Any] = {**fields, **extra}
    if EXTRA in row:
        row[EXTRA] = row.pop(EXTRA)  # last, as without a mapping
    if EXTRA in extra and EXTRA in fields:
        both = to_json({**json.loads(fields[EXTRA]), **json.loads(extra[EXTRA])})
        row[EXTRA] = Rest(both, fields[EXTRA].unsupported + extra[EXTRA].unsupported)
    return (time, *cells.values(), row or None)


def row_of(time: int, event: str | None, fields: dict[str, Any], problems: Problems) -> tuple[Any, ...]:
    """Build a staged row from a mapping of a list passed to `extend`."""
    name = fields.pop("event", None) if event is None else event
    return plain_cells(_merged(time, fields, (name, *[None] * (len(STANDARD) - 1)), None, problems))
