"""The experiment a user holds: its public methods, each a line or two over the parts it is composed of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from crucible_nb import files
from crucible_nb.anomaly.incidents import incident_frame, incident_summary
from crucible_nb.errors import CrucibleError, LifecycleError, StoreError
from crucible_nb.experiment.alerting import Alerting
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.intake import Intake
from crucible_nb.experiment.live import LIVE
from crucible_nb.experiment.reads import Reads, timestamp
from crucible_nb.experiment.recorder import Recorder
from crucible_nb.experiment.snapshot import Snapshot, incidents_of
from crucible_nb.experiment.spans import Span, track
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.lifecycle import Status
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
from crucible_nb.utils.pictures import pictures
from crucible_nb.utils.signatures import signature_of
from crucible_nb.utils.text import brief
from crucible_nb.windows import windowed_metrics
from crucible_nb.windows.query import TimedRows, query_window


class Experiment:
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

    def __init__(self, config: ExperimentConfig, log: EventLog | None = None) -> None:
        self._config, self._log = config, MemoryLog(config) if log is None else log
        self.id = self._log.identity
        self.name, self.condition, self.hypothesis = config.name, config.condition, config.hypothesis
        self.tags, self.metadata, self.sample_size = tuple(config.tags), dict(config.metadata), config.sample_size
        self._intake = Intake(self._log)
        self.record = self._intake.record
        self._reads = Reads(config, self._log)
        self._alerting = Alerting(self._intake, self.metrics)
        self._copies = Copies(self._log, self._intake.lock, self._intake.reading, self._move, self.summary)

    @property
    def _stream(self) -> Stream:
        return self._log.stream

    def _move(self, verb: str) -> None:
        self._intake.apply(verb)
        self._alerting.after_transition()

    # -- recording ----------------------------------------------------------------------------------------------------

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
        return self._intake.extend(frame, event)

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
        with self._intake.lock:
            if not self._stream.lifecycle.alive:
                self._stream.lifecycle.check("set the sampling of")
            self._intake.apply("sampling", {"policy": policy})

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
        self._log.flush()

    # -- lifecycle ----------------------------------------------------------------------------------------------------

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
            return self._copies.archive(str(path))
        with self._intake.lock:
            self._stream.lifecycle.check("archive")
            written = files.archive(self.frame(), path, self._file_facts(), self._log.files())
            self._move("archive")
            return written

    def __enter__(self) -> Experiment:
        if not self._stream.lifecycle.alive:
            self._stream.lifecycle.check("enter")
        CURRENT.push(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        CURRENT.pop(self)
        if self._stream.lifecycle.alive:
            self._move("stop" if error is None else "fail")

    @property
    def status(self) -> Status:
        """running, paused, stopped, failed, archived, or dead: its process ended without a word."""
        with self._intake.status_view() as view:
            return view.status

    @property
    def paused(self) -> bool:
        """Whether it is paused now."""
        return self.status == "paused"

    @property
    def paused_at(self) -> pd.Timestamp | None:
        """Since when it is paused (UTC), None when it is not."""
        with self._intake.status_view() as view:
            return timestamp(view.lifecycle.paused_at())

    @property
    def pause_count(self) -> int:
        """How often it was paused."""
        with self._intake.status_view() as view:
            return view.lifecycle.count("pause")

    @property
    def resume_count(self) -> int:
        """How often it was resumed."""
        with self._intake.status_view() as view:
            return view.lifecycle.count("resume")

    @property
    def started_at(self) -> pd.Timestamp | None:
        """When it began (UTC); with clock="events" its first event, None before it."""
        with self._intake.reading() as view:
            return timestamp(view.lifecycle.started)

    @property
    def stopped_at(self) -> pd.Timestamp | None:
        """When it ended (UTC), None while it lives."""
        with self._intake.status_view() as view:
            return timestamp(view.lifecycle.ended)

    @property
    def paused_spans(self) -> pd.IntervalIndex:
        """The paused spans as intervals of UTC time, closed left; an open one ends now."""
        with self._intake.reading() as view:
            return view.lifecycle.intervals(view.now)

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
        with self._intake.reading() as view:
            return self._reads.summary(view, self._copies.facts())

    # -- reading ------------------------------------------------------------------------------------------------------

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
        with self._intake.reading() as view:
            frame = self._reads.frame(view)
        return frame if columns is None else frame[list(checks.columns("columns", columns, frame.columns))]

    @property
    def df(self) -> pd.DataFrame:
        """All kept events; the same as `frame()`."""
        return self.frame()

    @signature_of(query_window)
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
        with self._intake.reading() as view:
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
        with self._intake.reading() as view:
            return self._reads.metrics(view, last, by, at)

    # -- alerting -----------------------------------------------------------------------------------------------------

    def on_anomaly(self, callback: Callable[[Alert], Any]) -> Callable[[], None]:
        """Be called back when an incident begins, a rule is met or a budget is spent; within 100 ms of `record`.

        Callbacks run outside of every lock and may call any method. They run in the thread that is first to notice: a
        background one, or the one that asks `should_stop` or `alerts()`, pauses, resumes or stops. Their exceptions
        are counted, not raised. At most 60 alerts a minute are called back, the others are in `alerts()`.

        Args:
            callback: Callable (Alert) -> anything; an Alert has time, kind, metric, value, severity, reason, action.

        Returns:
            A callable that undoes it.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", anomaly="z_score", clock="events")
            >>> said = []
            >>> undo = exp.on_anomaly(said.append)
            >>> for i in range(101):
            ...     _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.stop()
            >>> len(said), said[0].reason
            (1, 'latency_ms 900 is 791.2 sd above the mean 101')
        """
        return self._alerting.listen(checks.function("callback", callback))  # type: ignore[arg-type]

    def watch(self, rule: str, action: str = "alert", min_events: int | None = None) -> None:
        """Watch the live metrics.

        Args:
            rule: A metric, a comparison, a number, and maybe a window: "error_rate > 0.1 over 5min". Metrics are
                error_rate, success_rate, mean_, max_, p50_, p90_, p95_ and p99_latency_ms, total_ and mean_cost_usd,
                cost_per_hour, total_tokens, event_count, failure_count, events_per_second.
            action: "alert", "pause" or "stop".
            min_events: Events there must be. None: 10 for rates, means and quantiles; 1 for counts and totals; 0 for
                event_count and events_per_second below a limit over a window, so that "event_count < 1 over 5min"
                notices silence, once the experiment has run for all of the window. Windows end now; with
                clock="events", where now is the newest event, time stands still in silence.

        Raises:
            ConfigError: The rule cannot be read, or there is no such action.

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
        parsed = Rule.parse(rule, checks.whole("min_events", min_events, ge=1, optional=True))
        self._alerting.watch(parsed, "rule", checks.one_of("action", action, ACTIONS))

    def budget(self, usd: float, action: str = "pause") -> None:
        """Act when the events have cost so much. Events without a price are not counted; see `unpriced()`.

        Args:
            usd: USD.
            action: "alert", "pause" or "stop".

        Raises:
            ConfigError: `usd` is not above 0, or there is no such action.

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

    @property
    def should_stop(self) -> bool:
        """Whether to leave the loop: the experiment has ended, or a rule, a budget or an anomaly paused it."""
        return self._alerting.should_stop

    def alerts(self) -> pd.DataFrame:
        """All alerts so far, indexed by time (UTC): kind, metric, value, severity, reason, action, told.

        `told` is whether callbacks were called: not where there were none at the time, nor beyond 60 a minute.

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
        """Incidents found by the detectors of `cr.start(anomaly=...)`.

        Returns:
            One row an incident, oldest first: start, end (UTC), count (flagged events), peak (largest score; 1.0 is
            the threshold), severity (low, medium from 1.5, high from 3, critical from 6), metrics, reason, first_seq,
            last_seq, and `writer` where several processes had some. The flags themselves are columns of `frame()`.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="z_score", clock="events") as exp:
            ...     for i in range(101):
            ...         _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.anomalies()[["count", "severity", "metrics"]].values.tolist()
            [[1, 'critical', 'latency_ms']]
        """
        with self._intake.reading() as view:
            found = incidents_of(view)
        frame = incident_frame([one for _, one in found])
        writers = [writer for writer, _ in found]
        return frame if len(set(writers)) < 2 else frame.assign(**{WRITER: writers})

    def anomaly_metrics(self) -> dict[str, Any]:
        """total_anomalies (flagged events), anomaly_rate (of all events), anomalies_by_type, anomaly_periods.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="auto") as exp:
            ...     _ = exp.record("call", latency_ms=1.0)
            >>> exp.anomaly_metrics()
            {'total_anomalies': 0, 'anomaly_rate': 0.0, 'anomalies_by_type': {}, 'anomaly_periods': []}
        """
        with self._intake.reading() as view:
            found = [one.detect.incidents for one in view.pipelines]
            return incident_summary(found, sum(one.seq for one in view.pipelines))

    # -- deciding -----------------------------------------------------------------------------------------------------

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
        with self._intake.reading() as view:
            ledger = view.own.ledger
            made = plan_of(
                metric, margin, alpha, hypothesis=hypothesis or self.hypothesis, direction=direction,
                secondary=secondary, sample_size=sample_size, looks=looks, sequential=sequential,
                events=view.own.pipeline.seq,
            )  # fmt: skip
            if ledger is None:
                self._intake.apply("plan", {"plan": made})
                return made
        if not ledger.has_same_plan(made):
            raise LifecycleError(f"plan(): {self.name!r} has a plan already ({ledger.plan}); it is kept")
        return ledger.plan

    @property
    def planned(self) -> Ledger | None:
        """The plan and the looks taken so far; None without a plan."""
        ledger = self._stream.ledger
        if ledger is not None:
            ledger.append = self._note_look
        return ledger

    def _note_look(self, look: Look) -> None:
        """Add an interim analysis to the ledger; where it cannot be written, this process keeps it to itself."""
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
        with self._intake.reading() as view:
            return dict(view.own.pipeline.enrich.unpriced)

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
        with self._intake.lock:
            self._intake.process()
            pipeline = self._stream.pipeline
            if not pipeline.complete:
                gone = pipeline.seq - len(pipeline.buffer)
                raise CrucibleError(
                    f"cannot reprice {self.name!r}: {gone} events are not in memory (max_events, sampling), so totals "
                    "over all events cannot be recomputed"
                )
            self._intake.apply("prices", {"table": table})

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
        return files.write_table(self.frame(), path, format, facts=self._file_facts(), escape_formulas=escape_formulas)

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
        return self._copies.wait(timeout)

    @property
    def handle(self) -> str:
        """What another process needs to join: `cr.attach(handle, mode="join")`, or CRUCIBLE_RUN in its environment.

        An experiment that goes to another process by itself (pickled by multiprocessing, joblib, Dask) is such a
        handle too, and joins there.

        Raises:
            StoreError: It is in memory only.
        """
        return self._log.handle()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a handle: another process gets a writer of its own."""
        return arrived, (self.handle, self._log.journal()[1])

    def _file_facts(self) -> dict[str, Any]:
        """Facts that are written into a file beside the events."""
        with self._intake.reading() as view:
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
        progress = "" if facts["progress"] is None else f" ({facts['progress']:.0%} of {self.sample_size:,})"
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
    """A consistent snapshot for the dashboard; staged events are processed once. See `Reads.snapshot`."""
    with experiment._intake.reading() as view:
        facts = experiment._reads.summary(view, experiment._copies.facts())
        return experiment._reads.snapshot(view, facts, seen, limit, span, measured=measured)


def copies_of(experiment: Experiment) -> Copies:
    """The copies of an experiment elsewhere."""
    return experiment._copies


def log_of(experiment: Experiment) -> EventLog:
    """The log of an experiment."""
    return experiment._log


_ARRIVED: dict[str, Experiment] = {}


def arrived(handle: str, redaction: Redaction | None = None) -> Experiment:
    """The experiment of a handle in this process: itself where this process writes it, else one joined writer.

    Examples:
        >>> import pickle, tempfile
        >>> import crucible_nb as cr
        >>> exp = cr.start("demo", store=tempfile.mkdtemp())
        >>> pickle.loads(pickle.dumps(exp)) is exp
        True
        >>> exp.stop()
    """
    folder = ExperimentFolder(Path(handle))
    here = LIVE.find_recording(folder.path.name)
    if here is not None:
        return here
    if handle not in _ARRIVED:
        log = open_log(Attachment.join(folder, None, None, redaction))
        _ARRIVED[handle] = Experiment(log.config, log)
    return _ARRIVED[handle]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
