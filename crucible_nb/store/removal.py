"""Remove an experiment from a store into its bin, and take it back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import reason
from crucible_nb.store.catalog import find, names, root_of
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.postgres.address import Address, address_of
from crucible_nb.store.syscalls import system
from crucible_nb.store.writer import writer_is_running
from crucible_nb.utils import checks
from crucible_nb.utils.interrupts import let_pass

BIN = ".bin"
"""Folder of the removed experiments in a store."""


def remove(name: str, store: Any) -> Path:
    """Move an experiment of a store into the bin of the store, from which `restore` takes it back.

    The bin is the folder `.bin` in the store. Nothing is deleted: to free the space, delete that folder.

    Args:
        name: Name (the newest experiment with it) or id.
        store: Folder of the store.

    Returns:
        The folder in the bin.

    Raises:
        StoreError: There is no such experiment, a process records into it, or it cannot be moved.
        ConfigError: An argument is not accepted.

    Examples:
        >>> import tempfile
        >>> import crucible_nb as cr
        >>> runs = tempfile.mkdtemp()
        >>> with cr.start("demo", store=runs) as exp:
        ...     _ = exp.record("tick")
        >>> _ = cr.remove("demo", store=runs)
        >>> len(cr.experiments(runs))
        0
        >>> _ = cr.restore("demo", store=runs)
        >>> len(cr.experiments(runs))
        1
    """
    root = _folder(store)
    return _moved(_found(root, name, "remove"), root / BIN, "remove")


def restore(name: str, store: Any) -> Path:
    """Take a removed experiment back from the bin of a store.

    Args:
        name: Name (the newest removed experiment with it) or id.
        store: Folder of the store.

    Returns:
        Its folder in the store.

    Raises:
        StoreError: There is no such experiment in the bin, or it cannot be moved.
        ConfigError: An argument is not accepted.

    Examples:
        >>> import tempfile
        >>> import crucible_nb as cr
        >>> runs = tempfile.mkdtemp()
        >>> with cr.start("demo", store=runs) as exp:
        ...     _ = exp.record("tick")
        >>> cr.restore(cr.remove(exp.id, store=runs).name, store=runs).name == exp.id
        True
    """
    root = _folder(store)
    return _moved(_found(root / BIN, name, "restore"), root, "restore")


def _folder(store: Any) -> Path:
    if isinstance(address_of(store), Address):
        raise checks.wrong("store", store, "a folder; a database keeps its copies")
    return root_of(store)


def _found(root: Path, name: Any, verb: str) -> ExperimentFolder:
    found = find(root, checks.text("name", name)) if root.is_dir() else None
    if found is None:
        held = ", ".join(map(repr, dict.fromkeys(names(root)))) if root.is_dir() else ""
        raise StoreError(f"cannot {verb} {name!r}: {str(root)!r} holds {held or 'no experiment'}")
    if any(writer_is_running(found, writer) for writer in found.writers()):
        raise StoreError(f"cannot {verb} {name!r}: a process records into it; stop it first")
    return found


def _moved(folder: ExperimentFolder, place: Path, verb: str) -> Path:
    target = place / folder.path.name
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        if os.path.lexists(target):
            raise StoreError(f"cannot {verb} {folder.path.name!r}: it is in {str(place)!r} already")
        system().rename(folder.path, target)
        for changed in (folder.path.parent, place):
            system().sync_folder(changed)
    except OSError as error:
        let_pass(error)
        raise StoreError(f"cannot {verb} {folder.path.name!r}: {reason(error)}") from error
    return target
