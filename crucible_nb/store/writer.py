"""A writer of an experiment: its lock, its journal, and the segments made from the journal."""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.files.disk import reason
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.checkpoint import write_checkpoint
from crucible_nb.store.journal import Durability, Journal
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.lock import Lock, is_held
from crucible_nb.store.redaction import Redaction
from crucible_nb.store.row_codec import NAMES
from crucible_nb.store.segment import write_segment
from crucible_nb.store.sync import SYNCER
from crucible_nb.store.syscalls import system
from crucible_nb.utils.threads import BackgroundWorker

SEAL_EVENTS = 131_072
"""Number of events after which a journal is sealed."""

SEAL_BYTES = 64 << 20
"""Size in bytes after which a journal is sealed."""

SEALER = BackgroundWorker("crucible-seal")
"""Thread that writes segments."""

Seal = Callable[[], None]


class Writer:
    """One process that writes to an experiment, with its own journal and lock.

    Args:
        folder: Folder of the experiment.
        writer_id: Number of the writer.
        stream: State of the writer.
        durability: See `Journal`.
        redaction: Removes secrets before anything is written; None for none.

    Attributes:
        journal: The open journal.
        number: Number of the open journal.
        began: Sequence number of the first event after the writer was opened.
        sealing: Whether a segment is being written.
        seal_failure: Reason why the last segment could not be written, None if it was.
        ending: Whether the experiment has ended, and its last line could not be written yet.
        sampled_seqs: Sequence numbers of the rows in the newest checkpoint, which the sampler may still remove.
    """

    def __init__(
        self,
        folder: ExperimentFolder,
        writer_id: int,
        stream: Stream,
        durability: Durability,
        redaction: Redaction | None,
    ) -> None:
        self.folder, self.writer_id, self.stream = folder, writer_id, stream
        self.durability, self.redaction = durability, redaction
        self.journal = Journal(stream.problems, durability)
        self.number = self.began = 0
        self.sealing = self.ending = False
        self.seal_failure: str | None = None
        self.lock: Lock | None = None
        self.sampled_seqs = np.empty(0, np.int64)
        if redaction is not None:
            redaction.problems = stream.problems

    def take_lock(self) -> None:
        """Take the lock; StoreError if another process holds it. Called inside `released_on_failure`, or a `try`."""
        self.lock = Lock(self.folder.lock_path(self.writer_id))

    def claim(self) -> None:
        """Take a new writer id and its lock."""
        self.writer_id, self.lock = claim(self.folder)

    def open(self, number: int, started: int | None = None) -> None:
        """Open a new journal; if that fails, its number is free for the next try."""
        before, self.number, self.began = self.number, number, self.stream.pipeline.seq
        self.stream.sessions.append(secrets.token_hex(8))
        try:
            self.journal.begin(self._path("jsonl"), self._header(started), self.stream.pipeline.seq)
        except BaseException as error:
            self.number = before
            self.stream.sessions.pop()
            if not isinstance(error, OSError):
                raise
            raise StoreError(f"cannot write {str(self.folder.path)!r}: {reason(error)}") from error
        buffer = self.stream.pipeline.buffer
        if buffer.unsaved_from is None and self.stream.is_restorable:
            buffer.unsaved_from = 0
        SYNCER.add(self)

    def ensure_open(self) -> None:
        """Open a new journal for one more line of a finished experiment; if that fails, nothing is held."""
        if self.journal.handle is None:
            with self.released_on_failure():
                self.take_lock()
                self.open(self.number + 1)

    @contextlib.contextmanager
    def released_on_failure(self) -> Iterator[None]:
        """Close the journal and release the lock if the block raises anything, an interrupt too."""
        try:
            yield
        except BaseException:
            self.release()
            raise

    def _header(self, started: int | None = None) -> dict[str, Any]:
        header = {
            "experiment": self.folder.identity, "writer": self.writer_id, "part": self.number,
            "seq": self.stream.pipeline.seq, "pid": os.getpid(), "host": socket.gethostname(), "cells": NAMES,
            "session": self.stream.sessions[-1],
        }  # fmt: skip
        return header if started is None else {**header, "started": started}

    def _path(self, kind: str, number: int | None = None) -> Path:
        return self.folder.part_path(self.writer_id, self.number if number is None else number, kind)

    # -- sealing ------------------------------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        """Whether the journal is long enough to be sealed, and can be sealed."""
        journal = self.journal
        long = journal.events >= SEAL_EVENTS or journal.size >= SEAL_BYTES
        return long and not self.sealing and journal.failure is None and self.stream.is_restorable

    def rotate(self) -> bool:
        """Switch to a new journal; return False if none can be written.

        Called with both locks held and all staged events processed.
        """
        self.number += 1
        try:
            self.journal.rotate(self._path("jsonl"), self._header())
        except (OSError, StoreError) as error:
            self.number -= 1
            self.stream.problems.report("store", f"a new journal cannot be written, the old one is continued: {error}")
            return False
        return True

    def prepare_segment(self, number: int) -> Seal | None:
        """Return a function that writes everything up to now as the segment of that number, in any thread.

        Called with the lock of the experiment held, so that no events are processed at the same time.
        """
        buffer, sample = self.stream.pipeline.buffer, self.stream.pipeline.sample
        frame = buffer.full_frame()  # before the state, because it reduces a sample to its size
        try:
            state = self.stream.state()
        except Exception as error:  # noqa: BLE001  a user's sampler or detector
            self.stream.problems.report("errors", f"the state cannot be saved, journals are kept: {error!r}")
            return None
        seq = frame["seq"].to_numpy()
        new = (seq >= (buffer.unsaved_from or 0)) | np.isin(seq, self.sampled_seqs)
        revises = sample.sampler is not None and sample.sampler.revises
        open_ = new & (seq >= sample.since) if revises else np.zeros(len(seq), np.bool_)
        rows, held = (_sorted(frame, np.flatnonzero(mask)) for mask in (new & ~open_, open_))
        state["held"] = len(frame)
        self.sealing = True
        seq_now = self.stream.pipeline.seq

        def seal() -> None:
            try:
                self._write(number, state, rows, held if revises else None)
                # of these rows only the checkpoint has a copy, which the next one replaces: they stay in memory
                self.sampled_seqs = held["seq"].to_numpy() if revises else np.empty(0, np.int64)
                buffer.sampled_seqs = self.sampled_seqs
                buffer.unsaved_from = seq_now
                self._report_sealing(None)
            except (OSError, CrucibleError) as error:
                self._report_sealing(str(error))
            finally:
                self.sealing = False

        return seal

    def _report_sealing(self, failure: str | None) -> None:
        """Say that a journal could not be sealed, and that it works again."""
        problems = self.stream.problems
        if failure is not None:
            problems.report("store", f"a journal cannot be sealed now and is kept: {failure}")
        elif self.seal_failure is not None:
            problems.report("sealed", "journals are sealed again; those that were kept are in the new segment")
        self.seal_failure = failure

    def _write(self, number: int, state: dict[str, Any], rows: pd.DataFrame, sample: pd.DataFrame | None) -> None:
        """Write the checkpoint, then the segment, which makes both valid; then remove the files they replace."""
        place = {"experiment": self.folder.identity, "writer": self.writer_id, "part": number}
        write_checkpoint(self._path("state", number), state, sample, place)
        facts = {**place, "seq": state["seq"], "life": state["life"], "sessions": state["sessions"]}
        if not write_segment(self._path("parquet", number), rows, facts):
            return  # replaced files are removed with the next segment
        for part in self.folder.parts(self.writer_id):
            old = [part.journal] if part.number <= number else []
            old += [part.checkpoint] if part.number < number else []
            for path in filter(None, old):
                with contextlib.suppress(OSError):
                    system().unlink(path)

    # -- ending -------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Return the state of writing, for `summary()`."""
        journal = self.journal
        return {
            "path": str(self.folder.path), "writer": self.writer_id, "durability": self.durability,
            "acknowledged": journal.size, "synced": journal.synced,
            "failure": journal.failure if journal.handle is not None else None, "sealing": self.seal_failure,
        }  # fmt: skip

    def flush(self) -> None:
        """Sync all acknowledged lines to disk, so that they survive a power loss."""
        self._end_late()
        self.journal.sync()
        if self.ending:
            raise StoreError(f"cannot write {str(self.journal.path)!r}: {self.journal.failure}")

    def finish(self) -> None:
        """Close the journal, write the final segment and release the lock.

        Called with both locks held and all staged events processed.
        """
        while self.sealing:
            time.sleep(0.005)
        self.journal.close()
        if self.stream.is_restorable:
            seal = self.prepare_segment(self.number)
            if seal is not None:
                seal()
        if self.journal.pending and not self._path("parquet").exists():
            self.ending = True  # the syncer and `flush` try again
            why = self.journal.failure or "unknown reason"
            sentence = (
                f"the end of the experiment is not in the store ({why}); it is written when it can be, or by flush()"
            )
            self.stream.problems.report("end", sentence)
            return
        self.release()

    def _end_late(self) -> None:
        """Write the end of the experiment, which could not be written by `finish`."""
        if self.ending and self.journal.write_pending():
            self.release()

    def release(self) -> None:
        """Close the journal and release the lock."""
        self.ending = False
        SYNCER.remove(self)
        self.journal.close(forced=True)
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def forget(self) -> None:
        """Drop open files and the lock in a forked process; they belong to the parent."""
        self.journal.forget()
        if self.lock is not None:
            self.lock.forget()
            self.lock = None
        self.sealing, self.sampled_seqs = False, np.empty(0, np.int64)

    def beat(self) -> None:
        """Sync the journal and renew the heartbeat of the lock; called once a second."""
        self._end_late()
        try:
            self.journal.sync()
        except StoreError as error:
            self.stream.problems.report("store", str(error))
        if self.lock is not None:
            self.lock.beat()


def _sorted(frame: pd.DataFrame, index: np.ndarray) -> pd.DataFrame:
    rows = frame.iloc[index]
    seq = rows["seq"].to_numpy()
    return rows if (seq[1:] > seq[:-1]).all() else rows.iloc[np.argsort(seq)]


def claim(folder: ExperimentFolder) -> tuple[int, Lock]:
    """Return an unused writer id and its lock."""
    writer_id = max(folder.writers(), default=0) + 1
    while True:
        path = folder.lock_path(writer_id)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            return writer_id, Lock(path)
        except FileExistsError:
            writer_id += 1
        except OSError as error:
            raise StoreError(f"cannot write {str(folder.path)!r}: {reason(error)}") from error


def writer_is_running(folder: ExperimentFolder, writer_id: int = 0) -> bool:
    """Return whether the process of a writer is running."""
    return is_held(folder.lock_path(writer_id))


def price_bytes(data: Any) -> bytes:
    """Return the compressed price table that is stored with an experiment."""
    return _zipped(orjson.dumps([dict(table) for table in data]))


@functools.lru_cache(maxsize=8)
def _zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
