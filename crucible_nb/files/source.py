"""The common interface of readable files: a layout, given by the header or guessed, and the rows in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from crucible_nb.files.layout import Layout


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read repeatedly.

    Attributes:
        chunks: Callable (number of rows, columns or None for all) -> the file as Arrow tables of at most so many rows.
        guess: Callable (tables, columns replaced by the caller, columns or None) -> the layout of a foreign file.
        layout: Layout in the file's header; None for a foreign file.
        facts: Experiment facts in the header.
        index: Column that a foreign file names as its index.
        names: Columns of the file; None where only its rows tell.
        deciding: Columns whose values decide the layout of a foreign file; None for all.
    """

    chunks: Callable[..., Iterator[pa.Table]]
    guess: Callable[..., Layout]
    layout: Layout | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    index: str | None = None
    names: tuple[str, ...] | None = None
    deciding: tuple[str, ...] | None = None
