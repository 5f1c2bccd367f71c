"""Rebuild the state of a writer from its files: the segments, then the journals line by line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from errno import EINVAL
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import reading, reason
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.checkpoint import read_checkpoint, read_sample
from crucible_nb.store.layout import FACTS, ExperimentFolder, FolderListing, JournalPart, foreign, sealed_parts
from crucible_nb.store.lock import is_held
from crucible_nb.store.replayer import Replayer
from crucible_nb.store.segment import batch_of_frame, in_order, kinds_of, read_segment, read_segment_facts
from crucible_nb.store.tail import Tail
from crucible_nb.utils.interrupts import let_pass, unbroken

_READERS = 4  # threads that read segments; most of the work is outside the interpreter lock
_TRIES = 25  # a writer may seal and remove a journal while it is being read, which takes long on a busy machine


T = TypeVar("T")


class Follower:
    """Rebuilds the state of one writer from its files, and updates it at each call of `catch_up`.

    The events read are always a prefix of those written: files in order, lines in order, only complete lines.

    Args:
        folder: Folder of the experiment.
        writer_id: Number of the writer.
        config: Arguments of the experiment.
        listing: A listing of the folder made just now, for the first read; None: list it.
        rows: Whether to read the rows of segments; the checkpoint alone is enough for metrics.
        ended: Whether the process of the writer is known to have ended; else its lock tells.

    Attributes:
        stream: State of the writer.
        number: Number of the journal being read.
        sealed: Number of the newest segment that was read.
        sampled_seqs: Sequence numbers of the rows in the newest checkpoint, which the sampler may still remove.
        unread: Number of rows in segments that were not read.
    """

    replayer: Replayer

    def __init__(
        self,
        folder: ExperimentFolder,
        writer_id: int,
        config: ExperimentConfig,
        *,
        rows: bool = True,
        listing: FolderListing | None = None,
        ended: bool = False,
    ) -> None:
        self.ended = ended
        self.folder, self.writer_id, self.config, self.rows = folder, writer_id, config, rows
        self.number = self.unread = 0
        self.sampled_seqs = np.empty(0, np.int64)
        self.sealed = 0
        self._ends: dict[int, int] = {}
        self._tail: Tail | None = None
        self._size = -1
        self._read_numbers: set[int] = set()
        self._broken = False
        self._foreign = False
        self._listing = listing  # until the first read is done: an attach lists its folder once
        self._open()

    @property
    def stream(self) -> Stream:
        """State of the writer, rebuilt from its files."""
        return self.replayer.stream

    def _open(self) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._load(last_try=not left)
                return
            except StoreError as error:
                let_pass(error)
                if not left or not isinstance(error.__cause__, FileNotFoundError):
                    raise
                self._listing = None

    def _load(self, *, last_try: bool) -> None:
        parts = (self._listing or self.folder.scan()).parts(self.writer_id)
        sealed = sealed_parts(parts)
        self._begin(parts)
        if not sealed:
            return
        try:
            with reading(
                self._checkpoint_path(sealed), unchanged=StoreError
            ):  # valid checksums do not exclude an edit by hand
                self._read_sealed(sealed)
                self.stream.validate()
        except StoreError as error:
            let_pass(error)
            if isinstance(error.__cause__, FileNotFoundError) and not last_try:
                raise
            self._begin(parts)
            with reading(self._checkpoint_path(sealed), unchanged=StoreError):
                self._rebuild(sealed, str(error))
        self.sealed = sealed[-1].number
        self.number = self.sealed + 1
        self.replayer.numbering.expected = self.stream.pipeline.seq

    def _begin(self, parts: Sequence[JournalPart]) -> None:
        """Start with the state before the first event."""
        started = self._started(parts)
        with reading(self.folder.path / FACTS, unchanged=StoreError):
            self.replayer = Replayer(Stream(self.config, self.writer_id, started))
        self.number, self._tail, self._size = 1, None, -1
        self.sealed, self._ends = 0, {}
        self.stream.pipeline.buffer.unsaved_from = 0 if self.stream.is_restorable else None
        self.unread = 0

    def _started(self, parts: Sequence[JournalPart]) -> int | None:
        """Return the clock reading at the start of the writer, None if unknown; a checkpoint overrides it."""
        if self.writer_id == 0:
            return self.folder.facts().get("started")
        journals = [part.journal for part in parts if part.journal is not None]
        if not journals:
            return None
        tail = Tail(journals[0])
        try:
            tail.read()
        except OSError as error:
            let_pass(error)
            return None  # reported when it is read
        started = (tail.header or {}).get("started")
        return started if isinstance(started, int) else None

    def _checkpoint_path(self, sealed: Sequence[JournalPart]) -> Path:
        return self.folder.part_path(self.writer_id, sealed[-1].number, "state")

    def _read_sealed(self, sealed: Sequence[JournalPart]) -> None:
        state, sample = read_checkpoint(self._checkpoint_path(sealed), self.folder.identity)
        self.stream.restore(state)
        self.sampled_seqs = np.empty(0, np.int64) if sample is None else sample["seq"].to_numpy()
        pipeline = self.stream.pipeline
        frames = [] if sample is None else [sample]
        self._read_numbers, self._broken = set(), False
        kinds = [(name, kind) for name, kind in state["kinds"]]
        batched = partial(batch_of_frame, kinds=kinds, dictionaries=pipeline.columns.dictionaries)
        if not self.rows and sample is None and self.config.max_events is None:
            pipeline.buffer.load(kinds, [], state["evicted"])
            self.unread = int(state["held"])
            return
        bounded = self.config.max_events is not None and sample is None
        if not bounded:
            with ThreadPoolExecutor(_READERS) as pool:
                read = pool.map(lambda part: [batched(frame) for frame in self._read_rows(part)], sealed)
                batches = in_order(chain(map(batched, frames), *read), kinds)
        else:
            batches = in_order(map(batched, self._newest_segments(sealed, self.config.max_events or 0)), kinds)
        pipeline.buffer.unsaved_from = state["seq"]
        unread = sum(part.number not in self._read_numbers for part in sealed)
        left = state["evicted"] + state["held"] - sum(map(len, batches)) if unread else state["evicted"]
        pipeline.buffer.load(kinds, batches, max(0, left))
        missing = state["held"] - sum(map(len, batches)) if self.config.max_events is None else 0
        if missing > 0 and not self._broken:
            self._lose(missing, f"{missing:,} rows of segments of {self.config.name!r} are missing")

    def _lose(self, events: int, sentence: str) -> None:
        self.stream.problems.report("lost", sentence, events)

    def _rebuild(self, sealed: Sequence[JournalPart], why: str) -> None:
        """Rebuild the state from the rows of the segments, when the checkpoint cannot be used.

        Rows and metrics are complete; lost are the states of detectors, rules and samplers.
        """
        path = self._checkpoint_path(sealed)
        sample = read_sample(path)
        frames = [] if sample is None else [sample]
        seq, life = 0, None
        self._read_numbers = set()
        for part in sealed:
            read = partial(read_segment_facts, identity=self.folder.identity)
            for frame, facts in self._reporting_unreadable(part, read):
                frames.append(frame)
                seq, life = max(seq, int(facts["seq"])), facts.get("life", life)
                self.stream.sessions = list(facts.get("sessions", ()))
        self._lose(1, f"{why}; the state of {self.config.name!r} is rebuilt from its rows")
        pipeline = self.stream.pipeline
        kinds = kinds_of(frames)
        pipeline.columns.kinds.update(kinds)
        batches = in_order([batch_of_frame(frame, kinds, pipeline.columns.dictionaries) for frame in frames], kinds)
        pipeline.buffer.load(kinds, batches, 0)
        if batches:
            pipeline.reprice(pipeline.prices)
            pipeline.own.load(None, seq)
            self.stream.clock.last = max(int(batch.time.max()) for batch in batches)
        self.sampled_seqs = np.empty(0, np.int64) if sample is None else sample["seq"].to_numpy()
        pipeline.buffer.unsaved_from = pipeline.seq = seq
        if life is not None:
            self.stream.lifecycle.load(life)

    def _newest_segments(self, sealed: Sequence[JournalPart], limit: int) -> Iterator[pd.DataFrame]:
        """Read the newest segments until they hold `limit` rows."""
        rows = 0
        for part in reversed(sealed):
            for frame in self._read_rows(part) if rows < limit else ():
                rows += len(frame)
                yield frame

    def _read_rows(self, part: JournalPart) -> list[pd.DataFrame]:
        """Read the rows of a segment; one that cannot be read is reported and skipped."""
        own = self.folder.path.name == self.folder.identity
        return self._reporting_unreadable(
            part, lambda path: read_segment(path) if own else read_segment(path, self.folder.identity)
        )

    def _reporting_unreadable(self, part: JournalPart, read: Callable[[Path], T]) -> list[T]:
        self._read_numbers.add(part.number)
        if part.segment is None:
            return []  # its missing rows are counted
        try:
            return [read(part.segment)]
        except StoreError as error:
            let_pass(error)
            if isinstance(error.__cause__, FileNotFoundError) and not os.path.lexists(part.segment):
                raise
            self._broken = True
            self._lose(1, str(error))
            return []

    def catch_up(self) -> Stream:
        """Read the new lines and segments; return the state.

        Raises:
            StoreError: A file cannot be read.
        """
        for _ in range(_TRIES):
            try:
                done, self._listing = self._read(), None
                if done:
                    self._allow_eviction_of_sealed()
                    return self.stream
            except FileNotFoundError:  # sealed and removed in between
                self._listing = None
            self._open()
        raise StoreError(f"cannot read {str(self.folder.path)!r}: its files change faster than they can be read")

    def _allow_eviction_of_sealed(self) -> None:
        """With `max_events`, allow rows that are in segments by now to be evicted from memory."""
        if self.config.max_events is not None and self._ends:
            parts = self.folder.parts(self.writer_id)
            newest = max((part.number for part in parts if part.segment is not None), default=0)
            done = [number for number in self._ends if number <= newest]
            if done:
                self.stream.pipeline.buffer.unsaved_from = self._ends[max(done)]
                self._ends = {number: seq for number, seq in self._ends.items() if number > newest}

    def mark_sealed(self, number: int) -> None:
        """Note that this process has sealed the journals up to this number."""
        self.sealed, self.number, self._tail = number, number + 1, None

    def _read(self) -> bool:
        """Read all journals; return False if the next one was sealed in between."""
        while True:
            path = self.folder.part_path(self.writer_id, self.number, "jsonl")
            complete = self.folder.part_path(self.writer_id, self.number + 1, "jsonl").is_file()
            if self._tail is None:
                if not os.path.lexists(path):
                    return self._skip_missing_journal()
                self._tail, self._size, self._foreign = Tail(path), -1, False
            try:
                size = self._read_journal(self._tail, complete=complete)
            except FileNotFoundError:
                if not path.is_symlink():
                    raise
                self._skip_journal("a link to nowhere")
                continue
            except OSError as error:
                let_pass(error)
                if error.errno != EINVAL:
                    raise StoreError(f"cannot read {str(path)!r}: {reason(error)}") from error
                self._skip_journal(reason(error))
                continue
            if size < self._tail.offset:
                return False  # lines that were read have been removed
            if not complete:
                return True
            self._ends[self.number] = self.stream.pipeline.seq
            self.number, self._tail = self.number + 1, None

    def _read_journal(self, tail: Tail, *, complete: bool) -> int:
        """Replay the new lines of a journal; return its size."""
        size = tail.path.stat().st_size
        if size < tail.offset:
            return size
        if size != self._size:
            with reading(tail.path, UnicodeError):
                while self._replay_next(tail):
                    pass
            self._size = size
            if not size and self.sealed and self.number == self.sealed + 1 and self.stream.lifecycle.alive:
                self._lose(1, f"cannot read {str(tail.path)!r}: it is empty, its header and lines are lost")
        if size > tail.offset and (complete or self.ended or not is_held(self.folder.lock_path(self.writer_id))):
            self._replay_next(tail, rest=True)
        return size

    def _skip_journal(self, why: str) -> None:
        """Report a journal that cannot be read, and continue with the next."""
        self._lose(1, f"cannot read {str(self.folder.part_path(self.writer_id, self.number, 'jsonl'))!r}: {why}")
        self.number, self._tail = self.number + 1, None

    def _replay_next(self, tail: Tail, *, rest: bool = False) -> bool:
        """Replay the next lines; return whether there were any. An interrupt waits, so that no line is lost."""
        with unbroken():
            first = not tail.offset
            lines = tail.read_rest() if rest else tail.read()
            if lines is None:
                return False
            if first and tail.header is not None:
                self._check_header(tail.header, tail.path)
            if not self._foreign:
                self.replayer.replay(lines)
            return True

    def _check_header(self, header: dict[str, Any], path: Path) -> None:
        """Report a journal of another experiment or writer, whose lines are not replayed, and events before it."""
        why = foreign(header, path, self.folder.identity)
        if why:
            self._foreign = True
            self._lose(1, f"cannot read {str(path)!r}: {why}")
        else:
            self.replayer.begin_journal(header)

    def _skip_missing_journal(self) -> bool:
        """Skip a missing journal if it is lost; return False if it was sealed and removed."""
        if self._listing is not None and self._listing.next_number(self.writer_id) <= self.number:
            return True
        later = [part for part in self.folder.parts(self.writer_id) if part.number >= self.number]
        if any(part.segment is not None for part in later):
            return False
        journals = [part.number for part in later if part.journal is not None]
        if not journals:
            if self.sealed and not self.writer_id and self.number == self.sealed + 1 and self.stream.lifecycle.alive:
                self._lose(1, f"the journal of {self.config.name!r} after its last segment is missing")
                self.number += 1
            return True
        if journals[0] != self.number:
            self._lose(1, f"a journal of {self.config.name!r} is missing")
            self.number = journals[0]
        return self._read()

    def next_number(self) -> int:
        """Return the number for the next journal."""
        return max((part.number for part in self.folder.parts(self.writer_id)), default=0) + 1
