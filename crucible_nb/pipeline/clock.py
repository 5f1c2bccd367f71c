"""Time that never runs backwards within an experiment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

JUMP = 1_000_000_000
"""A clock that falls back by more than this many nanoseconds was set back; by less, threads raced."""


class SteadyClock:
    """Readings made non-decreasing, in order of recording.

    A small step back is held at the latest time. After a large one the clock was set back (NTP, a user): its
    readings are shifted so that time goes on from where it was, at the right speed.

    Args:
        read: Gives UTC nanoseconds since 1970.

    Examples:
        >>> steady = SteadyClock(lambda: 0)
        >>> steady.many(np.array([10, 20, 19, 30])).tolist()
        [10, 20, 20, 30]
        >>> steady.many(np.array([30 - 10**10, 35 - 10**10])).tolist()
        [30, 35]
    """

    def __init__(self, read: Callable[[], int] = time.time_ns) -> None:
        self.read = read
        self.last: int | None = None
        self.shift = 0

    def many(self, raw: np.ndarray) -> np.ndarray:
        """Steady times of raw readings (int64), whatever blocks they come in."""
        if not len(raw):
            return raw
        if self.last is None:
            self.last = int(raw[0])
        times = raw + self.shift
        if times[0] >= self.last and (times[1:] >= times[:-1]).all():
            self.last = int(times[-1])
            return times
        begin = 0
        while True:
            latest = np.maximum(np.maximum.accumulate(times[begin:]), self.last)
            back = np.flatnonzero(latest - times[begin:] > JUMP)
            if not len(back):
                times[begin:] = latest
                self.last = int(latest[-1])
                return times
            jump = int(back[0])
            if jump:
                self.last = int(latest[jump - 1])
                times[begin : begin + jump] = latest[:jump]
            begin += jump
            step = self.last - int(times[begin])
            self.shift += step
            times[begin:] += step

    def settle(self, times: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        """Times of consecutive events: readings steadied, those that the caller gave left as they are."""
        if given is None:
            return self.many(times)
        if not given.all():
            clocked = ~given
            times[clocked] = self.many(times[clocked])
        return times

    def now(self, reading: int | None = None) -> int:
        """A steady reading that counts: no later time will be before it."""
        reading = self.reading() if reading is None else reading
        return int(self.many(np.array([reading], np.int64))[0])

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"last": self.last, "shift": self.shift}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self.last, self.shift = state["last"], state["shift"]

    def reading(self) -> int:
        """A clock that fails stands still: events are refused and counted, looking and stopping go on."""
        try:
            return int(self.read())
        except Exception:  # noqa: BLE001
            return 0 if self.last is None else self.last - self.shift

    def peek(self) -> int:
        """What `now` would say, without moving anything."""
        time = self.reading() + self.shift
        return time if self.last is None or time > self.last else self.last


class EventClock(SteadyClock):
    """Now is the newest event time: replays and imports live in the time of their data.

    Examples:
        >>> clock = EventClock()
        >>> clock.saw(5)
        >>> clock.now()
        5
    """

    def __init__(self) -> None:
        super().__init__(self._newest)
        self.newest: int | None = None

    def _newest(self) -> int:
        return 0 if self.newest is None else self.newest

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {**super().to_dict(), "newest": self.newest}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        super().load(state)
        self.newest = state["newest"]

    def saw(self, time: int) -> None:
        """An event happened at `time`."""
        if self.newest is None or time > self.newest:
            self.newest = time

    def settle(self, times: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        """An event without a time happened when the newest one before it did."""
        if given is not None and given.all():
            self.saw(int(times.max()))
            return times
        known = np.zeros(len(times), np.bool_) if given is None else given
        newest = np.maximum.accumulate(np.where(known, times, self._newest()))
        self.saw(int(newest[-1]))
        return np.where(known, times, newest)
