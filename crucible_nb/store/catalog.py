"""Catalog of a store: its experiments by id and by name."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import as_path
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.layout import FACTS, ExperimentFolder, folders, is_experiment, is_id
from crucible_nb.store.postgres.address import Address, address_of
from crucible_nb.store.writer import writer_is_running
from crucible_nb.utils import checks
from crucible_nb.utils.interrupts import let_pass


def root_of(store: Any) -> Path:
    """Return the folder of a store; it stays the same when the working directory changes."""
    store = address_of(store)
    if isinstance(store, Address):
        return store.root
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store):
        raise checks.wrong("store", store, "a folder, such as 'runs/', 'postgresql://...' or None")
    return as_path(store).absolute()


def find(root: Path, name: str) -> ExperimentFolder | None:
    """Find the experiment with an id, else the newest with a name."""
    if is_id(name) and is_experiment(root / name):
        return ExperimentFolder(root / name)
    named = []
    for folder in folders(root):
        with suppress(StoreError):  # an unreadable experiment is skipped
            if folder.facts().get("name") == name:
                named.append((created_ns(folder), folder.path.name, folder))
    return max(named, key=lambda entry: entry[:2])[2] if named else None


def names(root: Path) -> list[str]:
    """List the names of the experiments in a folder, the newest first; only their facts are read."""
    dated = [(created_ns(folder), str(readable_facts(folder).get("name") or "")) for folder in folders(root)]
    return [name for _, name in sorted(dated, reverse=True) if name]


def namesake(root: Path, name: str) -> ExperimentFolder | None:
    """Find the newest experiment with a name, if it has not ended."""
    folder = find(root, name)
    if folder is None:
        return None
    return folder if writer_is_running(folder) or Attachment.read(folder, rows=False).lifecycle.alive else None


def created_ns(folder: ExperimentFolder) -> int:
    """Return the time at which an experiment was started, in UTC nanoseconds.

    It is in the facts, because a copy, an archive and a checkout have new modification times; v0.1 wrote no time for
    experiments in event time.
    """
    with suppress(StoreError):
        facts = folder.facts()
        for key in ("created", "started"):
            if type(facts.get(key)) is int:
                return int(facts[key])
    with suppress(OSError):
        return (folder.path / FACTS).stat().st_mtime_ns
    return 0


def readable_facts(folder: ExperimentFolder) -> dict[str, Any]:
    """Return name, condition and tags of an experiment; {} if its facts cannot be read."""
    try:
        facts = folder.facts()
    except StoreError as error:
        let_pass(error)
        return {}
    shown = {"name": str, "condition": str, "tags": list}
    return {key: facts[key] for key, kind in shown.items() if isinstance(facts.get(key), kind)}
