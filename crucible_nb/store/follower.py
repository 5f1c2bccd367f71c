"""Following a writer from outside: what it has sealed, then its journals line by line, as far as they go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import reading
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.checkpoint import read_checkpoint
from crucible_nb.store.layout import FACTS, ExperimentFolder, JournalPart
from crucible_nb.store.replayer import Replayer
from crucible_nb.store.segment import batch_of_frame, in_order, read_segment
from crucible_nb.store.tail import BadLine, Tail
from crucible_nb.utils.interrupts import unbroken

_READERS = 4  # segments are read at a time; most of that happens outside of the interpreter
_TRIES = 5  # a writer may seal, and remove what it sealed, while it is being read


class Follower:
    """The stages of one writer, made again from its files, and again up to date whenever asked.

    What is read is always a prefix of what was written: files in order, lines in order, a line only when it is whole.

    Args:
        folder: The experiment.
        ordinal: Of the writer.
        setup: What the experiment was asked to be.
        rows: Whether the rows of segments are wanted; what they amount to stands in the state beside them.

    Attributes:
        stream: The stages.
        number: Of the journal that is being read.
        sealed: Of the newest segment that was read.
        bad: Lines that were passed over.
        lost: Segments and states that could not be read.
        carried: Rows that stand in the newest state, for a sampler may still let them go.
        unread: Rows of segments that nobody wanted.
    """

    replayer: Replayer

    def __init__(
        self, folder: ExperimentFolder, writer_id: int, config: ExperimentConfig, *, rows: bool = True
    ) -> None:
        self.folder, self.writer_id, self.config, self.rows = folder, writer_id, config, rows
        self.number = self.unread = 0
        self.bad: list[BadLine] = []
        self.lost: list[str] = []
        self.sampled_seqs = np.empty(0, np.int64)
        self.sealed = 0
        self._ends: dict[int, int] = {}
        self._tail: Tail | None = None
        self._size = -1
        self._open()

    @property
    def stream(self) -> Stream:
        """State of the writer, rebuilt from its files."""
        return self.replayer.stream

    def _open(self) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._load()
                return
            except StoreError as error:
                if not left or not isinstance(error.__cause__, FileNotFoundError):
                    raise

    def _load(self) -> None:
        parts = self.folder.parts(self.writer_id)
        sealed = [part for part in parts if part.segment is not None]
        started = self._started(parts)
        with reading(self.folder.path / FACTS, ours=StoreError):
            self.replayer = Replayer(Stream(self.config, self.writer_id, started))
        self.number, self._tail, self._size = 1, None, -1
        self.sealed, self._ends = 0, {}
        self.stream.pipeline.buffer.unsaved_from = 0 if self.stream.is_restorable else None
        self.bad, self.lost, self.unread = [], [], 0
        if sealed:
            with reading(self._state(sealed), ours=StoreError):  # its checksums hold, but anybody may have made it up
                self._read_sealed(sealed)
                self.stream.validate()
            self.sealed = sealed[-1].number
            self.number = self.sealed + 1

    def _started(self, parts: Sequence[JournalPart]) -> int | None:
        """The clock reading at which the writer began, None when it had no time to say; a state knows better."""
        if self.writer_id == 0:
            return self.folder.facts().get("started")
        journals = [part.journal for part in parts if part.journal is not None]
        if not journals:
            return None
        tail = Tail(journals[0])
        with reading(journals[0]):
            tail.read()
        started = (tail.header or {}).get("started")
        return started if isinstance(started, int) else None

    def _state(self, sealed: Sequence[JournalPart]) -> Path:
        return self.folder.part_path(self.writer_id, sealed[-1].number, "state")

    def _read_sealed(self, sealed: Sequence[JournalPart]) -> None:
        state, sample = read_checkpoint(self._state(sealed))
        self.stream.restore(state)
        self.sampled_seqs = np.empty(0, np.int64) if sample is None else sample["seq"].to_numpy()
        pipeline = self.stream.pipeline
        frames = [] if sample is None else [sample]
        self._seen: set[int] = set()
        kinds = [(name, kind) for name, kind in state["kinds"]]
        batched = partial(batch_of_frame, kinds=kinds, dictionaries=pipeline.columns.dictionaries)
        if not self.rows and sample is None and self.config.max_events is None:
            pipeline.buffer.load(kinds, [], state["evicted"])
            self.unread = int(state["held"])
            return
        if self.config.max_events is None or sample is not None:
            with ThreadPoolExecutor(_READERS) as pool:
                read = pool.map(lambda part: [batched(frame) for frame in self._rows(part)], sealed)
                batches = in_order(chain(map(batched, frames), *read), kinds)
        else:
            batches = in_order(map(batched, self._newest(sealed, self.config.max_events)), kinds)
        pipeline.buffer.unsaved_from = state["seq"]
        unread = sum(part.number not in self._seen for part in sealed)
        left = state["evicted"] + state["held"] - sum(map(len, batches)) if unread else state["evicted"]
        pipeline.buffer.load(kinds, batches, max(0, left))

    def _newest(self, sealed: Sequence[JournalPart], most: int) -> Iterator[pd.DataFrame]:
        """With `max_events`, no more than memory will hold."""
        rows = 0
        for part in reversed(sealed):
            for frame in self._rows(part) if rows < most else ():
                rows += len(frame)
                yield frame

    def _rows(self, part: JournalPart) -> list[pd.DataFrame]:
        """The rows of a segment; one that cannot be read does not hide the others."""
        self._seen.add(part.number)
        try:
            return [read_segment(self.folder.part_path(self.writer_id, part.number, "parquet"))]
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise
            self.lost.append(str(error))
            self.stream.problems.report("lost", str(error))
            return []

    def catch_up(self) -> Stream:
        """Read what was written since; returns the stages.

        Raises:
            StoreError: A file cannot be read.
        """
        for _ in range(_TRIES):
            try:
                if self._read():
                    self._forget_sealed()
                    return self.stream
            except FileNotFoundError:
                pass  # sealed meanwhile, and removed
            self._open()
        raise StoreError(f"cannot read {str(self.folder.path)!r}: its files change faster than they can be read")

    def _forget_sealed(self) -> None:
        """Rows that stand in segments by now may leave memory, where `max_events` wants that."""
        if self.config.max_events is not None and self._ends:
            parts = self.folder.parts(self.writer_id)
            newest = max((part.number for part in parts if part.segment is not None), default=0)
            done = [number for number in self._ends if number <= newest]
            if done:
                self.stream.pipeline.buffer.unsaved_from = self._ends[max(done)]
                self._ends = {number: seq for number, seq in self._ends.items() if number > newest}

    def was_sealed(self, number: int) -> None:
        """The journal up to this one was sealed by who follows it."""
        self.sealed, self.number, self._tail = number, number + 1, None

    def _read(self) -> bool:
        """Read all journals there are; False when what should come next was sealed meanwhile."""
        while True:
            path = self.folder.part_path(self.writer_id, self.number, "jsonl")
            complete = self.folder.part_path(self.writer_id, self.number + 1, "jsonl").exists()
            if self._tail is None:
                if not path.exists():
                    return self._passed_over()
                self._tail, self._size = Tail(path), -1
            size = path.stat().st_size
            if size < self._tail.offset:
                return False  # lines that were read were taken back
            if size != self._size:
                with reading(path, UnicodeError):
                    while self._more(self._tail):
                        pass
                self._size = size
            if not complete:
                return True
            self.bad += self._tail.bad
            self._ends[self.number] = self.stream.pipeline.seq
            self.number, self._tail = self.number + 1, None

    def _more(self, tail: Tail) -> bool:
        """Take the next lines in; whether there were any. What is read is taken in, whenever an interrupt comes."""
        with unbroken():
            lines = tail.read()
            if lines is None:
                return False
            self.replayer.replay(lines)
            return True

    def _passed_over(self) -> bool:
        """There is no such journal: nothing new, sealed and removed, or lost."""
        later = [part for part in self.folder.parts(self.writer_id) if part.number >= self.number]
        if any(part.segment is not None for part in later):
            return False
        journals = [part.number for part in later if part.journal is not None]
        if not journals:
            return True
        if journals[0] != self.number:
            self.lost.append(f"journal {self.number} is not there")
            self.stream.problems.report("lost", f"a journal of {self.config.name!r} is not there", 1)
            self.number = journals[0]
        return self._read()

    def unusable(self) -> list[BadLine]:
        """Lines that were passed over, all journals together."""
        return self.bad + ([] if self._tail is None else self._tail.bad)

    def next_number(self) -> int:
        """Of the next journal that somebody may begin."""
        return max((part.number for part in self.folder.parts(self.writer_id)), default=0) + 1
