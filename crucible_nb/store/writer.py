"""Writing as one writer of an experiment: the lock, the journal, and sealing what the journal has said."""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import socket
import time
from collections.abc import Callable
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
"""Events after which a journal is sealed."""

SEAL_BYTES = 64 << 20
"""Bytes after which it is."""

SEALER = BackgroundWorker("crucible-seal")
"""Writes segments."""

Seal = Callable[[], None]


class Writer:
    """One process that writes to an experiment, with a journal and a lock of its own.

    Args:
        folder: The experiment.
        ordinal: Of the writer.
        stream: The stages that what is written goes through.
        durability: See `Journal`.
        redaction: What is taken out before anything is written.

    Attributes:
        journal: Where lines go.
        number: Of the journal that is open.
        began: Number of the first event since the writer was opened.
        sealing: Whether a segment is being written.
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
        self.sealing = False
        self.lock: Lock | None = None
        self.sampled_seqs = np.empty(0, np.int64)
        if redaction is not None:
            redaction.problems = stream.problems

    def acquire(self) -> None:
        """Take the lock; StoreError when another process has it."""
        self.lock = Lock(self.folder.lock_path(self.writer_id))

    def claim(self) -> None:
        """Take a new writer id and its lock."""
        self.writer_id, self.lock = claim(self.folder)

    def open(self, number: int, started: int | None = None) -> None:
        """Begin a journal."""
        try:
            self.number, self.began = number, self.stream.pipeline.seq
            self.journal.begin(self._path("jsonl"), self._header(started), self.stream.pipeline.seq)
        except OSError as error:
            raise StoreError(f"cannot write {str(self.folder.path)!r}: {reason(error)}") from error
        buffer = self.stream.pipeline.buffer
        if buffer.unsaved_from is None and self.stream.is_restorable:
            buffer.unsaved_from = 0
        SYNCER.add(self)

    def ensure_open(self) -> None:
        """A finished experiment gets one more line: open a journal for it again."""
        if self.journal.handle is None:
            self.acquire()
            self.open(self.number + 1)

    def _header(self, started: int | None = None) -> dict[str, Any]:
        header = {
            "experiment": self.folder.path.name, "writer": self.writer_id, "part": self.number,
            "seq": self.stream.pipeline.seq, "pid": os.getpid(), "host": socket.gethostname(), "cells": NAMES,
        }  # fmt: skip
        return header if started is None else {**header, "started": started}

    def _path(self, kind: str, number: int | None = None) -> Path:
        return self.folder.part_path(self.writer_id, self.number if number is None else number, kind)

    # -- sealing ------------------------------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        """Whether the journal is long enough to be sealed, and can be."""
        journal = self.journal
        long = journal.events >= SEAL_EVENTS or journal.size >= SEAL_BYTES
        return long and not self.sealing and journal.failure is None and self.stream.is_restorable

    def rotate(self) -> bool:
        """Go on in a new journal, if one can be written. With the locks held, and everything folded."""
        self.number += 1
        try:
            self.journal.rotate(self._path("jsonl"), self._header())
        except (OSError, StoreError) as error:
            self.number -= 1
            self.stream.problems.report("store", f"a new journal cannot be written, the old one goes on: {error}")
            return False
        return True

    def prepare_segment(self, number: int) -> Seal | None:
        """What writes everything up to now as the segment of that number, later, in whatever thread.

        With the lock of the experiment held: nothing is folded meanwhile.
        """
        buffer, sample = self.stream.pipeline.buffer, self.stream.pipeline.sample
        try:
            state = self.stream.state()
        except Exception as error:  # noqa: BLE001  a user's sampler or detector
            self.stream.problems.report("errors", f"the state cannot be written, journals are kept: {error!r}")
            return None
        frame = buffer.full_frame()
        seq = frame["seq"].to_numpy()
        new = (seq >= (buffer.unsaved_from or 0)) | np.isin(seq, self.sampled_seqs)
        revises = sample.sampler is not None and sample.sampler.revises
        open_ = new & (seq >= sample.since) if revises else np.zeros(len(seq), np.bool_)
        rows, held = (_sorted(frame, np.flatnonzero(some)) for some in (new & ~open_, open_))
        state["held"] = len(frame)
        self.sealing = True
        seq_now = self.stream.pipeline.seq

        def seal() -> None:
            try:
                self._write(number, state, rows, held if revises else None)
                self.sampled_seqs = held["seq"].to_numpy() if revises else np.empty(0, np.int64)
                buffer.unsaved_from = seq_now
            except (OSError, CrucibleError) as error:
                self.stream.problems.report("store", f"a journal cannot be sealed now, it is kept: {error}")
            finally:
                self.sealing = False

        return seal

    def _write(self, number: int, state: dict[str, Any], rows: pd.DataFrame, sample: pd.DataFrame | None) -> None:
        """State first: the segment is what makes both valid. Then what they supersede may go."""
        write_checkpoint(self._path("state", number), state, sample)
        facts = {"experiment": self.folder.path.name, "writer": self.writer_id, "part": number, "seq": state["seq"]}
        if not write_segment(self._path("parquet", number), rows, facts):
            return  # what is superseded goes with the next segment
        for part in self.folder.parts(self.writer_id):
            old = [part.journal] if part.number <= number else []
            old += [part.checkpoint] if part.number < number else []
            for path in filter(None, old):
                with contextlib.suppress(OSError):
                    system().unlink(path)

    # -- ending -------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """How it stands, for people."""
        journal = self.journal
        return {
            "path": str(self.folder.path), "writer": self.writer_id, "durability": self.durability,
            "acknowledged": journal.size, "synced": journal.synced,
            "failure": journal.failure if journal.handle is not None else None,
        }  # fmt: skip

    def flush(self) -> None:
        """Have everything acknowledged survive a power loss."""
        self.journal.sync()

    def finish(self) -> None:
        """Seal what is there, close, let go. With the locks held, and everything folded."""
        while self.sealing:
            time.sleep(0.005)
        self.journal.close()
        if self.stream.is_restorable:
            seal = self.prepare_segment(self.number)
            if seal is not None:
                seal()
        self.release()

    def release(self) -> None:
        """Close the journal and let go of the lock."""
        SYNCER.remove(self)
        self.journal.close()
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def forget(self) -> None:
        """In a forked child: everything open is the parent's."""
        self.journal.forget()
        if self.lock is not None:
            self.lock.forget()
            self.lock = None
        self.sealing, self.sampled_seqs = False, np.empty(0, np.int64)

    def beat(self) -> None:
        """Once a second: what was acknowledged is synced, and the holder lives."""
        try:
            self.journal.sync()
        except StoreError as error:
            self.stream.problems.report("store", str(error))
        if self.lock is not None:
            self.lock.beat()


def _sorted(frame: pd.DataFrame, places: np.ndarray) -> pd.DataFrame:
    rows = frame.iloc[places]
    seq = rows["seq"].to_numpy()
    return rows if (seq[1:] > seq[:-1]).all() else rows.iloc[np.argsort(seq)]


def claim(folder: ExperimentFolder) -> tuple[int, Lock]:
    """An ordinal that nobody has had, and its lock."""
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


def lives(folder: ExperimentFolder, writer_id: int = 0) -> bool:
    """Whether a writer's process is there."""
    return is_held(folder.lock_path(writer_id))


def price_bytes(data: Any) -> bytes:
    """The prices of the time, as they are kept with an experiment."""
    return _zipped(orjson.dumps([dict(table) for table in data]))


@functools.lru_cache(maxsize=8)
def _zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
