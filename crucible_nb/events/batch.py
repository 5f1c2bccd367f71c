"""Typed batches of events: columns, and the dictionaries of categories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.events.schema import Kind


class Column(NamedTuple):
    """One column of a batch.

    Attributes:
        kind: The schema kind.
        values: float64, int64, bool or int32 codes as a numpy array; a pyarrow large_string array for text.
        mask: True where missing, for integer and boolean; None when nothing is missing.
    """

    kind: Kind
    values: Any
    mask: np.ndarray | None = None

    def slice(self, start: int, stop: int) -> Column:
        """Return rows start to stop, without a copy."""
        mask = None if self.mask is None else self.mask[start:stop]
        return Column(self.kind, self.values[start:stop], mask)

    def take(self, rows: np.ndarray) -> Column:
        """Return the rows at these indices, as a copy."""
        return Column(self.kind, self.values.take(rows), None if self.mask is None else self.mask[rows])

    def known(self) -> np.ndarray:
        """Return a mask of the rows whose number or boolean is not missing."""
        if self.kind == "float":
            return np.asarray(~np.isnan(self.values))
        return np.ones(len(self.values), np.bool_) if self.mask is None else ~self.mask

    def floats(self) -> np.ndarray:
        """Return the values as float64, NaN where missing."""
        floats = np.asarray(self.values, np.float64)
        if self.mask is not None:
            floats = np.where(self.mask, np.nan, floats)
        return floats


@dataclass(slots=True)
class Batch:
    """Consecutive events as columns; absent columns are missing in every row.

    Attributes:
        time: UTC nanoseconds, one per event, int64.
        first_seq: Sequence number of the first event.
        cells: Columns by name.
        given: Mask of the events whose time the caller gave; None when no event has one.
        seq: Sequence numbers of a batch from which events were removed, else None.
        nans: Of columns of numbers, the events whose value was given as NaN; what a table lacks is no such value.
    """

    time: np.ndarray
    first_seq: int
    cells: dict[str, Column] = field(default_factory=dict)
    given: np.ndarray | None = None
    seq: np.ndarray | None = None
    nans: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)

    def numbered(self) -> np.ndarray:
        """Return the sequence number of each event."""
        return np.arange(self.first_seq, self.first_seq + len(self)) if self.seq is None else self.seq

    def slice(self, start: int, stop: int) -> Batch:
        """Return events start to stop, without a copy."""
        cells = {name: cell.slice(start, stop) for name, cell in self.cells.items()}
        return Batch(self.time[start:stop], self.first_seq + start, cells)

    def take(self, rows: np.ndarray) -> Batch:
        """Return the events at these indices, as a copy."""
        cells = {name: cell.take(rows) for name, cell in self.cells.items()}
        return Batch(self.time[rows], self.first_seq, cells, seq=self.first_seq + rows)


class Categories:
    """Codes of texts, in order of first appearance; -1 is missing.

    Examples:
        >>> dictionary = Categories()
        >>> dictionary.encode(["b", "a", None, "b"])
        array([ 0,  1, -1,  0], dtype=int32)
        >>> dictionary.values
        ['b', 'a']
    """

    __slots__ = ("_codes", "_dtype", "values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values: list[str] = []
        self._codes: dict[str | None, int] = {None: -1}
        self._dtype: pd.CategoricalDtype | None = None
        for value in values:
            self.code(value)

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, value: str | None) -> bool:
        return value in self._codes

    def find(self, value: str | None) -> int:
        """Return the code of a text; -1 for an unknown one."""
        return self._codes.get(value, -1)

    def code(self, value: str | None) -> int:
        """Return the code of a text; a new text gets the next code."""
        code = self._codes.get(value)
        if code is None:
            # lone surrogates have no UTF-8; escaped they can be kept and read
            text = str(value).encode("utf-8", "backslashreplace").decode()
            code = self._codes.get(text)
            if code is None:
                code = self._codes[text] = len(self.values)
                self.values.append(text)
            self._codes[value] = code
        return code

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        """Return the codes (int32) of texts and None; TypeError for a value of another type."""
        first = values[0]
        if values.count(first) == len(values) and (first is None or type(first) is str):
            return np.full(len(values), self.code(first), np.int32)
        try:
            return np.fromiter(map(self._codes.__getitem__, values), np.int32, len(values))
        except KeyError:
            for value in dict.fromkeys(values):
                if value is not None and type(value) is not str:
                    raise TypeError(value) from None
                self.code(value)
            return np.fromiter(map(self._codes.__getitem__, values), np.int32, len(values))

    @property
    def code_dtype(self) -> np.dtype:
        """Integer dtype that pandas uses for codes of this many categories."""
        size = len(self.values)
        return np.dtype(np.int8 if size < 127 else np.int16 if size < 32767 else np.int32)

    @property
    def dtype(self) -> pd.CategoricalDtype:
        """Categorical dtype of pandas; the same object until a text is added."""
        if self._dtype is None or len(self._dtype.categories) != len(self.values):
            self._dtype = pd.CategoricalDtype(pd.Index(self.values, dtype="str"))
        return self._dtype
