"""Coming back to an experiment of a store: to go on with it, to look on, to write beside its process."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from crucible_nb.errors import CrucibleWarning, StoreError
from crucible_nb.experiment.experiment import Experiment, arrived, copies_of, log_of
from crucible_nb.experiment.listing import make_listing
from crucible_nb.experiment.live import LIVE
from crucible_nb.files.disk import as_path
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.store.archive import Remote, is_url
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.catalog import created_ns, find, readable_facts, root_of
from crucible_nb.store.layout import FACTS, ExperimentFolder, folders, unpack
from crucible_nb.store.log import open_log
from crucible_nb.store.postgres.address import Address, address_of
from crucible_nb.store.postgres.connection import Connection
from crucible_nb.store.postgres.listing import complete_ids, find_id, list_experiments
from crucible_nb.store.postgres.reading import CopiedAttachment
from crucible_nb.store.redaction import Redaction, rebuild_redaction
from crucible_nb.store.writer import writer_is_running
from crucible_nb.utils import checks

MODES = ("resume", "read", "join")
RUN = "CRUCIBLE_RUN"
"""Environment variable that names the experiment a process should join, as `exp.handle` says it."""


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
    """Come back to an experiment of a store.

    Args:
        name: Its name (the newest of that name), its id, or a handle (`exp.handle`); None: what CRUCIBLE_RUN in the
            environment says.
        store: The folder or the database it was started with; not needed for a handle. Of a database, "read" shows the
            copy, from any machine; "resume" and "join" need the journal, and work where it is.
        mode: "resume" goes on with it as if nothing had happened, when its process is gone; "read" looks on, and looks
            again whenever asked; "join" writes beside its process, from a worker. None: resume when it is dead, read
            when it lives or has ended. In the process that writes it, None and "resume" give that experiment itself.
        durability: "os", "disk" or "memory"; None: as it was.
        redact: As for `cr.start`.
        clock: The clock, where it was started with one of your own.
        sampling: The sampler, where it was started with one of a class of your own.
        anomaly: The detectors, where it was started with some of a class of your own, in the same order.

    Returns:
        The experiment.

    Raises:
        StoreError: There is none, its files cannot be read, or its process lives (resume): its pid and host are named.
        ConfigError: An argument is not what is accepted.

    Examples:
        >>> import tempfile
        >>> import crucible_nb as cr
        >>> runs = tempfile.mkdtemp()
        >>> with cr.start("demo", store=runs) as exp:
        ...     _ = exp.record("tick", latency_ms=1.0)
        >>> cr.attach("demo", store=runs).metrics().latency.mean
        1.0
    """
    store = address_of(store)
    mode = checks.one_of("mode", mode, (None, *MODES))
    if isinstance(store, Address) and mode != "join":
        mode = mode or _mode_of_copy(store, name)
        if mode == "read":
            return _known(_copied(store, name))
    folder = _folder(name, store)
    here = LIVE.find_owned(folder.path.name) if mode in (None, "resume") else None
    if here is not None:
        return here
    given = _given(clock, sampling, anomaly)
    if mode is None:
        looking = Attachment.read(folder, given, rows=False)
        mode = "resume" if looking.dead() else "read"
    redaction = None if mode == "read" else rebuild_redaction(folder.facts().get("redact"), redact)
    experiment = opened(folder, mode, given, durability, redaction)
    if isinstance(store, Address) and mode == "resume":
        copy(experiment, store)
    return _known(experiment)


def _known(experiment: Experiment) -> Experiment:
    LIVE.add(experiment, log_of(experiment))
    return experiment


def _mode_of_copy(address: Address, name: Any) -> str:
    """Resume what died on this machine, or is this process's own; of anything else the copy is looked at."""
    here = find(address.root, checks.text("name", name))
    if here is None:
        return "read"
    return "resume" if LIVE.find_owned(here.path.name) or Attachment.read(here, rows=False).dead() else "read"


def _copied(address: Address, name: Any) -> Experiment:
    """The copy of an experiment, to look at."""
    connection = Connection(address)
    log = open_log(CopiedAttachment(connection, find_id(connection, checks.text("name", name))))
    return Experiment(log.config, log)


def copy(experiment: Experiment, address: Address) -> None:
    """Have a database follow an experiment, and with it what earlier processes left on this machine uncopied."""
    copies = copies_of(experiment)
    if copies.replicator is None and log_of(experiment).records:
        copies.replicate(address)
        threading.Thread(target=_leftovers, args=(address,), name="crucible-leftovers", daemon=True).start()


def _leftovers(address: Address) -> None:
    """Copy experiments of which the database does not have everything, and whose process is gone."""
    with suppress(StoreError):
        done = complete_ids(Connection(address))
        for folder in list(folders(address.root)):
            if folder.path.name not in done and not writer_is_running(folder):
                with suppress(StoreError):
                    copies_of(opened(folder, "read")).replicate(address, once=True).wait(None)


def opened(
    folder: ExperimentFolder,
    mode: str,
    given: ExperimentConfig | None = None,
    durability: str | None = None,
    redaction: Redaction | None = None,
) -> Experiment:
    """Open an experiment of a store in one of `MODES`.

    Args:
        folder: Folder of the experiment.
        mode: "resume", "read" or "join".
        given: User-defined clock, sampler and detectors, which the folder cannot hold.
        durability: See `cr.start`; None: as it was.
        redaction: Removes secrets before anything is written.
    """
    if mode == "read":
        attachment = Attachment.read(folder, given)
    elif mode == "join":
        attachment = Attachment.join(folder, given, durability, redaction)
    else:
        attachment = Attachment.resume(folder, given, durability, redaction)
    log = open_log(attachment)
    return Experiment(log.config, log)


_FAILED: set[str] = set()


def named() -> Experiment | None:
    """The experiment that CRUCIBLE_RUN names, joined; None, and one warning, when that cannot be done."""
    handle = os.environ[RUN]
    if handle in _FAILED:
        return None
    try:
        folder = _folder(handle, None)
        return arrived(str(folder.path), rebuild_redaction(folder.facts().get("redact")))
    except StoreError as error:
        _FAILED.add(handle)
        warnings.warn(f"{RUN}: {error}", CrucibleWarning, stacklevel=3)
        return None


def _folder(name: Any, store: Any) -> ExperimentFolder:
    if name is None:
        name = os.environ.get(RUN)
        if not name:
            raise checks.wrong("name", None, f"a name, an id or a handle, or {RUN} in the environment")
    if isinstance(name, Experiment):
        name = name.handle
    name = checks.text("name", name)
    if store is None:
        path = Path(name)
        if not (path / FACTS).exists():
            raise StoreError(f"cannot attach to {name!r}: it is no handle, and no store is given")
        return ExperimentFolder(path)
    root = root_of(store)
    folder = find(root, name)
    if folder is None and isinstance(store, Address):
        said = f"its journal is not on this machine, in {str(root)!r}; mode='read' looks at the copy in {store!r}"
        raise StoreError(f"cannot attach to {name!r}: {said}")
    if folder is None:
        raise StoreError(f"cannot attach to {name!r}: there is no such experiment in {str(root)!r}")
    return folder


def _given(clock: Any, sampling: Any, anomaly: Any) -> ExperimentConfig | None:
    if clock is None and sampling is None and anomaly is None:
        return None
    detectors = anomaly if isinstance(anomaly, (list, tuple)) else [] if anomaly is None else [anomaly]
    return ExperimentConfig("", clock=clock, sampling=sampling, detectors=detectors)


_SHOWN = (
    "name", "status", "condition", "tags", "started_at", "stopped_at", "total_events", "kept_events",
    "wall_clock_duration", "active_duration", "errors",
)  # fmt: skip


def listed(experiments: dict[str, dict[str, Any]], picture: Callable[[str], str] = lambda _: "") -> pd.DataFrame:
    """Summaries by id as the table that `cr.experiments` gives; `picture` draws one of an id."""
    rows = [{key: facts.get(key) for key in _SHOWN} for facts in experiments.values()]
    return make_listing(rows, list(experiments), _SHOWN, picture)


def stored(store: Any) -> pd.DataFrame:
    """The experiments of a store, oldest first; one that cannot be read says so and does not hide the others."""
    if isinstance(store, Address):
        return listed(list_experiments(Connection(store)))
    root = root_of(store)
    found: list[tuple[int, str, dict[str, Any]]] = []
    for folder in folders(root):
        start = created_ns(folder)
        try:
            attachment = Attachment.read(folder, rows=False)
            facts = Experiment(attachment.config, open_log(attachment)).summary()
            facts["kept_events"] += attachment.unread
            found.append((start, folder.path.name, facts))
        except StoreError as error:
            if not folder.path.exists():  # removed, or moved away, while others were read
                continue
            facts = {**readable_facts(folder), "status": "unreadable", "errors": str(error)}
            found.append((start, folder.path.name, facts))
    return listed({identity: facts for _, identity, facts in sorted(found, key=lambda one: one[:2])})


def unarchive(path: Any, store: Any) -> Experiment:
    """Put an archived experiment into a store again.

    Args:
        path: The zip or the URL that `exp.archive` gave.
        store: The folder to put it into.

    Returns:
        The experiment, to look at.

    Raises:
        StoreError: The file is broken or hostile or holds no store, or the experiment is there already.

    Examples:
        >>> import pathlib, tempfile
        >>> import crucible_nb as cr
        >>> place = pathlib.Path(tempfile.mkdtemp())
        >>> with cr.start("demo", store=place / "runs") as exp:
        ...     _ = exp.record("tick", latency_ms=1.0)
        >>> again = cr.unarchive(exp.archive(place / "run.zip"), place / "elsewhere")
        >>> again.status, again.metrics().latency.mean
        ('stopped', 1.0)
    """
    folder = Remote(path).pull(root_of(store)) if is_url(path) else unpack(as_path(path), root_of(store))
    return opened(folder, "read")
