"""Logs of an experiment: in memory, in a folder, or the copy in a database.

A log records every change of an experiment at its place among the events, and is the only access to other writers.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from crucible_nb.errors import LifecycleError, StoreError
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.lifecycle import Lifecycle, Status
from crucible_nb.pipeline.pipeline import Pipeline
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.control_codec import encode_facts
from crucible_nb.store.journal import Journal
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.merge import merge_writers
from crucible_nb.store.redaction import Redaction, rebuild_redaction
from crucible_nb.store.summaries import SUMMARY
from crucible_nb.store.table_codec import encode_table
from crucible_nb.store.writer import SEALER, Writer
from crucible_nb.utils.interrupts import let_pass
from crucible_nb.windows.query import Edges


class View(NamedTuple):
    """A consistent state of an experiment, with all writers. Valid while the lock is held under which it was taken.

    Attributes:
        streams: State of each writer, by writer id.
        own: State that this process records into; for a reader, that of the process that started the experiment.
        lifecycle: Lifecycle that this process reports: that of the experiment, or of the worker if it has paused
            or ended its own recording.
        experiment: Lifecycle of the experiment, for which metrics count active time.
        now: Time at which windows end, UTC nanoseconds.
        status: Status to report.
        counts: Number of problems by kind, of all writers.
    """

    streams: Mapping[int, Stream]
    own: Stream
    lifecycle: Lifecycle
    experiment: Lifecycle
    now: int
    status: Status
    counts: Counter[str]

    @property
    def marks(self) -> dict[str, int]:
        """Named moments in UTC nanoseconds; of writers that use the same name, the latest."""
        marks = sorted(((time, name) for stream in self.streams.values() for name, time in stream.marks.items()))
        return {name: time for time, name in marks}

    @property
    def pipelines(self) -> list[Pipeline]:
        """Pipelines of all writers, by ascending writer id."""
        return [stream.pipeline for stream in self.streams.values()]


class EventLog(ABC):
    """Log of one experiment in this process.

    Attributes:
        identity: Id of the experiment.
        config: Arguments of the experiment.
        stream: State that this process records into, or the main state of a reader.
        lock: Lock that keeps lines and staged events in the same order; taken after the lock of the experiment.
        records: Whether this process records.
        owned: Whether this process started or resumed the experiment, and may end it.
        rows_are_remote: Whether to read windows from the log instead of all rows.
        loses_evicted_rows: Whether evicted rows are lost.
    """

    identity: str
    config: ExperimentConfig
    stream: Stream
    lock: AbstractContextManager[Any]
    records = True
    owned = True
    rows_are_remote = False
    loses_evicted_rows = False

    def journal(self) -> tuple[Journal | None, Redaction | None]:
        """Return the journal and redaction with which `record` writes each event before it is staged."""
        return None, None

    def settle(self, staged: list[Any]) -> None:  # noqa: B027  there is nothing to do without a journal
        """Stage the event in the middle of whose `record` a signal handler calls this."""

    @abstractmethod
    def require_writer(self, verb: str) -> None:
        """Raise unless this process can write a verb now.

        Raises:
            LifecycleError: The experiment is read-only here.
            StoreError: The journal cannot be written.
        """

    @abstractmethod
    def append(self, verb: str, facts: Mapping[str, Any]) -> None:
        """Write an applied verb, with the lock held."""

    @abstractmethod
    def stage_rows(self, staged: list[Any], rows: list[tuple[Any, ...]]) -> bool:
        """Write rows and stage them; return whether they were accepted."""

    @abstractmethod
    def write_table(self, frame: pd.DataFrame, event: str | None) -> Iterator[tuple[pd.DataFrame, int]]:
        """Write a table; yield the parts to process, each with its clock reading. A refused table yields nothing."""

    @abstractmethod
    def view(self, *, status_only: bool = False) -> View:
        """Return the experiment now, other writers included. Called with the lock of the experiment held.

        Args:
            status_only: Whether only the lifecycle is needed; files of other writers are then read only if they
                decide it.
        """

    def describe(self, described: dict[str, Any]) -> dict[str, Any]:
        """Write changed tags, metadata and hypothesis; return them as written."""
        return described

    def rows(self, view: View, edges: Edges | None = None) -> pd.DataFrame:
        """Return all kept rows of a view; if rows are remote, only those within the edges, if given."""
        return view.own.pipeline.buffer.frame()

    def folder_for(self, purpose: str) -> ExperimentFolder:
        """Return the folder of the experiment.

        Raises:
            StoreError: The experiment has no folder.
        """
        raise StoreError(f"cannot {purpose}: it has no folder; start it with cr.start(store=...)")

    @property
    def location(self) -> Path | None:
        """Folder of the experiment on this machine, None without one."""
        return None

    @property
    def ended(self) -> bool:
        """Whether the experiment has ended, as far as this process knows; needs no lock."""
        return not self.stream.lifecycle.alive

    def files(self) -> dict[str, Any] | None:
        """Return the files of the experiment for an archive, by name; None without a folder."""
        return None

    def evicted_rows(self, stream: Stream) -> list[pd.DataFrame]:
        """Return the rows of a writer that were evicted from memory."""
        return []

    @abstractmethod
    def seal_if_due(self, process: Callable[[], None]) -> None:
        """Write a long journal as a segment, in the background; `process` runs staged events through the pipeline."""

    @abstractmethod
    def flush(self) -> None:
        """Sync everything recorded so far, so that it survives a power loss."""

    @abstractmethod
    def finish(self, process: Callable[[], None]) -> None:
        """Close the journal after the last verb and write the final segment."""

    def facts(self) -> dict[str, Any] | None:
        """State of writing, for `summary()`; None: nothing is written."""
        return None

    @abstractmethod
    def handle(self) -> str:
        """Return the handle with which another process can join.

        Raises:
            StoreError: No process can join.
        """

    def after_in_child(self) -> None:
        """Drop the files of the parent in a forked process, which may not end the parent's experiment."""
        self.owned = False

    @abstractmethod
    def become_writer_after_fork(self) -> str | None:
        """Make a forked process a writer with its own id; return the reason if that is not possible."""


class UnwrittenLog(EventLog):
    """A log that writes nothing."""

    def append(self, verb: str, facts: Mapping[str, Any]) -> None:
        """Do nothing: nothing is written."""

    def seal_if_due(self, process: Callable[[], None]) -> None:
        """Do nothing: there is no journal."""

    def flush(self) -> None:
        """Do nothing: there is no file to sync."""

    def finish(self, process: Callable[[], None]) -> None:
        """Do nothing: there is no journal."""


class MemoryLog(UnwrittenLog):
    """The log of an experiment without a store: nothing is written, and there are no other writers."""

    loses_evicted_rows = True

    def __init__(self, config: ExperimentConfig) -> None:
        self.identity, self.config, self.stream = uuid.uuid4().hex, config, Stream(config, 0, config.start_reading())
        self.lock = nullcontext()

    def require_writer(self, verb: str) -> None:
        """Accept every verb."""

    def stage_rows(self, staged: list[Any], rows: list[tuple[Any, ...]]) -> bool:
        """Stage rows."""
        for row in rows:
            staged += row
        return True

    def write_table(self, frame: pd.DataFrame, event: str | None) -> Iterator[tuple[pd.DataFrame, int]]:
        """Yield the table unchanged."""
        yield frame, self.stream.clock.read()

    def view(self, *, status_only: bool = False) -> View:
        """Return the experiment now."""
        stream = self.stream
        stream.start_at_first_event()
        life = stream.lifecycle
        now = stream.clock.peek() if life.ended is None else life.ended
        return View(
            streams={0: stream},
            own=stream,
            lifecycle=life,
            experiment=life,
            now=now,
            status=life.status,
            counts=stream.problems.counts,
        )

    def handle(self) -> str:
        """Raise: no process can join."""
        raise StoreError(_in_memory(self.config.name))

    def become_writer_after_fork(self) -> str | None:
        """Return the reason: a forked process cannot give its events to the parent."""
        return _in_memory(self.config.name)


def _in_memory(name: str) -> str:
    return f"{name!r} is in memory only; for other processes to join, start it with cr.start(store=...)"


class AttachedLog(UnwrittenLog):
    """The read-only log of an experiment that other processes write or wrote.

    Args:
        attachment: The experiment opened from its folder or its copy.
    """

    records = owned = False
    attachment: Attachment

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self.identity, self.config = attachment.folder.path.name, attachment.config
        self.stream = attachment.main()
        self.lock = nullcontext()
        self._merged: tuple[Any, pd.DataFrame] | None = None

    def require_writer(self, verb: str) -> None:
        """Raise: the experiment is read-only here."""
        name, owner = self.config.name, self.attachment.owner()
        raise LifecycleError(f"cannot {verb} {name!r}: it is read-only here; {owner} writes it")

    def describe(self, described: dict[str, Any]) -> dict[str, Any]:
        """Write changed tags, metadata and hypothesis into the folder, without secrets."""
        folder = self.folder_for("change its description")
        redaction = rebuild_redaction(folder.facts().get("redact"), self.journal()[1])
        if redaction is not None:
            clean = replace(self.config, **described).redacted(redaction)
            described = {"tags": list(clean.tags), "metadata": clean.metadata, "hypothesis": clean.hypothesis}
        with suppress(OSError):
            (folder.path / SUMMARY).unlink()  # it holds what was before
        folder.change_facts(described)
        return described

    def stage_rows(self, staged: list[Any], rows: list[tuple[Any, ...]]) -> bool:
        """Refuse the rows."""
        return False

    def write_table(self, frame: pd.DataFrame, event: str | None) -> Iterator[tuple[pd.DataFrame, int]]:
        """Refuse the table."""
        yield from ()

    def view(self, *, status_only: bool = False) -> View:
        """Return the experiment now, from the files of its writers."""
        self.attachment.catch_up()
        self.stream = self.attachment.main()  # a new object if the files were read from the start again
        return self._view(self.stream.lifecycle)

    def _view(self, lifecycle: Lifecycle) -> View:
        main = self.attachment.main()
        for stream in (main, self.stream):
            stream.start_at_first_event()
        streams = {stream.writer_id: stream for stream in self.attachment.streams()}
        dead = not self.records and self.attachment.dead()
        if main.lifecycle.ended is not None:
            now = main.lifecycle.ended
        elif dead:
            now = max(stream.clock.last or 0 for stream in streams.values())
        else:
            now = self.stream.clock.peek()
        return View(
            streams=streams,
            own=self.stream,
            lifecycle=lifecycle,
            experiment=main.lifecycle,
            now=now,
            status="dead" if dead else lifecycle.status,
            counts=sum((stream.problems.counts for stream in streams.values()), Counter()),
        )

    def rows(self, view: View, edges: Edges | None = None) -> pd.DataFrame:
        """Return all kept rows: in memory, of other writers, and evicted ones."""
        pipelines = view.pipelines
        if len(pipelines) == 1 and not view.own.pipeline.buffer.evicted:
            return view.own.pipeline.buffer.frame()
        key = tuple((pipeline.seq, pipeline.buffer.evicted) for pipeline in pipelines)
        if self._merged is None or self._merged[0] != key:
            parts = []
            for writer, stream in view.streams.items():
                if stream.pipeline.buffer.evicted:
                    parts += [(writer, frame) for frame in self.attachment.evicted_rows(stream)]
                parts.append((writer, stream.pipeline.buffer.frame()))
            self._merged = (key, merge_writers(parts))
        return self._merged[1]

    @property
    def ended(self) -> bool:
        """Whether the experiment has ended."""
        return not self.attachment.main().lifecycle.alive

    @property
    def location(self) -> Path | None:
        """Folder of the experiment."""
        return self.attachment.folder.path

    def folder_for(self, purpose: str) -> ExperimentFolder:
        """The folder of the experiment."""
        return self.attachment.folder

    def files(self) -> dict[str, Any] | None:
        """Files of the experiment."""
        return self.attachment.folder.files()

    def evicted_rows(self, stream: Stream) -> list[pd.DataFrame]:
        """Return the rows of a writer that were evicted from memory."""
        return self.attachment.evicted_rows(stream)

    def handle(self) -> str:
        """Return the handle with which another process can join."""
        return self.attachment.handle()

    def become_writer_after_fork(self) -> str | None:
        """Return the reason: a reader does not record."""
        return "it is read-only here"


class CopyLog(AttachedLog):
    """The copy of an experiment in a database; rows are fetched when they are needed."""

    rows_are_remote = True

    def rows(self, view: View, edges: Edges | None = None) -> pd.DataFrame:
        """Return the rows within the edges, selected by the database; without edges, all rows."""
        window = None if edges is None else self.attachment.window(*edges)
        return super().rows(view) if window is None else window

    @property
    def location(self) -> Path | None:
        """None: the folder is on another machine."""
        return None

    def folder_for(self, purpose: str) -> ExperimentFolder:
        """Raise: the folder is on another machine."""
        return EventLog.folder_for(self, purpose)


class StoredLog(AttachedLog):
    """The log of an experiment in a folder that this process writes.

    Args:
        attachment: The experiment opened from its folder, with a writer.

    Attributes:
        writer: Journal and segments of this process.
        on_sealed, on_finished: Functions called after a journal was sealed, and after the experiment has ended.
    """

    records = True

    def __init__(self, attachment: Attachment, writer: Writer) -> None:
        self.writer = writer
        self.attachment = attachment
        self.identity, self.config = attachment.folder.path.name, attachment.config
        self.stream = writer.stream
        self.lock = writer.journal.lock
        self.owned = writer.writer_id == 0
        self.on_sealed: list[Callable[[], None]] = []
        self.on_finished: list[Callable[[], None]] = []
        self._merged = None

    def journal(self) -> tuple[Journal | None, Redaction | None]:
        """The journal of this process."""
        return self.writer.journal, self.writer.redaction

    def settle(self, staged: list[Any]) -> None:
        """Stage the event whose line is written."""
        journal = self.writer.journal
        # a line of another thread is left to that thread: to wait for its lock here could be to wait for each other
        if journal.line is not None and journal.lock._is_owned():  # type: ignore[attr-defined]
            journal.settle(staged)

    def require_writer(self, verb: str) -> None:
        """Open a journal again after the end, for the last verbs of a finished experiment."""
        if not self.stream.lifecycle.alive:
            self.writer.ensure_open()

    def append(self, verb: str, facts: Mapping[str, Any]) -> None:
        """Write a verb; if that fails, it is kept and written before the next line."""
        self.writer.journal.write_control(verb, encode_facts(verb, facts, self.config))

    def stage_rows(self, staged: list[Any], rows: list[tuple[Any, ...]]) -> bool:
        """Write rows, all or none, and stage them as they were written."""
        return not rows or self.writer.journal.write_rows(staged, rows, self.writer.redaction)

    def write_table(self, frame: pd.DataFrame, event: str | None) -> Iterator[tuple[pd.DataFrame, int]]:
        """Write a table, all or nothing; yield it as it was written."""
        journal, reading = self.writer.journal, self.stream.clock.read()
        parts = list(encode_table(frame, self.writer.redaction, journal.seq, reading, event))
        if parts and journal.write(b"".join(line for line, _ in parts), len(frame)):
            for _, part in parts:
                yield part, reading

    def view(self, *, status_only: bool = False) -> View:
        """Return the experiment now; unreadable files of other writers are reported, not raised."""
        if not (status_only and self.owned):
            with self._reporting_store_errors():
                self.attachment.catch_up()
        own, main = self.stream.lifecycle, self.attachment.main().lifecycle
        return self._view(main if own.status == "running" or not main.alive else own)

    @contextmanager
    def _reporting_store_errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            let_pass(error)
            self.stream.problems.report("store", str(error))

    def seal_if_due(self, process: Callable[[], None]) -> None:
        """Rotate a journal that is long enough, and have it sealed in the background."""
        if not self.writer.is_due:
            return
        with self.lock:
            process()  # events staged by now are in the journal that ends
            rotated = self.writer.rotate()
        seal = self.writer.prepare_segment(self.writer.number - 1) if rotated else None
        if seal is not None:
            SEALER.submit(seal)
            for job in self.on_sealed:
                SEALER.submit(job)

    def flush(self) -> None:
        """Sync the journal."""
        self.writer.flush()

    def finish(self, process: Callable[[], None]) -> None:
        """Close the journal, process staged events, write the final segment, and seal journals of dead workers."""
        self.writer.journal.close()
        process()
        self.writer.finish()
        if self.owned:
            with self._reporting_store_errors():
                self.attachment.seal_abandoned_journals()
        for job in self.on_finished:
            job()

    def facts(self) -> dict[str, Any]:
        """State of the journal."""
        return self.writer.facts()

    def after_in_child(self) -> None:
        """Drop the files of the parent."""
        super().after_in_child()
        self.on_sealed, self.on_finished = [], []
        self.writer.forget()

    def become_writer_after_fork(self) -> str | None:
        """Write as a new writer, with the first event."""
        writer, config = self.writer, self.config
        started = None if config.clock == "events" else self.stream.clock.reading()
        with writer.released_on_failure():
            writer.claim()
            stream = self.stream.empty_copy(writer.writer_id, started)
            self.stream = self.attachment.stream = writer.stream = stream
            writer.open(1, started)
        self.owned = False
        return None


def open_log(attachment: Attachment) -> EventLog:
    """Return the log of an experiment opened from its folder, or from its copy in a database."""
    if attachment.writer is not None:
        return StoredLog(attachment, attachment.writer)
    return CopyLog(attachment) if attachment.rows_are_remote else AttachedLog(attachment)
