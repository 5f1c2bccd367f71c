"""Attach to an experiment in a store: resume it, read it, or join it from a second process."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from crucible_nb.errors import CrucibleWarning, StoreError
from crucible_nb.experiment.experiment import Experiment, arrived, copies_of, log_of, when_ended
from crucible_nb.experiment.listing import make_listing
from crucible_nb.experiment.live import LIVE
from crucible_nb.experiment.run_summary import ENDED, facts_of, leave_summary, rebuild_summary, summarise
from crucible_nb.experiment.run_values import Run, values_of_runs
from crucible_nb.files.disk import as_path
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.store.archive import Remote, is_url
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.catalog import created_ns, find, names, readable_facts, root_of
from crucible_nb.store.layout import ExperimentFolder, folders, is_experiment, unpack
from crucible_nb.store.log import open_log
from crucible_nb.store.postgres.address import Address, address_of
from crucible_nb.store.postgres.connection import Connection
from crucible_nb.store.postgres.listing import complete_ids, find_id, list_experiments
from crucible_nb.store.postgres.reading import CopiedAttachment
from crucible_nb.store.redaction import Redaction, rebuild_redaction
from crucible_nb.store.summaries import read_summary
from crucible_nb.store.writer import writer_is_running
from crucible_nb.utils import checks
from crucible_nb.utils.environment import default_store
from crucible_nb.utils.interrupts import let_pass, unbroken

MODES = ("resume", "read", "join")
_LONG = 4096  # characters of a path
_LISTED = 10  # names in a message
ON_RESUME: list[Callable[[Experiment], object]] = []
"""Called with an experiment that is resumed, to record what was left on its way to it."""
ON_READ: list[Callable[[Experiment], object]] = []
"""Called with an experiment of a folder that is read, to show what was left on its way to it."""

RUN = "CRUCIBLE_RUN"
"""Environment variable with the handle (`exp.handle`) of the experiment that a process should join."""


def attach(
    name: Any = None,
    store: Any = None,
    mode: str | None = None,
    *,
    durability: str | None = None,
    redact: Any = None,
    clock: Any = None,
    sampling: Any = None,
    anomaly: Any = None,
) -> Experiment:
    """Attach to an experiment in a store.

    Args:
        name: Name (the newest experiment with it), id, or handle (`exp.handle`); None: the handle in CRUCIBLE_RUN.
        store: Folder or database of the experiment; None for a handle, else that of CRUCIBLE_DIR. With a database,
            "read" shows the copy, from any machine; "resume" and "join" need the journal, and work only on its machine.
        mode: "resume": continue recording after the original process ended. "read": read only, updated at each call.
            "join": write from a second process. None: resume a dead experiment, read any other. In the process that
            writes it, None and "resume" return the same experiment object.
        durability: "os", "disk" or "memory"; None: unchanged.
        redact: As for `cr.start`.
        clock: The clock, if the experiment was started with a user-defined one.
        sampling: The sampler, if its class is user-defined.
        anomaly: The detectors, if their classes are user-defined, in the same order.

    Returns:
        The experiment.

    Raises:
        StoreError: There is no such experiment, its files cannot be read, or its process is still running (resume;
            the message gives its pid and host).
        ConfigError: An argument is invalid.

    Examples:
        >>> import tempfile
        >>> import crucible_nb as cr
        >>> runs = tempfile.mkdtemp()
        >>> with cr.start("demo", store=runs) as exp:
        ...     _ = exp.record("tick", latency_ms=1.0)
        >>> cr.attach("demo", store=runs).metrics().latency.mean
        1.0
    """
    if store is None and isinstance(name, str) and not is_experiment(Path(name[:_LONG])):
        store = default_store()
    store = address_of(store)
    mode = checks.one_of("mode", mode, (None, *MODES))
    if isinstance(store, Address) and mode != "join":
        mode = mode or _mode_of_copy(store, name)
        if mode == "read":
            return _register(_open_copy(store, name))
    folder = _find_folder(name, store)
    owned = LIVE.find_owned(folder.path) if mode in (None, "resume") else None
    if owned is not None:
        return owned
    given = _user_objects(clock, sampling, anomaly)
    if mode is None:
        attachment = Attachment.read(folder, given)
        if not attachment.dead():
            return _register(_with_left(_experiment(attachment)))
        mode = "resume"
    if mode == "read":
        return _register(_with_left(open_stored(folder, mode, given)))
    redaction = rebuild_redaction(folder.facts().get("redact"), redact)
    with unbroken():  # opened and known, or neither
        experiment = _register(open_stored(folder, mode, given, durability, redaction))
        if isinstance(store, Address) and mode == "resume":
            copy_to_database(experiment, store)
    return experiment


def _with_left(experiment: Experiment) -> Experiment:
    for show in ON_READ:
        show(experiment)
    return experiment


def _register(experiment: Experiment) -> Experiment:
    LIVE.add(experiment, log_of(experiment))
    when_ended(experiment, leave_summary)
    return experiment


def _mode_of_copy(address: Address, name: Any) -> str:
    """Return "resume" for an experiment that died on this machine or is owned by this process, else "read"."""
    folder = find(address.root, checks.text("name", name))
    if folder is None:
        return "read"
    return "resume" if LIVE.find_owned(folder.path) or Attachment.read(folder, rows=False).dead() else "read"


def _open_copy(address: Address, name: Any) -> Experiment:
    """Open the copy of an experiment read-only."""
    connection = Connection(address)
    return _experiment(CopiedAttachment(connection, find_id(connection, checks.text("name", name))))


def _experiment(attachment: Attachment) -> Experiment:
    log = open_log(attachment)
    return Experiment(log.config, log)


def copy_to_database(experiment: Experiment, address: Address) -> None:
    """Copy an experiment to a database from now on, and copy what ended processes left on this machine."""
    copies = copies_of(experiment)
    if copies.replicator is None and log_of(experiment).records:
        copies.replicate(address)
        threading.Thread(target=_copy_leftovers, args=(address,), name="crucible-leftovers", daemon=True).start()


def _copy_leftovers(address: Address) -> None:
    """Copy experiments whose process has ended and that are not completely in the database."""
    with suppress(StoreError):
        done = complete_ids(Connection(address))
        for folder in list(folders(address.root)):
            if folder.path.name not in done and not writer_is_running(folder):
                with suppress(StoreError):
                    copies_of(open_stored(folder, "read")).replicate(address, once=True).wait(None)


def open_stored(
    folder: ExperimentFolder,
    mode: str,
    given: ExperimentConfig | None = None,
    durability: str | None = None,
    redaction: Redaction | None = None,
) -> Experiment:
    """Open an experiment in a store in one of `MODES`.

    Args:
        folder: Folder of the experiment.
        mode: "resume", "read" or "join".
        given: User-defined clock, sampler and detectors, which the folder cannot hold.
        durability: See `cr.start`; None: unchanged.
        redaction: Removes secrets before anything is written.
    """
    if mode == "read":
        attachment = Attachment.read(folder, given)
    elif mode == "join":
        attachment = Attachment.join(folder, given, durability, redaction)
    else:
        attachment = Attachment.resume(folder, given, durability, redaction)
    experiment = _experiment(attachment)
    for record_left in ON_RESUME if mode == "resume" else ():
        record_left(experiment)
    return experiment


_FAILED: set[str] = set()


def join_from_environment() -> Experiment | None:
    """Join the experiment whose handle is in CRUCIBLE_RUN; if that fails, warn once and return None."""
    handle = os.environ[RUN]
    if handle in _FAILED:
        return None
    try:
        folder = _find_folder(handle, None)
        return arrived(str(folder.path), rebuild_redaction(folder.facts().get("redact")))
    except StoreError as error:
        let_pass(error)
        _FAILED.add(handle)
        warnings.warn(f"{RUN}: {error}", CrucibleWarning, stacklevel=3)
        return None


def _find_folder(name: Any, store: Any) -> ExperimentFolder:
    if name is None:
        name = os.environ.get(RUN)
        if not name:
            raise checks.wrong("name", None, f"a name, an id or a handle, or {RUN} in the environment")
    if isinstance(name, Experiment):
        name = name.handle
    name = checks.text("name", name)
    if store is None:
        path = Path(name).absolute()
        if len(name) > _LONG or not is_experiment(path):
            raise StoreError(
                f"cannot attach to {name!r}: it is not a handle (no such folder); to attach by name, pass store="
            )
        return ExperimentFolder(path)
    root = root_of(store)
    folder = find(root, name)
    if folder is None and isinstance(store, Address):
        reason = f"its journal is not on this machine, in {str(root)!r}; use mode='read' to read the copy in {store!r}"
        raise StoreError(f"cannot attach to {name!r}: {reason}")
    if folder is None:
        raise StoreError(f"cannot attach to {name!r}: {_absent(root)}")
    return folder


def _absent(root: Path) -> str:
    """Return why no experiment was found in a store: there is no folder, or the names it holds."""
    if not root.is_dir():
        return f"there is no folder {str(root)!r}"
    known = list(dict.fromkeys(names(root)))
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    held = f"it holds {', '.join(map(repr, known[:_LISTED]))}{more}" if known else "it is empty"
    return f"there is no such experiment in {str(root)!r}; {held}"


def _user_objects(clock: Any, sampling: Any, anomaly: Any) -> ExperimentConfig | None:
    if clock is None and sampling is None and anomaly is None:
        return None
    detectors = anomaly if isinstance(anomaly, (list, tuple)) else [] if anomaly is None else [anomaly]
    return ExperimentConfig("", clock=clock, sampling=sampling, detectors=detectors)


def list_stored(store: Any, metrics: Sequence[str] = ()) -> pd.DataFrame:
    """List the experiments of a store, oldest first; one that cannot be read has the status "unreadable"."""
    if isinstance(store, Address):
        listed = list_experiments(Connection(store))
        copies = {key: attach(key, store, "read") for key in listed} if metrics else {}
        return make_listing(listed, values_of_runs(_runs_of(copies), metrics))
    root = root_of(store)
    dated: list[tuple[int, str, dict[str, Any]]] = []
    runs: dict[str, Run] = {}
    for folder in folders(root):
        identity = folder.path.name
        try:
            run, facts, start = _listed(folder)
            runs[identity] = run
            dated.append((start, identity, facts))
        except StoreError as error:
            let_pass(error)
            if not folder.path.exists():  # removed in the meantime
                continue
            facts = {**readable_facts(folder), "status": "unreadable", "errors": str(error)}
            dated.append((created_ns(folder), identity, facts))
    ordered = sorted(dated, key=lambda entry: entry[:2])
    empty = "no experiments" if root.is_dir() else f"no experiments: there is no folder {str(root)!r}"
    listing = make_listing(
        {identity: facts for _, identity, facts in ordered}, values_of_runs(runs, metrics), empty=empty
    )
    listing.set_summaries(
        lambda: {key: run.summary or summarise(run.live(), run.rows) for key, run in runs.items()}, root
    )
    return listing


def _runs_of(copies: Mapping[str, Experiment]) -> dict[str, Run]:
    return {key: Run(partial(_given, copy), copy.frame) for key, copy in copies.items()}


def _listed(folder: ExperimentFolder) -> tuple[Run, dict[str, Any], int]:
    """Return a run, its facts and the time at which it was started; from its summary if it has ended."""
    rows, live = partial(_rows_of, folder), partial(open_stored, folder, "read")
    summary = read_summary(folder)
    if summary is not None:
        with suppress(KeyError, TypeError, ValueError):  # of another release
            return Run(live, rows, summary), facts_of(summary), int(summary["created"])
    attachment = Attachment.read(folder, rows=False)
    experiment = _experiment(attachment)
    facts = experiment.summary()
    facts["kept_events"] += attachment.unread
    summary = rebuild_summary(folder, experiment, rows, facts) if facts["status"] in ENDED else None
    return Run(partial(_given, experiment), rows, summary), facts, created_ns(folder)


def _given(experiment: Experiment) -> Experiment:
    return experiment


def _rows_of(folder: ExperimentFolder) -> pd.DataFrame:
    return open_stored(folder, "read").frame()


def unarchive(path: Any, store: Any) -> Experiment:
    """Restore an archived experiment into a store.

    Args:
        path: Zip file or URL returned by `exp.archive`.
        store: Folder to restore it into.

    Returns:
        The experiment, read-only.

    Raises:
        StoreError: The file is corrupt or unsafe or was archived without a store, or the experiment exists already.

    Examples:
        >>> import pathlib, tempfile
        >>> import crucible_nb as cr
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with cr.start("demo", store=folder / "runs") as exp:
        ...     _ = exp.record("tick", latency_ms=1.0)
        >>> again = cr.unarchive(exp.archive(folder / "run.zip"), folder / "restored")
        >>> again.status, again.metrics().latency.mean
        ('stopped', 1.0)
    """
    folder = Remote(path).pull(root_of(store)) if is_url(path) else unpack(as_path(path), root_of(store))
    try:
        return open_stored(folder, "read")
    except BaseException:
        folder.remove()  # so that a good archive can be restored
        raise
