"""The durable side of an experiment: lines for what changes it, sealing, forks, handles."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import pandas as pd

from crucible_nb.errors import CrucibleError, LifecycleError, StoreError
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.pipeline import Pipeline
from crucible_nb.pipeline.stream import Stream
from crucible_nb.stats.planning.plan import Look
from crucible_nb.store.archive import Remote, shown
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.layout import PRICES
from crucible_nb.store.merge import merged
from crucible_nb.store.postgres.address import Address
from crucible_nb.store.postgres.changes import Source
from crucible_nb.store.postgres.replicator import Replicator, forget
from crucible_nb.store.writer import SEALER, SYNCER, Writer, claim
from crucible_nb.utils.problems import Problems
from crucible_nb.windows.query import Edges


class Durable:
    """What an experiment does with its store; without one, nothing."""

    name: str
    _lock: threading.RLock
    _config: ExperimentConfig
    _attached: Attachment | None
    _writer: Writer | None
    _stream: Stream
    _pipeline: Pipeline
    _problems: Problems
    _staged: list[Any]
    _running: bool
    _set_limit: Callable[[int], None]
    _fold: Callable[[], None]
    _show: Callable[[Stream], None]
    _forked = False
    _turning = False
    _merged: tuple[Any, pd.DataFrame] | None = None
    _copier: Replicator | None = None
    _archives: dict[str, tuple[Remote, dict[str, Any]]]
    _move: Callable[[str], None]
    summary: Callable[[], dict[str, Any]]
    id: str

    def _journal_lock(self) -> AbstractContextManager[Any]:
        """Held while what is written and what is staged have to be the same."""
        return nullcontext() if self._writer is None else self._writer.journal.lock

    @contextmanager
    def _noting(self, verb: str, facts: Callable[[], dict[str, Any]]) -> Iterator[None]:
        """Something that changes the experiment, at its place among the events."""
        with self._lock, self._journal_lock():
            self._fold()
            yield
            if self._writer is not None:
                self._writer.ensure_open()
                self._writer.journal.control(verb, facts())

    def _note_look(self, look: Look) -> None:
        """A look at a comparison counts, whoever resumes the experiment."""
        if self._writer is not None and not self._forked:
            with self._safely(), self._lock:
                with self._noting(
                    "look", lambda: {"n": look.n, "metrics": list(look.metrics), "planned": look.planned}
                ):
                    pass
                if not self._story.alive:
                    self._finish()

    @property
    def _looks_on(self) -> bool:
        """Whether this process only reads it."""
        return self._attached is not None and self._attached.writer is None

    def _may_write(self, verb: str) -> None:
        """Raise unless this process is one that writes the experiment."""
        attached = self._attached
        if attached is not None and self._looks_on:
            raise LifecycleError(f"cannot {verb} {self.name!r}: it is only read here; {attached.owner()} writes it")

    def _seal_when_due(self) -> None:
        """After a fold, with the lock held: a journal that is long enough becomes a segment, in the background."""
        writer = self._writer
        if writer is None or self._turning or not writer.is_due:
            return
        self._turning = True
        try:
            self._turn(writer)
        finally:
            self._turning = False

    def _turn(self, writer: Writer) -> None:
        with writer.journal.lock:
            self._fold()  # what came meanwhile belongs to the journal that ends
            turned = writer.rotate()
        seal = writer.prepare_segment(writer.number - 1) if turned else None
        if seal is not None:
            SEALER.ask(seal)
            for url in self._archives:
                SEALER.ask(lambda url=url: self._archive_again(url))  # type: ignore[misc]

    def _finish(self) -> None:
        """The last line is written: seal what is there."""
        if self._writer is not None:
            self._writer.journal.close()
            self._fold()
            self._writer.finish()
            if self._attached is not None and self._writer.writer_id == 0:
                with self._safely():
                    self._attached.adopt()
            if self._copier is not None:
                self._copier.ended()

    @contextmanager
    def _safely(self) -> Iterator[None]:
        """What a process writes itself it has in memory: trouble with files of others is noted, and stops nothing."""
        try:
            yield
        except StoreError as error:
            if self._writer is None:
                raise
            self._problems.report("store", str(error))

    def flush(self) -> None:
        """Have everything recorded so far survive a power loss: it is synced when this returns.

        Without a store there is nothing to sync. With one, that happens by itself once a second.

        Raises:
            StoreError: The disk refuses.

        Examples:
            >>> import tempfile
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", store=tempfile.mkdtemp())
            >>> exp.record("tick")
            True
            >>> exp.flush()
            >>> exp.stop()
        """
        if self._writer is not None:
            self._writer.flush()

    # -- the copy -----------------------------------------------------------------------------------------------------

    def _copy_to(self, address: Address, *, once: bool = False) -> Replicator:
        """Have a database follow."""
        attached = self._attached
        assert attached is not None
        source = Source(
            self.id, self._config, self._lock, self._streams, attached.older, self.summary,
            (attached.folder.path / PRICES).read_bytes(),
            {} if self._writer is None else {self._writer.writer_id: self._writer.began},
        )  # fmt: skip
        self._copier = Replicator(address, source, once=once)
        return self._copier

    def _streams(self) -> list[Stream]:
        """Of all writers, up to date."""
        assert self._attached is not None
        with self._lock:
            self._fold()
            self._pipelines()
            return self._attached.streams()

    # -- object storage -----------------------------------------------------------------------------------------------

    def _archive_to(self, url: str) -> str:
        """Copy what is sealed; of an experiment that has ended, everything."""
        if self._attached is None or self._attached.distant:
            raise StoreError(f"cannot archive {self.name!r} to {shown(url)!r}: it has no folder; cr.start(store=...)")
        remote = self._archives.setdefault(shown(url), (Remote(url, self.id), {}))
        self._push(*remote)
        if not self._story.alive and self._story.status != "archived":
            self._move("archive")
            self._push(*remote)
        return remote[0].url

    def _push(self, remote: Remote, facts: dict[str, Any]) -> None:
        assert self._attached is not None
        try:
            done = remote.push(self._attached.folder, whole=not self._story.alive)
            facts.update(files=done.files, events=done.events, failure=None)
        except CrucibleError as error:
            facts.update(failure=str(error))
            raise

    def _archive_again(self, url: str) -> None:
        """After a seal, in the background."""
        with suppress(CrucibleError):
            self._push(*self._archives[url])

    def _store_facts(self) -> dict[str, Any] | None:
        """How writing stands, and copying."""
        if self._writer is None:
            return None
        copied: dict[str, Any] = {url: dict(facts) for url, (_, facts) in self._archives.items()}
        if self._copier is not None:
            copied[repr(self._copier.address)] = self._copier.facts()
        return {**self._writer.facts(), "archived": copied}

    def wait_archived(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far is in the database of `cr.start(store="postgresql://...")`.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            Whether it is there. Without a database there is nothing to wait for.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("tick")
            >>> exp.wait_archived()
            True
        """
        return self._copier is None or self._copier.wait(timeout)

    @property
    def handle(self) -> str:
        """What another process needs to join: `cr.attach(handle, mode="join")`, or CRUCIBLE_RUN in its environment.

        An experiment that goes to another process by itself (pickled by multiprocessing, joblib, Dask) is such a
        handle too, and joins there.

        Raises:
            StoreError: It is in memory only.
        """
        if self._attached is None:
            raise StoreError(f"{self.name!r} is in memory only: another process can join it with cr.start(store=...)")
        return self._attached.handle()

    # -- other writers ------------------------------------------------------------------------------------------------

    @property
    def _story(self) -> Lifecycle:
        """The lifecycle of the experiment, which a worker shares."""
        return self._stream.life if self._attached is None else self._attached.life

    def _writers(self) -> dict[int, Pipeline]:
        """The stages of all writers by their ordinals, up to date; with the lock held."""
        if self._attached is None:
            return {0: self._pipeline}
        with self._safely():
            self._attached.catch_up()
        if self._writer is None and self._stream is not self._attached.main():
            self._show(self._attached.main())
        return {stream.writer_id: stream.pipeline for stream in self._attached.streams()}

    def _pipelines(self) -> list[Pipeline]:
        """Of all writers, up to date; with the lock held."""
        return list(self._writers().values())

    def _counts(self) -> Counter[str]:
        """What was noted, of all writers."""
        if self._attached is None:
            return self._problems.counts
        return sum((stream.problems.counts for stream in self._attached.streams()), Counter())

    def _rows_kept(self, pipelines: Sequence[Pipeline], edges: Edges | None = None) -> pd.DataFrame:
        """All kept rows: of memory, of the other writers, and with a store those that left memory.

        Where rows are far away, only those within the edges, if there are any.
        """
        attached = self._attached
        if attached is not None and attached.distant and edges is not None:
            found = attached.window(*edges)
            if found is not None:
                return found
        if attached is None or (len(pipelines) == 1 and not self._pipeline.buffer.evicted):
            return self._pipeline.buffer.frame()
        key = tuple((one.seq, one.buffer.evicted) for one in pipelines)
        if self._merged is None or self._merged[0] != key:
            parts = []
            for stream in attached.streams():
                if stream.pipeline.buffer.evicted:
                    parts += [(stream.writer_id, frame) for frame in attached.older(stream)]
                parts.append((stream.writer_id, stream.pipeline.buffer.frame()))
            self._merged = (key, merged(parts))
        return self._merged[1]

    # -- forks --------------------------------------------------------------------------------------------------------

    def _in_child(self) -> None:
        """This process is a fork: what is open belongs to the parent; the first event makes it a writer of its own."""
        self._forked = True
        self._staged.clear()
        self._copier = None
        self._set_limit(0)
        if self._writer is not None:
            self._writer.forget()

    def _rejoin(self) -> None:
        """In a forked child, with its first event."""
        attached, writer = self._attached, self._writer
        assert attached is not None
        assert writer is not None
        writer.writer_id, writer.lock = claim(attached.folder)
        started = None if self._config.clock == "events" else self._stream.clock.reading()
        stream = self._stream.fresh(writer.writer_id, started)
        attached.stream = writer.stream = stream
        writer.open(1, started)
        self._show(stream)
        self._forked = False


_LIVING: weakref.WeakSet[Durable] = weakref.WeakSet()
_HELD: list[Any] = []


def living(experiment: Durable) -> None:
    """Look after an experiment when this process forks."""
    _LIVING.add(experiment)


def hosted() -> list[Durable]:
    """The experiments of this process that write to a store."""
    return list(_LIVING)


def _before() -> None:
    """No lock is held by a thread that the child will not have."""
    for experiment in _LIVING:
        if experiment._writer is not None:
            for lock in (experiment._lock, experiment._writer.journal.lock):
                lock.acquire()
                _HELD.append(lock)


def _release() -> None:
    while _HELD:
        _HELD.pop().release()


def _child() -> None:
    _release()
    SYNCER.forget()
    forget()
    for experiment in _LIVING:
        experiment._in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_release, after_in_child=_child)
