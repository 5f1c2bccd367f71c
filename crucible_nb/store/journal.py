"""The journal: one file, one process, one write call an event, and never a line behind a torn one."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from crucible_nb.errors import StoreError
from crucible_nb.store import syscalls
from crucible_nb.store.lines import encode_line, frame_line
from crucible_nb.store.redaction import Redaction
from crucible_nb.store.row_codec import body_of
from crucible_nb.utils.problems import Problems

Durability = Literal["os", "disk", "memory"]
DURABILITIES = ("os", "disk", "memory")


class Journal:
    """Appends lines to a file of its own.

    A line is acknowledged when its one write call took all of it. What was taken in part, or failed, is cut off again
    before anything else is written; events are refused and counted until that works. So a full disk loses what it
    refused and nothing else, and a journal that can be written again goes on by itself.

    It is open between `begin` and `close`.

    Args:
        notes: Where trouble is counted.
        durability: "os": with the system when `put` returns, which survives the death of the process; "disk": synced;
            "memory": kept here until `sync`.

    Attributes:
        lock: Held while a line is numbered, written and staged, so that the order of lines is the order of events.
        seq: Number of the next event.
        refused: Events that could not be written.
        failure: Why, while that is so.
    """

    def __init__(self, problems: Problems, durability: Durability = "os") -> None:
        self.problems, self.durability = problems, durability
        self.lock = threading.RLock()
        self.path = Path()
        self.seq = self.first = 0
        self.refused = 0
        self.failure: str | None = None
        self.size = self.synced = 0
        self._torn = False
        self._waiting: list[bytes] = []
        self._owed: list[bytes] = []
        self._ended: list[int] = []  # files that were turned away from, until they are synced
        self.handle: int | None = None

    def _open(self, path: Path, first: bytes) -> None:
        now = syscalls.system()
        handle = now.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            syscalls.write_all(handle, first)
            now.sync_folder(path.parent)
        except BaseException:
            now.close(handle)
            with suppress(OSError):
                path.unlink()
            raise
        self.path, self.handle, self.size, self.synced, self._torn = path, handle, len(first), 0, False
        self.first = self.seq

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: bytes, events: int) -> bool:
        """Append whole lines that hold so many events; whether they are acknowledged. Call it with the lock held."""
        if self.handle is None:
            return False
        if self.durability == "memory":
            self._waiting.append(data)
        else:
            data = b"".join((*self._owed, data))
            try:
                self._put(data)
            except OSError as error:
                return self._refuse(events, error.strerror or str(error))
        self._owed.clear()
        self.failure = None
        self.seq += events
        return True

    def _put(self, data: bytes) -> None:
        """Append bytes, all or none of them; what was written before something is torn off first."""
        now, handle, begin = syscalls.system(), self.handle or 0, self.size
        try:
            if self._torn:
                now.truncate(handle, begin)
                self._torn = False
            syscalls.write_all(handle, data)
            self.size = begin + len(data)
            if self.durability == "disk":
                now.sync(handle)
                self.synced = self.size
        except BaseException:
            self._cut(begin)
            raise

    def _cut(self, size: int) -> None:
        """Take back what was written of a line that is not acknowledged."""
        self.size, self._torn = size, True
        with suppress(OSError):
            syscalls.system().truncate(self.handle or 0, size)
            self._torn = False
        if self._torn:
            self.failure = "what was written in part cannot be cut off"

    def undo(self, error: BaseException) -> bool:
        """The one write of an event failed, took a part only, or was interrupted: the event is not there.

        Raises:
            BaseException: It was no failure of the system's, but an interrupt.
        """
        self._cut(self.size)
        if not isinstance(error, OSError):
            raise error
        return self._refuse(1, error.strerror or str(error))

    def _refuse(self, events: int, why: str) -> bool:
        self.refused += events
        self.failure = why
        if not events:
            return False
        self.problems.report(
            "refused", f"events cannot be written to the store, and are refused until they can: {why}", events
        )
        return False

    def control(self, verb: str, facts: dict[str, Any]) -> bool:
        """Append a line that is no event: a transition, a new policy, an alert.

        One that cannot be written is owed, and goes before the next line that can.
        """
        with self.lock:
            data = encode_line([verb, self.seq, facts])
            if self.write(data, 0):
                return True
            self._owed.append(data)
            return False

    def rows(self, staged: list[Any], rows: Sequence[tuple[Any, ...]], redaction: Redaction | None) -> bool:
        """Many rows with one write, all or none; they are staged as they are said."""
        with self.lock:
            said = []
            for place, row in enumerate(rows):
                extra = row[-1] if redaction is None or row[-1] is None else redaction.fields(row[-1])
                said.append(body_of(self.seq + place, (*row[:-1], extra), redaction))
            if not self.write(b"".join(frame_line(body) for body, _ in said), len(said)):
                return False
            for _, row in said:
                staged += row
            return True

    # -- syncing ------------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Have everything acknowledged survive a power loss.

        Raises:
            StoreError: The system says that it does not.
        """
        with self.lock:
            if self.handle is None:
                return
            self._drain()
            path, size, ended = self.path, self.size, tuple(self._ended)
            if self.synced >= size and not ended:
                return
            # copies: events go on being written, and files are closed, while the disk is at work
            handles = [os.dup(one) for one in (*ended, self.handle)]
        try:
            for one in handles:
                syscalls.system().sync(one)
        except OSError as error:
            raise StoreError(f"cannot sync {str(path)!r}: {error.strerror}") from error
        finally:
            for one in handles:
                os.close(one)
        with self.lock:
            if self.path == path:
                self.synced = max(self.synced, size)
            for one in ended:
                if one in self._ended:
                    self._ended.remove(one)
                    syscalls.system().close(one)

    def _drain(self) -> None:
        if self._waiting:
            data, self._waiting = b"".join(self._waiting), []
            try:
                self._put(data)
            except OSError as error:
                self._waiting = [data]
                raise StoreError(f"cannot write {str(self.path)!r}: {error.strerror}") from error

    def turn(self, path: Path, header: dict[str, Any]) -> None:
        """Go on in another file; the one so far is complete. Call it with the lock held.

        Raises:
            StoreError, OSError: The new file cannot be written; the old one goes on.
        """
        self._drain()
        if self._torn:
            syscalls.system().truncate(self.handle or 0, self.size)
            self._torn = False
        old, self.failure = self.handle, None
        self._open(path, encode_line(["crucible", 1, header]))
        if old is not None:
            self._ended.append(old)

    def begin(self, path: Path, header: dict[str, Any], seq: int) -> None:
        """Open a first file, or one after `close` or `forget`."""
        self.seq, self.failure = seq, None
        self._open(path, encode_line(["crucible", 1, header]))

    def close(self) -> None:
        """No more lines; what is here is synced."""
        with suppress(StoreError):
            self.sync()
        with self.lock:
            if self.handle is not None:
                for handle in (*self._ended, self.handle):
                    syscalls.system().close(handle)
                self.handle, self.failure, self._ended = None, "it is closed", []

    def forget(self) -> None:
        """In a forked child: the file is the parent's."""
        if self.handle is not None:
            for handle in (*self._ended, self.handle):
                os.close(handle)
        self._ended = []
        self.handle, self._waiting, self._owed = None, [], []
        self.failure, self.refused, self._torn = "it is the parent's", 0, False

    @property
    def events(self) -> int:
        """Events in the file so far."""
        return self.seq - self.first
