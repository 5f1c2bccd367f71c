"""Functions of the package on experiments of this process: start, find the current one, record into it."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import pandas as pd

from crucible_nb.anomaly import detectors_of
from crucible_nb.errors import ConfigError, CrucibleWarning, LifecycleError, StoreError
from crucible_nb.events.json_text import json_dict
from crucible_nb.experiment.attach import (
    RUN,
    copy_to_database,
    join_from_environment,
    list_stored,
    open_stored,
)
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.experiment import Experiment, intake_of, log_of, when_ended
from crucible_nb.experiment.listing import make_listing
from crucible_nb.experiment.live import LIVE
from crucible_nb.experiment.run_summary import leave_summary, summarise
from crucible_nb.experiment.run_values import Run, values_of_runs
from crucible_nb.experiment.spans import Span, reporter
from crucible_nb.experiment.spans import track as _track
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.sampling import Adaptive, Sampler, sampling_of
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.catalog import namesake, root_of
from crucible_nb.store.journal import DURABILITIES
from crucible_nb.store.log import open_log
from crucible_nb.store.postgres import Address, address_of
from crucible_nb.store.redaction import Redaction, redaction_of
from crucible_nb.utils import checks, html
from crucible_nb.utils.environment import default_store, is_disabled
from crucible_nb.utils.interrupts import unbroken
from crucible_nb.utils.pictures import pictures

F = TypeVar("F", bound=Callable[..., Any])
SamplerName = Literal["uniform", "reservoir", "stratified", "adaptive", "importance"]


def start(
    name: str,
    *,
    condition: str | None = None,
    hypothesis: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    sample_size: int | None = None,
    sampling: SamplerName | Sampler | None = None,
    sampling_config: Mapping[str, Any] | None = None,
    anomaly: Any = None,
    anomaly_config: Mapping[str, Any] | None = None,
    windows: Sequence[Any] = ("1min", "5min", "1h"),
    by: Sequence[str] = (),
    max_events: int | None = None,
    seed: int | None = None,
    clock: Callable[[], int] | Literal["events"] | None = None,
    store: Any = None,
    durability: Literal["os", "disk", "memory"] = "os",
    on_exists: Literal["new", "resume", "error"] = "new",
    default: bool = False,
    redact: Any = None,
    unit: str | None = None,
    cluster: str | None = None,
) -> Experiment:
    """Start an experiment.

    Args:
        name: Any text.
        condition: Arm of a comparison, e.g. "treatment".
        hypothesis: What you expect, e.g. "p95 < 2 s".
        tags: Labels.
        metadata: Facts to store, e.g. {"sha": "..."} or `vars(args)`; stored as JSON: arrays as lists, paths, dates and
            NaN as text, other objects as their repr.
        sample_size: Target number of events, shown as progress.
        sampling: Policy that selects the events kept as rows: None keeps all; "uniform", "reservoir", "stratified",
            "adaptive" or "importance" with `sampling_config`, or a sampler of `cr.sampling`. Metrics always count
            every event.
        sampling_config: Arguments of a sampler given by name, e.g. {"rate": 0.1}.
        anomaly: Detectors: None for none; "auto" (recommended), "z_score", "modified_z_score", "iqr",
            "ewma", "cusum", "isolation_forest", several names, or detectors of `cr.anomaly`. A name alone
            applies to latency_ms and cost_usd.
        anomaly_config: Arguments of detectors given by name ("metrics", "threshold", "by", "false_alarm_rate", ...),
            and "action": "flag" marks the events and, like every action, calls callbacks; "alert" also raises alerts
            at once without callbacks; "sample_more" requires an adaptive sampler, which keeps more of the events
            around an anomaly; "pause" pauses the experiment. "notify": the least severity of an incident that calls
            back, alerts and acts: "low", "medium" (default), "high" or "critical".
        windows: Durations of the live sliding windows; () turns them off.
        by: Columns whose groups are counted live, in addition to event and model; at most 1,000 groups each, the rest
            are counted together.
        max_events: Maximum number of rows in memory; the oldest are evicted and counted. Metrics count every event.
        seed: Seed of the samplers: the same seed and events give the same sample. None for a random seed, which
            `exp.summary()` shows.
        clock: Callable () -> int, UTC nanoseconds since 1970; "events": now is the newest event time, for replays
            and imports; None: the system clock.
        store: Folder for everything recorded, such as "runs/"; None: that of CRUCIBLE_DIR, else in memory only. With
            "postgresql://user@host/database" the folder is below CRUCIBLE_DIR (or ~/.crucible_nb), and a background
            thread copies it to the database, without delaying `record`; see the guide on PostgreSQL.
        durability: With a store, guarantee when `record` returns: "os": the event is with the operating system, and
            survives the end of this process; "disk": it is synced, and survives a power loss; "memory": it is
            written within a second, or by `flush`.
        on_exists: Action if an experiment with this name is running: "new" stops one of this process and prints a
            message, "resume" continues the one in this store (or without a store, if none is given), or takes it over
            from the store if its process has ended; "error" raises.
        default: Whether `cr.current()` returns it outside any `with`.
        redact: With a store, text to remove before anything is written: None for likely secrets, prompts and answers;
            False for nothing; a callable (column, text) -> text in addition; or a `cr.Redaction`.
        unit: Column of the items, e.g. "question": pairs of a comparison, and several rows of an item (epochs) are
            taken together, in every interval, test, comparison and table of the experiment or of its rows. None is
            `sample_id`.
        cluster: Column of clusters of similar items, e.g. "passage", between which the errors of all of these are
            computed; None takes sessions, or items that have several rows.

    Returns:
        The running Experiment; a `with` block stops it at its end, or marks it failed after an exception. With
        CRUCIBLE_MODE=disabled one that keeps nothing: every call returns at once, and no file is written.

    Raises:
        ConfigError: An argument is invalid.
        LifecycleError: With on_exists="error", the name is in use.
        StoreError: The store cannot be written; with on_exists="resume", another process writes it (the message gives
            its pid and host).

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("gpt4_vs_mini", condition="treatment", tags=["ab"]) as exp:
        ...     _ = exp.record("llm.request", latency_ms=812.4, model="gpt-4o")
        >>> exp
        <Experiment 'gpt4_vs_mini' stopped, 1 events>
    """
    store = address_of(default_store() if store is None else store)
    checks.one_of("on_exists", on_exists, ("new", "resume", "error"))
    checks.one_of("durability", durability, DURABILITIES)
    sampler = sampling_of(sampling, sampling_config)
    detectors, action, notify = detectors_of(anomaly, anomaly_config)
    if action == "sample_more" and not isinstance(sampler, Adaptive):
        raise ConfigError("anomaly_config['action']='sample_more' needs sampling='adaptive'")
    config = ExperimentConfig(
        name=checks.text("name", name),
        condition=checks.text("condition", condition, optional=True),
        hypothesis=checks.text("hypothesis", hypothesis, optional=True),
        tags=checks.texts("tags", tags),
        metadata=json_dict(checks.mapping("metadata", metadata)),
        sample_size=checks.whole("sample_size", sample_size, ge=1, optional=True),
        windows=[checks.duration("windows", window) for window in _listed("windows", windows)],
        by=checks.texts("by", by),
        max_events=checks.whole("max_events", max_events, ge=1, optional=True),
        sampling=sampler,
        seed=secrets.randbits(32) if seed is None else checks.whole("seed", seed, ge=0),
        detectors=detectors,
        action=action,
        notify=notify,
        clock=_clock(clock),
        unit=checks.text("unit", unit, optional=True),
        cluster=checks.text("cluster", cluster, optional=True),
    )
    with unbroken():  # opened and known, or neither
        experiment = _open(config, store, durability, redact, on_exists)
        if default:
            CURRENT.default = experiment
    return experiment


def _listed(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise checks.wrong(name, value, "a list of durations such as ('1min', '1h')")
    return list(value)


_CLOCKS = "'events', a callable () -> int (UTC nanoseconds since 1970) or None"


def _clock(clock: Callable[[], int] | str | None) -> Callable[[], int] | str | None:
    if isinstance(clock, str):
        if clock != "events":
            raise checks.wrong("clock", clock, _CLOCKS)
        return clock
    if clock is not None and not callable(clock):
        raise checks.wrong("clock", clock, _CLOCKS)
    return clock


def _open(config: ExperimentConfig, store: Any, durability: str, redact: Any, on_exists: str) -> Experiment:
    """Create an experiment, or resume the one with its name as `on_exists` says."""
    if is_disabled():
        return _register_disabled(config)
    root = None if store is None else root_of(store)
    redaction = None if root is None else redaction_of(redact)
    experiment = _namesake_to_resume(config.name, on_exists, root)
    if experiment is None:
        if root is None:
            experiment = Experiment(config)
        else:
            experiment = _start_stored(config, root, durability, redaction, on_exists)
        LIVE.add(experiment, log_of(experiment))
        when_ended(experiment, leave_summary)
    if isinstance(store, Address):
        copy_to_database(experiment, store)
    return experiment


def _register_disabled(config: ExperimentConfig) -> Experiment:
    """Create an experiment in memory that collects nothing."""
    experiment = Experiment(config)
    intake_of(experiment).disable()
    LIVE.add(experiment, log_of(experiment))
    return experiment


def _namesake_to_resume(name: str, on_exists: str, root: Path | None) -> Experiment | None:
    """Return the running experiment with this name to continue; stop it or raise as `on_exists` says.

    To resume, it has to be in the same store: events would otherwise not be where the caller said.
    """
    namesake = LIVE.find_running(name, root if on_exists == "resume" else None)
    if namesake is None:
        return None
    if on_exists == "error":
        allowed = "on_exists='new', 'resume'"
        raise LifecycleError(
            f"cannot start {name!r}: an experiment with this name is {namesake.status!r}; allowed: {allowed}"
        )
    if on_exists == "resume":
        if namesake.paused:
            namesake.resume()
        return namesake
    namesake.stop()
    print(f"crucible_nb: stopped the earlier {name!r} ({namesake.summary()['total_events']:,} events)")  # noqa: T201
    return None


def _start_stored(
    config: ExperimentConfig, root: Path, durability: str, redaction: Redaction | None, on_exists: str
) -> Experiment:
    """Create an experiment in a store, or resume the one with its name."""
    existing = None if on_exists == "new" else namesake(root, config.name)
    if existing is not None and on_exists == "error":
        raise LifecycleError(
            f"cannot start {config.name!r}: an experiment with this name has not ended in {str(root)!r}"
        )
    if existing is None:
        config = config if redaction is None else config.redacted(redaction)
        log = open_log(Attachment.create(root, uuid.uuid4().hex, config, durability, redaction))
        return Experiment(config, log)
    experiment = open_stored(existing, "resume", config, durability, redaction)
    if experiment.paused:
        experiment.resume()
    return experiment


def current() -> Experiment | None:
    """Return the innermost experiment entered in this context (thread or task), else the default, else None.

    Without any, this process joins the experiment whose handle is in CRUCIBLE_RUN, if it is set.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     cr.current() is exp
        True
    """
    found = CURRENT.get()
    if found is None and RUN in os.environ:
        found = CURRENT.default = join_from_environment()
    return found  # type: ignore[no-any-return]


def known() -> list[Experiment]:
    """Return the experiments of this process, in order of starting; ended ones while they are referenced."""
    return LIVE.known()


def experiments(store: Any = None, metrics: Sequence[str] = ()) -> pd.DataFrame:
    """List the experiments of this process or of a store, one row each, in order of starting.

    Args:
        store: A folder or a database of `cr.start(store=...)`; None: the experiments of this process.
        metrics: Metrics to show of each, as "min_val_loss" or "last_accuracy": of every event where they are counted
            live, else of the kept rows, weighted.

    Returns:
        DataFrame indexed by id: name, status, condition, tags, started_at, stopped_at, total_events, kept_events,
        wall_clock_duration, active_duration (s), errors; then a column for every key of `metadata` ("metadata.name" if
        the name is taken) and one for every metric, NaN where a run has none. In a store, an experiment whose process
        ended without stopping it is "dead", and one that cannot be read is "unreadable"; `errors` gives the reason.

    Raises:
        StoreError: The folder cannot be read.
        SchemaError: No run has a value of a metric.

    Examples:
        >>> import crucible_nb as cr
        >>> exp = cr.start("demo")
        >>> cr.experiments().loc[exp.id, "status"]
        'running'
        >>> exp.stop()
        >>> for rate in (0.1, 0.5):
        ...     with cr.start("training", metadata={"lr": rate}) as exp:
        ...         _ = exp.record("train.epoch", val_loss=rate / 2)
        >>> cr.experiments(metrics=["min_val_loss"])[["lr", "min_val_loss"]].tail(2).values.tolist()
        [[0.1, 0.05], [0.5, 0.25]]
    """
    store = address_of(store)
    if store is not None:
        return list_stored(store, metrics)
    facts: dict[str, dict[str, Any]] = {}
    runs: dict[str, Run] = {}
    for experiment in known():
        try:
            facts[experiment.id] = experiment.summary()
        except StoreError as error:  # its folder was removed
            unreadable = {"name": experiment.name, "condition": experiment.condition, "status": "unreadable"}
            facts[experiment.id] = {**unreadable, "errors": str(error)}
        else:
            runs[experiment.id] = Run(partial(_same, experiment), experiment.frame)
    listing = make_listing(facts, values_of_runs(runs, metrics), _draw_picture)
    listing.set_summaries(lambda: {run.id: summarise(run, run.frame) for run in known() if run.id in facts})
    return listing


def _same(experiment: Experiment) -> Experiment:
    return experiment


def _draw_picture(identifier: str) -> str:
    """Draw the picture of an experiment that still exists."""
    frames = (experiment.frame() for experiment in known() if experiment.id == identifier)
    return html.row(pictures(next(frames, pd.DataFrame())))


def record(event: str, values: Mapping[str, Any] | None = None, /, **fields: Any) -> bool:
    """Record one event into the current experiment; without one, warn once and return False.

    Args:
        event, values, **fields: As in `Experiment.record`.

    Returns:
        Whether it was collected.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo"):
        ...     cr.record("tick", latency_ms=1.0)
        True
    """
    experiment = current()
    if experiment is None:
        if not LIVE.warned:
            LIVE.warned = True
            message = "no experiment is running: nothing is recorded. Start one with cr.start(name)"
            warnings.warn(message, CrucibleWarning, stacklevel=2)
        return False
    return experiment.record(event, values, **fields)


def span(event: str, **fields: Any) -> Span:
    """Create a span, recorded into the experiment that is current when it ends; see `Experiment.span`.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     with cr.span("work"):
        ...         pass
        >>> exp.df.event.item()
        'work'
    """
    experiment = current()
    clock = time.perf_counter_ns if experiment is None else experiment._intake.clock
    return Span(record, event, fields, _report_late_field, clock)


def _report_late_field(sentence: str) -> None:
    experiment = current()
    if experiment is None:
        with contextlib.suppress(CrucibleWarning):  # telemetry never breaks the code it measures
            warnings.warn(sentence, CrucibleWarning, stacklevel=3)
    else:
        reporter(experiment.span("late"))(sentence)


@overload
def track(event: F) -> F: ...
@overload
def track(event: str, **fields: Any) -> Callable[[F], F]: ...
def track(event: Any, **fields: Any) -> Any:
    """Decorate a function to record its calls into the current experiment; see `Experiment.track`.

    Examples:
        >>> import crucible_nb as cr
        >>> @cr.track("double")
        ... def double(x):
        ...     return 2 * x
        >>> with cr.start("demo") as exp:
        ...     _ = double(2)
        >>> exp.df.event.item()
        'double'
    """
    return _track(lambda name, given: span(name, **given), event, fields)
