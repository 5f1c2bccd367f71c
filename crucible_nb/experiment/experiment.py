"""The core: one experiment, the only place with a lock, a clock and a lifecycle."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb import files
from crucible_nb.errors import CrucibleError, LifecycleError
from crucible_nb.events.rows import WIDTH
from crucible_nb.events.sampling_info import mark
from crucible_nb.events.staging import row_of
from crucible_nb.events.tables import frame_of, rows_of
from crucible_nb.experiment.alerting import Alerting
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.live_metrics import frame_metrics, group_metrics, lives_of, total_metrics, window_metrics
from crucible_nb.experiment.recorder import Recorder, make_recorder
from crucible_nb.experiment.snapshot import Snapshot, rows_after
from crucible_nb.experiment.spans import Span, track
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.lifecycle import Status
from crucible_nb.pipeline.pipeline import Pipeline
from crucible_nb.pipeline.policies import describe
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.stream import Stream, plan_facts
from crucible_nb.sampling import sampling_of
from crucible_nb.stats.planning.plan import Ledger, Plan, plan_of
from crucible_nb.store.archive import is_url
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.log import hosted, living
from crucible_nb.store.redaction import Redaction
from crucible_nb.store.table_codec import encode_table
from crucible_nb.utils import checks, html
from crucible_nb.utils.interrupts import unbroken
from crucible_nb.utils.pictures import pictures
from crucible_nb.utils.signatures import signature_of
from crucible_nb.utils.text import brief
from crucible_nb.utils.threads import FOLDER
from crucible_nb.windows import windowed_metrics
from crucible_nb.windows.query import Where, edges_of, query_window

_ANSWERS = 16  # windows whose metrics are remembered until the next event
_STAGE = 4096 * WIDTH  # staged cells that are worth a fold


class Experiment(Alerting):
    """Telemetry of one experiment: record into it, pause it, look at it at any time.

    Made by `cr.start`; all methods may be called from any thread.

    Attributes:
        id: Generated, unique.
        name: As given, any text.
        condition, hypothesis, tags, metadata, sample_size: As given to `cr.start`, metadata as JSON says it; with a
            store, without secrets.
        record: Records one event; see its own help.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=100.0, success=True)
        >>> exp.status, exp.metrics().latency.mean
        ('stopped', 100.0)
    """

    record: Recorder
    dashboard: Callable[..., Any]  # registered, see `crucible_nb.experiment.extensions`
    track_iter: Callable[..., Any]  # registered
    plot: Any  # registered

    def __init__(self, config: ExperimentConfig, attached: Attachment | None = None) -> None:
        self.id = uuid.uuid4().hex if attached is None else attached.folder.path.name
        self.name, self.condition, self.hypothesis = config.name, config.condition, config.hypothesis
        self.tags, self.metadata, self.sample_size = tuple(config.tags), dict(config.metadata), config.sample_size
        self._lock = threading.RLock()
        self._config, self._attached = config, attached
        self._archives = {}
        self._writer = None if attached is None else attached.writer
        self._show(Stream(config) if attached is None else attached.stream or attached.main())
        self._attending = False
        self._staged: list[Any] = []
        into = (None, None) if self._writer is None else (self._writer.journal, self._writer.redaction)
        self._running = self._life.status == "running" and (attached is None or self._writer is not None)
        self.record, self._set_limit = make_recorder(self._staged, self._clock.read, self._admit, self._problems, *into)
        self._set_limit(_STAGE if self._running else 0)
        self._listen()
        if self._writer is not None:
            living(self)

    def _show(self, stream: Stream) -> None:
        """Have what this experiment records go through these stages."""
        self._stream, self._clock, self._problems = stream, stream.clock, stream.problems
        self._pipeline, self._life, self._monitor = stream.pipeline, stream.life, stream.monitor

    # -- recording ------------------------------------------------------------------------------------------------

    def _admit(self) -> bool:
        """Whether to collect an event that finds the stage full, or the experiment not running.

        A full stage is folded in the background. When the second one is full too the background has not come to
        it, because the caller never lets go of the interpreter; then the caller folds, which is cheaper than to
        fight over it, and bounds the memory.
        """
        if not self._running:
            return False
        if self._forked:
            self._rejoin()
        if len(self._staged) >= 2 * _STAGE:
            self._fold()
        else:
            self._set_limit(2 * _STAGE)
            FOLDER.ask(self._fold)
        return True

    def _fold(self) -> None:
        """Take everything staged so far through the pipeline."""
        with self._lock, unbroken():
            for _ in range(-(-len(self._staged) // _STAGE)):
                rows = self._staged[:_STAGE]
                del self._staged[: len(rows)]
                try:
                    self._pipeline.rows(rows)
                except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
                    said = f"events could not be taken in: {type(error).__name__}: {error}"
                    self._problems.report("errors", said, len(rows) // WIDTH)
            if self._running:
                self._set_limit(_STAGE)
            self._seal_when_due()

    def extend(self, frame: Any, event: str | None = None) -> int:
        """Record many events at once; the same meaning as one `record` per row.

        Args:
            frame: DataFrame, list of mappings, or Arrow table. Times come from a DatetimeIndex or a `time` column
                (any resolution, naive means UTC), else the clock. A `weight` column is kept; `seq` and the
                `anomaly` columns are dropped and counted.
            event: Name for the rows that have none.

        Returns:
            Events collected; 0 while the experiment is paused or over.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.extend(pd.DataFrame({"latency_ms": [1.0, 2.0]}), event="llm.request")
            2
            >>> exp.stop()
        """
        with self._lock, unbroken(), self._journal_lock():
            self._fold()
            if not self._running:
                return 0
            try:
                if isinstance(frame, list):
                    reading = self._clock.read()
                    return self._extend_rows([row_of(reading, event, row, self._problems) for row in rows_of(frame)])
                return self._extend_frame(frame_of(frame), event)
            except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
                size = len(frame) if hasattr(frame, "__len__") else 1
                self._problems.report("errors", f"extend() recorded nothing: {type(error).__name__}: {error}", size)
                return 0
            finally:
                self._seal_when_due()

    def _extend_rows(self, rows: list[tuple[Any, ...]]) -> int:
        if self._writer is not None:
            if rows and not self._writer.journal.rows(self._staged, rows, self._writer.redaction):
                return 0
        else:
            for row in rows:
                self._staged += row
        self._fold()
        return len(rows)

    def _extend_frame(self, frame: pd.DataFrame, event: str | None) -> int:
        if self._writer is None:
            return self._pipeline.frame(frame, event)
        journal, reading = self._writer.journal, self._clock.read()
        parts = list(encode_table(frame, self._writer.redaction, journal.seq, reading, event))
        if parts and not journal.write(b"".join(line for line, _ in parts), len(frame)):
            return 0
        return sum(self._pipeline.frame(part, event, reading) for _, part in parts)

    def span(self, event: str, **fields: Any) -> Span:
        """A context manager around a piece of work that becomes one event when it ends.

        Args:
            event: Name of the event.
            **fields: Columns of the event; `span.set(...)` adds more inside.

        Returns:
            The span; latency (ms), success and error class are measured.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     with exp.span("llm.request", model="gpt-4o") as span:
            ...         span.set(prompt_tokens=311)
            >>> exp.df.prompt_tokens.tolist()
            [311]
        """
        return Span(self.record, event, fields)

    def track(self, event: Any, **fields: Any) -> Any:
        """A decorator that records every call: functions, coroutines, generators, async generators.

        Args:
            event: Name of the events; used bare (`@exp.track`), the function's name is it.
            **fields: Columns of every event.

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
        return track(lambda name, given: Span(self.record, name, given), event, fields)

    def set_sampling(self, sampling: Any = None, config: Mapping[str, Any] | None = None) -> None:
        """Sample by another policy from now on. Rows kept so far stay, with the weights they have now.

        Args:
            sampling: None keeps every event; a name ("uniform", "reservoir", "stratified", "adaptive",
                "importance") or a sampler.
            config: Arguments of a sampler given by name.

        Raises:
            ConfigError: No such sampler, or wrong arguments of it.
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
        with self._lock:
            if not self._life.alive:
                self._life.check("set the sampling of")
            with self._noting("sampling", lambda: {"policy": describe(policy)}):
                self._pipeline.sample.set_policy(policy, self._pipeline.seq)

    # -- lifecycle ------------------------------------------------------------------------------------------------

    def _move(self, verb: str) -> None:
        with self._lock:
            self._may_write(verb)
            self._life.check(verb)
            self._running = False
            self._set_limit(0)
            facts: dict[str, Any] = {}
            with self._noting(verb, lambda: facts):
                facts["clock"] = self._clock.reading()  # in event time the newest event may just have been taken in
                self._stream.move(verb, facts)
            if self._life.status == "running":
                self._running, self._monitor.fired = True, False
                self._set_limit(_STAGE)
                self._listen()
            elif not self._life.alive:
                self._finish()
        self._attend()

    def _begin(self) -> None:
        """In event time an experiment begins with its first event."""
        self._stream.begin()

    def pause(self) -> None:
        """Stop collecting for a while; the time until `resume` does not count as active.

        Raises:
            LifecycleError: It is not running.

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
        """Collect again.

        Raises:
            LifecycleError: It is not paused.

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
        """End the experiment; everything recorded stays readable.

        Raises:
            LifecycleError: It has ended already.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.stop()
            >>> exp.status
            'stopped'
        """
        self._move("stop")

    def archive(self, path: str | Path) -> Path | str:
        """Put a finished experiment into one zip file, or one with a store into object storage.

        The zip holds its facts as JSON, its events as Parquet, and of one with a store all files. To object storage go
        the files of the store, each once, by its name: of one that runs those that are sealed, and from then on each
        as it is sealed; of one that has ended all. `summary()["store"]["archived"]` says up to which event.
        `cr.unarchive` puts either into a store again.

        Args:
            path: File to write, ending in .zip; `cr.load` reads the events back. Or "s3://bucket/prefix", or any other
                URL that fsspec knows.

        Returns:
            The path, or the URL of the experiment.

        Raises:
            LifecycleError: It has not ended (zip).
            StoreError: The file cannot be written, or it has no store (URL).
            ConfigError: fsspec, or what it needs for the URL, is not installed.

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
            return self._archive_to(str(path))
        with self._lock:
            self._life.check("archive")
            more = None if self._attached is None else self._attached.folder.files()
            written = files.archive(self.frame(), path, self._facts(), more)
            self._move("archive")
            return written

    def __enter__(self) -> Experiment:
        if not self._life.alive:
            self._life.check("enter")
        CURRENT.push(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        CURRENT.pop(self)
        if self._life.alive:
            self._move("stop" if error is None else "fail")

    @property
    def status(self) -> Status:
        """running, paused, stopped, failed, archived, or dead: its process ended without a word."""
        if self._attached is not None and self._writer is None:
            with self._lock:
                self._pipelines()
            if self._attached.dead():
                return "dead"
        return self._life.status

    @property
    def paused(self) -> bool:
        """Whether it is paused now."""
        return self._life.status == "paused"

    @property
    def paused_at(self) -> pd.Timestamp | None:
        """Since when it is paused (UTC), None when it is not."""
        return _stamp(self._life.paused_at())

    @property
    def pause_count(self) -> int:
        """How often it was paused."""
        return self._life.count("pause")

    @property
    def resume_count(self) -> int:
        """How often it was resumed."""
        return self._life.count("resume")

    @property
    def started_at(self) -> pd.Timestamp | None:
        """When it began (UTC); with clock="events" its first event, None before it."""
        with self._lock:
            self._fold()
            self._begin()
        return _stamp(self._life.started)

    @property
    def stopped_at(self) -> pd.Timestamp | None:
        """When it ended (UTC), None while it lives."""
        return _stamp(self._life.ended)

    @property
    def paused_spans(self) -> pd.IntervalIndex:
        """The paused spans as intervals of UTC time, closed left; an open one ends now."""
        return self._life.intervals(self._now())

    def _now(self) -> int:
        """Where looks end: the clock while it lives, the end after; of a dead experiment its last event."""
        if self._story.ended is not None:
            return self._story.ended
        if self._attached is not None and self._writer is None and self._attached.dead():
            return max([stream.clock.last or 0 for stream in self._attached.streams()])
        return self._clock.peek()

    def summary(self) -> dict[str, Any]:
        """Status, durations and counts.

        Returns:
            wall_clock_duration, active_duration, paused_duration in seconds; pause_count, resume_count;
            total_events (collected), kept_events (rows in memory), evicted_events (rows that left, see
            `max_events`), sampling and seed, effective_sample_size (Kish: (sum w)^2 / sum w^2 of the kept rows),
            strata (of the sampling policy: {label: {"seen", "kept"}}), errors (events that could not be recorded),
            misfits (values that went to `metadata`), refused (events that the store could not take), lost (events and
            files of it that cannot be read), store (path, durability, acknowledged and synced bytes of the journal,
            failure: why it refuses now, archived: by database, see `cr.start`, the events there, lag_events,
            lag_seconds and the last failure), progress (share of `sample_size`, None without one), and the facts given
            to `cr.start`.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", sample_size=4) as exp:
            ...     _ = exp.record("tick")
            >>> exp.summary()["total_events"], exp.summary()["progress"]
            (1, 0.25)
        """
        with self._lock:
            self._fold()
            self._begin()
            return self._summary(self._pipelines(), self._now())

    def _summary(self, pipelines: Sequence[Pipeline], now: int) -> dict[str, Any]:
        life, counts, sample = self._story, self._counts(), self._pipeline.sample
        started = now if life.started is None else life.started
        paused = life.paused(started, now)
        total = sum(pipeline.seq for pipeline in pipelines)
        effective = sample.effective_size()  # first: it has the sample let go what it put off
        return {
            "name": self.name,
            "status": self.status,
            "condition": self.condition,
            "hypothesis": self.hypothesis,
            "tags": list(self.tags),
            "started_at": _stamp(life.started),
            "stopped_at": _stamp(life.ended),
            "wall_clock_duration": (now - started) / 1e9,
            "active_duration": (now - started - paused) / 1e9,
            "paused_duration": paused / 1e9,
            "pause_count": self.pause_count,
            "resume_count": self.resume_count,
            "total_events": total,
            "kept_events": sum(len(pipeline.buffer) for pipeline in pipelines),
            "evicted_events": sum(pipeline.buffer.evicted for pipeline in pipelines),
            "sampling": None if sample.policy is None else repr(sample.policy),
            "seed": sample.seed if sample.is_sampling else None,
            "effective_sample_size": effective,
            "strata": sample.strata(),
            "sample_size": self.sample_size,
            "progress": None if self.sample_size is None else total / self.sample_size,
            "errors": counts["errors"],
            "misfits": counts["misfits"],
            "refused": counts["refused"],
            "lost": counts["lost"],
            "store": self._store_facts(),
        }

    def _facts(self) -> dict[str, Any]:
        """What travels with the events into a file."""
        facts = {"id": self.id, **self.summary(), "metadata": self.metadata}
        del facts["store"]  # where it stood on this machine is nobody's business
        facts["strata"] = {str(label): counts for label, counts in facts["strata"].items()}
        changes = [[change.verb, change.time, change.seq] for change in self._life.changes]
        return {**{name: _plain(value) for name, value in facts.items()}, "changes": changes}

    # -- looking --------------------------------------------------------------------------------------------------

    def frame(self, columns: str | Sequence[str] | None = None) -> pd.DataFrame:
        """All kept events, complete, in order of time; costs no copy, and writing to it changes nothing here.

        Args:
            columns: Only these columns.

        Returns:
            DataFrame with a UTC DatetimeIndex `time`. Where rows left memory (`max_events`),
            `attrs["evicted_events"]` says how many.

        Raises:
            SchemaError: No such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("train.step", step=1, loss=0.5)
            >>> exp.frame(["event", "step", "loss"]).iloc[0].to_dict()
            {'event': 'train.step', 'step': 1, 'loss': 0.5}
        """
        with self._lock:
            self._fold()
            pipelines = self._pipelines()
            frame = self._rows_kept(pipelines).iloc[:]
            total = sum(pipeline.seq for pipeline in pipelines)
            evicted = sum(pipeline.buffer.evicted for pipeline in pipelines) if self._attached is None else 0
            facts = self._pipeline.sample.facts()
        if columns is not None:
            frame = frame[list(checks.columns("columns", columns, frame.columns))]
        if evicted:
            frame.attrs["evicted_events"] = evicted
        return mark(frame, {**facts, "seen": total, "kept": len(frame)}) if facts else frame

    @property
    def df(self) -> pd.DataFrame:
        """All kept events; the same as `frame()`."""
        return self.frame()

    def query_window(
        self,
        *,
        last: Any = None,
        last_n: int | None = None,
        start: Any = None,
        end: Any = None,
        sliding: Any = None,
        step: Any = None,
        where: Where = None,
    ) -> pd.DataFrame | Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]]:
        """Kept events of a window of time; exactly one form.

        Args:
            last: Duration up to now ("5min"), both edges included.
            last_n: The newest n rows.
            start, end: From start (included) to end (excluded); either may be left out. datetime, Timestamp,
                ISO text or int ns.
            sliding, step: Length and step of sliding windows, on the grid of `windowed_metrics`.
            where: Condition on the rows: text for `DataFrame.eval`, or a callable frame -> mask.

        Returns:
            DataFrame, a view without a copy unless `where` filters; with `sliding` an iterator of (window_start,
            window_end, DataFrame).

        Raises:
            ConfigError: Not exactly one form, or an argument of the wrong type.
            SchemaError: `where` names a column that is not there.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     for ms in (1.0, 2.0, 3.0):
            ...         _ = exp.record("tick", latency_ms=ms)
            >>> exp.query_window(last_n=2, where="latency_ms > 2").latency_ms.tolist()
            [3.0]
        """
        with self._lock:
            self._fold()
            pipelines, now = self._pipelines(), self._now()
            edges = edges_of(now, last=last, last_n=last_n, start=start, end=end, sliding=sliding)
            frame = self._rows_kept(pipelines, edges)
            times = frame.index.asi8  # type: ignore[attr-defined]
            facts = self._pipeline.sample.facts()
        frame = mark(frame.iloc[:], {**facts, "windowed": True})
        return query_window(
            frame, times, now, last=last, last_n=last_n, start=start, end=end, sliding=sliding, step=step, where=where
        )

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

    def metrics(self, last: Any = None, by: str | Sequence[str] | None = None, at: Any = None) -> Metrics:
        """Metrics of every event, also of those whose rows are not kept.

        Args:
            last: Only the events of this duration up to `at`, both edges included; rates divide by the active
                time within. Windows given to `cr.start(windows=...)` are live: their cost does not grow with the
                events.
            by: Column to group by: event, model and `cr.start(by=...)` over every event, others (or several
                columns, or with `last`) over the kept rows.
            at: Moment the metrics speak of; default now, which is the end once the experiment has ended.

        Returns:
            Metrics; with `by` indexable by group.

        Raises:
            ConfigError, SchemaError: A wrong duration or moment; no such column.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", model="a", latency_ms=10.0)
            ...     _ = exp.record("llm.request", model="b", latency_ms=20.0)
            >>> exp.metrics().latency.max, exp.metrics(by="model")["a"].latency.max
            (20.0, 10.0)
        """
        span = None if last is None else checks.duration("last", last)
        if isinstance(by, (list, tuple)) and len(by) == 1:
            [by] = by
        with self._lock:
            self._fold()
            self._begin()
            pipelines, life = self._pipelines(), self._story
            now = self._now() if at is None else checks.instant("at", at)
            if by is None and at is None and span is None:
                return total_metrics(lives_of(pipelines), life, now)
            fetch = self._attached is not None and self._attached.distant and all(one.complete for one in pipelines)
            if by is None and span is not None and not fetch:
                return self._window(pipelines, now - span, now)
            if isinstance(by, str) and span is None and at is None:
                grouped = group_metrics(pipelines, life, now, by)
                if grouped is not None:
                    return grouped
            start = life.started if span is None else now - span
            kept = self._rows_kept(pipelines, (start, now + 1, None))
            first, beyond = np.searchsorted(kept.index.asi8, [start or 0, now + 1])  # type: ignore[attr-defined]
            rows = kept.iloc[int(first) : int(beyond)]
        partial = not all(pipeline.complete for pipeline in pipelines)
        return frame_metrics(rows, by, life, (start, now), partial=partial)

    def _window(self, pipelines: Sequence[Pipeline], start: int, stop: int) -> Metrics:
        """Metrics of a window; as long as nothing happens the answer stays."""
        looked = self._pipeline.cached_results
        key = (start, stop, len(self._story.changes), *(pipeline.seq for pipeline in pipelines))
        if key not in looked:
            if len(looked) >= _ANSWERS:
                looked.clear()
            looked[key] = window_metrics(pipelines, lives_of(pipelines), self._story, start, stop)
        found: Metrics = looked[key]
        return found

    # -- for faces, which look often --------------------------------------------------------------------------------

    def _glance(
        self, seen: Mapping[int, int], most: int, span: int | None = None, *, measured: bool = True
    ) -> Snapshot:
        """All that a face shows, of one moment: what is staged is folded once, and each event is read once.

        Args:
            seen: Newest sequence number that is known, by ordinal of the writer; none of those that are not there.
            most: Rows of a writer to give at a time; the oldest come first, unless some came late.
            span: Nanoseconds of the window whose metrics are given beside those of all events; None: of all events.
            measured: Whether metrics are wanted.
        """
        with self._lock:
            self._fold()
            self._begin()
            writers, life = self._writers(), self._story
            pipelines, now = list(writers.values()), self._now()
            total = window = None
            if measured:
                lives = [
                    one.measure.incremental_state(span if span in one.measure.windows else None) for one in pipelines
                ]
                total = window = total_metrics(lives, life, now)
                if span is not None:
                    window = window_metrics(pipelines, lives, life, now - span, now)
            rows = {writer_id: rows_after(one, seen.get(writer_id, -1), most) for writer_id, one in writers.items()}
            noticed = self._incidents(), tuple(self._monitor.alerts.history)
            return Snapshot(self._summary(pipelines, now), rows, total, window, *noticed)

    @property
    def _judged(self) -> bool:
        """Whether any detector is on."""
        return bool(self._pipeline.detect.detectors)

    # -- deciding -------------------------------------------------------------------------------------------------

    def plan(
        self,
        metric: str,
        margin: float | None = None,
        alpha: float = 0.05,
        *,
        direction: str | None = None,
        secondary: Sequence[str] = (),
        sample_size: int | None = None,
        looks: int = 1,
        sequential: bool = False,
        hypothesis: str | None = None,
    ) -> Plan:
        """Say what will decide, before it is known; `cr.compare` marks looks and metrics that were not planned.

        Args:
            metric: The primary metric, as in `cr.compare`.
            margin: Difference that would matter, in its unit.
            alpha: Rate of false alarms accepted.
            direction: "up" or "down", where more or less is better; None goes by the name.
            secondary: Other metrics to be compared.
            sample_size: Events of both arms together at which to look.
            looks: How often until then, evenly; they share alpha (O'Brien-Fleming-like spending).
            sequential: A test that is valid at every look in place of a sample size.
            hypothesis: In words; None is that of the experiment.

        Returns:
            The plan, which cannot be changed; `sha256` is its fingerprint.

        Raises:
            ConfigError, StatError: An argument is not what is accepted.
            LifecycleError: There is another plan already.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", hypothesis="mini is as good")
            >>> print(exp.plan("score", margin=0.02, direction="up", sample_size=800))
            score decides at alpha 0.05, margin 0.02, after 800 events [d1c1ce69490c]
            >>> exp.stop()
        """
        with self._lock:
            self._fold()
            made = plan_of(
                metric, margin, alpha, hypothesis=hypothesis or self.hypothesis, direction=direction,
                secondary=secondary, sample_size=sample_size, looks=looks, sequential=sequential,
                events=self._pipeline.seq,
            )  # fmt: skip
            if self._stream.ledger is None:
                with self._noting("plan", lambda: {"plan": plan_facts(made)}):
                    self._stream.ledger = Ledger(made)
            elif not self._stream.ledger.agrees(made):
                raise LifecycleError(
                    f"plan(): {self.name!r} has a plan already ({self._stream.ledger.plan}); it is kept"
                )
            return self._stream.ledger.plan

    @property
    def planned(self) -> Ledger | None:
        """The plan and the looks taken so far; None without a plan."""
        if self._stream.ledger is not None:
            self._stream.ledger.told = self._note_look
        return self._stream.ledger

    # -- money, files, faces ----------------------------------------------------------------------------------------

    def unpriced(self) -> dict[str, int]:
        """Models whose events have tokens but no price; their cost is NaN, not a guess.

        Returns:
            Model to number of events, in order of first appearance.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", model="my-own", prompt_tokens=10, completion_tokens=5)
            >>> exp.unpriced()
            {'my-own': 1}
        """
        with self._lock:
            self._fold()
            return dict(self._pipeline.enrich.unpriced)

    def reprice(self, table: Any) -> None:
        """Price all events anew, also those to come; a cost that came with an event stays.

        Events are not judged anew: flags, scores and incidents of `cost_usd` stay those of the prices that were known
        at the time. `df.crucible.anomalies(metric="cost_usd")` judges the new costs.

        Args:
            table: A PriceTable replaces the whole table; a mapping of model to USD per million tokens, such as
                {"my-own": {"input": 1, "output": 2}}, is put before it.

        Raises:
            ConfigError: The table is not usable.
            CrucibleError: Not every event is in memory (`max_events`, sampling), so that totals cannot be made anew.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp:
            ...     _ = exp.record("llm.request", model="my-own", prompt_tokens=10**6, completion_tokens=0)
            >>> exp.reprice({"my-own": {"input": 1.5, "output": 2.0}})
            >>> exp.metrics().cost.total
            1.5
        """
        table = table if isinstance(table, PriceTable) else PriceTable.default().updated(table)
        with self._lock:
            self._fold()
            if not self._pipeline.complete:
                gone = self._pipeline.seq - len(self._pipeline.buffer)
                raise CrucibleError(
                    f"cannot reprice {self.name!r}: {gone} events are not in memory (max_events, sampling), so that "
                    "totals over every event cannot be made anew"
                )
            with self._noting("prices", lambda: self._stream.price_facts(table)):
                self._pipeline.reprice(table)

    def export(self, path: str | Path, format: str | None = None, *, escape_formulas: bool = True) -> Path:
        """Write the kept events and the facts of the experiment to a file.

        Args:
            path: File to write; .parquet, .csv (facts in `path`.json beside it) or .jsonl.
            format: "parquet", "csv" or "jsonl" where the name does not say.
            escape_formulas: For CSV, put a ' before cells that a spreadsheet would run; `cr.load` takes it off.

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
        return files.write_table(self.frame(), path, format, facts=self._facts(), escape_formulas=escape_formulas)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process, an experiment arrives as a writer of its own."""
        return arrived, (self.handle, None if self._writer is None else self._writer.redaction)

    def _rows(self) -> list[tuple[str, str]]:
        facts = self.summary()
        progress = "" if facts["progress"] is None else f" ({facts['progress']:.0%} of {self.sample_size:,})"
        return [
            ("status", facts["status"]),
            ("condition", brief(self.condition or "–", 80)),
            ("events", f"{facts['total_events']:,}{progress}"),
            ("active", f"{facts['active_duration']:,.1f} s of {facts['wall_clock_duration']:,.1f} s"),
            *([] if self._copier is None else [("archived", self._copier.words().removeprefix(", "))]),
        ]

    def __repr__(self) -> str:
        lag = "" if self._copier is None else self._copier.words()
        total = self.summary()["total_events"]
        return f"<Experiment {brief(repr(self.name), 64)} {self.status}, {total:,} events{lag}>"

    def _repr_html_(self) -> str:
        shown = html.table(self._rows(), caption=f"Experiment {brief(self.name, 80)}")
        return html.view(shown, html.row(pictures(self.frame())))


_ARRIVED: dict[str, Experiment] = {}


def arrived(handle: str, redaction: Redaction | None = None) -> Experiment:
    """The experiment of a handle in this process: itself where it lives, else a writer that joins, one a process.

    Examples:
        >>> import pickle, tempfile
        >>> import crucible_nb as cr
        >>> exp = cr.start("demo", store=tempfile.mkdtemp())
        >>> pickle.loads(pickle.dumps(exp)) is exp
        True
        >>> exp.stop()
    """
    folder = ExperimentFolder(Path(handle))
    here = next((one for one in hosted() if isinstance(one, Experiment) and one.id == folder.path.name), None)
    if here is not None:
        return here
    if handle not in _ARRIVED:
        attached = Attachment.join(folder, None, None, redaction)
        _ARRIVED[handle] = Experiment(attached.config, attached)
    return _ARRIVED[handle]


def _stamp(nanoseconds: int | None) -> pd.Timestamp | None:
    return None if nanoseconds is None else pd.Timestamp(nanoseconds, unit="ns", tz="UTC")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
