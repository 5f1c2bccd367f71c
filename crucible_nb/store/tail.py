"""Read journals: all complete and valid lines in order, and the places of invalid ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from crucible_nb.store.lines import MAX_LINE, decode_line
from crucible_nb.store.row_codec import Run, run_of
from crucible_nb.store.syscalls import open_regular

_BLOCK = 512 << 10
_TORN = re.compile(rb"\[(?:\d{1,10}(?:,(?:\[[^\x00-\x1f]*)?)?)?", re.DOTALL)
"""The start of a line, in which JSON has no control characters."""


class BadLine(NamedTuple):
    """A line that cannot be used: its file, the byte offset of its start, and its length in bytes."""

    path: Path
    offset: int
    length: int


class Tail:
    """Reader of one journal, up to its current end and later from there.

    A last line without a newline is read only by `read_rest`: it is being written, or was never acknowledged.

    Args:
        path: The journal, which another process may be writing.

    Attributes:
        header: Facts in the first line of the journal, None before it was read.
        offset: Number of bytes read so far.
        bad: Skipped lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: dict[str, Any] | None = None
        self.offset = 0
        self.bad: list[BadLine] = []

    def read(self) -> Run | list[list[Any] | None] | None:
        """Return the next complete lines, about half a megabyte; None at the end.

        They are a run of events, or else a list with the cells of each line, None for a bad one.

        Raises:
            OSError: The file cannot be read.
        """
        with open_regular(self.path) as stream:
            stream.seek(self.offset)
            text = stream.read(_BLOCK)
            while b"\n" not in text and (more := stream.read(len(text))):  # a line may be longer
                text += more
        *lines, rest = text.split(b"\n")
        if not lines:
            return None
        cells = run_of(lines) or self._cells(lines)
        self.offset += len(text) - len(rest)
        return cells

    def read_rest(self) -> list[list[Any] | None] | None:
        """Return the last line of a journal that no longer grows, although its newline is missing or damaged.

        Its checksum says that it is whole. A rest that is the start of a line was never acknowledged (None); any other
        is a line that cannot be read.

        Raises:
            OSError: The file cannot be read.
        """
        with open_regular(self.path) as stream:
            stream.seek(self.offset)
            text = stream.read(MAX_LINE + 2)
        cells = decode_line(text)
        if cells is None and text:
            cells = decode_line(text[:-1])
            if cells is not None:
                self.bad.append(BadLine(self.path, self.offset + len(text) - 1, 1))
        if cells is not None:
            begin, self.offset = self.offset, self.offset + len(text)
            return self._without_header([cells], begin)
        if not text or _TORN.fullmatch(text):
            return None
        self.bad.append(BadLine(self.path, self.offset, len(text)))
        self.offset += len(text)
        return [None]

    def _cells(self, lines: list[bytes]) -> list[list[Any] | None]:
        decoded, begin = [decode_line(line) for line in lines], self.offset
        for line, cells in zip(lines, decoded, strict=True):
            if cells is None:
                self.bad.append(BadLine(self.path, begin, len(line)))
            begin += len(line) + 1
        return self._without_header(decoded, self.offset)

    def _without_header(self, decoded: list[list[Any] | None], begin: int) -> list[list[Any] | None]:
        if not begin and _is_header(decoded[0]):
            self.header = decoded.pop(0)[2]  # type: ignore[index]
        return decoded

    @property
    def torn(self) -> int:
        """Number of bytes after the last complete line."""
        return max(0, self.path.stat().st_size - self.offset)


def _is_header(cells: list[Any] | None) -> bool:
    return cells is not None and len(cells) == 3 and cells[0] == "crucible" and type(cells[2]) is dict
