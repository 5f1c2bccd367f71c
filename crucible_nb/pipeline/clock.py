"""Clocks of an experiment, whose times never decrease."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from crucible_nb.utils.checks import wrong
from crucible_nb.utils.interrupts import let_pass

JUMP = 1_000_000_000
"""A clock that steps back by more than this many nanoseconds was set back; by less, threads raced."""

_BEYOND = 2**63


def checked_clock(clock: Callable[[], int]) -> Callable[[], int]:
    """Wrap a user's clock, so that a reading that is no time raises ConfigError before it is written or staged.

    Examples:
        >>> checked_clock(lambda: 5)()
        5
        >>> checked_clock(lambda: 0.5)()
        Traceback (most recent call last):
        crucible_nb.errors.ConfigError: clock()=0.5: expected UTC nanoseconds as an int of 64 bits
    """

    def read() -> int:
        time: Any = clock()
        if type(time) is not int and isinstance(time, np.integer):
            time = int(time)
        if type(time) is not int or not -_BEYOND < time < _BEYOND:
            raise wrong("clock()", time, "UTC nanoseconds as an int of 64 bits")
        return int(time)

    return read


class SteadyClock:
    """A clock whose readings are made non-decreasing, in recording order.

    After a small step back, the latest time is returned. A large step back means that the clock was set back (NTP, a
    user): later readings are shifted, so that time continues from the latest one at the right speed. A reading that
    has reached the latest time is true again, and ends the shift: a correction leaves no later times in the future.

    Args:
        read: Callable that returns UTC nanoseconds since 1970.

    Attributes:
        last: Latest steady time in UTC nanoseconds, None before the first.
        shift: Nanoseconds added to each reading because the clock was set back.

    Examples:
        >>> steady = SteadyClock(lambda: 0)
        >>> steady.steady_times(np.array([10, 20, 19, 30])).tolist()
        [10, 20, 20, 30]
        >>> steady.steady_times(np.array([30 - 10**10, 35 - 10**10, 60])).tolist()
        [30, 35, 60]
    """

    def __init__(self, read: Callable[[], int] = time.time_ns) -> None:
        self.read = read
        self.last: int | None = None
        self.shift = 0

    def steady_times(self, raw: np.ndarray) -> np.ndarray:
        """Return the steady times of raw readings (int64); cutting the readings into blocks changes nothing."""
        if not len(raw):
            return raw
        if self.last is None:
            self.last = int(raw[0])
        times = raw + self.shift
        if times[0] >= self.last and (times[1:] >= times[:-1]).all():
            ended = bool(self.shift) and bool(raw[0] >= self.last or (raw[1:] >= times[:-1]).any())
            if not ended:
                self.last = int(times[-1])
                return times
        return self._steady_slowly(raw, times)

    def _steady_slowly(self, raw: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Make shifted readings steady, from one change of the shift to the next."""
        begin = 0
        while begin < len(raw):
            assert self.last is not None
            latest = np.maximum(np.maximum.accumulate(times[begin:]), self.last)
            before = np.concatenate(([self.last], latest[:-1]))
            change = latest - times[begin:] > JUMP
            if self.shift:
                change |= raw[begin:] >= before
            places = np.flatnonzero(change)
            stop = begin + int(places[0]) if len(places) else len(raw)
            times[begin:stop] = latest[: stop - begin]
            if stop > begin:
                self.last = int(times[stop - 1])
            if stop < len(raw):
                # not yet as late as the latest time: continue from there; else the reading is true again
                self.shift = max(0, self.last - int(raw[stop]))
                times[stop:] = raw[stop:] + self.shift
            begin = stop
        return times

    def event_times(self, times: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        """Return the times of consecutive events: clock readings made steady, times given by the user unchanged."""
        if given is None:
            return self.steady_times(times)
        if not given.all():
            clocked = ~given
            times[clocked] = self.steady_times(times[clocked])
        return times

    def now(self, reading: int | None = None) -> int:
        """Return the steady time of a reading; no later time will be before it."""
        reading = self.reading() if reading is None else reading
        return int(self.steady_times(np.array([reading], np.int64))[0])

    def take_undated(self) -> int:
        """Return the number of events for whose time there was nothing to go by, once it is known that this matters."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {"last": self.last, "shift": self.shift}

    def load(self, state: dict[str, Any]) -> None:
        """Restore the state from `to_dict`."""
        self.last, self.shift = state["last"], state["shift"]

    def reading(self) -> int:
        """Read the clock; if the user's clock raises, return the last reading.

        Events are then rejected and counted; reading and stopping still work.
        """
        try:
            return int(self.read())
        except Exception as error:  # noqa: BLE001
            let_pass(error)
            return 0 if self.last is None else self.last - self.shift

    def peek(self) -> int:
        """Return what `now` would return, without changing the state."""
        reading = self.reading()
        if self.last is None or reading >= self.last:
            return reading
        return max(reading + self.shift, self.last)


class EventClock(SteadyClock):
    """A clock whose time is the newest event time, for replays and imports.

    Examples:
        >>> clock = EventClock()
        >>> clock.advance(5)
        >>> clock.now()
        5
    """

    def __init__(self) -> None:
        super().__init__(self._newest)
        self.newest: int | None = None
        self._undated = 0  # events without a time before the first that has one: they are at 1970-01-01

    def _newest(self) -> int:
        return 0 if self.newest is None else self.newest

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {**super().to_dict(), "newest": self.newest, "undated": self._undated}

    def load(self, state: dict[str, Any]) -> None:
        """Restore the state from `to_dict`."""
        super().load(state)
        self.newest = state["newest"]
        self._undated = state.get("undated", 0)  # v0.1 had none

    def advance(self, time: int) -> None:
        """Advance to the time of an event, if it is newer."""
        if self.newest is None or time > self.newest:
            self.newest = time

    def event_times(self, times: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        """Return the times of consecutive events; an event without one gets the newest earlier event time."""
        if given is not None and given.all():
            self.advance(int(times.max()))
            return times
        known = np.zeros(len(times), np.bool_) if given is None else given
        newest = np.maximum.accumulate(np.where(known, times, self._newest()))
        self._undated += 0 if self.newest else int(np.count_nonzero(~known & (newest == 0)))
        self.advance(int(newest[-1]))
        return np.where(known, times, newest)

    def take_undated(self) -> int:
        """Return the number of events without a time before the first that has one, once there is such a one."""
        if not self.newest:
            return 0
        count, self._undated = self._undated, 0
        return count
