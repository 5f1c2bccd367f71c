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
from crucible_nb.experiment.experiment import Experiment, arrived
from crucible_nb.experiment.listing import make_listing
from crucible_nb.experiment.live import KERNEL
from crucible_nb.files.disk import as_path
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.store.archive import Remote, is_url
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.layout import FACTS, ExperimentFolder, folders, unpack
from crucible_nb.store.postgres.address import Address, address_of
from crucible_nb.store.postgres.connection import Connection
from crucible_nb.store.postgres.listing import complete
from crucible_nb.store.postgres.listing import find as found_in
from crucible_nb.store.postgres.listing import listed as listed_in
from crucible_nb.store.postgres.reading import CopiedAttachment
from crucible_nb.store.redaction import Redaction, rebuild_redaction
from crucible_nb.store.writer import lives
from crucible_nb.utils import checks

MODES = ("resume", "read", "join")
RUN = "CRUCIBLE_RUN"
"""Environment variable that names the experiment a process should join, as `exp.handle` says it."""


def root_of(store: Any) -> Path:
    """The folder that a store is."""
    store = address_of(store)
    if isinstance(store, Address):
        return store.root
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store):
        raise checks.wrong("store", store, "a folder, such as 'runs/', 'postgresql://...' or None")
    return as_path(store)


def find(root: Path, name: str) -> ExperimentFolder | None:
    """The experiment of an id, else the newest of a name."""
    if (root / name / FACTS).exists() and len(name) == 32:
        return ExperimentFolder(root / name)
    found = []
    for folder in folders(root):
        try:
            if folder.facts().get("name") == name:
                found.append(((folder.path / FACTS).stat().st_mtime_ns, folder.path.name, folder))
        except (StoreError, OSError):
            continue  # a broken one does not hide the others
    return max(found, key=lambda one: one[:2])[2] if found else None


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
    here = KERNEL.hosting(folder.path.name) if mode in (None, "resume") else None
    if here is not None:
        return here
    given = _given(clock, sampling, anomaly)
    if mode is None:
        looking = Attachment.read(folder, given, rows=False)
        mode = "resume" if looking.dead() else "read"
    redaction = None if mode == "read" else rebuild_redaction(folder.facts().get("redact"), redact)
    experiment = Experiment(*opened(folder, mode, given, durability, redaction))
    if isinstance(store, Address) and mode == "resume":
        copy(experiment, store)
    return _known(experiment)


def _known(experiment: Experiment) -> Experiment:
    KERNEL.add(experiment)
    return experiment


def _mode_of_copy(address: Address, name: Any) -> str:
    """Resume what died on this machine, or is this process's own; of anything else the copy is looked at."""
    here = find(address.root, checks.text("name", name))
    if here is None:
        return "read"
    return "resume" if KERNEL.hosting(here.path.name) or Attachment.read(here, rows=False).dead() else "read"


def _copied(address: Address, name: Any) -> Experiment:
    """The copy of an experiment, to look at."""
    link = Connection(address)
    attached = CopiedAttachment(link, found_in(link, checks.text("name", name)))
    return Experiment(attached.config, attached)


def copy(experiment: Experiment, address: Address) -> None:
    """Have a database follow an experiment, and with it what earlier processes left on this machine uncopied."""
    if experiment._copier is None and experiment._writer is not None:
        experiment._copy_to(address)
        threading.Thread(target=_leftovers, args=(address,), name="crucible-leftovers", daemon=True).start()


def _leftovers(address: Address) -> None:
    """Copy experiments of which the database does not have everything, and whose process is gone."""
    with suppress(StoreError):
        done = complete(Connection(address))
        for folder in list(folders(address.root)):
            if folder.path.name not in done and not lives(folder):
                with suppress(StoreError):
                    Experiment(*opened(folder, "read", None, None, None))._copy_to(address, once=True).wait(None)


def opened(
    folder: ExperimentFolder,
    mode: str,
    given: ExperimentConfig | None,
    durability: str | None,
    redaction: Redaction | None,
) -> tuple[ExperimentConfig, Attachment]:
    """What an `Experiment` is made of."""
    if mode == "read":
        attached = Attachment.read(folder, given)
    elif mode == "join":
        attached = Attachment.join(folder, given, durability, redaction)
    else:
        attached = Attachment.resume(folder, given, durability, redaction)
    return attached.config, attached


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
        return listed(listed_in(Connection(store)))
    root = root_of(store)
    found: list[tuple[int, str, dict[str, Any]]] = []
    for folder in folders(root):
        born = _born(folder)
        try:
            attached = Attachment.read(folder, rows=False)
            facts = Experiment(attached.config, attached).summary()
            facts["kept_events"] += attached.unread
            found.append((born, folder.path.name, facts))
        except StoreError as error:
            if not folder.path.exists():  # removed, or moved away, while others were read
                continue
            found.append((born, folder.path.name, {**_facts(folder), "status": "unreadable", "errors": str(error)}))
    return listed({identity: facts for _, identity, facts in sorted(found, key=lambda one: one[:2])})


def names(root: Path) -> list[str]:
    """Names of the experiments in a folder, the newest first; only their facts are read."""
    found = [(_born(folder), str(_facts(folder).get("name") or "")) for folder in folders(root)]
    return [name for _, name in sorted(found, reverse=True) if name]


def _born(folder: ExperimentFolder) -> int:
    with suppress(OSError):
        return (folder.path / FACTS).stat().st_mtime_ns
    return 0


def _facts(folder: ExperimentFolder) -> dict[str, Any]:
    """What can be known of an experiment without its events."""
    try:
        facts = folder.facts()
    except StoreError:
        return {}
    shown = {"name": str, "condition": str, "tags": list}
    return {key: facts[key] for key, kind in shown.items() if isinstance(facts.get(key), kind)}


def namesake(root: Path, name: str) -> ExperimentFolder | None:
    """The newest experiment of a name, when it has not ended."""
    folder = find(root, name)
    if folder is None:
        return None
    return folder if lives(folder) or Attachment.read(folder, rows=False).life.alive else None


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
    return Experiment(*opened(folder, "read", None, None, None))
