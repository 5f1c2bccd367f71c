"""Staged rows in the journal: what is written is what is staged, so that a replay stages the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.events.rows import WIDTH
from crucible_nb.events.scalars import EXTRA, PLAIN, Rest, json_of, scalar
from crucible_nb.events.schema import COLUMNS
from crucible_nb.store.lines import STRICT, decode_exact, encode_exact, flat_cells, fragment
from crucible_nb.utils import checks

NAMES = (
    "seq", "clock", "event", "latency_ms", "cost_usd", "success", "model", "prompt_tokens", "completion_tokens",
    "fields", "metadata", "misfits",
)  # fmt: skip
"""What the cells of an event's line are, in order; the last three only where there are any."""

_FLOATS = tuple(place for place, name in enumerate(NAMES[1:-3]) if name in COLUMNS and COLUMNS[name].kind == "float")


def body_of(
    seq: int, row: Sequence[Any], clean: Callable[[str, Any], Any] | None = None
) -> tuple[bytes, tuple[Any, ...]]:
    """The JSON array of a staged row whatever is in it, and the row to stage, which says the same.

    Args:
        seq: Number of the event.
        row: WIDTH cells, see `ingest.rows`.
        clean: Takes secrets out of the value of a standard column; the fields are clean already.
    """
    *cells, extra = row
    plain = [_plain(place, value) for place, value in enumerate(cells)]
    if clean is not None:
        plain = list(map(clean, NAMES[1:], plain))
    fields = None if extra is None else {_name(name): _field(name, value) for name, value in extra.items()}
    said = [seq, *map(encode_exact, plain)]
    if fields is not None:
        said.append({name: encode_exact(value) for name, value in fields.items() if name is not EXTRA})
        if EXTRA in fields:
            said += [str(fields[EXTRA]), getattr(fields[EXTRA], "strangers", 0)]
    return orjson.dumps(said, option=STRICT), (*plain, fields)


def _name(name: Any) -> Any:
    return name if name is EXTRA else checks.text_of(name)


def _plain(place: int, value: Any) -> Any:
    """A cell as a scalar, or as JSON that fits no column."""
    value = None if value is pd.NA or value is pd.NaT else scalar(value)
    if type(value) is str:
        return checks.text_of(value)
    if type(value) in PLAIN:
        return value
    if place in _FLOATS and hasattr(value, "__float__"):
        try:
            return float(value)
        except Exception:  # noqa: BLE001  a stranger's object
            return fragment(json_of(value))
    return fragment(json_of(value))


def _field(name: Any, value: Any) -> Any:
    if name is EXTRA:
        return value
    if name != "time":
        return checks.text_of(value) if type(value) is str else value if type(value) in PLAIN else _plain(-1, value)
    try:
        return None if value is None else checks.instant("time", value)
    except ConfigError:
        return _plain(-1, value)


class Run(NamedTuple):
    """Events of one shape, one after the other.

    Attributes:
        seq: Number of the first.
        rows: Their staged rows, in one flat list.
    """

    seq: int
    rows: list[Any]

    @property
    def events(self) -> int:
        """How many they are."""
        return len(self.rows) // WIDTH


def run_of(lines: list[bytes]) -> Run | None:
    """Lines as a run; None when they are none, or may be none: then they are read one after the other."""
    cells = flat_cells(lines)
    if not cells or type(cells[0]) is not int:
        return None
    seq, width = cells[0], len(cells) // len(lines)
    if len(cells) != width * len(lines) or cells[::width] != [*range(seq, seq + len(lines))]:
        return None
    if {*map(type, cells[1::width])} != {int}:
        return None
    if width == WIDTH + 1 and {*map(type, cells[WIDTH::width])} == {dict}:
        del cells[::width]
        return Run(seq, cells)
    if width != WIDTH:
        return None
    cells[::width] = [None] * len(lines)  # where the number of the next one stood is the place of the fields
    return Run(seq, [*cells[1:], None])


def row_of_cells(cells: list[Any]) -> tuple[Any, ...] | None:
    """The staged row of a line's cells (without `seq`), None when they are no row."""
    if len(cells) == WIDTH - 1:
        cells.append(None)
    elif not _fields(cells):
        return None
    if type(cells[0]) is not int:
        return None
    fields = cells.pop()
    if dict in map(type, cells):
        cells[:] = map(decode_exact, cells)
    cells.append(fields)
    return tuple(cells)


def _fields(cells: list[Any]) -> bool:
    """Make the last cell the mapping of all other fields; whether it is one."""
    rest = None
    if len(cells) == WIDTH + 2:
        strangers, text = cells.pop(), cells.pop()
        if type(text) is not str or type(strangers) is not int:
            return False
        rest = Rest(text, strangers)
    if len(cells) != WIDTH or type(cells[-1]) is not dict:
        return False
    fields = cells[-1]
    for name, value in fields.items():
        if type(value) is dict:
            fields[name] = decode_exact(value)
    if rest is not None:
        fields[EXTRA] = rest
    return True
