"""The thread that copies an experiment to a database; recording never waits for it, and it retries without end."""

from __future__ import annotations

import atexit
import os
import random
import threading
import time
import weakref
from typing import Any

from crucible_nb.errors import StoreError
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.postgres.address import Address
from crucible_nb.store.postgres.changes import Source, Watermark, changes_since
from crucible_nb.store.postgres.entries import owner, register, update_status
from crucible_nb.store.postgres.load import MovedError, copy_changes, register_writer, watermarks
from crucible_nb.store.postgres.tables import ensure
from crucible_nb.utils.runtime import RUNTIME

POLL_SECONDS = 0.25
"""Seconds between two checks for new events."""

STATE_SECONDS = 1.0
"""Minimum seconds between two states; also at least 20 times the seconds that making one takes."""

HEARTBEAT_SECONDS = 3.0
"""Seconds between two heartbeats."""

_HEALS = ("08", "22", "40", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE that pass, or for which there is another way: connection, data, resources, operator."""

MAX_PAUSE = 30.0
"""Maximum seconds between two attempts to connect."""

EXIT_SECONDS = 5.0
"""Seconds that the end of the process waits for the copy to finish."""


class Replicator:
    """Copies one experiment to a database in its own thread, until the experiment has ended and is copied completely.

    Args:
        address: Address of the database.
        source: The experiment.
        once: Stop when everything recorded so far is copied, even if the experiment has not ended.

    Attributes:
        failure: Reason of the last failure, None if the last attempt succeeded.
        tries: Number of attempts to connect since the last success.
        archived: Number of events in the database.
        reached: Event that is set once the database has answered.
        owner_pid: Id of the process in which the thread runs.
        stopped: Whether the thread has ended or is about to.
    """

    def __init__(self, address: Address, source: Source, *, once: bool = False) -> None:
        self.address, self.source, self.once = address, source, once
        self.failure: str | None = None
        self.tries = 0
        self.archived = 0
        self._complete_at = time.monotonic()
        self._watermarks: dict[int, Watermark] = {}
        self._copied_states: dict[int, Any] = {}
        self._sent_states: dict[int, Any] = {}  # those that the status in the database is of
        self._states_read = self._sent_read = -1.0  # when all of them had been read
        self._valid_until = dict(source.began)
        self._next_state = self._next_status = 0.0
        self._json_as_text = self._state_requested = False
        self._wake, self._progress = threading.Event(), threading.Condition()
        self.owner_pid = os.getpid()
        self.stopped = self._given_up = self._connected = False
        self.reached = threading.Event()
        self._start()

    def _start(self) -> None:
        REPLICATORS.add(self)
        threading.Thread(target=self._run, name="crucible-copy", daemon=True).start()

    # -- progress -----------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Return the progress: copied and pending events, seconds since none was pending, and the last failure."""
        pending = self._count_pending()
        seconds = time.monotonic() - self._complete_at if pending else 0.0
        return {"to": repr(self.address), "events": self.archived, "lag_events": pending, "lag_seconds": seconds,
                "failure": self.failure}  # fmt: skip

    def describe(self) -> str:
        """Return the progress as text for a repr."""
        facts = self.facts()
        lag = f", {facts['lag_events']:,} not in {facts['to']}" if facts["lag_events"] else f", all in {facts['to']}"
        return lag + (f" ({facts['failure']})" if facts["failure"] else "")

    def _count_pending(self) -> int:
        """Return the number of events not yet in the database."""
        with self.source.lock:
            total = sum(stream.pipeline.seq for stream in self.source.streams())
        return max(0, total - self.archived)

    def wait(self, timeout: float | None) -> bool:
        """Wait until everything so far is in the database, the lifecycle too; return whether it is."""
        end = None if timeout is None else time.monotonic() + timeout
        with self.source.lock:
            asked, streams = time.monotonic(), self.source.streams()
            goal = {stream.writer_id: _state_key(stream) for stream in streams}
            ended = not streams[0].lifecycle.alive
        self._wake.set()
        with self._progress:
            self._state_requested = True
            while not (copied := self._has_copied(goal, asked, ended=ended)) and not self.stopped:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._progress.wait(left)
            return copied

    def _has_copied(self, goal: dict[int, Any], asked: float, *, ended: bool) -> bool:
        """Return whether readers see these states or later ones, and the end of an experiment that has ended."""
        if ended and not self.once and (not self.stopped or self._given_up):
            return False
        return all(
            copied.get(writer_id) == key or read >= asked
            for copied, read in ((self._copied_states, self._states_read), (self._sent_states, self._sent_read))
            for writer_id, key in goal.items()
        )

    def give_up(self) -> None:
        """Stop copying; pending events stay in the journal."""
        self.stopped = self._given_up = True
        self._wake.set()
        with self._progress:
            self._progress.notify_all()

    def ended(self) -> None:
        """Copy at once, because the experiment has ended or was archived."""
        self._wake.set()
        if self.stopped and not self._given_up:
            self.stopped = False
            self._start()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self.stopped:
            try:
                self._copy_while_connected()
            except Exception as error:  # noqa: BLE001  a database can fail in any way; the next attempt may succeed
                self.failure = self.address.reason(error)
                self._report_lasting(error)
                if _is_data_error(error):
                    self._json_as_text = True
                pause = min(MAX_PAUSE, 0.1 * 2 ** min(self.tries, 16)) * random.uniform(0.5, 1.5)
                self.tries += 1
                del error
                self._pause(pause)
        REPLICATORS.discard(self)

    def _report_lasting(self, error: Exception) -> None:
        """Warn once of a failure that does not heal by itself: a missing permission, column or version."""
        state = str(getattr(error, "sqlstate", None) or "")
        if self._connected and (state[:2] not in _HEALS if state else isinstance(error, StoreError)):
            sentence = f"nothing is copied to {self.address!r}: {self.failure}; events stay in the journal"
            self.source.streams()[0].problems.report("copy", sentence)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.stopped and (left := end - time.monotonic()) > 0:
            self._wake.wait(min(left, 1.0))
            self._wake.clear()

    def _copy_while_connected(self) -> None:
        """Connect, and copy until the connection breaks or everything is copied."""
        self._connected = False
        connection = self.address.connect()
        self._connected = True
        try:
            ensure(connection)
            self._load_watermarks(connection)
            register(connection, self.source, alive=not self.once)
            self.reached.set()
            while not self.stopped:
                try:
                    moved = self._step(connection)
                except MovedError:
                    self._load_watermarks(connection)
                    continue
                self.failure, self.tries = None, 0
                if self._has_finished(connection):
                    return
                if not moved:
                    self._wake.wait(POLL_SECONDS)
                    self._wake.clear()
        finally:
            connection.close()

    def _load_watermarks(self, connection: Any) -> None:
        """Read how far the copy is.

        Raises:
            StoreError: The rows in the database are of another copy of this journal.
        """
        found = watermarks(connection, self.source.identity)
        with self.source.lock:
            sessions = {stream.writer_id: stream.sessions for stream in self.source.streams()}
        for writer, mark in found.items():
            if mark.session is not None and mark.session not in sessions.get(writer, ()):
                raise StoreError(
                    f"another copy of this journal, continued by {owner(connection, self.source.identity)}, is in it"
                )
        self._watermarks = found
        self._copied_states.clear()
        self._announce()

    def _announce(self) -> None:
        with self._progress:
            self.archived = sum(mark.seq for mark in self._watermarks.values())
            self._progress.notify_all()

    def _step(self, connection: Any) -> bool:
        """Copy the changes of all writers; return whether there were any."""
        with self.source.lock:
            streams = list(self.source.streams())
        due = self._state_requested or time.monotonic() >= self._next_state or not streams[0].lifecycle.alive
        self._state_requested = False
        read = time.monotonic()
        moved = [self._copy(connection, stream, due=due) for stream in streams]
        if due and not any(moved):
            self._states_read = read
        if due:
            self._next_state = max(self._next_state, time.monotonic() + STATE_SECONDS)
        if time.monotonic() >= self._next_status or any(moved):
            self._send_status(connection)
        if not any(moved):
            self._complete_at = time.monotonic()
            self._announce()
        return any(moved)

    def _copy(self, connection: Any, stream: Stream, *, due: bool) -> bool:
        identity, writer = self.source.identity, stream.writer_id
        if writer not in self._watermarks:
            register_writer(connection, identity, writer)
            self._watermarks[writer] = Watermark()
        began = time.monotonic()
        with self.source.lock:
            key = _state_key(stream)
            changes = changes_since(
                self.source, stream, self._watermarks[writer],
                with_state=due and key != self._copied_states.get(writer), valid=self._valid_until.get(writer),
            )  # fmt: skip
        if changes is None:
            return False
        if changes.state is not None:
            self._next_state = time.monotonic() + max(STATE_SECONDS, 20 * (time.monotonic() - began))
        for mark in copy_changes(
            connection, (identity, writer), self._watermarks[writer], changes, plain=self._json_as_text
        ):
            self._watermarks[writer] = mark
            self._announce()
        if changes.state is not None:
            self._copied_states[writer] = key
            self._announce()
        self._json_as_text = False
        self._valid_until.pop(writer, None)
        return True

    def _send_status(self, connection: Any, *, complete: bool = False) -> None:
        with self.source.lock:
            read, streams = time.monotonic(), self.source.streams()
            states = {stream.writer_id: _state_key(stream) for stream in streams}
        update_status(connection, self.source, alive=not self.once, complete=complete)
        self._sent_states, self._sent_read = states, read
        self._next_status = time.monotonic() + HEARTBEAT_SECONDS
        self._announce()

    def _has_finished(self, connection: Any) -> bool:
        """Return whether the experiment has ended and is copied completely; then the thread stops."""
        with self.source.lock:
            streams = self.source.streams()
            alive = streams[0].lifecycle.alive
            if (alive and not self.once) or any(self._is_pending(stream) for stream in streams):
                return False
        self._send_status(connection, complete=not alive)
        with self.source.lock:  # nothing can change while this is decided
            if any(self._is_pending(stream) for stream in self.source.streams()):
                return False
            self.stopped = True
        self._announce()
        return True

    def _is_pending(self, stream: Stream) -> bool:
        return bool(self._copied_states.get(stream.writer_id) != _state_key(stream))


def _state_key(stream: Stream) -> Any:
    """Return values that change whenever the state does, at little cost."""
    ledger = stream.ledger
    looks = None if ledger is None else len(ledger.looks)
    alerts = len(stream.monitor.rules), len(stream.monitor.alerts.history)
    return stream.pipeline.seq, len(stream.lifecycle.changes), looks, id(stream.pipeline.prices), alerts


def _is_data_error(error: BaseException) -> bool:
    """Return whether PostgreSQL could not parse the data: the JSON is too deep, or a number in it too large."""
    return str(getattr(error, "sqlstate", None) or "").startswith(("22", "54"))


REPLICATORS: weakref.WeakSet[Replicator] = weakref.WeakSet()


def _forget() -> None:
    """Drop inherited replicators in a forked child; their threads and connections belong to the parent."""
    REPLICATORS.clear()


RUNTIME.in_child(_forget)


@atexit.register
def _at_exit() -> None:
    """Wait a few seconds for pending events; those still pending are copied from the journal by the next process."""
    end = time.monotonic() + EXIT_SECONDS
    own = [replicator for replicator in REPLICATORS if replicator.owner_pid == os.getpid()]
    for replicator in own:
        left = 0.0 if replicator.failure is not None else max(0.0, end - time.monotonic())
        if replicator.wait(left):
            continue
        pending, why = replicator.facts()["lag_events"], replicator.failure
        missing = f"{pending:,} events are" if pending else "the latest state is"
        print(f"crucible_nb: {missing} not in {replicator.address!r} yet{f': {why}' if why else ''}")  # noqa: T201
