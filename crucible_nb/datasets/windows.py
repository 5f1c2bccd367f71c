"""Metrics of time windows of a dataset: the question, and its state of (group, pane) cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.datasets.cell_values import CellValues
from crucible_nb.datasets.memory import check_cells
from crucible_nb.datasets.state import Spec
from crucible_nb.datasets.units import Place, Span
from crucible_nb.errors import ConfigError
from crucible_nb.events.columns import group_codes
from crucible_nb.events.durations import begins_of
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.metric_values import metric_numbers
from crucible_nb.events.sampling_info import check_weights
from crucible_nb.events.times import all_times
from crucible_nb.metrics.block_state import block_of
from crucible_nb.metrics.fold import Cells, cells_of, fold
from crucible_nb.metrics.grouped_state import column_numbers, keys_of
from crucible_nb.metrics.sum_table import NUMBERS, Block, SumTable
from crucible_nb.windows.measures import QUANTILES

_LATENCY = 0
_DENSE = 8  # cells per row up to which they are counted, not sorted
ROWS = len(NUMBERS)
"""Columns of a table of sums."""


class Series(NamedTuple):
    """Numbers of rows that a window sums up, beside the standard columns.

    Attributes:
        metric: A metric of one column or condition; of a ratio one of its two totals.
        other: The other column of a ratio, without which a row counts nowhere; None for other metrics.
        q: Quantiles that are asked for.
        extremes: Whether the smallest and the largest value are.
    """

    metric: Metric
    other: str | None = None
    q: tuple[float, ...] = ()
    extremes: bool = False

    def numbers(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the number of each row, float64, NaN where unknown."""
        x = metric_numbers(rows, self.metric)
        if self.other is None:
            return x
        return np.where(np.isnan(metric_numbers(rows, self.metric._replace(column=self.other))), np.nan, x)


def series_of(metric: Metric, *, own: bool) -> list[Series]:
    """Return the series that a metric is computed from; `own` for mean and quantiles of a bare column.

    Raises:
        ConfigError: A first or last value, which is not known from states.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> [series.metric.column for series in series_of(metric_of("cost_per_success"), own=False)]
        ['cost_usd', 'success']
    """
    if own:
        return [Series(metric, q=tuple(QUANTILES.values()))]
    if metric.kind in ("first", "last"):
        raise ConfigError(
            f"columns={metric.name!r}: the {metric.kind} value of a window is not known from the states of its parts; "
            "read the rows with query_window()"
        )
    if metric.per is not None:
        parts = (metric.column, metric.per), (metric.per, metric.column)
        return [Series(metric._replace(column=column, per=None), other) for column, other in parts]
    q = (metric.q,) if metric.kind == "quantile" else ()
    return [Series(metric, q=q, extremes=metric.kind in ("min", "max"))]


@dataclass(frozen=True, kw_only=True)
class WindowsSpec(Spec):
    """The question for windows.

    Attributes:
        edges: Edges of the panes, UTC nanoseconds, int64[panes + 1], ascending: every window is some whole panes.
        by: Columns to group by.
        series: Numbers beside the standard columns.
        tumbling: Whether each window is one pane, so that a pane without rows of other units is finished at once.
        budget: Bytes that the state may take; None for no limit.
    """

    edges: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    by: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()
    tumbling: bool = True
    budget: int | None = None

    @property
    def panes(self) -> int:
        """Number of panes."""
        return max(len(self.edges) - 1, 1)

    def empty(self, place: Place) -> WindowsState:
        """Return the state of no rows."""
        return WindowsState(self, place.alone)


class Sums(NamedTuple):
    """Sums of cells: of the standard columns, of each five further series, and extremes of series that need them."""

    cells: np.ndarray
    tables: tuple[SumTable, ...]
    extremes: np.ndarray  # float64[series with extremes, 2, cells]

    def joined(self, others: Sequence[Sums]) -> Sums:
        """Return the sums of all parts, with each cell once, ascending."""
        parts = [self, *others]
        cells = np.unique(np.concatenate([part.cells for part in parts]))
        tables = tuple(SumTable(len(cells)) for _ in self.tables)
        extremes = _no_extremes(len(self.extremes), len(cells))
        for part in parts:
            at = np.searchsorted(cells, part.cells)
            for table, more in zip(tables, part.tables, strict=True):
                table.add(at, more)
            extremes[:, 0, at] = np.minimum(extremes[:, 0, at], part.extremes[:, 0])
            extremes[:, 1, at] = np.maximum(extremes[:, 1, at], part.extremes[:, 1])
        return Sums(cells, tables, extremes)

    def take(self, index: np.ndarray, cells: np.ndarray) -> Sums:
        """Return the sums of new cells, each made of one or more: `index` in order of `cells`, which may repeat."""
        tables = []
        for table in self.tables:
            new, summed = table.take(index).by(cells)
            tables.append(summed)
        starts = np.searchsorted(cells, new)
        low = np.minimum.reduceat(self.extremes[:, 0, index], starts, axis=1)
        high = np.maximum.reduceat(self.extremes[:, 1, index], starts, axis=1)
        return Sums(new, tuple(tables), np.stack([low, high], axis=1))


def _no_extremes(series: int, cells: int) -> np.ndarray:
    found = np.empty((series, 2, cells))
    found[:, 0], found[:, 1] = np.inf, -np.inf
    return found


class WindowsState:
    """Sums and values of each (group, pane) cell.

    Args:
        spec: The question.
        alone: Times strictly between which all rows are of this unit.

    Attributes:
        groups: Number of each group by its key. Cell = number of the group * panes + pane.
        weighted: Whether any row has another weight than 1.
    """

    def __init__(self, spec: WindowsSpec, alone: Span | None) -> None:
        self._spec, self._alone = spec, alone
        self.groups: dict[Any, int] = {} if spec.by else {0: 0}
        tables = 1 + -(-len(spec.series) // ROWS)
        with_extremes = sum(series.extremes for series in spec.series)
        empty = tuple(SumTable(0) for _ in range(tables))
        self._sums = Sums(np.empty(0, np.int64), empty, _no_extremes(with_extremes, 0))
        self._waiting: list[Sums] = []
        self._outside: Span | None = None
        self.weighted = False
        self.values = [CellValues(q) for q in (tuple(QUANTILES.values()), *(one.q for one in spec.series)) if q]

    def add(self, rows: pd.DataFrame, first: int) -> None:  # noqa: ARG002  order does not matter
        """Add rows, in place."""
        check_weights(rows)
        weight = column_numbers(rows, "weight")
        self.weighted |= weight is not None and bool((weight != 1).any())
        times = all_times(rows)
        pane = np.searchsorted(self._spec.edges, times, side="right") - 1
        inside = (pane >= 0) & (pane < self._spec.panes)
        group = self._numbers(rows) if self._spec.by else np.zeros(len(rows), np.int64)
        if not inside.all():
            self._see_outside(rows[~inside], times[~inside])
            rows, times, pane, group = rows[inside], times[inside], pane[inside], group[inside]
        if len(rows):
            self._add(rows, times, *self._cells(pane, group))

    def _see_outside(self, rows: pd.DataFrame, times: np.ndarray) -> None:
        """Take rows outside of all windows into the time in which the rows happened."""
        begins = begins_of(times, column_numbers(rows, "latency_ms"))
        self._outside = _wider(self._outside, (int(begins.min()), int(times.max())))

    def observed(self) -> Span | None:
        """Return first start and last time of all rows in UTC nanoseconds; None without rows."""
        span = self.sums().tables[0].span
        return _wider(self._outside, (int(span[2].min()), int(span[1].max()))) if span.size else self._outside

    def _numbers(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the number of the group of each row."""
        values, codes = group_codes(rows, self._spec.by, sort=False)
        numbers = np.array([self._number(key) for key in keys_of(values)], np.int64)
        return np.asarray(numbers[codes])

    def _number(self, key: Any) -> int:
        return self.groups.setdefault(key, len(self.groups))

    def _cells(self, pane: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells that occur, and the index of each row's among them."""
        low, size = int(pane.min()), len(self.groups)
        local = (pane - low) * size + group  # few different ones: rows of a batch are close in time
        high = int(local.max()) + 1
        if high <= _DENSE * len(local):
            occurs = np.bincount(local, minlength=high) > 0
            found, codes = np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[local]
        else:
            found, codes = np.unique(local, return_inverse=True)
        return found % size * self._spec.panes + found // size + low, codes

    def _add(self, rows: pd.DataFrame, times: np.ndarray, found: np.ndarray, codes: np.ndarray) -> None:
        cell, cells = found[codes], cells_of(codes, len(found))
        block = block_of(lambda name: column_numbers(rows, name), times)
        further = [series.numbers(rows) for series in self._spec.series]
        tables = [fold(block, cells)]
        for start in range(0, len(further), ROWS):
            some = further[start : start + ROWS]
            values: Any = some  # `fold` reads them one by one
            tables.append(fold(Block(times, values, list(range(len(some))), np.empty(0, np.int8), block.weight), cells))
        extremes = [
            _extremes(x, cells) for x, series in zip(further, self._spec.series, strict=True) if series.extremes
        ]
        none = _no_extremes(0, len(found))
        self._waiting.append(Sums(found, tuple(tables), np.stack(extremes) if extremes else none))
        latency = block.values[_LATENCY] if _LATENCY in block.active else np.full(block.size, np.nan)
        wanted = [latency, *(x for x, series in zip(further, self._spec.series, strict=True) if series.q)]
        for kept, x in zip(self.values, wanted, strict=True):
            kept.add(cell, x, block.weight)
        self._settle()

    def _settle(self) -> None:
        waiting = sum(len(part.cells) for part in self._waiting)
        if waiting > len(self._sums.cells):
            self.sums()
        if self._spec.budget is not None:
            cells = waiting + len(self._sums.cells)
            check_cells(cells, sum(kept.entries for kept in self.values), len(self._sums.tables), self._spec.budget)

    def sums(self) -> Sums:
        """Return the sums of all cells with a row, ascending."""
        if self._waiting:
            self._sums, self._waiting = self._sums.joined(self._waiting), []
        return self._sums

    def close(self) -> None:
        """Compute the quantiles of panes that no other unit has rows of."""
        self.sums()
        if not self._spec.tumbling or self._alone is None:
            return
        low, high = self._alone
        edges, panes = self._spec.edges, self._spec.panes
        finished = (edges[:-1] > low) & (edges[1:] <= high)
        for kept in self.values:
            kept.finish(lambda cells: np.asarray(finished[cells % panes]))

    def merge(self, other: WindowsState) -> WindowsState:
        """Add the state of other rows, in place; return this state."""
        numbers, panes = np.array([self._number(key) for key in other.groups], np.int64), self._spec.panes

        def renamed(cells: np.ndarray) -> np.ndarray:
            return np.asarray(numbers[cells // panes] * panes + cells % panes)

        self._outside = _wider(self._outside, other._outside)
        self.weighted |= other.weighted
        theirs = other.sums()
        if len(theirs.cells):
            self._waiting.append(theirs._replace(cells=renamed(theirs.cells)))
        for kept, more in zip(self.values, other.values, strict=True):
            kept.merge(more, renamed)
        self._settle()
        return self


def _wider(one: Span | None, other: Span | None) -> Span | None:
    """Return the span from the start of the first to the end of the last."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _extremes(x: np.ndarray, cells: Cells) -> np.ndarray:
    """Return smallest and largest known value of each cell, float64[2, cells]; infinite without any."""
    ordered = x if cells.order is None else x[cells.order]
    starts, unknown = cells.starts[:-1], np.isnan(ordered)
    low = np.minimum.reduceat(np.where(unknown, np.inf, ordered), starts)
    return np.stack([low, np.maximum.reduceat(np.where(unknown, -np.inf, ordered), starts)])
