"""The design declared with `cr.start(unit=, cluster=)`, kept in `frame.attrs`: what rows are repeats of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

_KEY = "crucible_design"
ITEM = "sample_id"
"""The column of items, unless another one was declared."""


class Declared(NamedTuple):
    """Columns that were declared.

    Attributes:
        unit: Column of items, of which there may be several rows; None if none was declared.
        cluster: Column of clusters of similar items; None if none was declared.
    """

    unit: str | None = None
    cluster: str | None = None


def declare(frame: pd.DataFrame, unit: str | None, cluster: str | None) -> pd.DataFrame:
    """Store a design in the `attrs` of a frame, changed in place; slices and written files keep it.

    Examples:
        >>> frame = declare(pd.DataFrame({"question": [1, 1, 2]}), "question", None)
        >>> declared_of([frame[frame.question == 1]])
        Declared(unit='question', cluster=None)
    """
    facts = {name: column for name, column in (("unit", unit), ("cluster", cluster)) if column is not None}
    if facts:
        frame.attrs[_KEY] = facts
    return frame


def declared_of(frames: Iterable[object]) -> Declared:
    """Return the design of the first frame that has one; other data have none."""
    for frame in frames:
        facts = frame.attrs.get(_KEY) if isinstance(frame, pd.DataFrame) else None
        if isinstance(facts, dict):
            named = {name: facts.get(name) for name in Declared._fields}
            return Declared(**{name: column for name, column in named.items() if isinstance(column, str)})
    return Declared()


def item_column(frames: Iterable[object], given: str | None = ITEM) -> str | None:
    """Return the column of items: the one given, or instead of "sample_id" the one that was declared.

    Examples:
        >>> item_column([pd.DataFrame()]), item_column([declare(pd.DataFrame(), "question", None)])
        ('sample_id', 'question')
    """
    return declared_of(frames).unit or given if given == ITEM else given
