"""Values of many cells, for quantiles: kept while a cell has few, counted by bucket above."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.windows.measures import EXACT
from crucible_nb.windows.quantiles import quantiles, weighted_quantiles
from crucible_nb.windows.sketch import buckets_of, quantiles_of_counts, value_of_buckets

_WAITING = 1 << 18  # entries that wait until all are sorted once


class Entries(NamedTuple):
    """Values, or counts of buckets, of cells.

    Attributes:
        cell: Cell of each entry, int64[n].
        value: Values, float64[n]; or buckets, int64[n].
        rows: Number of rows of each entry, int64[n].
        weight: Weight of each entry, float64[n]; None means their number.
    """

    cell: np.ndarray
    value: np.ndarray
    rows: np.ndarray
    weight: np.ndarray | None = None

    def take(self, index: np.ndarray) -> Entries:
        """Return some of the entries."""
        weight = None if self.weight is None else self.weight[index]
        return Entries(self.cell[index], self.value[index], self.rows[index], weight)


def _joined(parts: list[Entries], dtype: type) -> Entries:
    if not parts:
        return Entries(np.empty(0, np.int64), np.empty(0, dtype), np.empty(0, np.int64))
    weight = None
    if any(part.weight is not None for part in parts):
        weight = np.concatenate(
            [part.rows.astype(np.float64) if part.weight is None else part.weight for part in parts]
        )
    cell, value, rows = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return Entries(cell, value, rows, weight)


class CellValues:
    """The values of a column in many cells; the same bits for the same values in any order and any parts.

    Whether a quantile is exact depends on the number of values of its cell alone: up to 2,048 they are kept, above
    they are counted in 256 buckets per octave. Quantiles of finished cells are numbers.

    Args:
        q: Probabilities of the quantiles, ascending.

    Examples:
        >>> values = CellValues((0.5,))
        >>> values.add(np.array([7, 3, 7]), np.array([1.0, 5.0, 2.0]), None)
        >>> cells, found = values.quantiles()
        >>> cells.tolist(), found.tolist()
        ([3, 7], [[5.0, 1.5]])
    """

    def __init__(self, q: tuple[float, ...]) -> None:
        self.q = q
        self._few: list[Entries] = []
        self._many: list[Entries] = []
        self._done: list[tuple[np.ndarray, np.ndarray]] = []
        self._settled = 0

    def add(self, cells: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> None:
        """Add values of cells, float64[n]; NaN is unknown."""
        known = ~np.isnan(values)
        some = cells[known]
        weight = None if weights is None else weights[known]
        self._few.append(Entries(some, values[known], np.ones(len(some), np.int64), weight))
        self._settle_if_many()

    def merge(self, other: CellValues, renamed: Callable[[np.ndarray], np.ndarray]) -> None:
        """Add the values of other rows, in place; `renamed` returns the cells here of cells there."""
        self._few += [part._replace(cell=renamed(part.cell)) for part in other._few]
        self._many += [part._replace(cell=renamed(part.cell)) for part in other._many]
        self._done += [(renamed(cells), found) for cells, found in other._done]
        self._settle_if_many()

    @property
    def entries(self) -> int:
        """Number of values and buckets in memory."""
        return sum(len(part.cell) for part in (*self._few, *self._many))

    def _settle_if_many(self) -> None:
        if self.entries > 2 * self._settled + _WAITING:
            self.settle()

    def settle(self) -> None:
        """Count the values of cells that have many, and equal buckets once."""
        few, many = _joined(self._few, np.float64), _joined(self._many, np.int64)
        code, cells = pd.factorize(np.concatenate([few.cell, many.cell]))  # by hashing: cells need no order
        total = np.bincount(code, np.concatenate([few.rows, many.rows]), minlength=len(cells))
        large = (total > EXACT)[code[: len(few.cell)]]
        if large.any():
            counted = few.take(large)
            many = _joined([many, counted._replace(value=buckets_of(counted.value))], np.int64)
            few = few.take(~large)
        self._few, self._many = [few], [_counted(many)]
        self._settled = self.entries

    def finish(self, finished: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replace the values of finished cells by their quantiles; `finished` returns which cells are."""
        self.settle()
        (few,), (many,) = self._few, self._many
        ready, counted = finished(few.cell), finished(many.cell)
        self._done.append(_quantiles(few.take(ready), many.take(counted), np.array(self.q)))
        self._few, self._many = [few.take(~ready)], [many.take(~counted)]
        self._settled = self.entries

    def spread(self, over: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> CellValues:
        """Return the values of other cells, each made of several; `over` returns those cells, and the index of each.

        Args:
            over: Callable (cells) -> index of entries that are used, once per new cell; and the new cells.
        """
        new = CellValues(self.q)
        for mine, theirs in ((self._few, new._few), (self._many, new._many)):
            for part in mine:
                index, cells = over(part.cell)
                theirs.append(part.take(index)._replace(cell=cells))
        new._done = self._done
        return new

    def quantiles(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all cells with a value, ascending, and their quantiles, float64 of shape (len(q), cells)."""
        self.settle()
        parts = [*self._done, _quantiles(self._few[0], self._many[0], np.array(self.q))]
        cells = np.concatenate([cells for cells, _ in parts])
        found = np.concatenate([found for _, found in parts], axis=1)
        order = np.argsort(cells, kind="stable")
        return cells[order], found[:, order]


def _counted(many: Entries) -> Entries:
    """Add up equal buckets of equal cells; sorted by cell and bucket."""
    if not len(many.cell):
        return many
    order = np.lexsort((many.value, many.cell))
    many = many.take(order)
    new = np.concatenate([[True], (many.cell[1:] != many.cell[:-1]) | (many.value[1:] != many.value[:-1])])
    starts = np.flatnonzero(new)
    weight = None if many.weight is None else np.add.reduceat(many.weight, starts)
    return Entries(many.cell[starts], many.value[starts], np.add.reduceat(many.rows, starts), weight)


def _quantiles(few: Entries, many: Entries, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells and their quantiles: of kept values exact, of sorted buckets within their width."""
    by = (few.cell,) if few.weight is None else (few.weight, few.value, few.cell)
    few = few.take(np.lexsort(by))
    small, lo = np.unique(few.cell, return_index=True)
    hi = np.append(lo, len(few.cell))[1:]
    if few.weight is None:
        exact = quantiles(few.value, lo, hi, q, compiled=False)
    else:
        exact = weighted_quantiles(few.value, lo, hi, q, few.weight)
    large, first = np.unique(many.cell, return_index=True)
    stops = np.append(first, len(many.cell))[1:]
    counts = many.rows if many.weight is None else many.weight
    near = quantiles_of_counts(counts, stops, lambda entry: value_of_buckets(many.value[entry]), q)
    return np.concatenate([small, large]), np.concatenate([exact, near], axis=1)
