"""What every format offers a reader: the header if the file is ours, else a guess, and the rows piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from crucible_nb.files.layout import Layout


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read, as often as needed.

    Attributes:
        pieces: Given a number of rows, the file as Arrow tables of at most that many.
        guess: Given those tables and the columns that the caller replaces, the layout of a foreign file.
        layout: The layout that the file's own header tells; None for a foreign file.
        facts: The experiment facts of that header.
        index: The column that a foreign file names as its index.
    """

    pieces: Callable[[int], Iterator[pa.Table]]
    guess: Callable[[Iterable[pa.Table], Collection[str]], Layout]
    layout: Layout | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    index: str | None = None
