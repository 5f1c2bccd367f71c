"""Read-only view of events for samplers and detectors: columns as numbers or labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.columns import factorize, numbers_of


class EventColumns:
    """A read-only view of consecutive events.

    Attributes:
        seq: Sequence number of each event, int64.
        columns: Names of the columns; other columns read as missing.
        times: Time of each event in active UTC nanoseconds (without pauses), int64; None if it is not known.
        clocked: Which times were read from the clock; None: none.

    Examples:
        >>> import pandas as pd
        >>> from crucible_nb.events.event_columns import EventColumns
        >>> events = EventColumns.of_frame(pd.DataFrame({"latency_ms": [1.0, 2.0], "model": ["a", None]}))
        >>> events["latency_ms"]
        array([1., 2.])
        >>> events.labels("model")
        (array([ 0, -1]), ['a'])
    """

    def __init__(
        self,
        seq: np.ndarray,
        columns: Mapping[str, Any],
        floats: Callable[[str], np.ndarray],
        labels: Callable[[str], tuple[np.ndarray, list[Any]]],
        frame: Callable[[], pd.DataFrame],
        nans: Callable[[str], np.ndarray | None] = lambda _: None,
        times: np.ndarray | None = None,
        clocked: np.ndarray | None = None,
    ) -> None:
        self.seq, self.columns = seq, tuple(columns)
        self._floats, self._labels, self._make, self._nans = floats, labels, frame, nans
        self.times, self.clocked = times, clocked
        self._frame: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.seq)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a numeric or boolean column as float64, NaN where missing."""
        return self._floats(name) if name in self.columns else np.full(len(self), np.nan)

    def faults(self, name: str) -> np.ndarray:
        """Return a mask of the events whose value was given and is NaN or infinite."""
        if name not in self.columns:
            return np.zeros(len(self), np.bool_)
        infinite, given = np.isinf(self._floats(name)), self._nans(name)
        return np.asarray(infinite if given is None else infinite | given)

    def labels(self, name: str) -> tuple[np.ndarray, list[Any]]:
        """Return a column as codes (-1 where missing) and the list of its labels."""
        return self._labels(name) if name in self.columns else (np.full(len(self), -1), [])

    def frame(self) -> pd.DataFrame:
        """Return all columns as a DataFrame, built at the first call."""
        if self._frame is None:
            self._frame = self._make()
        return self._frame

    @classmethod
    def of_frame(
        cls, frame: pd.DataFrame, first_seq: int = 0, *, given: bool = False, times: np.ndarray | None = None
    ) -> EventColumns:
        """View the rows of a frame, in their order.

        Args:
            frame: The rows.
            first_seq: Sequence number of the first.
            given: Whether NaN were given as values.
            times: Time of each row, UTC nanoseconds, if known.
        """

        def labels(name: str) -> tuple[np.ndarray, list[Any]]:
            codes, values = factorize(frame[name], name)
            return codes, list(values)

        seq = np.arange(first_seq, first_seq + len(frame))
        shown = dict.fromkeys(map(str, frame.columns))
        if not _judged(frame):
            shown.pop("anomaly", None)

        def floats(name: str) -> np.ndarray:
            return numbers_of(frame[name], name)

        return cls(
            seq, shown, floats, labels, lambda: frame, lambda name: np.isnan(floats(name)) if given else None, times
        )

    @classmethod
    def of_batch(
        cls, batch: Batch, dictionaries: Mapping[str, Categories], times: np.ndarray | None = None
    ) -> EventColumns:
        """View the events of a batch; `times` are their active times, if known."""
        cells = batch.cells

        def labels(name: str) -> tuple[np.ndarray, list[Any]]:
            if name in dictionaries:
                return cells[name].values, dictionaries[name].values
            codes, values = pd.factorize(_series(cells[name], None))
            return codes, list(values)

        def frame() -> pd.DataFrame:
            data = {name: _series(cell, dictionaries.get(name)) for name, cell in cells.items()}
            index = pd.DatetimeIndex(batch.time, tz="UTC", name="time")
            return pd.DataFrame({name: column.array for name, column in data.items()}, index=index)

        def floats(name: str) -> np.ndarray:
            if cells[name].kind in ("category", "string"):
                raise SchemaError(f"{name}: expected numbers, got {cells[name].kind}")
            return cells[name].floats()

        clocked = np.ones(len(batch), np.bool_) if batch.given is None else ~batch.given
        return cls(batch.numbered(), cells, floats, labels, frame, batch.nans.get, times, clocked)


def _judged(frame: pd.DataFrame) -> bool:
    """Return whether a detector has scored the rows; without one, the column `anomaly` is False as well."""
    if "anomaly" not in frame.columns:
        return False
    return bool(frame["anomaly"].any()) or (
        "anomaly_score" in frame.columns and bool(frame["anomaly_score"].notna().any())
    )


def _series(cells: Column, dictionary: Categories | None) -> pd.Series:
    """Convert a column of a batch to a Series."""
    if dictionary is not None:
        return pd.Series(pd.Categorical.from_codes(cells.values, dtype=dictionary.dtype))
    if cells.kind == "string":
        return pd.Series(cells.values.to_pandas(), dtype="str")
    if cells.kind == "integer" or cells.mask is not None:
        mask = np.zeros(len(cells.values), np.bool_) if cells.mask is None else cells.mask
        make: Any = pd.arrays.BooleanArray if cells.kind == "boolean" else pd.arrays.IntegerArray
        return pd.Series(make(cells.values, mask))
    return pd.Series(cells.values)
