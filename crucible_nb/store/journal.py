"""The journal: one file per process and one write call per event; a partly written line is removed before the next."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from crucible_nb.errors import StoreError
from crucible_nb.store import syscalls
from crucible_nb.store.lines import decode_line, encode_line, frame_line
from crucible_nb.store.redaction import Redaction
from crucible_nb.store.row_codec import encode_row, row_of_cells
from crucible_nb.utils.interrupts import let_pass, unbroken
from crucible_nb.utils.problems import Problems

Durability = Literal["os", "disk", "memory"]
DURABILITIES = ("os", "disk", "memory")


class Journal:
    """Append-only file of one writer.

    A line is acknowledged when its one write call has written all of it. A line that failed or was written in part is
    cut off before the next write; until that works, events are refused and counted. So a full disk loses only the
    events it refused, and writing continues by itself when there is space again.

    The journal is open between `begin` and `close`.

    Args:
        problems: Counter of problems.
        durability: When a line counts as written: "os", when the system has it (survives the death of the process);
            "disk", when it is synced; "memory", at once, with the write delayed until `sync`.

    Attributes:
        lock: Held while a line gets its number and is written and staged, so that lines are in the order of events.
        path: The open file.
        handle: File descriptor of the open file, None when closed.
        seq: Sequence number of the next event.
        first: Sequence number of the first event of the open file.
        refused: Number of events that could not be written.
        failure: Reason why writing fails at present, None if it works.
        torn: Whether the file may be longer than its acknowledged size.
        line: The line that `record` is writing, until it is counted and staged.
        size: Acknowledged bytes of the open file.
        synced: Bytes of the open file that survive a power loss.
    """

    def __init__(self, problems: Problems, durability: Durability = "os") -> None:
        self.problems, self.durability = problems, durability
        self.lock = threading.RLock()
        self.path = Path()
        self.seq = self.first = 0
        self.refused = 0
        self.failure: str | None = None
        self.size = self.synced = 0
        self.torn = False
        self.line: bytes | None = None
        self._gone = ""  # why lines would go nowhere
        self._unwritten: list[bytes] = []  # lines of durability "memory"
        self._pending: list[bytes] = []  # control lines that could not be written
        self._completed: list[int] = []  # files rotated out, until they are synced
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
        self.path, self.handle, self.size, self.synced, self.torn = path, handle, len(first), 0, False
        self._gone = ""
        self.first = self.seq

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: bytes, events: int) -> bool:
        """Append lines with this number of events; return whether they are acknowledged. The caller holds the lock."""
        if self.handle is None:
            return False
        if self._gone:
            return self._refuse(events, self._gone)
        if self.durability == "memory":
            self._unwritten.append(data)
        else:
            data = b"".join((*self._pending, data))
            try:
                self._append(data)
            except OSError as error:
                return self._refuse(events, error.strerror or str(error))
        self._pending.clear()
        self.failure = None
        self.seq += events
        return True

    def _append(self, data: bytes) -> None:
        """Append all of the bytes, or none; first cut off what an earlier write left."""
        now, handle, begin = syscalls.system(), self.handle or 0, self.size
        try:
            if self.torn:
                now.truncate(handle, begin)
                self.torn = False
            syscalls.write_all(handle, data)
            self.size = begin + len(data)
            if self.durability == "disk":
                now.sync(handle)
                self.synced = self.size
        except BaseException:
            self._cut_back(begin)
            raise

    def _cut_back(self, size: int) -> None:
        """Cut the file back to its acknowledged size."""
        self.size, self.torn = size, True
        with suppress(OSError):
            syscalls.system().truncate(self.handle or 0, size)
            self.torn = False
        if self.torn:
            self.failure = "a partly written line cannot be cut off"

    def undo(self, error: BaseException) -> bool:
        """Cut off an event whose write failed, wrote only a part, or was interrupted; the event is refused.

        Raises:
            BaseException: `error` itself, if a signal handler raised it.
        """
        with unbroken():
            self.line, self.failure = None, None
            self._cut_back(self.size)
        let_pass(error)
        if not isinstance(error, OSError):
            raise error
        return self._refuse(1, error.strerror or str(error))

    def settle(self, staged: list[Any]) -> None:
        """Count and stage the line that a `record` of this thread has written, when a signal handler interrupts it.

        What the handler records, or does to the experiment, comes after that event. The caller holds the lock.
        """
        line, self.line = self.line, None
        if line is None or self.handle is None:
            return
        if os.fstat(self.handle).st_size != self.size + len(line):
            self._cut_back(self.size)
            return
        cells = decode_line(line[:-1])
        row = None if cells is None else row_of_cells(cells[1:])
        if row is not None:
            self.size += len(line)
            self.seq += 1
            staged += row

    def _refuse(self, events: int, why: str) -> bool:
        self.refused += events
        self.failure = why
        if not events:
            return False
        self.problems.report(
            "refused", f"events cannot be written to the store and are refused until they can be: {why}", events
        )
        return False

    def write_control(self, verb: str, facts: dict[str, Any]) -> bool:
        """Append a control line (a transition, a new policy, an alert); return whether it is acknowledged.

        A control line that cannot be written is kept, and written before the next line.
        """
        with self.lock:
            data = encode_line([verb, self.seq, facts])
            if self.write(data, 0):
                return True
            self._pending.append(data)
            return False

    def write_rows(self, staged: list[Any], rows: Sequence[tuple[Any, ...]], redaction: Redaction | None) -> bool:
        """Write all rows with one call, or none, and stage them as they were written; return whether they were."""
        with self.lock:
            encoded = []
            for seq, row in enumerate(rows, self.seq):
                extra = row[-1] if redaction is None or row[-1] is None else redaction.fields(row[-1])
                encoded.append(encode_row(seq, (*row[:-1], extra), redaction))
            if not self.write(b"".join(frame_line(body) for body, _ in encoded), len(encoded)):
                return False
            for _, row in encoded:
                staged += row
            return True

    # -- syncing ------------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Sync all acknowledged lines, so that they survive a power loss.

        Raises:
            StoreError: The system cannot write or sync them.
        """
        handles: list[int] = []  # duplicates, because lines are written and files closed while the disk syncs
        try:
            with self.lock:
                if self.handle is None or not self._is_unsynced():
                    return
                path, size, completed = self.path, self.size, tuple(self._completed)
                for handle in (*completed, self.handle):
                    handles.append(os.dup(handle))  # noqa: PERF401  each is closed, also if the next one fails
            for handle in handles:
                syscalls.system().sync(handle)
        except OSError as error:
            let_pass(error)
            raise StoreError(f"cannot sync {str(self.path)!r}: {error.strerror}") from error
        finally:
            for handle in handles:
                os.close(handle)
        with self.lock:
            if self.path == path:
                self.synced = max(self.synced, size)
            for handle in completed:
                if handle in self._completed:
                    self._completed.remove(handle)
                    syscalls.system().close(handle)

    def _is_unsynced(self) -> bool:
        """Write what is delayed; return whether there is anything to sync. The caller holds the lock."""
        self.check_name()
        if self._gone:
            raise StoreError(f"cannot sync {str(self.path)!r}: {self._gone}")
        self._write_delayed()
        return self.synced < self.size or bool(self._completed)

    def check_name(self) -> None:
        """Notice that the open file has been deleted or replaced: lines written to it would go nowhere."""
        if self.handle is None or os.fstat(self.handle).st_nlink:
            if self._gone:
                self._gone, self.failure = "", None
            return
        if not self._gone:
            self._gone = self.failure = "its file has been deleted"
            sentence = (
                f"{str(self.path)!r} has been deleted: what was recorded is in memory only, and events are refused"
            )
            self.problems.report("store", sentence)

    def _write_delayed(self) -> None:
        """Write the lines kept in memory."""
        if self._unwritten:
            data, self._unwritten = b"".join(self._unwritten), []
            try:
                self._append(data)
            except OSError as error:
                self._unwritten = [data]
                raise StoreError(f"cannot write {str(self.path)!r}: {error.strerror}") from error

    def rotate(self, path: Path, header: dict[str, Any]) -> None:
        """Continue in a new file; the old one is complete. The caller holds the lock.

        Raises:
            StoreError, OSError: The new file cannot be written; the old one stays open.
        """
        self._write_delayed()
        if self.torn:
            syscalls.system().truncate(self.handle or 0, self.size)
            self.torn = False
        old, self.failure = self.handle, None
        self._open(path, encode_line(["crucible", 1, header]))
        if old is not None:
            self._completed.append(old)

    def begin(self, path: Path, header: dict[str, Any], seq: int) -> None:
        """Open the first file, or another one after `close` or `forget`."""
        self.seq, self.failure = seq, None
        self._open(path, encode_line(["crucible", 1, header]))

    @property
    def pending(self) -> bool:
        """Whether control lines could not be written yet."""
        return bool(self._pending)

    def write_pending(self) -> bool:
        """Write the control lines that could not be written before; return whether none is left."""
        with self.lock:
            return not self._pending or self.write(b"", 0)

    def close(self, *, forced: bool = False) -> None:
        """Sync and close the file; with pending control lines that cannot be written it stays open, unless forced."""
        with suppress(StoreError):
            self.sync()
        with self.lock:
            if self.handle is not None and (self.write_pending() or forced):
                with suppress(StoreError):
                    self.sync()
                for handle in (*self._completed, self.handle):
                    syscalls.system().close(handle)
                self.handle, self.failure, self._completed, self._pending = None, "the journal is closed", [], []

    def forget(self) -> None:
        """Close the inherited files in a forked child; they belong to the parent."""
        if self.handle is not None:
            for handle in (*self._completed, self.handle):
                os.close(handle)
        self._completed = []
        self.handle, self.line, self._unwritten, self._pending = None, None, [], []
        self.failure, self.refused, self.torn = "the journal belongs to the parent process", 0, False

    @property
    def events(self) -> int:
        """Number of events in the open file."""
        return self.seq - self.first
