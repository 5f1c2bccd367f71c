"""Convert staged rows to a batch of typed columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pandas as pd

from crucible_nb.events.batch import Batch
from crucible_nb.events.coerce import text_cells
from crucible_nb.events.json_text import is_object, to_json
from crucible_nb.events.kinds import Columns
from crucible_nb.events.scalars import EXTRA, NO_SCALARS
from crucible_nb.events.schema import COLUMNS, RESERVED
from crucible_nb.events.times import read_values
from crucible_nb.utils.checks import short, text_of
from crucible_nb.utils.instants import nanoseconds
from crucible_nb.utils.problems import Problems

STANDARD = ("event", "latency_ms", "cost_usd", "success", "model", "prompt_tokens", "completion_tokens")
"""Columns with a cell of their own in a staged row, in order, after the clock reading."""

WIDTH = len(STANDARD) + 2
"""Cells of a staged row: clock reading, the standard columns, a mapping of all other keywords or None."""

_ACCEPTED = {
    "float": "a number", "integer": "a whole number", "boolean": "True or False", "category": "text", "string": "text"
}  # fmt: skip
_LONG = 80  # characters of JSON in a message
_SHOWN = 100  # rows whose misfits are looked at for the message

Misfits = dict[int, dict[str, Any]]
"""Values that do not fit their column and go to `metadata`, by row and column."""


def batch_of_rows(rows: list[Any], first_seq: int, columns: Columns, problems: Problems) -> Batch:
    """Make the typed batch of `len(rows) / WIDTH` staged rows, in order of recording; times are still raw.

    A value that raises an error costs itself alone: it is dropped, counted and warned of once.
    """
    try:
        return _batch(rows, first_seq, columns, problems)
    except Exception:  # noqa: BLE001  every cell is tried on its own
        return _batch(_without_failing(rows, columns, problems), first_seq, columns, problems)


def _batch(rows: list[Any], first_seq: int, columns: Columns, problems: Problems) -> Batch:
    batch = Batch(np.array(rows[0::WIDTH], np.int64), first_seq)
    misfits: Misfits = {}
    for place, name in enumerate(STANDARD, 1):
        values = rows[place::WIDTH]
        if values[0] is not None or not _are_none(values):
            _add(batch, name, values, columns, misfits)
    extras = rows[WIDTH - 1 :: WIDTH]
    if extras.count(None) < len(extras):
        _add_extras(batch, extras, columns, misfits)
    add_misfits(batch, {row: _as_given(values, extras[row]) for row, values in misfits.items()}, problems)
    unsupported = sum(extra[EXTRA].unsupported for extra in extras if extra is not None and EXTRA in extra)
    if unsupported:  # counted with their events, so that a checkpoint counts those of its own events
        problems.report("misfits", NO_SCALARS, unsupported)
    _sort_by_appearance(batch, extras, columns.appeared)
    return batch


def _as_given(values: dict[str, Any], extra: dict[Any, Any] | None) -> dict[str, Any]:
    """Return the misfits of an event in the order of its keywords, not in that of the columns of its batch."""
    names = (*STANDARD, *(text_of(key) for key in extra or () if key is not EXTRA))
    return {name: values[name] for name in names if name in values}


def _sort_by_appearance(batch: Batch, extras: list[dict[Any, Any] | None], appeared: set[str]) -> None:
    """Sort new columns by the event in which each has its first value, so that the order is the same over any cut.

    In an event, columns are in the order of its keywords, and `metadata` is the last.
    """
    new = [name for name in batch.cells if name not in appeared]
    if not new:
        return
    appeared.update(new)
    order = [name for name in new if name in STANDARD]
    left = set(new).difference(order)
    texts = batch.cells["metadata"].values if "metadata" in left else []
    for row, extra in enumerate(extras):
        if not left:
            break
        names = [text_of(key) for key, value in (extra or {}).items() if key is not EXTRA and value is not None]
        found = [name for name in names if name in left and name != "metadata"]
        if "metadata" in left and texts[row].is_valid:
            found.append("metadata")
        order += found
        left.difference_update(found)
    cells = {name: batch.cells[name] for name in dict.fromkeys((*order, *new))}
    batch.cells = {**{name: cell for name, cell in batch.cells.items() if name not in cells}, **cells}


def _are_none(values: list[Any]) -> bool:
    try:
        return values.count(None) == len(values)
    except Exception:  # noqa: BLE001  an event whose name is no text may not be comparable
        return False


def _without_failing(rows: list[Any], columns: Columns, problems: Problems) -> list[Any]:
    """Return the rows without the cells that cannot be converted."""
    kept: list[Any] = []
    latest = 0
    for start in range(0, len(rows), WIDTH):
        time, *cells, extra = rows[start : start + WIDTH]
        if type(time) is int and -(2**63) <= time < 2**63:
            latest = time
        else:
            problems.report("errors", f"a clock reading is no time: {short(time)}; the event has the time before it")
            time = latest
        named = zip(STANDARD, cells, strict=True)
        cells = [cell if _converts(name, cell, columns, problems) else None for name, cell in named]
        fields = {name: value for name, value in (extra or {}).items() if _converts(name, value, columns, problems)}
        kept += (time, *cells, fields or None)
    return kept


def _converts(name: Any, value: Any, columns: Columns, problems: Problems) -> bool:
    extra = None if name in STANDARD else {name: value}
    row = [0, *(value if name == standard else None for standard in STANDARD), extra]
    trial = Problems("trial")
    trial.muted = True
    try:
        _batch(row, 0, columns, trial)
    except Exception as error:  # noqa: BLE001  a user's object may raise anything
        said = f"column {name!r}, value {short(value)}: {type(error).__name__}: {error}; the value was dropped"
        problems.report("errors", f"a value could not be recorded: stage 'record', {said}")
        return False
    return True


def _add(batch: Batch, name: str, values: list[Any], columns: Columns, misfits: Misfits) -> None:
    column, unfit = columns.fit(name, values)
    if column is not None:
        batch.cells[name] = column
        if column.kind == "float":
            _note_nans(batch, name, values, column.values)
    for row, value in unfit.items():
        misfits.setdefault(row, {})[name] = value


def _note_nans(batch: Batch, name: str, values: list[Any], floats: np.ndarray) -> None:
    """Note the events whose value was given as NaN, unlike those without one."""
    gone = np.isnan(floats)
    if gone.any() and int(gone.sum()) > sum(value is None for value in values):
        batch.nans[name] = gone & np.array([type(value) is float and value != value for value in values], np.bool_)


def _add_extras(batch: Batch, extras: list[dict[Any, Any] | None], columns: Columns, misfits: Misfits) -> None:
    texts: dict[Any, list[Any]] = {}
    for key, values in _by_name(extras).items():
        if key is EXTRA:
            texts[EXTRA] = values
            continue
        name = text_of(key)
        if name == "time":
            _add_times(batch, values, misfits)
        elif name == "metadata":
            texts[name] = [value if is_object(value) else None for value in values]
            add_unread(misfits, name, {i: value for i, value in enumerate(values) if not is_object(value)})
        elif name in RESERVED:
            add_unread(misfits, name, dict(enumerate(values)))
        else:
            _add(batch, name, values, columns, misfits)
    joined = _joined(texts.get("metadata"), texts.get(EXTRA))
    if any(text is not None for text in joined):
        batch.cells["metadata"] = text_cells(joined)


def add_unread(misfits: Misfits, name: str, values: Mapping[int, Any]) -> None:
    """Add the known values of a column to the misfits."""
    for row, value in values.items():
        if value is not None and value is not pd.NA and not (type(value) is float and value != value):
            misfits.setdefault(row, {})[name] = value


def _joined(given: list[Any] | None, others: list[Any] | None) -> list[Any]:
    """Merge the JSON objects that callers passed as `metadata` with those of unsupported values."""
    if given is None or others is None:
        return given or others or []
    joined = []
    for one, other in zip(given, others, strict=True):
        joined.append(to_json(json.loads(one) | json.loads(other)) if one and other else one or other)
    return joined


def _shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    if type(value) is not orjson.Fragment:
        return short(value)
    text = orjson.dumps(value).decode()
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _reason(name: str, value: Any) -> str:
    """Return what a column accepts, and for a time why the value is none."""
    if name == "event":
        return ": the name comes first, as in record('train.step', {'loss': 0.3})"
    if name == "time" and type(value) is not orjson.Fragment:
        try:
            nanoseconds(value)
        except ValueError as error:
            return f": {error}"
    accepted = _ACCEPTED.get(COLUMNS[name].kind) if name in COLUMNS else None
    return "" if accepted is None else f": expected {accepted}"


def _by_name(extras: list[dict[Any, Any] | None]) -> dict[Any, list[Any]]:
    """Convert rows of mappings to columns, in order of first appearance."""
    first = extras[0]
    if first is not None and extras.count(None) == 0:
        try:
            table = {name: [extra[name] for extra in extras] for name in first}  # type: ignore[index]
        except KeyError:
            table = {}
        if table and sum(map(len, extras)) == len(first) * len(extras):  # type: ignore[arg-type]
            return table
    table = {}
    for row, extra in enumerate(extras):
        for name, value in (extra or {}).items():
            table.setdefault(name, [None] * len(extras))[row] = value
    return table


def _add_times(batch: Batch, values: list[Any], misfits: Misfits) -> None:
    """Set the times that the caller gave; `batch.given` marks them, because the clock does not correct them."""
    times = read_values(values)
    batch.time = np.where(times.known, times.ns, batch.time)
    batch.given = times.known
    add_unread(misfits, "time", times.unread)


def add_misfits(batch: Batch, misfits: Misfits, problems: Problems) -> None:
    """Add misfits to the JSON of their rows, counted and warned of once."""
    if not misfits:
        return
    column = batch.cells.get("metadata")
    texts = [None] * len(batch) if column is None else column.values.to_pylist()
    for row, values in misfits.items():
        text = texts[row]
        texts[row] = to_json({**(json.loads(text) if text else {}), **values})
    batch.cells["metadata"] = text_cells(texts)
    first: dict[str, Any] = {}
    for row in sorted(misfits)[:_SHOWN]:
        first = misfits[row] | first
    shown = ", ".join(f"{name}={_shown(value)}{_reason(name, value)}" for name, value in sorted(first.items())[:3])
    said = f"values that do not fit their column went to `metadata` (first: {shown})"
    problems.report("misfits", said, sum(map(len, misfits.values())))
