"""Per-bin sums and quantiles over time: the data of the dashboard's charts, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from crucible_nb.accumulators import Quantiles

QUANTILES = np.array((0.5, 0.95, 0.99))
_EXACT_LATENCIES = 1024
"""Latencies of a bin stored exactly: sorting so few is faster than a sketch."""
_WEIGHT, _GOOD, _BAD, _COST, _PRICED = range(5)  # rows of `Bins._sums`
_LOW, _HIGH = 2, 3  # positions in `Bins._columns`: events, sum, minimum, maximum


class Rows(NamedTuple):
    """Events in order of time.

    Attributes:
        time: Times as int64 UTC nanoseconds.
        weight: Sampling weight of each row, float64.
        success: Outcome as float64: 1 success, 0 failure, NaN unknown.
        latency: Latency in ms as float64, NaN unknown.
        cost: Cost in USD as float64, NaN unknown.
        columns: Other numeric columns as float64 by name, NaN unknown.
    """

    time: np.ndarray
    weight: np.ndarray
    success: np.ndarray
    latency: np.ndarray
    cost: np.ndarray
    columns: Mapping[str, np.ndarray]


def join_rows(parts: Sequence[Rows]) -> Iterator[Rows]:
    """Concatenate several chunks of rows; yield them one by one if some rows arrived late."""
    if len(parts) > 1 and all(part.time[-1] <= following.time[0] for part, following in pairwise(parts)):
        names = dict.fromkeys(name for part in parts for name in part.columns)
        gaps = [np.full(len(part.time), math.nan) for part in parts]
        columns = {
            name: np.concatenate([part.columns.get(name, gap) for part, gap in zip(parts, gaps, strict=True)])
            for name in names
        }
        time, weight, success, latency, cost = map(np.concatenate, list(zip(*parts, strict=True))[:-1])
        yield Rows(time, weight, success, latency, cost, columns)
    else:
        yield from parts


class Bins:
    """The newest `size` bins; memory does not grow with the number of events.

    Args:
        width: Length of a bin in nanoseconds.
        size: Maximum number of bins.
        growing: Keep the whole time span: merge neighbouring bins and double the width instead of dropping the
            oldest bins.

    Attributes:
        base: Number of the oldest bin; bin `i` holds the times in [i * width, (i + 1) * width).
        newest: Number of the newest bin, below `base` while there is none.
        dirty: Number of the oldest bin changed since this was last set by the caller.

    Examples:
        >>> bins, second = Bins(width=10**9, size=4), 10**9
        >>> nothing = np.full(2, np.nan)
        >>> bins.add(Rows(np.array([0, second]), np.ones(2), nothing, np.array([5.0, 7.0]), nothing, {}))
        >>> bins.quantiles(bins.oldest)[:, 0].tolist()
        [5.0, 7.0]
    """

    def __init__(self, width: int, size: int, *, growing: bool = False) -> None:
        self.width, self.size, self.growing = width, size, growing
        self.base, self.newest = 0, -1
        self.dirty = 0
        self._sums = np.zeros((5, size))
        self._column_index: dict[str, int] = {}  # name: position in `_columns`
        self._columns = np.zeros((4, 0, size))  # [events | sum | minimum | maximum, column, bin]
        self._sketches: list[Quantiles | None] = [None] * size
        self._quantiles = np.full((size, len(QUANTILES)), np.nan)
        self._stale = np.zeros(size, np.bool_)  # bins that changed since their quantiles were computed

    def advance(self, time: int) -> None:
        """Add bins up to `time` (UTC nanoseconds), also without events."""
        number = time // self.width
        if self.newest < self.base:
            self.base = self.dirty = number if self.growing else number - self.size + 1
            self.newest = number
        if number <= self.newest:
            return
        while self.growing and number - self.base >= self.size:
            self.double_width()
            number = time // self.width
        if number - self.base >= self.size:
            self._shift(number - self.base - self.size + 1)
        self.newest = max(self.newest, number)

    def add(self, rows: Rows) -> None:
        """Add events; rows older than the oldest bin are left out."""
        if not len(rows.time):
            return
        if self.newest < self.base:
            self.advance(int(rows.time[0]))
        if self.growing and rows.time[0] // self.width < self.base:
            self._extend_back(int(rows.time[0]))
        self.advance(int(rows.time[-1]))
        first = int(np.searchsorted(rows.time, self.base * self.width))
        if first == len(rows.time):
            return
        number = rows.time[first:] // self.width
        starts = np.concatenate(([0], np.flatnonzero(np.diff(number)) + 1))
        at = number[starts] - self.base
        self.dirty = min(self.dirty, int(number[0]))
        self._add_sums(rows, first, starts, at)
        self._add_columns(rows, first, starts, at)
        self._add_latencies(rows, first, starts, at)

    def _add_sums(self, rows: Rows, first: int, starts: np.ndarray, at: np.ndarray) -> None:
        weight, success, cost = rows.weight[first:], rows.success[first:], rows.cost[first:]
        priced = ~np.isnan(cost)
        parts = (weight, weight * (success == 1), weight * (success == 0), weight * np.where(priced, cost, 0.0),
                 weight * priced)  # fmt: skip
        self._sums[:, at] += np.add.reduceat(np.stack(parts), starts, axis=1)

    def _add_columns(self, rows: Rows, first: int, starts: np.ndarray, at: np.ndarray) -> None:
        if not rows.columns:
            return
        self._add_missing_columns(rows.columns)
        to = np.ix_(np.array([self._column_index[name] for name in rows.columns]), at)
        weight, values = rows.weight[first:], np.stack([column[first:] for column in rows.columns.values()])
        known = ~np.isnan(values)
        count, total, low, high = self._columns
        count[to] += np.add.reduceat(weight * known, starts, axis=1)
        total[to] += np.add.reduceat(weight * np.where(known, values, 0.0), starts, axis=1)
        low[to] = np.fmin(low[to], np.fmin.reduceat(values, starts, axis=1))
        high[to] = np.fmax(high[to], np.fmax.reduceat(values, starts, axis=1))

    def _add_missing_columns(self, names: Iterable[str]) -> None:
        """Allocate storage for each new column."""
        new = [name for name in names if name not in self._column_index]
        if new:
            self._column_index |= {name: len(self._column_index) + i for i, name in enumerate(new)}
            added = np.zeros((4, len(new), self.size))
            added[_LOW:] = np.nan
            self._columns = np.concatenate((self._columns, added), axis=1)

    def _add_latencies(self, rows: Rows, first: int, starts: np.ndarray, at: np.ndarray) -> None:
        latency, weight = rows.latency[first:], rows.weight[first:]
        if np.isnan(latency).all():
            return
        unweighted = bool((weight == 1).all())
        edges = [*starts.tolist(), len(latency)]
        for i, start, stop in zip(at.tolist(), edges[:-1], edges[1:], strict=True):
            sketch = self._sketches[i]
            if sketch is None:  # small sketches, since there are many: an error up to 1 % does not show in a chart
                sketch = self._sketches[i] = Quantiles(limit=_EXACT_LATENCIES, bits=6)
            sketch.update(latency[start:stop], None if unweighted else weight[start:stop])
        self._stale[at] = True

    def _shift(self, by: int) -> None:
        keep = max(self.size - by, 0)
        for array in (self._sums, self._columns):
            array[..., :keep] = array[..., self.size - keep :].copy()
            array[..., keep:] = 0
        self._columns[_LOW:, :, keep:] = np.nan
        self._quantiles[:keep] = self._quantiles[self.size - keep :].copy()
        self._quantiles[keep:] = np.nan
        self._stale = np.concatenate((self._stale[self.size - keep :], np.zeros(self.size - keep, np.bool_)))
        self._sketches = self._sketches[self.size - keep :] + [None] * (self.size - keep)
        self.base += by
        self.dirty = max(self.dirty, self.base)

    def double_width(self) -> None:
        """Merge neighbouring bins: half as many, twice as wide."""
        odd, last = self.base % 2, min(self.newest - self.base, self.size - 1)
        pairs = (np.arange(self.size) + odd) // 2
        groups = np.arange(int(pairs[last]) + 1)
        edges = np.searchsorted(pairs[: last + 1], groups)
        for array in (self._sums, self._columns[:_LOW]):
            merged = np.add.reduceat(array[..., : last + 1], edges, axis=-1)
            array[:] = 0
            array[..., : len(groups)] = merged
        for extremes, reduce in ((self._columns[_LOW], np.fmin), (self._columns[_HIGH], np.fmax)):
            merged = reduce.reduceat(extremes[:, : last + 1], edges, axis=1)
            extremes[:] = np.nan
            extremes[:, : len(groups)] = merged
        self._merge_sketches(edges.tolist(), last + 1)
        self.base, self.newest, self.width = self.base // 2, self.newest // 2, 2 * self.width
        self.dirty = self.base

    def _merge_sketches(self, edges: list[int], stop: int) -> None:
        merged: list[Quantiles | None] = []
        for start, end in zip(edges, [*edges[1:], stop], strict=True):
            parts = [sketch for sketch in self._sketches[start:end] if sketch is not None]
            merged.append(Quantiles.merge_all(parts) if len(parts) > 1 else parts[0] if parts else None)
        self._sketches = merged + [None] * (self.size - len(merged))
        self._quantiles[:] = np.nan
        self._stale = np.array([sketch is not None for sketch in self._sketches])

    def _extend_back(self, time: int) -> None:
        """Add bins before the oldest one, for events that arrived late."""
        while self.newest - time // self.width >= self.size:
            self.double_width()
        by = self.base - time // self.width
        if by > 0:
            for array in (self._sums, self._columns):
                array[:] = np.roll(array, by, axis=-1)
            self._quantiles, self._stale = np.roll(self._quantiles, by, axis=0), np.roll(self._stale, by)
            self._sketches = self._sketches[-by:] + self._sketches[:-by]
            self.base -= by
            self.dirty = self.base

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def oldest(self) -> int:
        """Number of the oldest bin that has events."""
        filled = np.flatnonzero(self._sums[_WEIGHT])
        return self.base + int(filled[0]) if len(filled) else max(self.newest, self.base)

    def _span(self, first: int) -> slice:
        return slice(max(first - self.base, 0), max(self.newest - self.base + 1, 0))

    def quantiles(self, first: int) -> np.ndarray:
        """float64[bins, 3]: p50, p95, p99 of latency (ms) from bin `first` on; NaN without latencies."""
        span = self._span(first)
        for i in (np.flatnonzero(self._stale[span]) + span.start).tolist():
            sketch = self._sketches[i]
            if sketch is not None:
                self._quantiles[i] = sketch.quantile(QUANTILES)
        self._stale[span] = False
        quantiles: np.ndarray = self._quantiles[span]
        return quantiles

    def weight(self, first: int) -> np.ndarray:
        """Return the (weighted) number of events in each bin from `first` on."""
        events: np.ndarray = self._sums[_WEIGHT, self._span(first)]
        return events

    def success(self, first: int) -> np.ndarray:
        """Return the success rate of each bin from `first` on; NaN where no outcome is known."""
        good, bad = self._sums[_GOOD, self._span(first)], self._sums[_BAD, self._span(first)]
        known = good + bad
        rate: np.ndarray = np.divide(good, known, out=np.full(len(known), math.nan), where=known > 0)
        return rate

    def cost(self, first: int) -> np.ndarray:
        """Return the USD spent in each bin from `first` on; NaN everywhere until a cost is known."""
        spent: np.ndarray = self._sums[_COST, self._span(first)]
        return spent if self._sums[_PRICED].any() else np.full(len(spent), math.nan)

    def column(self, name: str, first: int) -> np.ndarray:
        """float64[bins, 3]: mean, minimum and maximum of a column from bin `first` on; NaN without values."""
        span = self._span(first)
        if name not in self._column_index:
            return np.full((len(self._sums[0, span]), 3), math.nan)
        known, total, low, high = self._columns[:, self._column_index[name], span]
        mean = np.divide(total, known, out=np.full(len(known), math.nan), where=known > 0)
        return np.stack((mean, low, high), axis=1)
