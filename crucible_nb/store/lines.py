"""Lines of a journal: `[checksum,[cells]]` in JSON, with the Adler-32 of the text of the cells.

Every tool for JSON lines can read them, and a partly written or changed line is detected. Adler-32 is the checksum of
zlib: on lines as short as these it detects every change of one or two bytes, at a quarter of the cost of a CRC-32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import adler32

import orjson

MAX_LINE = 256 << 20
"""Maximum length of a line in bytes; a longer line is not from a journal."""

STRICT = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
"""Options of orjson under which values of other types raise TypeError instead of being converted."""


_EXACT = b'{"":'  # start of a value encoded by `encode_exact`


def frame_line(body: bytes) -> bytes:
    r"""Return a JSON array as a line with its checksum.

    Examples:
        >>> frame_line(b'["pause",1]')
        b'[367592312,["pause",1]]\n'
    """
    return b"[%d,%b]\n" % (adler32(body), body)


def encode_line(cells: Sequence[Any]) -> bytes:
    """Return cells as a line; TypeError for values JSON cannot hold. NaN becomes null: use `encode_exact` first."""
    return frame_line(orjson.dumps(cells, option=STRICT | orjson.OPT_SERIALIZE_NUMPY))


def decode_line(text: bytes) -> list[Any] | None:
    """Return the cells of a line (without its newline), None if its checksum is wrong.

    Examples:
        >>> decode_line(encode_line(["pause", 1])[:-1])
        ['pause', 1]
        >>> decode_line(b'[367592312,["pause",2]]') is None
        True
    """
    cut = text.find(b",", 0, 12)
    body = text[cut + 1 : -1]
    if cut < 2 or len(text) > MAX_LINE:
        return None
    try:
        if int(text[1:cut]) != adler32(body) or text[:1] != b"[" or text[-1:] != b"]":
            return None
        cells = orjson.loads(body)
    except (ValueError, RecursionError):
        return None
    return cells if type(cells) is list and cells else None


def decode_lines_flat(lines: list[bytes]) -> list[Any] | None:
    """Return the cells of valid lines in one flat list; None if any is invalid or has a value of `encode_exact`.

    Parsing all lines in one call saves a list per line: creating these lists, and the garbage collector's visits to
    them, would be most of the cost of reading.

    Examples:
        >>> decode_lines_flat([encode_line(["pause", 1])[:-1], encode_line(["stop", 2])[:-1]])
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
        cells = None if _EXACT in text else orjson.loads(b"[%b]" % text)
    except (ValueError, RecursionError):
        return None
    return cells


def encode_exact(value: Any) -> Any:
    """Return a plain value for JSON without loss: {"": [kind, text]} for the few values that JSON cannot hold.

    Examples:
        >>> encode_exact(1.5), encode_exact(float("nan")), encode_exact(2**70)
        (1.5, {'': ['float', 'nan']}, {'': ['int', '0x400000000000000000']})
    """
    if isinstance(value, float) and value - value != 0:
        return {"": ["float", repr(value)]}
    if type(value) is int and not -(2**63) <= value < 2**63:
        return {"": ["int", hex(value)]}  # Python writes no more than 4300 decimal digits
    if isinstance(value, orjson.Fragment):
        return {"": ["json", fragment_bytes(value).decode()]}
    return value


def decode_exact(cell: Any) -> Any:
    """Return the value encoded by `encode_exact`; other cells are returned unchanged."""
    if type(cell) is not dict or len(cell) != 1 or type(cell.get("")) is not list:
        return cell
    kind, text = (*cell[""], None, None)[:2]
    if type(text) is not str:
        return cell
    if kind == "float":
        return float(text)
    return int(text, 0) if kind == "int" else fragment(text)


def fragment(text: str) -> orjson.Fragment:
    """Mark JSON text of a value that is not a scalar: it fits no column and goes to `metadata` unchanged."""
    return orjson.Fragment(text)


def fragment_bytes(value: orjson.Fragment) -> bytes:
    """Return the JSON text of a fragment."""
    return orjson.dumps(value)
