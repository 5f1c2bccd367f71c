"""Catalog of a store: its experiments by id and by name."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import as_path
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.layout import FACTS, ExperimentFolder, folders
from crucible_nb.store.postgres.address import Address, address_of
from crucible_nb.store.writer import lives
from crucible_nb.utils import checks


def root_of(store: Any) -> Path:
    """The folder of a store."""
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
            continue  # one broken experiment does not hide the others
    return max(found, key=lambda one: one[:2])[2] if found else None


def names(root: Path) -> list[str]:
    """Names of the experiments in a folder, the newest first; only their facts are read."""
    found = [(born(folder), str(known_facts(folder).get("name") or "")) for folder in folders(root)]
    return [name for _, name in sorted(found, reverse=True) if name]


def namesake(root: Path, name: str) -> ExperimentFolder | None:
    """The newest experiment of a name, when it has not ended."""
    folder = find(root, name)
    if folder is None:
        return None
    return folder if lives(folder) or Attachment.read(folder, rows=False).lifecycle.alive else None


def born(folder: ExperimentFolder) -> int:
    """Modification time of the facts of an experiment, in nanoseconds; 0 where there are none."""
    with suppress(OSError):
        return (folder.path / FACTS).stat().st_mtime_ns
    return 0


def known_facts(folder: ExperimentFolder) -> dict[str, Any]:
    """Name, condition and tags of an experiment; {} where its facts cannot be read."""
    try:
        facts = folder.facts()
    except StoreError:
        return {}
    shown = {"name": str, "condition": str, "tags": list}
    return {key: facts[key] for key, kind in shown.items() if isinstance(facts.get(key), kind)}
