"""Reading journals: every line that is whole and sound, in order, and where the others are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from crucible_nb.store.lines import cells_of
from crucible_nb.store.row_codec import Run, run_of

_BLOCK = 512 << 10


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

    def read(self) -> Run | list[list[Any] | None] | None:
        """The next whole lines, about half a megabyte; None when there are no more.

        A run of events, or the cells of each line, None in the place of a bad one.

        Raises:
            OSError: The file cannot be read.
        """
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            text = stream.read(_BLOCK)
            while b"\n" not in text and (more := stream.read(len(text))):  # a line may be longer
                text += more
        *lines, rest = text.split(b"\n")
        if not lines:
            return None
        found = run_of(lines) or self._cells(lines)
        self.offset += len(text) - len(rest)
        return found

    def _cells(self, lines: list[bytes]) -> list[list[Any] | None]:
        found, begin = [cells_of(one) for one in lines], self.offset
        for one, cells in zip(lines, found, strict=True):
            if cells is None:
                self.bad.append(Bad(self.path, begin, len(one)))
            begin += len(one) + 1
        if not self.offset and _is_header(found[0]):
            self.header = found.pop(0)[2]  # type: ignore[index]
        return found

    @property
    def torn(self) -> int:
        """Bytes after the last whole line."""
        return max(0, self.path.stat().st_size - self.offset)


def _is_header(cells: list[Any] | None) -> bool:
    return cells is not None and len(cells) == 3 and cells[0] == "crucible" and type(cells[2]) is dict
