"""What happened, bin of time by bin of time: what a chart draws, and all that is remembered for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from crucible_nb.accumulators import Quantiles

QUANTILES = np.array((0.5, 0.95, 0.99))
_EXACT = 1024
"""Latencies of a bin that are kept one by one: sorting so few is cheaper than binning them."""
_WEIGHT, _GOOD, _BAD, _COST, _PRICED = range(5)
_LOW, _HIGH = 2, 3  # of what is held of a column: events, sum, least, largest


class Rows(NamedTuple):
    """Events in order of time.

    Attributes:
        time: int64 UTC nanoseconds.
        weight: float64, events that each row stands for.
        success: float64, 1 yes, 0 no, NaN unknown.
        latency: float64 ms, NaN unknown.
        cost: float64 USD, NaN unknown.
        columns: Any other numbers as float64 by name, NaN unknown.
    """

    time: np.ndarray
    weight: np.ndarray
    success: np.ndarray
    latency: np.ndarray
    cost: np.ndarray
    columns: Mapping[str, np.ndarray]


def joined(parts: Sequence[Rows]) -> Iterator[Rows]:
    """Rows of several looks as one; as they came where some of them came late."""
    if len(parts) > 1 and all(one.time[-1] <= two.time[0] for one, two in pairwise(parts)):
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
    """The newest `size` bins; memory does not grow with events.

    Args:
        width: Length of a bin in nanoseconds.
        size: Bins held.
        growing: Whether all of time has to fit in: neighbours are merged and the width doubles, instead of letting
            the oldest bins go.

    Attributes:
        base: Number of the oldest bin held; bin `i` holds the times in [i * width, (i + 1) * width).
        newest: Number of the newest bin, below `base` while there is none.
        dirty: Number of the oldest bin that changed since somebody last set this.

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
        self._places: dict[str, int] = {}  # of columns in `_columns`
        self._columns = np.zeros((4, 0, size))  # what is held, column, bin
        self._sketches: list[Quantiles | None] = [None] * size
        self._quantiles = np.full((size, len(QUANTILES)), np.nan)
        self._stale = np.zeros(size, np.bool_)  # bins whose quantiles nobody asked for since they changed

    def advance(self, time: int) -> None:
        """Time has come this far: bins without events are bins too."""
        number = time // self.width
        if self.newest < self.base:
            self.base = self.dirty = number if self.growing else number - self.size + 1
            self.newest = number
        if number <= self.newest:
            return
        while self.growing and number - self.base >= self.size:
            self._double()
            number = time // self.width
        if number - self.base >= self.size:
            self._shift(number - self.base - self.size + 1)
        self.newest = max(self.newest, number)

    def add(self, rows: Rows) -> None:
        """Take events in; those older than the oldest bin are left out."""
        if not len(rows.time):
            return
        if self.newest < self.base:
            self.advance(int(rows.time[0]))
        if self.growing and rows.time[0] // self.width < self.base:
            self._open(int(rows.time[0]))
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
        self._make_room(rows.columns)
        to = np.ix_(np.array([self._places[name] for name in rows.columns]), at)
        weight, values = rows.weight[first:], np.stack([column[first:] for column in rows.columns.values()])
        known = ~np.isnan(values)
        count, total, low, high = self._columns
        count[to] += np.add.reduceat(weight * known, starts, axis=1)
        total[to] += np.add.reduceat(weight * np.where(known, values, 0.0), starts, axis=1)
        low[to] = np.fmin(low[to], np.fmin.reduceat(values, starts, axis=1))
        high[to] = np.fmax(high[to], np.fmax.reduceat(values, starts, axis=1))

    def _make_room(self, names: Iterable[str]) -> None:
        """A place for each column that was not there before."""
        new = [name for name in names if name not in self._places]
        if new:
            self._places |= {name: len(self._places) + i for i, name in enumerate(new)}
            room = np.zeros((4, len(new), self.size))
            room[_LOW:] = np.nan
            self._columns = np.concatenate((self._columns, room), axis=1)

    def _add_latencies(self, rows: Rows, first: int, starts: np.ndarray, at: np.ndarray) -> None:
        latency, weight = rows.latency[first:], rows.weight[first:]
        if np.isnan(latency).all():
            return
        plain = bool((weight == 1).all())
        edges = [*starts.tolist(), len(latency)]
        for place, start, stop in zip(at.tolist(), edges[:-1], edges[1:], strict=True):
            sketch = self._sketches[place]
            if sketch is None:  # small ones: there are many, and beyond the limit a chart is not more than 1 % exact
                sketch = self._sketches[place] = Quantiles(limit=_EXACT, bits=6)
            sketch.update(latency[start:stop], None if plain else weight[start:stop])
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

    def _double(self) -> None:
        """Merge neighbours: half as many bins, twice as wide."""
        odd, last = self.base % 2, min(self.newest - self.base, self.size - 1)
        pairs = (np.arange(self.size) + odd) // 2
        groups = np.arange(int(pairs[last]) + 1)
        edges = np.searchsorted(pairs[: last + 1], groups)
        for array in (self._sums, self._columns[:_LOW]):
            merged = np.add.reduceat(array[..., : last + 1], edges, axis=-1)
            array[:] = 0
            array[..., : len(groups)] = merged
        for held, fold in ((self._columns[_LOW], np.fmin), (self._columns[_HIGH], np.fmax)):
            merged = fold.reduceat(held[:, : last + 1], edges, axis=1)
            held[:] = np.nan
            held[:, : len(groups)] = merged
        self._merge_sketches(edges.tolist(), last + 1)
        self.base, self.newest, self.width = self.base // 2, self.newest // 2, 2 * self.width
        self.dirty = self.base

    def _merge_sketches(self, edges: list[int], stop: int) -> None:
        merged: list[Quantiles | None] = []
        for start, end in zip(edges, [*edges[1:], stop], strict=True):
            parts = [one for one in self._sketches[start:end] if one is not None]
            merged.append(Quantiles.merge_all(parts) if len(parts) > 1 else parts[0] if parts else None)
        self._sketches = merged + [None] * (self.size - len(merged))
        self._quantiles[:] = np.nan
        self._stale = np.array([one is not None for one in self._sketches])

    def _open(self, time: int) -> None:
        """Make room at the old end, for events that came late."""
        while self.newest - time // self.width >= self.size:
            self._double()
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
        """float64[bins, 3]: p50, p95, p99 of latency (ms) from bin `first` on; NaN where there is none."""
        span = self._span(first)
        for place in (np.flatnonzero(self._stale[span]) + span.start).tolist():
            sketch = self._sketches[place]
            if sketch is not None:
                self._quantiles[place] = sketch.quantile(QUANTILES)
        self._stale[span] = False
        found: np.ndarray = self._quantiles[span]
        return found

    def weight(self, first: int) -> np.ndarray:
        """Events in each bin from `first` on."""
        events: np.ndarray = self._sums[_WEIGHT, self._span(first)]
        return events

    def success(self, first: int) -> np.ndarray:
        """Share of the known outcomes that are good; NaN where none is known."""
        good, bad = self._sums[_GOOD, self._span(first)], self._sums[_BAD, self._span(first)]
        known = good + bad
        share: np.ndarray = np.divide(good, known, out=np.full(len(known), math.nan), where=known > 0)
        return share

    def cost(self, first: int) -> np.ndarray:
        """USD in each bin; NaN everywhere until a cost is known."""
        spent: np.ndarray = self._sums[_COST, self._span(first)]
        return spent if self._sums[_PRICED].any() else np.full(len(spent), math.nan)

    def column(self, name: str, first: int) -> np.ndarray:
        """float64[bins, 3]: mean, least and largest value of a column; NaN where there is none."""
        span = self._span(first)
        if name not in self._places:
            return np.full((len(self._sums[0, span]), 3), math.nan)
        known, total, low, high = self._columns[:, self._places[name], span]
        mean = np.divide(total, known, out=np.full(len(known), math.nan), where=known > 0)
        return np.stack((mean, low, high), axis=1)
