"""Intake of an experiment: the staging area, its gate, and the lock under which anything changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.events.rows import WIDTH
from crucible_nb.events.staging import row_of
from crucible_nb.events.tables import brings_weights, frame_of, rows_of
from crucible_nb.experiment.recorder import make_recorder
from crucible_nb.experiment.spans import ActiveClock
from crucible_nb.pipeline.stream import TRANSITIONS
from crucible_nb.store.log import EventLog, View
from crucible_nb.utils.interrupts import let_pass, unbroken
from crucible_nb.utils.runtime import RUNTIME
from crucible_nb.utils.threads import PROCESSOR

_STAGE = 4096 * WIDTH  # number of staged cells from which they are processed


class Intake:
    """Stages events, processes them in blocks, and applies verbs between them.

    Locks are taken in this order: the lock of the experiment, then the lock of its log.

    Args:
        log: Log of the experiment.

    Attributes:
        lock: Lock of the experiment.
        record: Records one event; see `make_recorder`.
        running: Whether events are collected.
        before_event: Called before each event while a rule may pause or stop the experiment.
        clock: Clock by which spans are measured; it stands still during pauses.
        sources: Called before the experiment is read or changes its status, to record what is on its way to it.
        closers: Called once before it ends, for what feeds it from outside.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.lock = threading.RLock()
        self.running = False
        self.before_event: Callable[[], object] = self.process
        self.clock = ActiveClock()
        self.sources: list[Callable[[], None]] = []
        self.closers: list[Callable[[], None]] = []
        self._forked = self._disabled = False
        self._fork = ExitStack()
        self._staged: list[Any] = []
        stream = log.stream
        self.record, self._set_limit = make_recorder(
            self._staged, stream.clock.read, self._admit, stream.problems, *log.journal()
        )
        self._follow_status()
        RUNTIME.survive_forks(self)

    # -- the gate -----------------------------------------------------------------------------------------------------

    def disable(self) -> None:
        """Collect nothing, ever."""
        self._disabled = True
        self.shut()

    def open(self) -> None:
        """Collect events from now on."""
        if self._disabled:
            return
        self.running = True
        self._set_limit(self._limit())

    def _limit(self) -> int:
        """Return the number of staged cells from which they are processed: at once where a rule may act."""
        return 0 if self.log.stream.monitor.acts else _STAGE

    def shut(self) -> None:
        """Stop collecting events: with a limit of 0, every event calls `_admit`."""
        self.running = False
        self._set_limit(0)

    def _follow_status(self) -> None:
        status = self.log.stream.lifecycle.status
        self.clock.follow(paused=status == "paused")
        if self.log.records and status == "running":
            self.open()
        else:
            self.shut()

    def _admit(self) -> bool:
        """Return whether to collect an event when the staging area is full or the gate is shut.

        A full staging area is processed in the background. If it reaches twice that size, the background thread did not
        get to run; then the caller processes it, which is cheaper than competing for the interpreter and bounds memory.
        """
        if self._forked and not self._accepts_after_fork():
            return False
        if not self.running:
            return False
        if self.log.stream.monitor.acts:
            self.before_event()
            return self.running
        if len(self._staged) >= 2 * _STAGE:
            self.process()
        else:
            self._set_limit(2 * _STAGE)
            PROCESSOR.submit(self.process)
        return True

    # -- events -------------------------------------------------------------------------------------------------------

    def process(self) -> None:
        """Run all staged events through the pipeline."""
        with self.lock:
            self.log.settle(self._staged)
            if not self._staged:
                return
            with unbroken():
                self._process()
                self.log.seal_if_due(self._process)

    def _process(self) -> None:
        for _ in range(-(-len(self._staged) // _STAGE)):
            rows = self._staged[:_STAGE]
            del self._staged[: len(rows)]
            try:
                self.log.stream.rows(rows)
            except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
                let_pass(error)
                sentence = f"events could not be processed: {type(error).__name__}: {error}"
                self.log.stream.problems.report("errors", sentence, len(rows) // WIDTH)
        if self.running:
            self._set_limit(self._limit())

    def extend(self, table: Any, event: str | None) -> int:
        """Record a table; return the number of events collected."""
        with self.lock, unbroken(), self.log.lock:
            self.process()
            if self._forked and not self._accepts_after_fork():
                return 0
            if not self.running:
                return 0
            try:
                if isinstance(table, list) and not brings_weights(table):
                    return self._extend_rows(table, event)
                return self._extend_frame(frame_of(table, event), event)
            except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
                let_pass(error)
                size = len(table) if hasattr(table, "__len__") else 1
                sentence = f"extend() recorded nothing: {type(error).__name__}: {error}"
                self.log.stream.problems.report("errors", sentence, size)
                return 0
            finally:
                self.log.seal_if_due(self._process)

    def _extend_rows(self, table: list[Any], event: str | None) -> int:
        reading, problems = self.log.stream.clock.read(), self.log.stream.problems
        rows = [row_of(reading, event, row, problems) for row in rows_of(table)]
        if not self.log.stage_rows(self._staged, rows):
            return 0
        self._process()
        return len(rows)

    def _extend_frame(self, frame: pd.DataFrame, event: str | None) -> int:
        stream = self.log.stream
        return sum(stream.frame(part, event, reading) for part, reading in self.log.write_table(frame, event))

    # -- verbs and views ----------------------------------------------------------------------------------------------

    def apply(self, verb: str, facts: Mapping[str, Any] | None = None) -> None:
        """Change the experiment, at this place among its events.

        Args:
            verb, facts: As for `Stream.apply`; transitions and marks get their clock reading here.

        Raises:
            LifecycleError: The status does not allow it, or the experiment is read-only here.
            StoreError: The journal cannot be written; then nothing has changed.
        """
        with self.lock, unbroken():
            if self._forked:
                self._join_after_fork()
            stream, transition = self.log.stream, verb in TRANSITIONS
            self._draw()
            if transition:
                stream.lifecycle.check(verb)
                self._close_sources(verb)
            self.log.require_writer(verb)
            try:
                if transition:
                    self.shut()  # before the clock is read: no event is later than the pause that shut the gate
                with self.log.lock:
                    self.process()
                    if transition:
                        # in event time the newest event may just have been processed
                        facts = {"clock": stream.clock.reading()}
                    elif verb == "mark":
                        facts = {**(facts or {}), "clock": stream.clock.reading()}
                    stream.apply(verb, facts or {})
                    self.log.append(verb, facts or {})
            finally:
                if transition:
                    self._follow_status()
            if not stream.lifecycle.alive:
                self.log.finish(self._process)

    def view(self) -> View:
        """Return a view of the experiment with everything recorded so far; call it, and use it, with the lock held."""
        self._draw()
        self.process()
        return self.log.view()

    def _close_sources(self, verb: str) -> None:
        if verb in ("stop", "fail"):
            closers, self.closers = self.closers, []
            for close in closers:
                close()

    def _draw(self) -> None:
        for source in tuple(self.sources):
            source()

    def whole(self) -> AbstractContextManager[None]:
        """Delay signals during a read: a handler may read or record as well. Not where a database may be waited for."""
        return nullcontext() if self.log.rows_are_remote else unbroken()

    def status_view(self) -> View:
        """Return a view for the status only; staged events are not processed. Called with the lock held."""
        return self.log.view(status_only=True)

    # -- forks --------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Hold both locks while the process forks."""
        self._fork.enter_context(self.lock)
        self._fork.enter_context(self.log.lock)

    def after_in_parent(self) -> None:
        """Release both locks."""
        self._fork.close()

    def after_in_child(self) -> None:
        """Release both locks; the first event decides whether and where this process records."""
        self._fork.close()
        self.log.stream.problems.after_in_child()
        if self.log.records:
            self._forked = True
            self._set_limit(0)
            self.log.after_in_child()

    def _accepts_after_fork(self) -> bool:
        try:
            reason = self._join_after_fork()
        except StoreError as error:  # tried again with the next event
            reason = str(error)
        if reason is not None:
            self.log.stream.problems.report("refused", reason)
        return reason is None

    def _join_after_fork(self) -> str | None:
        """Join as a writer with its own id in a forked process; return the reason if that is not possible."""
        with self.lock, unbroken():
            if not self._forked:
                return None
            reason = self.log.become_writer_after_fork()
            if reason is None:
                self._staged.clear()  # they belong to the parent
                self._forked = False
                self._follow_status()
            return reason
