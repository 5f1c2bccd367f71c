"""The thread that keeps the copy up to date: behind the journal, never in its way, and never giving up."""

from __future__ import annotations

import atexit
import os
import random
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.postgres.address import Address
from crucible_nb.store.postgres.changes import Mark, Source, take
from crucible_nb.store.postgres.entries import beat, enter
from crucible_nb.store.postgres.load import MovedError, enter_writer, marks, put
from crucible_nb.store.postgres.tables import ensure
from crucible_nb.utils.runtime import RUNTIME

EVERY = 0.25
"""Seconds between two looks for something new."""

STATE = 1.0
"""Seconds between two states; a state that is dear to make comes 20 times rarer than it costs."""

BEAT = 3.0
"""Seconds between two signs of life."""

MOST = 30.0
"""Seconds between two tries, at most."""

EXIT = 5.0
"""Seconds that the end of the process waits for what is not copied yet."""


class Replicator:
    """Copies one experiment to a database, in a thread of its own, until the experiment has ended and all is there.

    Args:
        address: The database.
        source: The experiment.
        once: Come to an end also when the experiment has not, once all there is was copied.

    Attributes:
        failure: What went wrong last, None while all is well.
        tries: How often a connection was asked for since the last success.
        archived: Events that are in the database.
        reached: Set once the database has answered.
    """

    def __init__(self, address: Address, source: Source, *, once: bool = False) -> None:
        self.address, self.source, self.once = address, source, once
        self.failure: str | None = None
        self.tries = 0
        self.archived = 0
        self.behind = 0
        self._since = time.monotonic()
        self._marks: dict[int, Mark] = {}
        self._said: dict[int, Any] = {}
        self._valid = dict(source.began)
        self._next_state = self._next_beat = 0.0
        self._plain = self._wanted = False
        self._wake, self._caught = threading.Event(), threading.Condition()
        self._owner = os.getpid()
        self._over = self._given_up = False
        self.reached = threading.Event()
        self._begin()

    def _begin(self) -> None:
        COPIERS.add(self)
        threading.Thread(target=self._run, name="crucible-copy", daemon=True).start()

    # -- for people ---------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """How it stands: events there and not yet there, seconds since all were, what went wrong last."""
        behind = self._count()
        seconds = time.monotonic() - self._since if behind else 0.0
        return {"to": repr(self.address), "events": self.archived, "lag_events": behind, "lag_seconds": seconds,
                "failure": self.failure}  # fmt: skip

    def words(self) -> str:
        """The same for a repr."""
        facts = self.facts()
        lag = f", {facts['lag_events']:,} not in {facts['to']}" if facts["lag_events"] else f", all in {facts['to']}"
        return lag + (f" ({facts['failure']})" if facts["failure"] else "")

    def _count(self) -> int:
        """Events that are not there yet."""
        with self.source.lock:
            total = sum(stream.pipeline.seq for stream in self.source.streams())
        return max(0, total - self.archived)

    def wait(self, timeout: float | None) -> bool:
        """Wait until everything there is now is in the database; whether it is."""
        end = None if timeout is None else time.monotonic() + timeout
        with self.source.lock:
            goal = {stream.writer_id: stream.pipeline.seq for stream in self.source.streams()}
        self._wake.set()
        with self._caught:
            self._wanted = True
            while not (there := self._there(goal)) and not self._over:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._caught.wait(left)
            return there

    def _there(self, goal: dict[int, int]) -> bool:
        """Whether readers see so many events of each writer."""
        return all(bool(one in self._said and self._said[one][0] >= seq) for one, seq in goal.items())

    def give_up(self) -> None:
        """Stop trying; what is not there yet stays in the journal."""
        self._over = self._given_up = True
        self._wake.set()
        with self._caught:
            self._caught.notify_all()

    def ended(self) -> None:
        """The experiment has ended, or was archived after: look at once."""
        self._wake.set()
        if self._over and not self._given_up:
            self._over = False
            self._begin()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over:
            try:
                self._connected()
            except Exception as error:  # noqa: BLE001  a database can fail in any way; the next try may do
                self.failure = self.address.reason(error)
                if _is_data(error):
                    self._plain = True
                pause = min(MOST, 0.1 * 2 ** min(self.tries, 16)) * random.uniform(0.5, 1.5)
                self.tries += 1
                del error
                self._rest(pause)
        COPIERS.discard(self)

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._over and (left := end - time.monotonic()) > 0:
            self._wake.wait(min(left, 1.0))
            self._wake.clear()

    def _connected(self) -> None:
        """Copy as long as the connection holds."""
        connection = self.address.connect()
        try:
            ensure(connection)
            enter(connection, self.source, alive=not self.once)
            self._know(connection)
            self.reached.set()
            while not self._over:
                try:
                    moved = self._step(connection)
                except MovedError:
                    self._know(connection)
                    continue
                self.failure, self.tries = None, 0
                if self._finished(connection):
                    return
                if not moved:
                    self._wake.wait(EVERY)
                    self._wake.clear()
        finally:
            connection.close()

    def _know(self, connection: Any) -> None:
        self._marks = marks(connection, self.source.identity)
        self._said.clear()
        self._note()

    def _note(self) -> None:
        with self._caught:
            self.archived = sum(mark.seq for mark in self._marks.values())
            self._caught.notify_all()

    def _step(self, connection: Any) -> bool:
        """Copy what is new; whether anything was."""
        with self.source.lock:
            streams = list(self.source.streams())
        due = self._wanted or time.monotonic() >= self._next_state or not streams[0].lifecycle.alive
        self._wanted = False
        moved = [self._copy(connection, stream, due=due) for stream in streams]
        if due:
            self._next_state = max(self._next_state, time.monotonic() + STATE)
        if time.monotonic() >= self._next_beat or any(moved):
            self._beat(connection)
        if not any(moved):
            self._since = time.monotonic()
            self._note()
        return any(moved)

    def _copy(self, connection: Any, stream: Stream, *, due: bool) -> bool:
        identity, writer = self.source.identity, stream.writer_id
        if writer not in self._marks:
            enter_writer(connection, identity, writer)
            self._marks[writer] = Mark()
        began = time.monotonic()
        with self.source.lock:
            said = _key(stream)
            state = due and said != self._said.get(writer)
            lot = take(self.source, stream, self._marks[writer], with_state=state, valid=self._valid.get(writer))
        if lot is None:
            return False
        if lot.state is not None:
            self._next_state = time.monotonic() + max(STATE, 20 * (time.monotonic() - began))
        for mark in put(connection, identity, writer, self._marks[writer], lot, plain=self._plain):
            self._marks[writer] = mark
            self._note()
        if lot.state is not None:
            self._said[writer] = said
            self._note()
        self._plain = False
        self._valid.pop(writer, None)
        return True

    def _beat(self, connection: Any, *, complete: bool = False) -> None:
        beat(connection, self.source, alive=not self.once, complete=complete)
        self._next_beat = time.monotonic() + BEAT

    def _finished(self, connection: Any) -> bool:
        """Whether the experiment has ended and all of it is there."""
        with self.source.lock:
            streams = self.source.streams()
            alive = streams[0].lifecycle.alive
            if (alive and not self.once) or any(self._behind(stream) for stream in streams):
                return False
        self._beat(connection, complete=not alive)
        with self.source.lock:  # nobody changes anything while this is decided
            if any(self._behind(stream) for stream in self.source.streams()):
                return False
            self._over = True
        self._note()
        return True

    def _behind(self, stream: Stream) -> bool:
        return bool(self._said.get(stream.writer_id) != _key(stream))


def _key(stream: Stream) -> Any:
    """What a state says, as far as it is cheap to know."""
    ledger = stream.ledger
    looks = None if ledger is None else len(ledger.looks)
    told = len(stream.monitor.rules), len(stream.monitor.alerts.history)
    return stream.pipeline.seq, len(stream.lifecycle.changes), looks, id(stream.pipeline.prices), told


def _is_data(error: BaseException) -> bool:
    """Whether PostgreSQL cannot read what came: the JSON is too deep for it, or a number in it too large."""
    return str(getattr(error, "sqlstate", None) or "").startswith(("22", "54"))


COPIERS: weakref.WeakSet[Replicator] = weakref.WeakSet()


def _forget() -> None:
    """In a forked child: the threads and their connections are the parent's."""
    COPIERS.clear()


RUNTIME.in_child(_forget)


@atexit.register
def _at_exit() -> None:
    """Give what is not copied yet a moment; what then is not, is in the journal, and is copied by the next process."""
    end = time.monotonic() + EXIT
    waiting: Sequence[Replicator] = [one for one in COPIERS if one._owner == os.getpid()]
    for copier in waiting:
        if copier.failure is None and not copier.wait(max(0.0, end - time.monotonic())):
            print(f"crucible_nb: {copier.facts()['lag_events']:,} events are not in {copier.address!r} yet")  # noqa: T201
