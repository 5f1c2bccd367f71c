"""List the experiments in a database, and find one by id or name."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import reason
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.lock import MAX_SILENCE
from crucible_nb.store.postgres.connection import Connection
from crucible_nb.store.postgres.text_columns import without_nul
from crucible_nb.store.writer import writer_is_running

_ID = re.compile(r"[0-9a-f]{32}")
_ALIVE = ("running", "paused")


def find_id(connection: Connection, name: str) -> str:
    """Return the id of the experiment with this id, or else of the newest with this name.

    Raises:
        StoreError: There is no such experiment.
    """
    if _ID.fullmatch(name) and connection.rows("select id from crucible.experiments where id = %s", (name,)):
        return name
    query = f"select id from crucible.experiments where name = %s order by {_STARTED} desc, id desc limit 1"
    rows = connection.rows(query, (without_nul(name),))
    if not rows:
        raise StoreError(f"cannot attach to {name!r}: there is no such experiment in {connection.address!r}")
    return str(rows[0][0].hex)


def list_experiments(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return the status of every experiment by id, the oldest first.

    A running or paused experiment is "dead" if its lock on this machine is free or, if it runs elsewhere, its last
    heartbeat is too old.
    """
    summaries = {}
    for identity, name, condition, status, silent, summary in connection.rows(_ALL):
        try:
            facts = {"status": status, **_checked(summary), "name": name, "condition": condition}
        except (TypeError, ValueError) as error:  # one broken row hides no other
            errors = f"its summary in the database cannot be read: {reason(error)}"
            facts = {"name": name, "condition": condition, "status": "unreadable", "errors": errors}
        if facts["status"] in _ALIVE and _is_dead(connection, identity.hex, silent):
            facts["status"] = "dead"
        summaries[identity.hex] = facts
    return summaries


def _checked(summary: Any) -> dict[str, Any]:
    """Return a summary with its times as timestamps; TypeError or ValueError if it is not what was copied."""
    if not isinstance(summary, dict):
        raise TypeError(f"it is {type(summary).__name__}, expected a mapping")
    for key, kinds in _KINDS.items():
        value = summary.get(key)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ValueError(f"{key} is {value!r}")
    times = {key: None if summary.get(key) is None else pd.Timestamp(summary[key]) for key in _TIMES}
    for key, time in times.items():
        if time is not None and time.tz is None:
            raise ValueError(f"{key} is {summary[key]!r}")
    return {**summary, **times}


def _is_dead(connection: Connection, identity: str, silent: float) -> bool:
    folder = ExperimentFolder(connection.address.root / identity)
    return not writer_is_running(folder) if folder.path.is_dir() else silent > MAX_SILENCE


def complete_ids(connection: Connection) -> set[str]:
    """Return the ids of experiments that have ended and are copied completely."""
    return {identity.hex for (identity,) in connection.rows("select id from crucible.experiments where complete")}


_TIMES = ("started_at", "stopped_at")
_KINDS: dict[str, Any] = {
    "status": str, "tags": list, **dict.fromkeys(_TIMES, str),
    **dict.fromkeys(("total_events", "kept_events", "wall_clock_duration", "active_duration", "errors"), (int, float)),
}  # fmt: skip
_STARTED = "coalesce(started_at, created)"  # a row may be made long after the start

_ALL = f"""
select id, name, condition, status, extract(epoch from now() - beat)::float8, summary from crucible.experiments
order by {_STARTED}, id
"""
