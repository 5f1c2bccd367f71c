"""`Experiment`, the object users work with: public methods that call the parts it is composed of."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar, overload

import pandas as pd

from crucible_nb import files
from crucible_nb.anomaly.incidents import incident_frame, incident_summary
from crucible_nb.errors import CrucibleError, LifecycleError, StoreError
from crucible_nb.events.conditions import parse_condition
from crucible_nb.events.json_text import json_dict
from crucible_nb.events.marks import at_marks, check_mark
from crucible_nb.events.where import Where
from crucible_nb.experiment.alerting import Alerting
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.intake import Intake
from crucible_nb.experiment.live import LIVE
from crucible_nb.experiment.objective import WINDOWS, ServiceLevel, service_level
from crucible_nb.experiment.reads import Reads, timestamp
from crucible_nb.experiment.recorder import Recorder
from crucible_nb.experiment.snapshot import Labelled, Snapshot, facts_of_row, incidents_of, labelled
from crucible_nb.experiment.spans import Span, track
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.monitor import ACTIONS
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.rules import Rule
from crucible_nb.pipeline.stream import Stream
from crucible_nb.sampling import sampling_of
from crucible_nb.stats.planning.plan import Ledger, Look, Plan, plan_of
from crucible_nb.store.archive import is_url
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.copies import Copies
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.log import EventLog, MemoryLog, open_log
from crucible_nb.store.merge import WRITER
from crucible_nb.store.redaction import Redaction
from crucible_nb.utils import checks, html
from crucible_nb.utils.interrupts import unbroken
from crucible_nb.utils.pictures import pictures
from crucible_nb.utils.signatures import signature_of
from crucible_nb.utils.suggest import Near, hinting_methods
from crucible_nb.utils.text import brief
from crucible_nb.windows import windowed_metrics
from crucible_nb.windows.query import TimedRows, query_window

_WORDS = {
    "log": "use exp.record('train.step', {'loss': 0.3}, step=1)",
    "finish": "use exp.stop(), or `with cr.start(...) as exp:`",
    "close": "use exp.stop(), or `with cr.start(...) as exp:`",
    "config": "use exp.metadata, and exp.summary() for the arguments of cr.start",
    "history": "use exp.df",
}
"""Names of other packages, and what to use here."""


_query_window = query_window  # in the class the name is that of the method
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class _TrackIter(Protocol):
    """Type of `Experiment.track_iter`, which is registered."""

    @overload
    def __call__(
        self, xs: Iterable[T], total: int | None = ..., desc: str | None = ..., event: str | None = ...
    ) -> Iterator[T]: ...
    @overload
    def __call__(
        self, xs: AsyncIterable[T], total: int | None = ..., desc: str | None = ..., event: str | None = ...
    ) -> AsyncIterator[T]: ...


class _Report(Protocol):
    """Type of `Experiment.report`, which is registered."""

    def __call__(
        self, path: str | Path, *, compare: Experiment | Sequence[Experiment] | None = ...,
        data: Literal["parquet", "csv"] | None = ..., title: str | None = ..., redact: Any = ..., made_at: Any = ...,
        interactive: bool = ...,
    ) -> Path: ...  # fmt: skip


@hinting_methods
class Experiment(Near):
    """Telemetry of one experiment: record events, pause and resume, and read metrics at any time.

    Created by `cr.start`; all methods may be called from any thread.

    Attributes:
        id: Generated unique id.
        name: Name, any text.
        condition, hypothesis, tags, metadata, sample_size: Arguments of `cr.start`, metadata as JSON; with a store,
            without secrets.
        unit, cluster: Columns of items and of clusters of items that were declared; None without.
        record: Function that records one event; see its own help.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=100.0, success=True)
        >>> exp.status, exp.metrics().latency.mean
        ('stopped', 100.0)
    """

    record: Recorder
    dashboard: Callable[..., Any]  # registered, see `crucible_nb.experiment.extensions`
    track_iter: _TrackIter  # registered
    trace: Callable[..., Any]  # registered, see `crucible_nb.capture`
    listen: Callable[..., Any]  # registered
    plot: Any  # registered
    report: _Report  # registered, see `crucible_nb.reports`

    _words = _WORDS

    def __init__(self, config: ExperimentConfig, log: EventLog | None = None) -> None:
        if not isinstance(config, ExperimentConfig):
            raise checks.wrong("Experiment", config, "no direct call; use cr.start(name) or cr.attach(name, store)")
        self._config, self._log = config, MemoryLog(config) if log is None else log
        self.id = self._log.identity
        self.name, self.condition, self.hypothesis = config.name, config.condition, config.hypothesis
        self.tags, self.metadata, self.sample_size = tuple(config.tags), dict(config.metadata), config.sample_size
        self.unit, self.cluster = config.unit, config.cluster
        self._intake = Intake(self._log)
        self.record = self._intake.record
        self._reads = Reads(config, self._log)
        self._alerting = Alerting(self._intake, self.metrics)
        self._copies = Copies(self._log, self._intake.lock, self._intake.view, self._move, self.summary)

    @property
    def _stream(self) -> Stream:
        return self._log.stream

    def _move(self, verb: str) -> None:
        self._alerting.apply(verb)

    # -- recording ----------------------------------------------------------------------------------------------------

    def extend(self, frame: Any, event: str | None = None) -> int:
        """Record many events at once, as if by one `record` per row.

        A row without a time gets that of the clock, as does `record`: of this machine, or with `clock="events"` the
        newest event time before it.

        Args:
            frame: DataFrame, list of mappings, or Arrow table. Times come from a DatetimeIndex or a `time` column
                (any resolution, naive means UTC), else from the clock. A `weight` column is kept; `seq` and the
                `anomaly` columns are dropped and counted.
            event: Event name for rows without one.

        Returns:
            Number of events collected; 0 while the experiment is paused or has ended.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.extend(pd.DataFrame({"latency_ms": [1.0, 2.0]}), event="llm.request")
            2
            >>> exp.stop()
        """
        return self._alerting.extend(frame, event)

    def span(self, event: str, **fields: Any) -> Span:
        """Create a context manager that records a block of work as one event when it ends.

        Args:
            event: Name of the event.
            **fields: Columns of the event; `span.set(...)` adds more inside.

        Returns:
            The span, which measures latency (ms), success and error class.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     with exp.span("llm.request", model="gpt-4o") as span:
            ...         span.set(prompt_tokens=311)
            >>> exp.df.prompt_tokens.tolist()
            [311]
        """
        return Span(self.record, event, fields, self._report_late_field, self._intake.clock)

    def _report_late_field(self, sentence: str) -> None:
        self._stream.problems.report("errors", sentence)

    @overload
    def track(self, event: F) -> F: ...
    @overload
    def track(self, event: str, **fields: Any) -> Callable[[F], F]: ...
    def track(self, event: Any, **fields: Any) -> Any:
        """Decorate a function, coroutine, generator or async generator so that every call is recorded.

        Static and class methods, partials and callable objects may be decorated as well. A call that returns an
        awaitable or a generator is measured until that is done.

        Args:
            event: Name of the events; without arguments (`@exp.track`), the name of the function.
            **fields: Columns of every event.

        Raises:
            ConfigError: A class, or an object that cannot be called, is decorated.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> @exp.track("llm.request")
            ... def ask(prompt):
            ...     return prompt.upper()
            >>> ask("hi")
            'HI'
            >>> exp.df.event.tolist(), exp.df.success.tolist()
            (['llm.request'], [True])
            >>> exp.stop()
        """
        return track(lambda name, given: self.span(name, **given), event, fields)

    def set_sampling(self, sampling: Any = None, config: Mapping[str, Any] | None = None) -> None:
        """Change the sampling policy for later events. Rows kept so far stay, with their current weights.

        Args:
            sampling: None to keep every event, a name ("uniform", "reservoir", "stratified", "adaptive",
                "importance"), or a sampler.
            config: Arguments of a sampler given by name.

        Raises:
            ConfigError: Unknown sampler, or invalid arguments.
            LifecycleError: The experiment has ended.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     for ms in range(10):
            ...         _ = exp.record("tick", latency_ms=ms)
            ...     exp.set_sampling("reservoir", {"size": 2})
            ...     for ms in range(10):
            ...         _ = exp.record("tick", latency_ms=ms)
            >>> exp.df.weight.tolist()
            [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 5.0, 5.0]
        """
        policy = sampling_of(sampling, config)
        with self._intake.lock:
            if not self._stream.lifecycle.alive:
                self._stream.lifecycle.check("set the sampling of")
            self._intake.apply("sampling", {"policy": policy})

    def flush(self) -> None:
        """Sync everything recorded so far to disk, so that it survives a power loss.

        Without a store there is nothing to sync. With a store, events are also synced once a second.

        Raises:
            StoreError: The disk reports an error.

        Examples:
            >>> import tempfile
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", store=tempfile.mkdtemp())
            >>> exp.record("tick")
            True
            >>> exp.flush()
            >>> exp.stop()
        """
        self._log.flush()

    # -- lifecycle ----------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop collecting until `resume`; the paused time does not count as active. While paused it does nothing.

        Raises:
            LifecycleError: The experiment has ended, or is read-only here.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.pause()
            >>> exp.record("ignored"), exp.paused
            (False, True)
            >>> exp.stop()
        """
        self._move("pause")

    def resume(self) -> None:
        """Continue collecting after a pause; without a pause it does nothing.

        Raises:
            LifecycleError: The experiment has ended, or is read-only here.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.pause(); exp.resume()
            >>> exp.status, exp.resume_count
            ('running', 1)
            >>> exp.stop()
        """
        self._move("resume")

    def stop(self) -> None:
        """End the experiment; everything recorded stays readable. Once it has ended, by a rule too, it does nothing.

        Raises:
            LifecycleError: The experiment is read-only here.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.watch("event_count >= 1", action="stop")
            >>> exp.record("tick"), exp.record("tick"), exp.status
            (True, False, 'stopped')
            >>> exp.stop()
        """
        self._move("stop")

    def mark(self, name: str, time: Any = None) -> None:
        """Name this moment, such as the end of the warm-up; a name that is used again moves.

        `start=` and `end=` of `query_window`, `start=` and `at=` of `metrics` and the times of `where=` understand the
        name. In event time the moment is just after the newest event.

        Args:
            name: Letters, digits and underscores.
            time: The moment: datetime, Timestamp, ISO text or int nanoseconds; None for now.

        Raises:
            ConfigError: Another name, or a time that is none.
            LifecycleError: The experiment is read-only here.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", clock="events")
            >>> _ = exp.record("call", latency_ms=900.0, time="2025-01-01 00:00:00")
            >>> exp.mark("warm")
            >>> _ = exp.record("call", latency_ms=100.0, time="2025-01-01 00:00:05")
            >>> exp.stop()
            >>> exp.metrics(where="time >= warm").latency.max, len(exp.query_window(end="warm"))
            (100.0, 1)
        """
        moment = None if time is None else checks.instant("time", time)
        self._intake.apply("mark", {"name": check_mark(name), "time": moment})

    @property
    def marks(self) -> dict[str, pd.Timestamp]:
        """The moments named by `mark`, as UTC Timestamps by name."""
        with self._intake.lock, self._intake.whole():
            return {
                name: pd.Timestamp(moment, unit="ns", tz="UTC") for name, moment in self._intake.view().marks.items()
            }

    def update(
        self,
        *,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        hypothesis: str | None = None,
    ) -> None:
        """Change what describes the experiment, also after it has ended; its events stay as they are.

        With a store it is written there at once, so another process sees it when it attaches. A copy in a database
        keeps what it has. A plan keeps its hypothesis.

        Args:
            tags: Labels, in place of the present ones; None leaves them.
            metadata: Facts to add; a value replaces that of the same key, and None removes the key.
            hypothesis: Hypothesis in words; None leaves it.

        Raises:
            ConfigError: An argument is not accepted.
            StoreError: The store cannot be written.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", tags=["ab"], metadata={"lr": 0.1}) as exp:
            ...     _ = exp.record("tick")
            >>> exp.update(tags=["ab", "best"], metadata={"note": "best so far", "lr": None})
            >>> exp.tags, exp.metadata
            (('ab', 'best'), {'note': 'best so far'})
        """
        given = json_dict(checks.mapping("metadata", metadata))
        described = {
            "tags": list(self.tags if tags is None else checks.texts("tags", tags)),
            "metadata": {name: value for name, value in {**self.metadata, **given}.items() if value is not None},
            "hypothesis": self.hypothesis if hypothesis is None else checks.text("hypothesis", hypothesis),
        }
        with self._intake.lock:
            described = self._log.describe(described)
            self._config.described(**described)
            self.tags, self.metadata = tuple(described["tags"]), dict(described["metadata"])
            self.hypothesis = described["hypothesis"]

    def archive(self, path: str | Path) -> Path | str:
        """Write a finished experiment to a zip file, or copy an experiment with a store to object storage.

        The zip holds the facts as JSON, the events as Parquet and, with a store, all its files; its owner alone may
        read it (mode 0600). To object storage, each
        file of the store is copied once, under its own name: of a running experiment the sealed files, and from then
        on each file when it is sealed; of an ended experiment all files. `summary()["store"]["archived"]` gives the
        number of events copied. `cr.unarchive` restores either into a store.

        An experiment that is read-only here, or archived already, is written too; only the process that started or
        resumed it marks it as archived.

        Args:
            path: File to write, ending in .zip; `cr.load` reads the events back. Or a URL such as "s3://bucket/prefix",
                or any other that fsspec supports.

        Returns:
            The path, or the URL of the experiment.

        Raises:
            LifecycleError: The experiment has not ended (zip).
            StoreError: The file cannot be written, or the experiment has no store (URL).
            ConfigError: fsspec, or the package it needs for the URL, is not installed.

        Examples:
            >>> import tempfile, pathlib
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("tick")
            >>> path = exp.archive(pathlib.Path(tempfile.mkdtemp()) / "run.zip")
            >>> exp.status, len(cr.load(path))
            ('archived', 1)
        """
        if is_url(path):
            return self._copies.archive(str(path))
        with self._intake.lock:
            status = self.status  # of a reader, after reading what is new
            if status not in ("archived", "dead"):
                self._stream.lifecycle.check("archive")
            written = files.archive(self.frame(), path, self._file_facts(), self._log.files())
            if self._log.records and status != "archived":
                self._move("archive")
            return written

    def __enter__(self) -> Experiment:
        if not self._stream.lifecycle.alive:
            self._stream.lifecycle.check("enter")
        try:
            CURRENT.push(self)
        except BaseException:  # of a signal handler: what was not entered is not left
            CURRENT.pop(self)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            CURRENT.pop(self)
        finally:
            if self._stream.lifecycle.alive:
                self._move("stop" if error is None else "fail")

    @property
    def status(self) -> str:  # jedi completes nothing for an object with a property that returns a Literal
        """Status: running, paused, stopped, failed, archived, or dead.

        Dead means that the writing process ended without stopping the experiment. For a worker, this is the status of
        the whole experiment, unless the worker has paused or ended its own recording.
        """
        with self._intake.lock:
            view = self._intake.status_view()
            return view.status

    @property
    def paused(self) -> bool:
        """Whether the experiment is paused now.

        For a worker, this holds for the whole experiment, unless the worker has paused or ended its own recording.
        """
        return self.status == "paused"

    @property
    def paused_at(self) -> pd.Timestamp | None:
        """Start of the current pause (UTC); None if the experiment is not paused."""
        with self._intake.lock:
            view = self._intake.status_view()
            return timestamp(view.lifecycle.paused_at())

    @property
    def pause_count(self) -> int:
        """Number of pauses."""
        with self._intake.lock:
            view = self._intake.status_view()
            return view.lifecycle.count("pause")

    @property
    def resume_count(self) -> int:
        """Number of resumes."""
        with self._intake.lock:
            view = self._intake.status_view()
            return view.lifecycle.count("resume")

    @property
    def started_at(self) -> pd.Timestamp | None:
        """Start time (UTC); with clock="events" the time of the first event, None before it."""
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            return timestamp(view.lifecycle.started)

    @property
    def stopped_at(self) -> pd.Timestamp | None:
        """End time (UTC); None until the experiment has ended."""
        with self._intake.lock:
            view = self._intake.status_view()
            return timestamp(view.lifecycle.ended)

    @property
    def paused_spans(self) -> pd.IntervalIndex:
        """Pauses as intervals of UTC time, closed on the left; an open pause ends now."""
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            return view.lifecycle.intervals(view.now)

    def summary(self) -> dict[str, Any]:
        """Return status, durations and counts.

        Returns:
            wall_clock_duration, active_duration, paused_duration in seconds; pause_count, resume_count;
            total_events (collected), kept_events (rows in memory), evicted_events (rows removed from memory, see
            `max_events`), sampling and seed, effective_sample_size (Kish: (sum w)^2 / sum w^2 of the kept rows),
            strata (of the sampling policy: {label: {"seen", "kept"}}), errors (events that could not be recorded),
            misfits (values moved to `metadata` because their type did not fit), refused (events that the store could
            not write), lost (events and files of the store that cannot be read), store (path, durability, acknowledged
            and synced bytes of the journal, failure: reason why it cannot be written now, archived: by database or
            URL, the number of events there, lag_events, lag_seconds and the last failure), progress (proportion of
            `sample_size`, None without one), and the arguments of `cr.start`. Where spans were captured and there are
            any: twins (calls that a second library recorded too), dropped_spans (the queue was full, or they could
            not be mapped), dropped_attributes (by the limit of the sender).

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", sample_size=4) as exp:
            ...     _ = exp.record("tick")
            >>> exp.summary()["total_events"], exp.summary()["progress"]
            (1, 0.25)
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            return self._reads.summary(view, self._copies.facts())

    # -- reading ------------------------------------------------------------------------------------------------------

    def frame(self, columns: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return all kept events with all columns, in order of time; no copy, and changes do not affect the experiment.

        Args:
            columns: Columns to return; None for all.

        Returns:
            DataFrame with a UTC DatetimeIndex `time`. If rows were evicted (`max_events`),
            `attrs["evicted_events"]` is their number.

        Raises:
            SchemaError: No such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("train.step", step=1, loss=0.5)
            >>> exp.frame(["event", "step", "loss"]).iloc[0].to_dict()
            {'event': 'train.step', 'step': 1, 'loss': 0.5}
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            frame = self._reads.frame(view)
        return frame if columns is None else frame[list(checks.columns("columns", columns, frame.columns))]

    @property
    def df(self) -> pd.DataFrame:
        """All kept events; the same as `frame()`."""
        return self.frame()

    @overload
    def query_window(
        self, *, last: Any = ..., last_n: int | None = ..., start: Any = ..., end: Any = ..., where: Where = ...
    ) -> pd.DataFrame: ...
    @overload
    def query_window(
        self, *, sliding: Any, step: Any = ..., where: Where = ...
    ) -> Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]]: ...
    @signature_of(_query_window)  # type: ignore[misc]  # mypy does not see its arguments
    def query_window(
        self, **arguments: Any
    ) -> pd.DataFrame | Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]]:
        """Select kept events of a time window, given in exactly one form.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     for ms in (1.0, 2.0, 3.0):
            ...         _ = exp.record("tick", latency_ms=ms)
            >>> exp.query_window(last_n=2, where="latency_ms > 2").latency_ms.tolist()
            [3.0]
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            arguments = at_marks(arguments, view.marks)
            rows = TimedRows(*self._reads.window_rows(view, arguments), view.now)
        return query_window(rows, **arguments)

    @signature_of(windowed_metrics)
    def windowed_metrics(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Compute metrics of each time window, over the kept events.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", clock="events") as exp:
            ...     for second in (0, 30, 60):
            ...         _ = exp.record("tick", latency_ms=1.0, time=second * 10**9)
            >>> exp.windowed_metrics("1min").event_count.tolist()
            [2, 1]
        """
        return windowed_metrics(self.frame(), *args, **kwargs)

    def metrics(
        self,
        last: Any = None,
        by: str | Sequence[str] | None = None,
        at: Any = None,
        where: Where = None,
        *,
        start: Any = None,
    ) -> Metrics:
        """Compute metrics over all events, including those without a kept row.

        Args:
            last: Duration of a window up to `at`, both edges included; rates are per active time in it. Windows given
                to `cr.start(windows=...)` are live: their cost does not grow with the number of events.
            by: Column to group by: event, model and `cr.start(by=...)` use all events; other columns, several
                columns, or `by` with `last` use the kept rows. Rates of a group are over its own time, from its first
                start (time - latency) to its last completion, in a window over the window.
            at: End of the window; default now, or the end of an experiment that has ended.
            where: Condition on the events, as for `query_window`: computed from the kept rows for which it is true,
                weighted, and marked as estimated if rows are missing.
            start: Beginning of the window, instead of `last`: a time, or the name of a `mark`.

        Returns:
            Metrics; with `by` indexable by group.

        Raises:
            ConfigError, SchemaError: An invalid duration or time; no such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", model="a", latency_ms=10.0)
            ...     _ = exp.record("llm.request", model="b", latency_ms=20.0)
            >>> exp.metrics().latency.max, exp.metrics(by="model")["a"].latency.max
            (20.0, 10.0)
            >>> exp.metrics(where="model == 'a'").events
            1
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            times = at_marks({"at": at, "start": start}, view.marks)
            return self._reads.metrics(view, last, by, times["at"], where, times["start"])

    def last(self, column: str) -> Any:
        """Return the newest known value of a column, such as the epoch at which to go on; None if there is none.

        It is the value of the newest event by time, and by order of recording among events of the same time; events
        that sampling dropped count too. With `cr.attach` and `on_exists="resume"` those of earlier processes as well.

        Args:
            column: Name of a column.

        Returns:
            A number, a boolean or text.

        Raises:
            ConfigError: `column` is no text.

        Examples:
            >>> import tempfile
            >>> import crucible_nb as cr
            >>> place = tempfile.mkdtemp()
            >>> with cr.start("training", store=place) as exp:
            ...     for epoch in range(3):
            ...         _ = exp.record("train.epoch", epoch=epoch, val_loss=1 / (epoch + 1))
            >>> exp = cr.attach("training", store=place)
            >>> exp.last("epoch"), exp.last("checkpoint_path")
            (2, None)
        """
        name = checks.text("column", column)
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            return self._reads.last(view, name)

    # -- alerting -----------------------------------------------------------------------------------------------------

    def on_anomaly(self, callback: Callable[[Alert], Any]) -> Callable[[], None]:
        """Call a function when an incident begins, a rule is met or a budget is spent; within 100 ms of `record`.

        Callbacks run outside of every lock and may call any method. They run in the thread that detects the alert
        first: a background thread, or one that calls `should_stop`, `alerts()`, `pause`, `resume` or `stop`. Their
        exceptions are counted, not raised; what they print is put into whichever cell of a notebook runs then. They are
        called for at most 60 alerts per minute; all are in `alerts()`.

        Args:
            callback: Callable (Alert) -> anything; an Alert has time, kind, metric, value, severity,
                reason, action, group. The first and the last event of an incident are in `anomalies()` (`first_seq`,
                `last_seq`), in the row whose `start` is the time of the alert.

        Returns:
            A function that removes the callback.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", anomaly="z_score", clock="events")
            >>> received = []
            >>> undo = exp.on_anomaly(received.append)
            >>> for i in range(101):
            ...     _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.stop()
            >>> len(received), received[0].reason
            (1, 'latency_ms 900 is 791.2 sd above the mean 101')
        """
        return self._alerting.listen(checks.function("callback", callback))  # type: ignore[arg-type]

    def watch(self, rule: str, action: str = "alert", min_events: int | None = None) -> None:
        """Raise an alert when a rule on the live metrics is met.

        Rules see every event, and raise the same alerts however the events were batched: a rule over a window is
        checked by the time of the events at the end of each thirtieth of the window, a rule over all events after each
        of them. In a live run the clock checks besides, within 100 ms.

        Args:
            rule: A sentence; docs/guides/rules.md has every form:
                "error_rate > 0.1 over 5min": any metric of `docs/guides/metric_names.md`, one of > >= < <=, a number
                ("10%" for shares), and optionally a window: of time, two windows ("over 1h and 5min": it has to hold
                in both), or of known values ("over 20 events");
                "p95_ttft_ms > 500 over 5min by service": each group on its own, up to 100, further ones together;
                "min_val_loss not better for 3 events", "max_accuracy not better by 0.001 for 5 events";
                "loss is not finite": infinite, or given as NaN;
                "burn_rate > 14.4 over 1h and 5min", after `slo`.
            action: "alert", "pause" or "stop"; the event that meets the rule is the last one that is recorded.
            min_events: Minimum number of values of the metric: known outcomes, latencies, costs. None: 10 for rates,
                means, quantiles and ratios; 1 for counts, totals and single values; all of a window of events; 0 for
                event_count and events_per_second below a limit over a window, so that "event_count < 1 over 5min"
                detects missing events, once the experiment has run for the whole window. With clock="events" that is
                known when the next event comes.

        Raises:
            ConfigError: The rule cannot be parsed, the action is unknown, or no objective was declared for burn_rate.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.watch("error_rate > 0.1 over 5min", action="stop")
            >>> for i in range(30):
            ...     if exp.should_stop:
            ...         break
            ...     _ = exp.record("call", success=i % 4 > 0)
            >>> i, exp.status
            (10, 'stopped')
        """
        goals = self._stream.monitor.goals
        parsed = Rule.parse(rule, checks.whole("min_events", min_events, ge=1, optional=True), goals)
        self._alerting.watch(parsed, "rule", checks.one_of("action", action, ACTIONS))

    def budget(self, usd: float, action: str = "pause") -> None:
        """Raise an alert when the total cost reaches a limit.

        Events without a price are not counted; another alert tells of each model that has none. See `unpriced()`.

        Args:
            usd: Limit in USD.
            action: "alert", "pause" or "stop".

        Raises:
            ConfigError: `usd` is not above 0, or the action is unknown.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.budget(usd=5)
            >>> for i in range(10):
            ...     if exp.should_stop:
            ...         break
            ...     _ = exp.record("call", cost_usd=1.5)
            >>> i, exp.status, exp.metrics().cost.total
            (4, 'paused', 6.0)
            >>> exp.stop()
        """
        limit = checks.number("usd", usd, gt=0)
        rule = Rule(f"budget of {limit:g} USD", "total_cost_usd", ">=", limit, None, 1)
        self._alerting.watch(rule, "budget", checks.one_of("action", action, ACTIONS))

    def slo(
        self, condition: str, target: float, *, windows: Sequence[str] = WINDOWS, confidence: float = 0.95
    ) -> ServiceLevel:
        """Declare a service level objective, and compute how well it is met so far.

        While the experiment has not ended, the objective is remembered: `burn_rate` in the rules that are watched from
        then on means the newest one. Other objectives can be declared and watched in turn.

        Args:
            condition: Condition of a good event, as in share(...): "latency_ms < 2000 and success". Events for which it
                is unknown are neither good nor bad.
            target: Share of good events that is aimed at, in (0, 1).
            windows: Windows of the burn rates that are returned, which end now.
            confidence: Coverage of the interval, in (0, 1).

        Returns:
            ServiceLevel: the share with its interval, the error budget (allowed, spent, left), and burn rates.

        Raises:
            ConfigError: An argument is not accepted.
            SchemaError: Values of a column do not support the condition.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> exp = cr.start("service", clock="events")
            >>> _ = exp.slo("latency_ms < 2000 and success", target=0.99)
            >>> exp.watch("burn_rate > 14.4 over 1h and 5min")
            >>> times = pd.date_range("2025-01-01", periods=5400, freq="s", tz="UTC")
            >>> calls = pd.DataFrame({"latency_ms": 400.0, "success": True}, index=times)
            >>> calls.loc["2025-01-01 01:00":, "success"] = False
            >>> exp.extend(calls)
            5400
            >>> str(exp.alerts().index[0]), exp.alerts().reason.item()
            ('2025-01-01 01:10:00+00:00', 'burn_rate > 14.4 over 1h and 5min: it is 16.67')
            >>> level = exp.slo("latency_ms < 2000 and success", target=0.99, windows=["1h"])
            >>> round(level.sli, 4), level.allowed, level.spent, round(level.burn["1h"], 2)
            (0.6667, 54.0, 1800.0, 49.99)
            >>> exp.stop()

        References:
            Beyer, Murphy, Rensin, Kawahara and Thorne (2018), The Site Reliability Workbook, chapters 2, 5. O'Reilly.
        """
        checks.text("condition", condition)
        parse_condition(condition, "condition")
        goal = checks.number("target", target, gt=0, lt=1)
        lengths = {name: checks.duration("windows", name) for name in checks.texts("windows", windows)}
        sure = checks.number("confidence", confidence, gt=0, lt=1)
        with self._intake.lock:
            if self._log.records and self._stream.lifecycle.alive:
                self._alerting.declare(condition, goal)
            view = self._intake.view()
            rows = self._reads.frame(view)
        return service_level(rows, condition, goal, view.now, lengths, sure)

    @property
    def should_stop(self) -> bool:
        """Whether a loop should end, as the experiment has ended, or a rule, a budget or an anomaly has paused it."""
        return self._alerting.should_stop

    def alerts(self) -> pd.DataFrame:
        """Return all alerts so far, indexed by time (UTC): kind, metric, value, severity, reason, action, told, group.

        `told` is whether callbacks were called: False without callbacks, and above 60 alerts per minute. `group` is the
        group of a rule with "by", missing for other alerts.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.watch("event_count >= 2")
            >>> _ = exp.record("a"), exp.record("b")
            >>> exp.alerts().reason.tolist()
            ['event_count >= 2: it is 2']
            >>> exp.stop()
        """
        return self._alerting.frame()

    def anomalies(self) -> pd.DataFrame:
        """Return the incidents found by the detectors of `cr.start(anomaly=...)`.

        Returns:
            One row per incident, oldest first: start, end (UTC), count (flagged events), peak (largest score; 1.0 is
            the threshold), severity (low, medium from 1.5, high from 3, critical from 6), metrics, reason, first_seq,
            last_seq, and `writer` if several processes had incidents. The flags themselves are columns of `frame()`.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="z_score", clock="events") as exp:
            ...     for i in range(101):
            ...         _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.anomalies()[["count", "severity", "metrics"]].values.tolist()
            [[1, 'critical', 'latency_ms']]
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            incidents = incidents_of(view)
        frame = incident_frame([incident for _, incident in incidents])
        writers = [writer for writer, _ in incidents]
        return frame if len(set(writers)) < 2 else frame.assign(**{WRITER: writers})

    def anomaly_metrics(self) -> dict[str, Any]:
        """Return total_anomalies (flagged events), anomaly_rate (of all events), anomalies_by_type, anomaly_periods.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="auto") as exp:
            ...     _ = exp.record("call", latency_ms=1.0)
            >>> exp.anomaly_metrics()
            {'total_anomalies': 0, 'anomaly_rate': 0.0, 'anomalies_by_type': {}, 'anomaly_periods': []}
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            incidents = [pipeline.detect.incidents for pipeline in view.pipelines]
            return incident_summary(incidents, sum(pipeline.seq for pipeline in view.pipelines))

    # -- deciding -----------------------------------------------------------------------------------------------------

    def plan(
        self,
        metric: str,
        margin: float | str | None = None,
        alpha: float = 0.05,
        *,
        direction: str | None = None,
        guardrails: Mapping[str, float | str] | None = None,
        secondary: Sequence[str] = (),
        sample_size: int | None = None,
        looks: int = 1,
        sequential: bool = False,
        hypothesis: str | None = None,
    ) -> Plan:
        """Register the analysis plan before the data are known; `cr.compare` marks unplanned looks and metrics.

        Args:
            metric: Primary metric, as in `cr.compare`.
            margin: Smallest relevant difference, in the unit of the metric, or "5%" of the control.
            alpha: Accepted rate of false positives.
            direction: "up" if more is better, "down" if less is better; None derives it from the name.
            guardrails: Metrics that must not get worse than by their margin, e.g. {"p95_latency_ms": "5%"}. All of them
                must hold, so they cost the primary metric no alpha.
            secondary: Other metrics to compare; they are tested after the primary one, with Holm's correction.
            sample_size: Number of events of both arms together at the last look. The plan ends when each arm has half
                of them, counted as values of the primary metric since the plan was made.
            looks: Number of looks, evenly spaced; they share alpha (O'Brien-Fleming-like spending).
            sequential: Whether to use a test that is valid at every look, in place of a sample size.
            hypothesis: Hypothesis in words; None for that of the experiment.

        Returns:
            The plan, which cannot be changed; `sha256` is its fingerprint.

        Raises:
            ConfigError, StatError: An argument is invalid.
            LifecycleError: The experiment already has another plan.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", hypothesis="mini is as good")
            >>> print(exp.plan("score", margin=0.02, direction="up", sample_size=800))
            score decides at alpha 0.05, margin 0.02, after 800 events [d1c1ce69490c]
            >>> exp.stop()
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            ledger = view.own.ledger
            plan = plan_of(
                metric, margin, alpha, hypothesis=hypothesis or self.hypothesis, direction=direction,
                secondary=secondary, sample_size=sample_size, looks=looks, sequential=sequential,
                guardrails=guardrails, events=view.own.pipeline.seq,
            )  # fmt: skip
            if ledger is None:
                self._intake.apply("plan", {"plan": plan})
                return plan
        if not ledger.agrees(plan):
            raise LifecycleError(f"plan(): {self.name!r} already has a plan ({ledger.plan}), which cannot be changed")
        return ledger.plan

    @property
    def planned(self) -> Ledger | None:
        """Plan and looks taken so far; None without a plan."""
        ledger = self._stream.ledger
        if ledger is not None:
            ledger.append = self._append_look
        return ledger

    def _append_look(self, look: Look) -> None:
        """Add an interim analysis to the ledger; if it cannot be written, only in this process."""
        facts = {"look": look}
        try:
            if self._log.records:
                self._intake.apply("look", facts)
                return
        except StoreError as error:
            self._stream.problems.report("store", str(error))
        self._stream.apply("look", facts)

    # -- costs, files, processes --------------------------------------------------------------------------------------

    def unpriced(self) -> dict[str, int]:
        """Return the models whose events have tokens but no price; their cost is NaN, never a guess.

        Returns:
            Number of events by model, in order of first appearance.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", model="my-own", prompt_tokens=10, completion_tokens=5)
            >>> exp.unpriced()
            {'my-own': 1}
        """
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            return dict(view.own.pipeline.enrich.unpriced)

    def reprice(self, table: Any) -> None:
        """Recompute the cost of all events, and of later ones, with other prices; recorded costs stay.

        Anomalies are not recomputed: flags, scores and incidents of `cost_usd` stay those of the earlier prices.
        `df.crucible.anomalies(metric="cost_usd")` detects anomalies in the new costs.

        Args:
            table: A PriceTable replaces the whole table; a mapping of model to USD per million tokens, such as
                {"my-own": {"input": 1, "output": 2}}, is put before it.

        Raises:
            ConfigError: The table is invalid.
            CrucibleError: Not all events are in memory (`max_events`, sampling), so totals cannot be recomputed.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", model="my-own", prompt_tokens=10**6, completion_tokens=0)
            >>> exp.reprice({"my-own": {"input": 1.5, "output": 2.0}})
            >>> exp.metrics().cost.total
            1.5
        """
        table = table if isinstance(table, PriceTable) else PriceTable.default().updated(table)
        with self._intake.lock:
            self._intake.process()
            pipeline = self._stream.pipeline
            if not pipeline.complete:
                missing = pipeline.seq - len(pipeline.buffer)
                raise CrucibleError(
                    f"cannot reprice {self.name!r}: {missing} events are not in memory (max_events, sampling), so "
                    "totals over all events cannot be recomputed"
                )
            self._intake.apply("prices", {"table": table})

    def export(self, path: str | Path, format: str | None = None, *, escape_formulas: bool = True) -> Path:
        """Write the kept events and the facts of the experiment to a file, with the permissions of the umask.

        Args:
            path: File to write; .parquet, .csv or .jsonl. The latter two hold rows alone, for any reader; the facts and
                dtypes are in `path`.json beside them, without which `cr.load` infers the dtypes.
            format: "parquet", "csv" or "jsonl"; None to use the extension of the file.
            escape_formulas: For CSV, put a ' before cells that a spreadsheet would run; `cr.load` removes it.

        Returns:
            The path.

        Raises:
            ConfigError: Unknown format.
            StoreError: The file cannot be written.

        Examples:
            >>> import tempfile, pathlib
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("tick", latency_ms=1.0)
            >>> path = exp.export(pathlib.Path(tempfile.mkdtemp()) / "run.parquet")
            >>> cr.load(path).equals(exp.frame())
            True
        """
        return files.write_table(self.frame(), path, format, facts=self._file_facts(), escape_formulas=escape_formulas)

    def wait_archived(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far is in the database of `cr.start(store="postgresql://...")`.

        Args:
            timeout: Maximum time to wait in seconds; None for no limit.

        Returns:
            Whether everything is in the database; True without a database.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("tick")
            >>> exp.wait_archived()
            True
        """
        return self._copies.wait(timeout)

    @property
    def handle(self) -> str:
        """Handle with which another process can join, as `cr.attach(handle, mode="join")`, or as CRUCIBLE_RUN.

        An experiment sent to another process (pickled by multiprocessing, joblib, Dask) is sent as this handle, and
        the other process joins it.

        Raises:
            StoreError: The experiment is in memory only.
        """
        return self._log.handle()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a handle; the other process joins as a writer with its own id."""
        return arrived, (self.handle, self._log.journal()[1])

    def _file_facts(self) -> dict[str, Any]:
        """Return the facts that are written into a file beside the events."""
        with self._intake.lock, self._intake.whole():
            view = self._intake.view()
            facts = {"id": self.id, **self._reads.summary(view, {}), "metadata": self.metadata}
            changes = [[change.verb, change.time, change.seq] for change in view.lifecycle.changes]
        del facts["store"]  # paths of this machine
        facts["strata"] = {str(label): counts for label, counts in facts["strata"].items()}
        return {**{name: _plain(value) for name, value in facts.items()}, "changes": changes}

    def __repr__(self) -> str:
        facts = self.summary()
        name, total = brief(repr(self.name), 64), facts["total_events"]
        return f"<Experiment {name} {facts['status']}, {total:,} events{self._copies.lag()}>"

    def _repr_html_(self) -> str:
        facts, lag = self.summary(), self._copies.lag()
        share = facts["progress"]
        planned = f"{self.sample_size:,}" if share is not None else ""
        progress = "" if share is None else f" ({share:.0%} of {planned})" if share <= 1 else f" ({planned} planned)"
        rows = [
            ("status", facts["status"]),
            ("condition", brief(self.condition or "–", 80)),
            ("events", f"{facts['total_events']:,}{progress}"),
            ("active", f"{facts['active_duration']:,.1f} s of {facts['wall_clock_duration']:,.1f} s"),
            *([("archived", lag.removeprefix(", "))] if lag else []),
        ]
        shown = html.table(rows, caption=f"Experiment {brief(self.name, 80)}")
        return html.view(shown, html.row(pictures(self.frame())))


def snapshot_of(
    experiment: Experiment, seen: Mapping[int, int], limit: int, span: int | None = None, *, measured: bool = True
) -> Snapshot:
    """Take a consistent snapshot for the dashboard; staged events are processed once. See `Reads.snapshot`."""
    with experiment._intake.lock, experiment._intake.whole():
        view = experiment._intake.view()
        if experiment._alerting.attend():
            view = experiment._intake.view()
        facts = experiment._reads.summary(view, experiment._copies.facts())
        return experiment._reads.snapshot(view, facts, seen, limit, span, measured=measured)


def labelled_rows(experiment: Experiment, by: str, seen: Mapping[int, int], limit: int) -> dict[int, Labelled]:
    """Return the new kept events of each writer with the groups of a column, for the dashboard.

    Args:
        experiment: The experiment.
        by: Name of the column.
        seen: Newest known sequence number by writer id.
        limit: Maximum number of events of a writer.
    """
    with experiment._intake.lock:
        streams = experiment._intake.view().streams.items()
        return {writer: labelled(stream.pipeline, by, seen.get(writer, -1), limit) for writer, stream in streams}


def row_facts(experiment: Experiment, rows: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return event, model, error and ids of kept events, given by writer and sequence number; {} where evicted."""
    with experiment._intake.lock:
        streams = experiment._intake.view().streams
        return [facts_of_row(streams[writer].pipeline.buffer, seq) for writer, seq in rows]


def groupings_of(experiment: Experiment) -> list[str]:
    """Return the columns whose groups are counted live: event, model and those of `cr.start(by=)`."""
    return [grouping.name for grouping in experiment._stream.pipeline.measure.groupings]


def facts_of_file(experiment: Experiment) -> dict[str, Any]:
    """Return the facts that are written into a file beside the events, as plain data."""
    return experiment._file_facts()


def copies_of(experiment: Experiment) -> Copies:
    """Return the copies of an experiment in databases and object storage."""
    return experiment._copies


def when_ended(experiment: Experiment, job: Callable[[Experiment], None]) -> None:
    """Call a function with the experiment after its last file was written; a log without files does not."""
    finished = getattr(experiment._log, "on_finished", None)
    if finished is not None:
        this = weakref.ref(experiment)
        finished.append(lambda: job(one) if (one := this()) is not None else None)


def log_of(experiment: Experiment) -> EventLog:
    """Return the log of an experiment."""
    return experiment._log


def intake_of(experiment: Experiment) -> Intake:
    """Return the intake of an experiment."""
    return experiment._intake


_ARRIVED: dict[str, Experiment] = {}


def arrived(handle: str, redaction: Redaction | None = None) -> Experiment:
    """Return the experiment of a handle: the one this process writes, else one that it joins once.

    Examples:
        >>> import pickle, tempfile
        >>> import crucible_nb as cr
        >>> exp = cr.start("demo", store=tempfile.mkdtemp())
        >>> pickle.loads(pickle.dumps(exp)) is exp
        True
        >>> exp.stop()
    """
    folder = ExperimentFolder(Path(handle))
    recording = LIVE.find_recording(folder.path)
    if recording is not None:
        return recording
    if handle not in _ARRIVED:
        with unbroken():  # joined and known, or neither
            log = open_log(Attachment.join(folder, None, None, redaction))
            _ARRIVED[handle] = Experiment(log.config, log)
    return _ARRIVED[handle]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
