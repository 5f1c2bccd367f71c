"""Largest values and counts of errors over a sliding window, in bounded memory: lists per bucket of time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

TOP = 6
"""Rows shown of a list, and kept of each bucket."""


class Level(NamedTuple):
    """A width of buckets in nanoseconds, and how many of them are kept; None keeps all in one."""

    width: int
    size: int | None


_SECOND = 10**9
LEVELS = {"second": Level(_SECOND, 301), "minute": Level(20 * _SECOND, 181), "all": Level(1, None)}
"""Buckets by the names of the bins in `wire.WINDOWS`."""

Entry = tuple[float, int, int, int]
"""Value, time in UTC nanoseconds, writer and sequence number of a row."""


class TopRows:
    """The largest values of a column, exact over the buckets that a window touches.

    Examples:
        >>> top = TopRows("second")
        >>> top.add(np.array([0, 1, 2]), np.array([5.0, np.nan, 7.0]), 0, np.arange(3))
        >>> [entry[0] for entry in top.largest(0, 10)]
        [7.0, 5.0]
    """

    def __init__(self, level: str) -> None:
        self.level = LEVELS[level]
        self._buckets: dict[int, list[Entry]] = {}

    def add(self, time: np.ndarray, values: np.ndarray, writer: int, seq: np.ndarray) -> None:
        """Add rows in order of time.

        Args:
            time: UTC nanoseconds, int64[n].
            values: float64[n]; NaN is left out.
            writer: Writer of the rows.
            seq: Sequence numbers, int64[n].
        """
        for bucket, start, stop in _parts(time, self.level):
            part = values[start:stop]
            known = np.flatnonzero(~np.isnan(part))
            if len(known) > TOP:
                known = known[np.argpartition(part[known], -TOP)[-TOP:]]
            if len(known):
                at = known + start
                rows = zip(values[at].tolist(), time[at].tolist(), [writer] * len(at), seq[at].tolist(), strict=True)
                self._buckets[bucket] = heapq.nlargest(TOP, [*self._buckets.get(bucket, ()), *rows], _rank)
        _forget(self._buckets, self.level)

    def largest(self, start: int, stop: int) -> list[Entry]:
        """Return the rows with the largest values whose bucket is in [start, stop), in UTC nanoseconds."""
        lists = (rows for bucket, rows in self._buckets.items() if _inside(bucket, self.level, start, stop))
        return heapq.nlargest(TOP, (row for rows in lists for row in rows), _rank)


def _rank(entry: Entry) -> tuple[float, int, int]:
    """Rank by value; of equal ones the oldest comes first, so that a list stays as it is."""
    value, time, _, seq = entry
    return value, -time, -seq


class ErrorCounts:
    """Weighted counts of the classes of errors, by bucket.

    Examples:
        >>> counts = ErrorCounts("all")
        >>> counts.add(np.array([0, 1]), ["TimeoutError", "TimeoutError"], np.array([1.0, 2.0]))
        >>> counts.total(0, 10)
        Counter({'TimeoutError': 3.0})
    """

    def __init__(self, level: str) -> None:
        self.level = LEVELS[level]
        self._buckets: dict[int, Counter[str]] = {}

    def add(self, time: np.ndarray, classes: list[str], weight: np.ndarray) -> None:
        """Add rows with an error, in order of time."""
        for bucket, start, stop in _parts(time, self.level):
            counts = self._buckets.setdefault(bucket, Counter())
            for name, one in zip(classes[start:stop], weight[start:stop].tolist(), strict=True):
                counts[name] += one
        _forget(self._buckets, self.level)

    def total(self, start: int, stop: int) -> Counter[str]:
        """Return the counts of the buckets in [start, stop), in UTC nanoseconds."""
        found: Counter[str] = Counter()
        for bucket, counts in self._buckets.items():
            if _inside(bucket, self.level, start, stop):
                found.update(counts)
        return found


def _parts(time: np.ndarray, level: Level) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and stop of the rows of each bucket that is kept."""
    if not len(time):
        return
    if level.size is None:
        yield 0, 0, len(time)
        return
    first = int(np.searchsorted(time, (int(time[-1]) // level.width - level.size + 1) * level.width))
    numbers = time[first:] // level.width
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, stop in pairwise(edges):
        yield int(numbers[start]), first + start, first + stop


def _forget(buckets: dict[int, Any], level: Level) -> None:
    if level.size is not None and len(buckets) > level.size:
        for old in sorted(buckets)[: len(buckets) - level.size]:
            del buckets[old]


def _inside(bucket: int, level: Level, start: int, stop: int) -> bool:
    return level.size is None or start // level.width <= bucket <= stop // level.width
