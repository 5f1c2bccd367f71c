"""Status, its transitions, and the time that counts: active, not paused."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pandas as pd

from crucible_nb.errors import LifecycleError

Status = Literal["running", "paused", "stopped", "failed", "archived", "dead"]

_ALLOWED: dict[str, dict[str, Status]] = {
    "running": {"pause": "paused", "stop": "stopped", "fail": "failed"},
    "paused": {"resume": "running", "stop": "stopped", "fail": "failed"},
    "stopped": {"archive": "archived"},
    "failed": {"archive": "archived"},
    "archived": {},
}


class Change(NamedTuple):
    """A transition: what happened, when, and before which event."""

    verb: str
    time: int
    seq: int


class Lifecycle:
    """The state machine of one experiment; times are UTC nanoseconds that somebody else read.

    Attributes:
        status: Where it stands.
        started: When it began; None while an event clock has seen no event.
        ended: When it stopped or failed.
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
        """Make a transition, or raise LifecycleError that says which are allowed."""
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

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        changes = [list(change) for change in self.changes]
        return {"status": self.status, "started": self.started, "ended": self.ended, "changes": changes}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        _ALLOWED[state["status"]]  # KeyError for one that there is not
        self.status = state["status"]
        self.started, self.ended = (None if state[key] is None else int(state[key]) for key in ("started", "ended"))
        self.changes = [Change(str(verb), int(time), int(seq)) for verb, time, seq in state["changes"]]

    def absent(self, since: int, until: int, seq: int) -> None:
        """Nobody was there between two moments: the process had died and another took over."""
        if until > since:
            self.changes += [Change("die", since, seq), Change("revive", until, seq)]

    @property
    def alive(self) -> bool:
        """Running or paused."""
        return self.status in ("running", "paused")

    def count(self, verb: str) -> int:
        """How often a transition happened."""
        return sum(change.verb == verb for change in self.changes)

    def paused_at(self) -> int | None:
        """Since when it is paused, None when it is not."""
        if self.status != "paused":
            return None
        return next(change.time for change in reversed(self.changes) if change.verb == "pause")

    def pauses(self, now: int) -> list[tuple[int, int]]:
        """Paused spans; one that is still open, or was when it ended, closes there. Nor does a dead process count."""
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
        """Nanoseconds of [start, stop] that were paused."""
        return sum(max(0, min(stop, end) - max(start, begin)) for begin, end in self.pauses(stop))

    def active(self, start: int, stop: int) -> int:
        """Nanoseconds of [start, stop] that count: from the start to the end, pauses left out."""
        if self.started is None:
            return 0
        start = max(start, self.started)
        stop = stop if self.ended is None else min(stop, self.ended)
        return max(0, stop - start) - self.paused(start, stop) if stop > start else 0

    def intervals(self, now: int) -> pd.IntervalIndex:
        """Paused spans as an IntervalIndex of UTC times, closed left."""
        spans = pd.DataFrame(self.pauses(now), columns=["left", "right"], dtype="int64")
        left, right = (pd.DatetimeIndex(spans[side], dtype="datetime64[ns, UTC]") for side in ("left", "right"))
        return pd.IntervalIndex.from_arrays(left, right, closed="left", name="paused")
