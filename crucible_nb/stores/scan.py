"""Reading journals: every line that is whole and sound, in order, and where the others are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from crucible_nb.stores.lines import cells_of

_BLOCK = 8 << 20


class Bad(NamedTuple):
    """A line that cannot be used: where it begins, how long it is."""

    path: Path
    offset: int
    length: int


class Tail:
    """Reads a journal to its end, and later what was added since.

    A last line without an end is not there yet: it is being written, or was never acknowledged.

    Args:
        path: The journal, which another process may be writing.

    Attributes:
        header: What its first line says, None while there is none.
        offset: Bytes read so far.
        bad: Lines that were passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: dict[str, Any] | None = None
        self.offset = 0
        self.bad: list[Bad] = []
        self._lines = 0

    def read(self) -> Iterator[list[Any] | None]:
        """Cells of the lines since the last time; None in the place of a bad one.

        Raises:
            OSError: The file cannot be read.
        """
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            rest = b""
            while block := stream.read(_BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                for text in lines:
                    begin, self.offset = self.offset, self.offset + len(text) + 1
                    cells = cells_of(text)
                    self._lines += 1
                    if cells is None:
                        self.bad.append(Bad(self.path, begin, len(text)))
                    elif self._lines == 1 and _is_header(cells):
                        self.header = cells[2]
                        continue
                    yield cells

    @property
    def torn(self) -> int:
        """Bytes after the last whole line."""
        return max(0, self.path.stat().st_size - self.offset)


def _is_header(cells: list[Any]) -> bool:
    return len(cells) == 3 and cells[0] == "crucible" and type(cells[2]) is dict
