"""The row of an experiment: its facts, its status, and the heartbeat of its process."""

from __future__ import annotations

import os
import socket
from typing import Any

import orjson

from crucible_nb.store.postgres.changes import Source
from crucible_nb.store.postgres.text_columns import without_nul


def register(connection: Any, source: Source, *, alive: bool) -> None:
    """Insert the row of an experiment, if it is not there.

    Args:
        connection: Connection to the database.
        source: The experiment.
        alive: Whether this process writes the experiment; False if it copies what an ended process left.
    """
    config, facts = source.config, source.config.to_dict()
    with source.lock:
        facts["started"] = source.streams()[0].lifecycle.started
    values = {
        "id": source.identity, "name": _clean(config.name), "condition": _clean(config.condition),
        "facts": _json(facts),
        "prices": source.prices, "host": socket.gethostname(), "pid": os.getpid(), "alive": alive,
    }  # fmt: skip
    connection.execute(_REGISTER, values)


def update_status(connection: Any, source: Source, *, alive: bool, complete: bool) -> None:
    """Update status, summary, process and heartbeat of an experiment.

    Args:
        connection: Connection to the database.
        source: The experiment.
        alive: As in `register`.
        complete: Whether the experiment has ended and is copied completely.
    """
    facts = source.summary()
    shown = {key: facts.get(key) for key in _SHOWN}
    shown["kept_events"] = facts["kept_events"] + facts["evicted_events"]
    values = {**shown, "summary": _json(shown), "id": source.identity, "complete": complete, "alive": alive,
              "host": socket.gethostname(), "pid": os.getpid()}  # fmt: skip
    connection.execute(_UPDATE_STATUS, values)


def owner(connection: Any, identity: str) -> str:
    """Return the process that copied an experiment last, as text."""
    query = "select pid, host from crucible.experiments where id = %s"
    pid, host = connection.execute(query, (identity,)).fetchone()
    return f"process {pid} on {host}"


_REGISTER = """
insert into crucible.experiments (id, name, condition, status, summary, facts, prices, host, pid, beat)
values (%(id)s, %(name)s, %(condition)s, 'running', '{}', %(facts)s, %(prices)s, %(host)s, %(pid)s,
    case when %(alive)s then now() else 'epoch'::timestamptz end)
on conflict (id) do nothing
"""
_UPDATE_STATUS = """
update crucible.experiments set status = %(status)s, started_at = %(started_at)s, stopped_at = %(stopped_at)s,
    total_events = %(total_events)s, summary = %(summary)s, complete = %(complete)s,
    beat = case when %(alive)s then now() else beat end, host = case when %(alive)s then %(host)s else host end,
    pid = case when %(alive)s then %(pid)s else pid end
where id = %(id)s
"""
_SHOWN = ("status", "tags", "started_at", "stopped_at", "total_events", "kept_events", "wall_clock_duration",
          "active_duration", "errors")  # fmt: skip


def _json(facts: Any) -> str:
    """Return JSON in which values of unsupported types are text."""
    return _clean(orjson.dumps(facts, default=str).decode()) or ""


def _clean(text: str | None) -> str | None:
    return None if text is None else without_nul(text).replace("\\u0000", "\ufffd")
