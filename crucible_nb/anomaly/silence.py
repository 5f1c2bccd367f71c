"""Silence: no event of a name for longer than its own gaps let expect."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.anomaly.block_maxima import update_limit
from crucible_nb.anomaly.groups import positions_by_key
from crucible_nb.anomaly.recursions import MAX_SCORE
from crucible_nb.anomaly.texts import format_seconds
from crucible_nb.events.event_columns import EventColumns

METRIC = "silence"
"""Name of the metric of a silence; its value is the length in seconds."""
LEAST = 5.0
"""No shorter gap is a silence, in seconds."""
LONGEST, TIMES = 2, 4.0
"""A silence is at least 4 times as long as the second longest gap before, so that an outage does not hide the next."""
BLOCK, SURE = 160, 2.0
"""Number of gaps of a block, and how far the limit is above the mean of the log of block maxima; see `block_maxima`."""
NAMES = 100
"""Maximum number of event names whose gaps are learnt."""
_SHORTEST = 1e-3  # shorter gaps count as this long: the resolution of clocks says nothing about traffic
_SECOND = 10**9


class Silence(NamedTuple):
    """A gap without events of a name, while it lasts or after it.

    Attributes:
        event: Name of the events; "" without names.
        since: Time of the newest event before it, active UTC nanoseconds.
        gap: Length so far, seconds.
        score: Length as a multiple of the limit.
        reason: Sentence that explains it.
    """

    event: str
    since: int
    gap: float
    score: float
    reason: str


@dataclass
class Gaps:
    """Gaps between the events of one name, in active time.

    Attributes:
        count: Number of gaps.
        carried: Number of events that had a value of a metric.
        newest: Time of the newest event; of late events the latest so far.
        clocked: Whether the time of the newest event was read from the clock.
        longest: The two longest gaps, seconds, the longest first.
        largest: Longest gap of the running block.
        mean, square, blocks, limit: Of the logarithms of the longest gaps of blocks, see `update_limit`.
    """

    count: int = 0
    carried: int = 0
    newest: int = 0
    clocked: bool = False
    longest: list[float] = field(default_factory=lambda: [0.0] * LONGEST)
    largest: float = _SHORTEST
    mean: float = 0.0
    square: float = 0.0
    blocks: float = 0.0
    limit: float = 0.0
    looked: tuple[int, int] = (0, 0)  # newest event, and the time when `look` saw it first; no part of the state

    def add(
        self, times: np.ndarray, carried: np.ndarray, warm_up: int, factor: float
    ) -> list[tuple[int, float, float, list[float]]]:
        """Learn consecutive events; return the silences among them: event, length, limit, longest gaps before."""
        first = int(not self.carried + self.count)  # before the first event there is no gap
        known = self.carried + np.cumsum(carried) - carried
        self.carried += int(carried.sum())
        seen = np.maximum.accumulate(np.concatenate(([self.newest if not first else times[0]], times[first:])))
        gaps, self.newest = np.diff(seen) / _SECOND, int(seen[-1])
        if not len(gaps):
            return []
        tops = self._learn_longest(gaps)
        starts = [at for at, _ in tops]
        second = np.repeat([top[-1] for _, top in tops], np.diff([*starts, len(gaps)]))
        limits = np.maximum(np.maximum(self._learn_blocks(gaps), TIMES * second), LEAST) * factor
        ready = (self.count + np.arange(len(gaps)) >= warm_up) & (known[first:] >= warm_up)
        self.count += len(gaps)
        return [
            (i + first, float(gaps[i]), float(limits[i]), tops[int(np.searchsorted(starts, i, "right")) - 1][1])
            for i in np.flatnonzero(ready & (gaps >= limits)).tolist()
        ]

    def _learn_longest(self, gaps: np.ndarray) -> list[tuple[int, list[float]]]:
        """Return the longest gaps before each gap, as pairs of the first gap for which they hold, and them."""
        tops = [(0, self.longest)]
        for i in np.flatnonzero(gaps > self.longest[-1]).tolist():
            if gaps[i] > self.longest[-1]:
                self.longest = sorted((*self.longest, float(gaps[i])), reverse=True)[:LONGEST]
                tops.append((i + 1, self.longest))
        return tops[:-1] if tops[-1][0] == len(gaps) else tops

    def _learn_blocks(self, gaps: np.ndarray) -> np.ndarray:
        """Return the limit from the blocks before each gap."""
        edges = [0, *range(BLOCK - self.count % BLOCK, len(gaps), BLOCK), len(gaps)]
        limits, maxima = [], np.maximum.reduceat(gaps, edges[:-1]).tolist()
        for maximum, (_, stop) in zip(maxima, pairwise(edges), strict=True):
            limits.append(self.limit)
            self.largest = max(self.largest, maximum)
            if (self.count + stop) % BLOCK == 0:
                learnt = update_limit(self.largest, self.mean, self.square, self.blocks, SURE)
                self.mean, self.square, self.blocks, self.limit = learnt
                self.largest = _SHORTEST
        return np.repeat(limits, np.diff(edges))

    def look(self, now: int, warm_up: int, factor: float) -> tuple[float, float] | None:
        """Return length and limit of the gap that lasts; None without a past, or if its times are not of now.

        Where the user gives times, the gap lasts since the newest event was first seen here.
        """
        limit = max(self.limit, TIMES * self.longest[-1], LEAST) * factor
        since = self.newest
        if not self.clocked:
            if self.looked[0] != self.newest:
                self.looked = (self.newest, now)
            since = self.looked[1]
            if since - self.newest >= limit * _SECOND:
                return None
        if min(self.count, self.carried) < warm_up:
            return None
        return (now - since) / _SECOND, limit


class Silences:
    """Finds silences of the events that carry a metric of a detector.

    A gap is a silence if it is longer than each of: 5 seconds; 4 times the second longest gap so far; what the longest
    gaps of blocks of 160 gaps let expect. Its first event after `warm_up` gaps and values may end one.

    Args:
        warm_up: Number of gaps, and of values, before a gap is judged.
        factor: Factor of the limits.
    """

    def __init__(self, warm_up: int, factor: float) -> None:
        self.warm_up, self.factor = warm_up, factor
        self._gaps: dict[str, Gaps] = {}

    def judge(self, events: EventColumns, carried: np.ndarray) -> dict[int, Silence]:
        """Learn consecutive events.

        Args:
            events: Events with times, in order of recording.
            carried: Which of them have a value of a metric.

        Returns:
            The silence before each event that ends one.
        """
        found: dict[int, Silence] = {}
        if events.times is None or not len(events):
            return found
        codes, labels = events.labels("event")
        for key, rows in positions_by_key(codes + 1):
            name = str(labels[key - 1]) if key else ""
            if name not in self._gaps and (len(self._gaps) >= NAMES or not carried[rows].any()):
                continue
            gaps = self._gaps.setdefault(name, Gaps())
            first = 0 if gaps.carried else int(np.argmax(carried[rows]))  # nothing is known before the first value
            at, before = rows[first:], gaps.newest
            for i, gap, limit, longest in gaps.add(events.times[at], carried[at], self.warm_up, self.factor):
                since = before if i == 0 else int(events.times[at[:i]].max())
                found[int(at[i])] = _silence(name, since, gap, limit, longest)
            gaps.clocked = events.clocked is not None and bool(events.clocked[at[-1]])
        return found

    def look(self, now: int) -> list[Silence]:
        """Return the silences that last at a moment, in active UTC nanoseconds."""
        found = []
        for name, gaps in self._gaps.items():
            lasting = gaps.look(now, self.warm_up, self.factor)
            if lasting is not None and lasting[0] >= lasting[1]:
                found.append(_silence(name, gaps.newest, *lasting, gaps.longest))
        return found

    def newest(self, event: str) -> int | None:
        """Return the active time of the newest event of a name, None if its gaps are not learnt."""
        return self._gaps[event].newest if event in self._gaps else None

    def to_dict(self) -> list[list[Any]]:
        """Return the state as plain data."""
        return [[name, *astuple(gaps)[:-1]] for name, gaps in self._gaps.items()]

    def load(self, state: list[list[Any]]) -> None:
        """Restore a state of `to_dict`."""
        self._gaps = {str(name): Gaps(*cells) for name, *cells in state}


def _silence(name: str, since: int, gap: float, limit: float, longest: list[float]) -> Silence:
    score = min(gap / limit, MAX_SCORE)
    return Silence(name, since, gap, score, silence_sentence(name, gap, limit, longest))


def silence_sentence(event: str, gap: float, limit: float, longest: list[float]) -> str:
    """Build the reason of a silence.

    Args:
        event: Name of the events.
        gap: Length in seconds.
        limit: Length from which it is a silence.
        longest: The two longest gaps before, the longest first.

    Examples:
        >>> silence_sentence("llm.call", 720.0, 160.0, [40.0, 38.0])
        'no llm.call for 12 min; the longest gap before was 40 s'
        >>> silence_sentence("llm.call", 720.0, 160.0, [600.0, 40.0])
        'no llm.call for 12 min; all gaps before but one were 40 s or less'
    """
    begin = f"no {event or 'event'} for {format_seconds(gap)}"
    if longest[0] < limit:
        return f"{begin}; the longest gap before was {format_seconds(longest[0])}"
    return f"{begin}; all gaps before but one were {format_seconds(longest[1])} or less"
