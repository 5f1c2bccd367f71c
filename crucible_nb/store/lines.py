"""A line of a journal: `[checksum,[cells]]`, JSON, with the Adler-32 of the text of the cells.

Every tool that reads JSON lines reads it; a torn or a changed line shows. Adler-32 is the checksum of zlib: on lines as
short as these it finds every change of one or two bytes, and costs a quarter of a CRC-32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from zlib import adler32

import orjson

MOST = 256 << 20
"""Bytes that a line may have; a longer one is no line of ours."""

STRICT = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
"""Only plain values; others raise TypeError instead of being said in some way."""


_WRAPPED = b'{"":'  # how the text of a wrapped value begins


def frame_line(body: bytes) -> bytes:
    r"""A JSON array as a line with its checksum.

    Examples:
        >>> sealed(b'["pause",1]')
        b'[367592312,["pause",1]]\n'
    """
    return b"[%d,%b]\n" % (adler32(body), body)


def encode_line(cells: Sequence[Any]) -> bytes:
    """Cells as a line; TypeError for what JSON cannot say. NaN would become null: wrap it first, see `wrapped`."""
    return frame_line(orjson.dumps(cells, option=STRICT | orjson.OPT_SERIALIZE_NUMPY))


def cells_of(text: bytes) -> list[Any] | None:
    """The cells of a line without its end, None when its checksum does not hold.

    Examples:
        >>> cells_of(line(["pause", 1])[:-1])
        ['pause', 1]
        >>> cells_of(b'[367592312,["pause",2]]') is None
        True
    """
    cut = text.find(b",", 0, 12)
    body = text[cut + 1 : -1]
    if cut < 2 or len(text) > MOST:
        return None
    try:
        if int(text[1:cut]) != adler32(body) or text[:1] != b"[" or text[-1:] != b"]":
            return None
        cells = orjson.loads(body)
    except (ValueError, RecursionError):
        return None
    return cells if type(cells) is list and cells else None


def flat_cells(lines: list[bytes]) -> list[Any] | None:
    """The cells of sound lines in one flat list, parsed in one call; None when one is unsound or has a wrapped value.

    Without a list for each line: to make those, and to have them looked through for garbage, is what reading costs.

    Examples:
        >>> flat_cells([line(["pause", 1])[:-1], line(["stop", 2])[:-1]])
        ['pause', 1, 'stop', 2]
    """
    if {text[:1] for text in lines} != {b"["} or {text[-1:] for text in lines} != {b"]"}:
        return None
    cuts = [text.find(b",", 0, 12) for text in lines]
    bodies = [text[cut + 1 : -1] for text, cut in zip(lines, cuts, strict=True)]
    try:
        sums = orjson.loads(b"[%b]" % b",".join([text[1:cut] for text, cut in zip(lines, cuts, strict=True)]))
        if sums != [*map(adler32, bodies)]:
            return None
        text = b",".join([body[1:-1] for body in bodies])
        cells = None if _WRAPPED in text else orjson.loads(b"[%b]" % text)
    except (ValueError, RecursionError):
        return None
    return cells


def encode_exact(value: Any) -> Any:
    """A plain value as JSON can say it to the bit: {"": [kind, text]} for the few it cannot.

    Examples:
        >>> wrapped(1.5), wrapped(float("nan")), wrapped(2**70)
        (1.5, {'': ['float', 'nan']}, {'': ['int', '0x400000000000000000']})
    """
    if isinstance(value, float) and value - value != 0:
        return {"": ["float", repr(value)]}
    if type(value) is int and not -(2**63) <= value < 2**63:
        return {"": ["int", hex(value)]}  # Python writes no more than 4300 decimal digits
    if isinstance(value, orjson.Fragment):
        return {"": ["json", bytes_of(value).decode()]}
    return value


def decode_exact(cell: Any) -> Any:
    """The value that was wrapped; other cells as they are."""
    if type(cell) is not dict or len(cell) != 1 or type(cell.get("")) is not list:
        return cell
    kind, text = (*cell[""], None, None)[:2]
    if type(text) is not str:
        return cell
    if kind == "float":
        return float(text)
    return int(text, 0) if kind == "int" else fragment(text)


def fragment(text: str) -> orjson.Fragment:
    """JSON text of a value that is no scalar: it fits no column, and goes to `metadata` as it is."""
    return orjson.Fragment(text)


def bytes_of(value: orjson.Fragment) -> bytes:
    """The text of a fragment."""
    return orjson.dumps(value)


def parsed(text: str) -> Any:
    """JSON with whole numbers of any size."""
    return json.loads(text)
