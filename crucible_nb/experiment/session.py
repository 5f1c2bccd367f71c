"""The kernel's experiments: start one, find the current one, record into it."""

from __future__ import annotations

import os
import secrets
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from crucible_nb.anomaly import detectors_of
from crucible_nb.errors import ConfigError, CrucibleWarning, LifecycleError
from crucible_nb.events.json_text import json_dict
from crucible_nb.experiment.attach import RUN, copy, listed, named, opened, stored
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.experiment import Experiment, log_of
from crucible_nb.experiment.live import LIVE
from crucible_nb.experiment.spans import Span
from crucible_nb.experiment.spans import track as _track
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.sampling import Adaptive, sampling_of
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.catalog import namesake, root_of
from crucible_nb.store.journal import DURABILITIES
from crucible_nb.store.log import open_log
from crucible_nb.store.postgres import Address, address_of
from crucible_nb.store.redaction import Redaction, redaction_of
from crucible_nb.utils import checks, html
from crucible_nb.utils.pictures import pictures


def start(
    name: str,
    *,
    condition: str | None = None,
    hypothesis: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    sample_size: int | None = None,
    sampling: Any = None,
    sampling_config: Mapping[str, Any] | None = None,
    anomaly: Any = None,
    anomaly_config: Mapping[str, Any] | None = None,
    windows: Sequence[Any] = ("1min", "5min", "1h"),
    by: Sequence[str] = (),
    max_events: int | None = None,
    seed: int | None = None,
    clock: Callable[[], int] | str | None = None,
    store: Any = None,
    durability: str = "os",
    on_exists: str = "new",
    default: bool = False,
    redact: Any = None,
) -> Experiment:
    """Start an experiment.

    Args:
        name: Any text.
        condition: Arm of a comparison, e.g. "treatment".
        hypothesis: What you expect, e.g. "p95 < 2 s".
        tags: Labels.
        metadata: Facts to keep with it, e.g. {"sha": "..."} or `vars(args)`; kept as JSON says them: arrays as lists,
            paths, dates and NaN as text, other objects as their repr.
        sample_size: Target number of events, shown as progress.
        sampling: Which events stay as rows: None keeps all; "uniform", "reservoir", "stratified", "adaptive" or
            "importance" with `sampling_config`, or a sampler of `cr.sampling`. Metrics count every event all the same.
        sampling_config: Arguments of a sampler given by name, e.g. {"rate": 0.1}.
        anomaly: What to look out for: None is nothing; "auto" (recommended), "z_score", "modified_z_score", "iqr",
            "ewma", "cusum", "isolation_forest", several names, or detectors of `cr.anomaly`. A bare name watches
            latency_ms and cost_usd.
        anomaly_config: Arguments of detectors given by name ("metrics", "threshold", "by", "false_alarm_rate", ...),
            and "action": "flag" marks the events and, as every action does, calls back; "alert" also takes note at
            once while nobody listens; "sample_more" insists on an adaptive sampler, which keeps what is around;
            "pause" pauses the experiment.
        windows: Durations of the live sliding windows; () turns them off.
        by: Columns whose groups are counted live, beside event and model; at most 1,000 groups each, the rest
            are counted together.
        max_events: Rows held in memory; the oldest leave, counted. Metrics go on counting every event.
        seed: Of the samplers' coins: the same seed and events give the same sample. None draws one; `exp.summary()`
            says which.
        clock: Callable () -> int, UTC nanoseconds since 1970; "events": now is the newest event time, for replays
            and imports; None: the computer's clock.
        store: Folder in which everything recorded is kept, such as "runs/"; None: in memory only. With
            "postgresql://user@host/database" that folder is below CRUCIBLE_DIR (or ~/.crucible_nb), and a thread copies
            what is in it to the database, never in the way of `record`; see the guide on PostgreSQL.
        durability: With a store, what `record` has done when it returns: "os" has given the event to the system, so
            that it survives the death of this process; "disk" has synced it, so that it survives a power loss;
            "memory" has not: that follows within a second, or with `flush`.
        on_exists: What to do when an experiment of this name runs: "new" stops one of this kernel and says so,
            "resume" continues it, or takes it over from the store when its process is gone; "error" raises.
        default: Make it what `cr.current()` returns outside any `with`.
        redact: With a store, what is taken out before anything is written: None what looks like a secret, and what
            people and models said to each other; False nothing; a callable (column, text) -> text in addition; or a
            `cr.Redaction`.

    Returns:
        The running Experiment; use it with `with` to have it stopped, or marked failed by an exception.

    Raises:
        ConfigError: An argument is not what is accepted.
        LifecycleError: With on_exists="error", the name is in use.
        StoreError: The store cannot be written; with on_exists="resume", another process is writing it: its pid and
            host are named.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("gpt4_vs_mini", condition="treatment", tags=["ab"]) as exp:
        ...     _ = exp.record("llm.request", latency_ms=812.4, model="gpt-4o")
        >>> exp
        <Experiment 'gpt4_vs_mini' stopped, 1 events>
    """
    store = address_of(store)
    name = checks.text("name", name)
    checks.one_of("on_exists", on_exists, ("new", "resume", "error"))
    spans = [checks.duration("windows", window) for window in _listed("windows", windows)]
    options: dict[str, Any] = {
        "condition": checks.text("condition", condition, optional=True),
        "hypothesis": checks.text("hypothesis", hypothesis, optional=True),
        "tags": checks.texts("tags", tags),
        "metadata": json_dict(checks.mapping("metadata", metadata)),
        "sample_size": checks.whole("sample_size", sample_size, ge=1, optional=True),
        "windows": spans,
        "by": checks.texts("by", by),
        "max_events": checks.whole("max_events", max_events, ge=1, optional=True),
        "sampling": sampling_of(sampling, sampling_config),
        "seed": secrets.randbits(32) if seed is None else checks.whole("seed", seed, ge=0),
    }
    options["detectors"], options["action"] = detectors_of(anomaly, anomaly_config)
    if options["action"] == "sample_more" and not isinstance(options["sampling"], Adaptive):
        raise ConfigError("anomaly_config['action']='sample_more' needs sampling='adaptive'")
    config = ExperimentConfig(name, clock=_clock(clock), **options)
    checks.one_of("durability", durability, DURABILITIES)
    root = None if store is None else root_of(store)
    redaction = None if root is None else redaction_of(redact)
    experiment = _existing(name, on_exists)
    if experiment is None:
        experiment = Experiment(config) if root is None else _stored(config, root, durability, redaction, on_exists)
        LIVE.add(experiment, log_of(experiment))
    if isinstance(store, Address):
        copy(experiment, store)
    if default:
        CURRENT.default = experiment
    return experiment


def _listed(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise checks.wrong(name, value, "a list of durations such as ('1min', '1h')")
    return list(value)


def _clock(clock: Callable[[], int] | str | None) -> Callable[[], int] | str | None:
    if isinstance(clock, str):
        return str(checks.one_of("clock", clock, ("events",)))
    if clock is not None and not callable(clock):
        raise checks.wrong("clock", clock, "a callable () -> int (UTC nanoseconds), 'events' or None")
    return clock


def _existing(name: str, on_exists: str) -> Experiment | None:
    """The running namesake to continue, if that is asked for; else it makes room or is in the way."""
    namesake = LIVE.find_running(name)
    if namesake is None:
        return None
    if on_exists == "error":
        allowed = "on_exists='new', 'resume'"
        raise LifecycleError(f"cannot start {name!r}: one of that name is {namesake.status!r} (allowed: {allowed})")
    if on_exists == "resume":
        if namesake.paused:
            namesake.resume()
        return namesake
    namesake.stop()
    print(f"crucible_nb: stopped the earlier {name!r} ({namesake.summary()['total_events']:,} events)")  # noqa: T201
    return None


def _stored(
    config: ExperimentConfig, root: Path, durability: str, redaction: Redaction | None, on_exists: str
) -> Experiment:
    """A new experiment of a store, or the one to go on with."""
    there = None if on_exists == "new" else namesake(root, config.name)
    if there is not None and on_exists == "error":
        raise LifecycleError(f"cannot start {config.name!r}: one of that name has not ended in {str(root)!r}")
    if there is None:
        config = config if redaction is None else config.redacted(redaction)
        log = open_log(Attachment.create(root, uuid.uuid4().hex, config, durability, redaction))
        return Experiment(config, log)
    found = opened(there, "resume", config, durability, redaction)
    if found.paused:
        found.resume()
    return found


def current() -> Experiment | None:
    """The innermost experiment entered in this context (thread or task), else the default, else None.

    Where there is none, and CRUCIBLE_RUN in the environment names one (`exp.handle`), this process joins that one.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     cr.current() is exp
        True
    """
    found = CURRENT.get()
    if found is None and RUN in os.environ:
        found = CURRENT.default = named()
    return found  # type: ignore[no-any-return]


def known() -> list[Experiment]:
    """The experiments of this kernel, in order of starting; ones that ended as long as somebody holds them."""
    return LIVE.known()


def experiments(store: Any = None) -> pd.DataFrame:
    """The experiments of this kernel, or of a store, one row each, in order of starting.

    Args:
        store: A folder or a database of `cr.start(store=...)`; None: the experiments of this kernel.

    Returns:
        DataFrame indexed by id: name, status, condition, tags, started_at, stopped_at, total_events, kept_events,
        wall_clock_duration, active_duration (s), errors. In a store an experiment whose process ended without a word
        is "dead", and one that cannot be read "unreadable"; `errors` says why.

    Raises:
        StoreError: The folder cannot be read.

    Examples:
        >>> import crucible_nb as cr
        >>> exp = cr.start("demo")
        >>> cr.experiments().loc[exp.id, "status"]
        'running'
        >>> exp.stop()
    """
    store = address_of(store)
    if store is not None:
        return stored(store)
    return listed({one.id: one.summary() for one in known()}, _picture)


def _picture(identifier: str) -> str:
    """Of an experiment that is still held."""
    frames = (one.frame() for one in known() if one.id == identifier)
    return html.row(pictures(next(frames, pd.DataFrame())))


def record(event: str, values: Mapping[str, Any] | None = None, /, **fields: Any) -> bool:
    """Record one event into the current experiment; without any: False, and one warning.

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
            said = "no experiment is running: nothing is recorded (cr.start makes one)"
            warnings.warn(said, CrucibleWarning, stacklevel=2)
        return False
    return experiment.record(event, values, **fields)


def span(event: str, **fields: Any) -> Span:
    """A span of the experiment that is current when it ends; see `Experiment.span`.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     with cr.span("work"):
        ...         pass
        >>> exp.df.event.item()
        'work'
    """
    return Span(record, event, fields)


def track(event: Any, **fields: Any) -> Any:
    """A decorator that records calls into the experiment that is current at the time; see `Experiment.track`.

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
    return _track(lambda name, given: Span(record, name, given), event, fields)
