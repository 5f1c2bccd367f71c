"""The table of `windowed_metrics` from the state of a dataset: panes become windows, sums become numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.accumulators.exact_sum import ExactSum
from crucible_nb.datasets.metrics import sorted_keys
from crucible_nb.datasets.windows import ROWS, Series, Sums, WindowsState
from crucible_nb.events.metric_names import Metric
from crucible_nb.metrics.sum_table import EVENTS, FAILURES, KNOWN, NUMBERS, ONES, SUCCESSES, SumTable
from crucible_nb.windows.grid import Grid
from crucible_nb.windows.measures import QUANTILES, ratio, totals_or_unknown, whole_totals
from crucible_nb.windows.sketch import BOUND
from crucible_nb.windows.table import index_of

_CELLS = 1 << 20
"""Cells and values that are spread over windows at a time."""

_AT = {name: row for row, name in enumerate(NUMBERS)}


class Asked(NamedTuple):
    """One of `columns`.

    Attributes:
        name: As asked for.
        metric: Its metric.
        own: Whether it is a bare column: its mean and quantiles are wanted.
        series: What it is computed from.
    """

    name: str
    metric: Metric
    own: bool
    series: Sequence[Series]


def window_table(
    state: WindowsState, windows: Grid, edges: np.ndarray, by: Any, asked: Sequence[Asked]
) -> pd.DataFrame:
    """Return the table of all windows and groups, as `crucible_nb.windows.windowed_metrics` with exact=False.

    Args:
        state: State of all units.
        windows: Grid of the windows.
        edges: Edges of the panes.
        by: Columns to group by; None without.
        asked: Further columns.
    """
    keys = sorted_keys(state.groups)
    dense = _Dense(len(windows.starts), np.argsort([state.groups[key] for key in keys]))
    for sums, quantiles in _parts(state, windows, edges):
        dense.add(sums, quantiles)
    weighted = state.weighted
    counts = dense.weights(0, ONES) if weighted else dense.counts[EVENTS]
    cost, tokens = (totals_or_unknown(*dense.sums(0, _AT[name]), counts) for name in ("cost_usd", "total_tokens"))
    successes = dense.weights(0, SUCCESSES)
    known = dense.weights(0, SUCCESSES, FAILURES)
    kind = np.float64 if weighted else np.int64
    table: dict[str, Any] = {
        "window_end": windows.ends.repeat(len(keys)),
        "event_count": counts,
        **_described("latency_ms", dense.sums(0, _AT["latency_ms"]), dense.quantiles[0]),
        "total_cost_usd": cost,
        "success_count": successes.astype(kind),
        "failure_count": (known - successes).astype(kind),
        "success_rate": ratio(successes, known),
        "total_tokens": whole_totals(tokens, weighted=weighted),
    }
    further = _Further(dense, counts, _seconds(state, windows, len(keys)))
    for one in asked:
        numbers = further.numbers(one)
        table |= numbers if one.own else {name: x for name, x in numbers.items() if name not in table}
    index = pd.Index([0]) if by is None else _index(keys, by)
    result = pd.DataFrame(table, index=index_of(windows.starts, index, by, set(table)))
    result.attrs["quantiles"] = f"relative error <= {BOUND}"
    return result


def _index(keys: Sequence[Any], by: Any) -> pd.Index:
    names = [by] if isinstance(by, str) else list(by)
    if len(names) > 1:
        levels = [[key[level] for key in keys] for level in range(len(names))]
        return pd.MultiIndex.from_arrays(levels, names=names)
    single = [key[0] if isinstance(key, tuple) else key for key in keys]
    one: pd.Index = pd.Index(single, name=names[0])
    return one


def _described(name: str, sums: tuple[np.ndarray, np.ndarray], quantiles: np.ndarray) -> dict[str, np.ndarray]:
    return {f"mean_{name}": ratio(*sums), **{f"{q}_{name}": row for q, row in zip(QUANTILES, quantiles, strict=True)}}


class _Further:
    """Numbers of the further columns, in the order in which their series were added."""

    def __init__(self, dense: _Dense, counts: np.ndarray, seconds: np.ndarray) -> None:
        self._dense, self._counts, self._seconds = dense, counts, seconds
        self._series = self._extremes = 0
        self._quantiles = 1  # the first are those of the latency

    def numbers(self, asked: Asked) -> dict[str, np.ndarray]:
        """Return the columns of the next of `columns`."""
        sums, metric = [], asked.metric
        quantiles = extremes = np.empty(0)
        for series in asked.series:
            sums.append(self._dense.sums(1 + self._series // ROWS, self._series % ROWS))
            self._series += 1
            if series.q:
                quantiles, self._quantiles = self._dense.quantiles[self._quantiles], self._quantiles + 1
            if series.extremes:
                extremes, self._extremes = self._dense.extremes[self._extremes], self._extremes + 1
        if asked.own:
            return _described(asked.name, sums[0], quantiles)
        return {asked.name: self._number(metric, sums, quantiles, extremes)}

    def _number(
        self, metric: Metric, sums: Sequence[tuple[np.ndarray, np.ndarray]], quantiles: np.ndarray, extremes: np.ndarray
    ) -> np.ndarray:
        match metric.kind:
            case "quantile":
                return np.asarray(quantiles[0])
            case "ratio":
                return ratio(sums[0][0], sums[1][0])
            case "min" | "max":
                return np.asarray(extremes[0 if metric.kind == "min" else 1])
            case "total" | "count":
                return totals_or_unknown(*sums[0], self._counts)
            case "per_time":
                return ratio(totals_or_unknown(*sums[0], self._counts) * metric.seconds, self._seconds)
        return ratio(*sums[0])


def _seconds(state: WindowsState, windows: Grid, groups: int) -> np.ndarray:
    """Seconds of each window in which the rows happened, repeated for each group."""
    observed = state.observed()
    if observed is None:
        return np.zeros(len(windows.starts) * groups)
    start, stop = (edges.asi8 for edges in (windows.starts.as_unit("ns"), windows.ends.as_unit("ns")))
    inside = np.minimum(stop, observed[1]) - np.maximum(start, observed[0])
    return np.repeat(np.maximum(inside, 0) / 1e9, groups)


# -- panes to windows --------------------------------------------------------------------------------------------------

_Part = tuple[Sums, list[tuple[np.ndarray, np.ndarray]]]
"""Sums of cells (group, window), and cells and quantiles of each column with quantiles."""


def _parts(state: WindowsState, windows: Grid, edges: np.ndarray) -> Iterator[_Part]:
    """Yield the sums and quantiles of windows, some windows at a time."""
    sums, panes, size = state.sums(), max(len(edges) - 1, 1), len(windows.starts)
    if not len(sums.cells) or (size == panes and bool((edges[:-1] == windows.lower).all())):  # a window is a pane
        yield sums, [kept.quantiles() for kept in state.values]
        return
    first = np.searchsorted(windows.upper, edges[:-1], side="right")  # windows that contain each pane
    stop = np.searchsorted(windows.lower, edges[:-1], side="right")
    work = int((stop - first)[sums.cells % panes].sum()) + sum(kept.entries for kept in state.values)
    count = min(size, -(-work * max(1, int((stop - first).max())) // _CELLS))
    for low, high in zip(cuts := np.linspace(0, size, count + 1).astype(int), cuts[1:], strict=False):
        over = _spreading(np.clip(first, low, high), np.clip(stop, low, high), panes, size)
        index, cells = over(sums.cells)
        if len(cells):
            yield sums.take(index, cells), [kept.spread(over).quantiles() for kept in state.values]


def _spreading(
    first: np.ndarray, stop: np.ndarray, panes: int, windows: int
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a function that gives the cells (group, window) of cells (group, pane), and the index of each."""

    def over(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pane, group = cells % panes, cells // panes
        times = np.maximum(stop[pane] - first[pane], 0)
        index = np.repeat(np.arange(len(cells)), times)
        offset = np.arange(len(index)) - np.repeat(np.cumsum(times) - times, times)
        spread = group[index] * windows + first[pane[index]] + offset
        order = np.argsort(spread, kind="stable")
        return index[order], spread[order]

    return over


class _Dense:
    """Numbers of all windows and groups, groups within windows; those without rows too.

    Args:
        windows: Number of windows.
        place: Place of each group, by its number, in the order of the keys.
    """

    def __init__(self, windows: int, place: np.ndarray) -> None:
        self._windows, self._place = windows, place
        self._parts: list[_Part] = []
        self._cells: list[np.ndarray] = []

    def add(self, sums: Sums, quantiles: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Add some windows."""
        self._parts.append((sums, quantiles))
        self._cells.append(self._at(sums.cells))

    def _at(self, cells: np.ndarray) -> np.ndarray:
        return np.asarray((cells % self._windows) * len(self._place) + self._place[cells // self._windows])

    def _filled(self, parts: Sequence[np.ndarray], empty: Any, kind: Any = np.float64) -> np.ndarray:
        found = np.full(self._windows * len(self._place), empty, kind)
        for at, values in zip(self._cells, parts, strict=True):
            found[at] = values
        return found

    @property
    def counts(self) -> dict[int, np.ndarray]:
        """Numbers of events."""
        return {EVENTS: self._filled([sums.tables[0].counts[EVENTS] for sums, _ in self._parts], 0, np.int64)}

    def weights(self, table: int, *rows: int) -> np.ndarray:
        """Sum of the weights of rows of the counts of a table, rounded once."""
        return self._filled([_weights(sums.tables[table], rows) for sums, _ in self._parts], 0.0)

    def sums(self, table: int, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Sum of a column, and weight of its known values."""
        totals = self._filled([sums.tables[table].totals.values(row) for sums, _ in self._parts], 0.0)
        return totals, self.weights(table, KNOWN + row)

    @property
    def quantiles(self) -> list[np.ndarray]:
        """Quantiles of each column that has some, float64[q, cells]."""
        return [self._rows([found[i] for _, found in self._parts]) for i in range(len(self._parts[0][1]))]

    def _rows(self, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        found = np.full((parts[0][1].shape[0], self._windows * len(self._place)), np.nan)
        for cells, values in parts:
            found[:, self._at(cells)] = values
        return found

    @property
    def extremes(self) -> list[np.ndarray]:
        """Smallest and largest value of each series that has some, float64[2, cells]; NaN without a known value."""
        found = []
        for i in range(len(self._parts[0][0].extremes)):
            rows = [self._filled([sums.extremes[i, j] for sums, _ in self._parts], np.nan) for j in range(2)]
            both = np.stack(rows)
            found.append(np.where(both[0] > both[1], np.nan, both))
        return found


def _weights(table: SumTable, rows: Sequence[int]) -> np.ndarray:
    """Return the sum of the weights of rows of `counts`, float64[cells], rounded once."""
    counts = table.counts[list(rows)].sum(axis=0)
    if table.weights is None:
        return np.asarray(counts, np.float64)
    sums = ExactSum(1, len(table))
    for row in rows:
        sums.merge(
            slice(None), ExactSum.of(table.weights.chunks[row - ONES : row - ONES + 1].copy(), table.weights.low)
        )
    sums.add((0, slice(None)), 0, counts)
    return sums.values(0)
