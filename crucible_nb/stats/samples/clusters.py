"""Clusters of similar rows: the column that identifies them, as given, else read from the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from crucible_nb.events.columns import one_column
from crucible_nb.events.declared import ITEM, declared_of, item_column

SESSION = "session_id"
_HEAD = 10_000


class Clustering(NamedTuple):
    """The column of clusters.

    Attributes:
        column: Name of the column; None if rows are independent.
        notes: Sentences on how it was chosen.
        warnings: Reasons to doubt that rows are independent.
        given: Whether the user named the column.
    """

    column: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    given: bool = False

    @property
    def found(self) -> tuple[str, ...]:
        """The notes, unless the user named the column."""
        return () if self.given else self.notes


INDEPENDENT = Clustering()
"""No clusters."""


def choose_cluster(
    groups: Sequence[Any], given: str | None = None, item: str | None = None, *, paired: bool = False
) -> Clustering:
    """Choose the column of clusters: as given, else as declared, else sessions or items that have several rows.

    Sessions of which each belongs to one item (attempts at a task) leave the item as the cluster. In pairs an item is
    the unit already, and only sessions with several items are clusters.

    Args:
        groups: Data of each group; data without columns have no clusters.
        given: Column given by the user.
        item: Column of item ids; None and `sample_id` are the declared unit, if there is one.
        paired: Whether items are compared in pairs.

    Examples:
        >>> epochs = pd.DataFrame({"sample_id": [1, 2, 1, 2], "score": [0.5, 0.9, 0.4, 0.8]})
        >>> choose_cluster([epochs]).notes
        ('clustered by sample_id, which has several rows each',)
    """
    if given is not None:
        return Clustering(given, (f"clustered by {given}",), given=True)
    frames = [group for group in groups if isinstance(group, pd.DataFrame)]
    unit, declared = declared_of(frames)
    if declared is not None and any(declared in frame.columns for frame in frames):
        return Clustering(declared, (f"clustered by {declared}, as declared",))
    warnings = [
        f"the rows do not have the declared {name} {column}"
        for name, column in (("cluster", declared), ("unit", unit))
        if column is not None and not any(column in frame.columns for frame in frames)
    ]
    for column in _candidates(frames, item_column(frames, item or ITEM) or ITEM, paired=paired):
        if not all(_has_several_values(frame, column) for frame in frames if column in frame.columns):
            warnings.append(f"rows are taken as independent, although a group has a single {column}")
            continue
        what = "items" if paired else "rows"
        return Clustering(column, (f"clustered by {column}, which has several {what} each",), tuple(warnings))
    return Clustering(warnings=tuple(warnings))


def cluster_of_units(data: Any, unit: str, given: str | None) -> Clustering:
    """Choose the column of clusters of units that have one value each: as given, else as declared.

    A declared cluster counts if each unit lies in one of its values.

    Args:
        data: Data with the column `unit`.
        unit: Column of units, e.g. "session_id".
        given: Column given by the user.

    Examples:
        >>> from crucible_nb.events.declared import declare
        >>> rows = declare(pd.DataFrame({"session_id": [1, 1, 2], "user": ["a", "a", "b"]}), None, "user")
        >>> cluster_of_units(rows, "session_id", None).column
        'user'
    """
    column = declared_of([data]).cluster
    if given is not None or column is None or column == unit or not {unit, column} <= set(data.columns):
        return Clustering(given, given=given is not None)
    inside = _is_inside(data, unit, column)
    return Clustering(column, (f"clustered by {column}, as declared",)) if inside else INDEPENDENT


def _candidates(frames: Sequence[pd.DataFrame], item: str, *, paired: bool) -> Iterator[str]:
    """Columns with several rows (of pairs: items) per value, the coarsest first."""
    repeated = any(_is_repeated(frame, item) for frame in frames)
    of_items = paired or repeated
    if any(_is_repeated(frame, SESSION) and not (of_items and _is_inside(frame, SESSION, item)) for frame in frames):
        yield SESSION
    if repeated and not paired:
        yield item


def _is_repeated(frame: pd.DataFrame, column: str) -> bool:
    """Return whether a value of the column has several rows."""
    if column not in frame.columns:
        return False
    values = one_column(frame[column], column)
    return any(bool(part.dropna().duplicated().any()) for part in _head_first(values))


def _is_inside(frame: pd.DataFrame, inner: str, outer: str) -> bool:
    """Return whether each value of one column comes with a single value of the other one."""
    if outer not in frame.columns:
        return False
    both = frame[[inner, outer]].dropna(subset=[inner])
    return not both.drop_duplicates()[inner].duplicated().any()


def _has_several_values(frame: pd.DataFrame, column: str) -> bool:
    """Whether the column has several different values; rows without one count as many."""
    return any(part.nunique() + int(part.isna().sum()) > 1 for part in _head_first(frame[column]))


def _head_first(values: pd.Series) -> Iterator[pd.Series]:
    """The first values, which settle most questions, and then all of them."""
    yield values.iloc[:_HEAD]
    if len(values) > _HEAD:
        yield values
