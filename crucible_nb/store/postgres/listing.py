"""The experiments of a database, and which one a name means."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.lock import STALE
from crucible_nb.store.postgres.connection import Connection
from crucible_nb.store.writer import lives

_ID = re.compile(r"[0-9a-f]{32}")
_ALIVE = ("running", "paused")


def find(link: Connection, name: str) -> str:
    """The id of an experiment by its id, else of the newest of a name.

    Raises:
        StoreError: There is none.
    """
    if _ID.fullmatch(name):
        found = link.rows("select id from crucible.experiments where id = %s", (name,))
        if found:
            return name
    said = "select id from crucible.experiments where name = %s order by created desc, id desc limit 1"
    found = link.rows(said, (name.replace("\0", "\ufffd"),))
    if not found:
        raise StoreError(f"cannot attach to {name!r}: there is no such experiment in {link.address!r}")
    return str(found[0][0].hex)


def listed(link: Connection) -> dict[str, dict[str, Any]]:
    """How every experiment stands, by id, oldest first.

    One that should be alive is "dead" when its lock on this machine is free or, where it runs elsewhere, nobody has
    heard of it for a while.
    """
    found = {}
    for identity, name, condition, status, silent, summary in link.rows(_ALL):
        facts = {"status": status, **summary, "name": name, "condition": condition}
        for key in ("started_at", "stopped_at"):
            facts[key] = None if facts.get(key) is None else pd.Timestamp(facts[key])
        if facts["status"] in _ALIVE and _gone(link, identity.hex, silent):
            facts["status"] = "dead"
        found[identity.hex] = facts
    return found


def _gone(link: Connection, identity: str, silent: float) -> bool:
    folder = ExperimentFolder(link.address.root / identity)
    return not lives(folder) if folder.path.is_dir() else silent > STALE


def complete(link: Connection) -> set[str]:
    """Experiments that have ended and of which everything is there."""
    return {identity.hex for (identity,) in link.rows("select id from crucible.experiments where complete")}


_ALL = """
select id, name, condition, status, extract(epoch from now() - beat)::float8, summary from crucible.experiments
order by created, id
"""
