"""Status of an experiment, its transitions, and its active and paused time."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import LifecycleError
from crucible_nb.events.pauses import without_pauses

Status = Literal["running", "paused", "stopped", "failed", "archived", "dead"]

_ALLOWED: dict[str, dict[str, Status]] = {
    "running": {"pause": "paused", "stop": "stopped", "fail": "failed"},
    "paused": {"resume": "running", "stop": "stopped", "fail": "failed"},
    "stopped": {"archive": "archived"},
    "failed": {"archive": "archived"},
    "archived": {},
}
_ALREADY: dict[str, Status] = {"pause": "paused", "resume": "running"}


class Change(NamedTuple):
    """A transition: its verb, its time in UTC nanoseconds, and the sequence number of the next event."""

    verb: str
    time: int
    seq: int


class Lifecycle:
    """State machine of one experiment; it is given times in UTC nanoseconds and reads no clock.

    Attributes:
        status: Current status.
        started: Time of the start; None while an event clock has seen no event.
        ended: Time at which it stopped or failed; None before.
        changes: All transitions in order.

    Examples:
        >>> life = Lifecycle("demo", started=0)
        >>> life.move("pause", 10, seq=3)
        >>> life.move("resume", 15, seq=3)
        >>> life.active(0, 20)
        15
    """

    def __init__(self, name: str, started: int | None) -> None:
        self.name = name
        self.status: Status = "running"
        self.started = started
        self.ended: int | None = None
        self.changes: list[Change] = []

    def move(self, verb: str, time: int, seq: int) -> None:
        """Make a transition; LifecycleError, with the allowed ones, if it is not allowed."""
        self.check(verb)
        self.status = _ALLOWED[self.status][verb]
        self.changes.append(Change(verb, time, seq))
        if verb in ("stop", "fail"):
            self.ended = time

    def check(self, verb: str) -> None:
        """Raise LifecycleError unless the transition is allowed."""
        if verb not in _ALLOWED[self.status]:
            allowed = ", ".join(name for name in _ALLOWED[self.status] if name != "fail") or "nothing"
            raise LifecycleError(f"cannot {verb} {self.name!r}: its status is {self.status!r} (allowed: {allowed})")

    def is_done(self, verb: str) -> bool:
        """Return whether a transition leads to the status that holds already: the end, a pause, or running.

        Examples:
            >>> Lifecycle("demo", started=0).is_done("resume")
            True
        """
        if verb in ("stop", "fail"):
            return not self.alive
        return verb in _ALREADY and self.status == _ALREADY[verb]

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        changes = [list(change) for change in self.changes]
        return {"status": self.status, "started": self.started, "ended": self.ended, "changes": changes}

    def load(self, state: dict[str, Any]) -> None:
        """Restore the state from `to_dict`."""
        _ALLOWED[state["status"]]  # KeyError if unknown
        self.status = state["status"]
        self.started, self.ended = (None if state[key] is None else int(state[key]) for key in ("started", "ended"))
        self.changes = [Change(str(verb), int(time), int(seq)) for verb, time, seq in state["changes"]]

    def absent(self, since: int, until: int, seq: int) -> None:
        """Add a gap between the end of one process and the resume by another."""
        if until > since:
            self.changes += [Change("die", since, seq), Change("revive", until, seq)]

    @property
    def alive(self) -> bool:
        """Whether the experiment is running or paused."""
        return self.status in ("running", "paused")

    def count(self, verb: str) -> int:
        """Return the number of transitions with this verb."""
        return sum(change.verb == verb for change in self.changes)

    def paused_at(self) -> int | None:
        """Return the start of the current pause in UTC nanoseconds, None if not paused."""
        if self.status != "paused":
            return None
        return next(change.time for change in reversed(self.changes) if change.verb == "pause")

    def pauses(self, now: int) -> list[tuple[int, int]]:
        """Return the spans that were paused or without a process; an open one ends with the experiment, or now."""
        spans, begin, paused = [], None, False
        for change in self.changes:
            paused = change.verb == "pause" or (paused and change.verb in ("die", "revive"))
            if paused or change.verb == "die":
                begin = change.time if begin is None else begin
            elif begin is not None:
                spans.append((begin, change.time))
                begin = None
        return spans if begin is None else [*spans, (begin, max(begin, now))]

    def paused(self, start: int, stop: int) -> int:
        """Return the paused nanoseconds within [start, stop]."""
        return sum(max(0, min(stop, end) - max(start, begin)) for begin, end in self.pauses(stop))

    def active(self, start: int, stop: int) -> int:
        """Return the active nanoseconds within [start, stop]: after the start, before the end, without pauses."""
        if self.started is None:
            return 0
        start = max(start, self.started)
        stop = stop if self.ended is None else min(stop, self.ended)
        return max(0, stop - start) - self.paused(start, stop) if stop > start else 0

    def without_pauses(self, times: np.ndarray) -> np.ndarray:
        """Return times less the paused time before each, UTC nanoseconds, int64[n]; their differences are active time.

        Examples:
            >>> life = Lifecycle("demo", started=0)
            >>> life.move("pause", 10, seq=3)
            >>> life.move("resume", 15, seq=3)
            >>> life.without_pauses(np.array([5, 12, 20])).tolist()
            [5, 10, 15]
        """
        if not self.changes:
            return times
        return without_pauses(times, self.pauses(int(times.max(initial=0))))

    def active_each(self, start: np.ndarray, stop: np.ndarray, began: np.ndarray | None = None) -> np.ndarray:
        """Return the active nanoseconds of many spans, as `active` does for one.

        Args:
            start, stop: Edges of the spans, int64[n].
            began: In event time the first start of an event as known at each span, int64[n]; time from then on to the
                first completion is active.

        Examples:
            >>> life = Lifecycle("demo", started=10)
            >>> life.active_each(np.array([0, 0]), np.array([20, 20]), np.array([4, 12])).tolist()
            [16, 10]
        """
        if self.started is not None:
            first = np.full(len(start), self.started)
        elif began is not None:
            first = began
        else:
            return np.zeros(len(start), np.int64)
        lead = 0 if began is None else np.maximum(0, np.minimum(stop, first) - np.maximum(start, began))
        start = np.maximum(start, first)
        stop = stop if self.ended is None else np.minimum(stop, self.ended)
        active = np.maximum(0, stop - start)
        for begin, end in self.pauses(int(stop.max(initial=0))):
            active -= np.maximum(0, np.minimum(stop, end) - np.maximum(start, begin))
        return np.asarray(lead + active)

    def intervals(self, now: int) -> pd.IntervalIndex:
        """Return the paused spans as an IntervalIndex of UTC times, closed on the left."""
        spans = pd.DataFrame(self.pauses(now), columns=["left", "right"], dtype="int64")
        left, right = (pd.DatetimeIndex(spans[side], dtype="datetime64[ns, UTC]") for side in ("left", "right"))
        return pd.IntervalIndex.from_arrays(left, right, closed="left", name="paused")
