"""Rows of a dataset in memory: those of a time window or a condition, refused before they fill it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crucible_nb.datasets.memory import check_rows
from crucible_nb.datasets.state import Spec
from crucible_nb.datasets.units import Place
from crucible_nb.events.times import all_times, zoned_index
from crucible_nb.windows.query import Edges


@dataclass(frozen=True, kw_only=True)
class RowsSpec(Spec):
    """The question for rows.

    Attributes:
        edges: First nanosecond and stop of the times, see `crucible_nb.windows.query.edges_of`.
        budget: Bytes that the rows may take.
        what: What needs them, for messages.
    """

    budget: int
    edges: Edges = (None, None, None)
    what: str = "to_frame()"

    def empty(self, place: Place) -> RowsState:  # noqa: ARG002  the same at every place
        """Return the state of no rows."""
        return RowsState(self)


class RowsState:
    """Parts of the dataset in memory, each with the number of its first row."""

    def __init__(self, spec: RowsSpec) -> None:
        self._spec = spec
        self.parts: list[tuple[int, pd.DataFrame]] = []
        self.rows, self.size = 0, 0.0

    def add(self, rows: pd.DataFrame, first: int) -> None:
        """Keep rows in the time window."""
        low, stop, _ = self._spec.edges
        if low is not None or stop is not None:
            times = all_times(rows)
            inside = (times >= (-(2**63) if low is None else low)) & (times < (2**63 - 1 if stop is None else stop))
            rows = rows[inside]
        if len(rows):
            self._keep(first, rows.copy(), float(rows.memory_usage(deep=False).sum()))

    def _keep(self, first: int, rows: pd.DataFrame, size: float) -> None:
        self.parts.append((first, rows))
        self.rows, self.size = self.rows + len(rows), self.size + size
        check_rows(self.rows, self.size, self._spec.budget, self._spec.what)

    def close(self) -> None:
        """Do nothing: rows stay rows."""

    def merge(self, other: RowsState) -> RowsState:
        """Add the rows of other units; return this state."""
        self.parts += other.parts
        self.rows, self.size = self.rows + other.rows, self.size + other.size
        check_rows(self.rows, self.size, self._spec.budget, self._spec.what)
        return self

    def frame(self) -> pd.DataFrame:
        """Return all rows in the order of the dataset; by time if every row has one, as their index."""
        if not self.parts:
            return pd.DataFrame(columns=list(self._spec.columns or ()))
        parts = [rows for _, rows in sorted(self.parts, key=lambda part: part[0])]
        found, self.parts = pd.concat(parts), []
        for name, dtype in zip(found.columns, found.dtypes, strict=True):
            if dtype.kind == "O" and any(isinstance(part[name].dtype, pd.CategoricalDtype) for part in parts):
                found[name] = found[name].astype("str")  # categories that differ between files
        if "time" in found.columns and found["time"].notna().all():
            index = zoned_index(found.reset_index(drop=True)).rename("time")
            found = found.drop(columns="time").set_axis(index, axis=0)
        if isinstance(found.index, pd.DatetimeIndex):
            return found if found.index.is_monotonic_increasing else found.iloc[np.argsort(found.index, kind="stable")]
        return found.reset_index(drop=True)
