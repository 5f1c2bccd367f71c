"""Encode staged rows as journal lines, and decode them so that a replay stages the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from crucible_nb.events.rows import WIDTH
from crucible_nb.events.scalars import EXTRA, Rest
from crucible_nb.events.staging import plain_cell
from crucible_nb.events.times import plain_time
from crucible_nb.store.lines import STRICT, decode_exact, decode_lines_flat, encode_exact
from crucible_nb.utils import checks

NAMES = (
    "seq", "clock", "event", "latency_ms", "cost_usd", "success", "model", "prompt_tokens", "completion_tokens",
    "fields", "metadata", "misfits",
)  # fmt: skip
"""Names of the cells of an event's line, in order; the last three cells are optional."""

BEYOND = 2**63
"""Smallest number that is no time in nanoseconds."""


def encode_row(
    seq: int, row: Sequence[Any], clean: Callable[[str, Any], Any] | None = None
) -> tuple[bytes, tuple[Any, ...]]:
    """Encode a row of any values; return its JSON array, and the row to stage, with the same values.

    Args:
        seq: Sequence number of the event.
        row: WIDTH cells, see `events.rows`.
        clean: Callable that redacts the value of a standard column; fields are already redacted.
    """
    *cells, extra = row
    plain = list(map(_cell, NAMES[1:], cells))
    if clean is not None:
        plain = list(map(clean, NAMES[1:], plain))
    fields = None if extra is None else {_name(name): _field(name, value) for name, value in extra.items()}
    line = [seq, *map(encode_exact, plain)]
    if fields is not None:
        line.append({name: encode_exact(value) for name, value in fields.items() if name is not EXTRA})
        if EXTRA in fields:
            line += [str(fields[EXTRA]), getattr(fields[EXTRA], "unsupported", 0)]
    return orjson.dumps(line, option=STRICT), (*plain, fields)


def _name(name: Any) -> Any:
    return name if name is EXTRA else checks.text_of(name)


def _cell(name: str, value: Any) -> Any:
    """Return a cell as a scalar, or as a fragment of JSON if it is none."""
    cell = plain_cell(name, value)
    return checks.text_of(cell) if type(cell) is str else cell


def _field(name: Any, value: Any) -> Any:
    if name is EXTRA:
        return value
    time = plain_time(value) if name == "time" else None
    return _cell(name, value) if time is None else time


class Run(NamedTuple):
    """Consecutive events whose lines have the same cells.

    Attributes:
        seq: Sequence number of the first event.
        rows: Staged rows of all events, in one flat list.
    """

    seq: int
    rows: list[Any]

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.rows) // WIDTH


def run_of(lines: list[bytes]) -> Run | None:
    """Return lines as a run of events; None if they may not be one, and have to be decoded one by one."""
    cells = decode_lines_flat(lines)
    if not cells or type(cells[0]) is not int:
        return None
    seq, width = cells[0], len(cells) // len(lines)
    if len(cells) != width * len(lines) or cells[::width] != [*range(seq, seq + len(lines))]:
        return None
    clocks = cells[1::width]
    if {*map(type, clocks)} != {int} or max(clocks) >= BEYOND:
        return None
    if width == WIDTH + 1 and {*map(type, cells[WIDTH::width])} == {dict}:
        del cells[::width]
        return Run(seq, cells)
    if width != WIDTH:
        return None
    cells[::width] = [None] * len(lines)  # the place of the next line's seq is that of this row's fields
    return Run(seq, [*cells[1:], None])


def row_of_cells(cells: list[Any]) -> tuple[Any, ...] | None:
    """Return the staged row of the cells of a line (without `seq`), None if they are not a row."""
    if len(cells) == WIDTH - 1:
        cells.append(None)
    elif not _decode_fields(cells):
        return None
    if type(cells[0]) is not int or not -BEYOND <= cells[0] < BEYOND:
        return None
    fields = cells.pop()
    if dict in map(type, cells):
        cells[:] = map(decode_exact, cells)
    cells.append(fields)
    return tuple(cells)


def _decode_fields(cells: list[Any]) -> bool:
    """Decode the fields, metadata and misfits cells into one mapping, the last cell; return whether they are valid."""
    rest = None
    if len(cells) == WIDTH + 2:
        unsupported, text = cells.pop(), cells.pop()
        if type(text) is not str or type(unsupported) is not int:
            return False
        rest = Rest(text, unsupported)
    if len(cells) != WIDTH or type(cells[-1]) is not dict:
        return False
    fields = cells[-1]
    for name, value in fields.items():
        if type(value) is dict:
            fields[name] = decode_exact(value)
    if rest is not None:
        fields[EXTRA] = rest
    return True
