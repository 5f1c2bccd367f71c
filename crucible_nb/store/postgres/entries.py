"""The row of an experiment: what it is, how it stands, and that its process lives."""

from __future__ import annotations

import os
import socket
from typing import Any

import orjson

from crucible_nb.store.postgres.changes import Source


def enter(connection: Any, source: Source, *, alive: bool) -> None:
    """Have a row for an experiment.

    Args:
        connection: To the database.
        source: The experiment.
        alive: Whether this process writes it, or copies what another has left.
    """
    config, facts = source.config, source.config.to_dict()
    with source.lock:
        facts["started"] = source.streams()[0].lifecycle.started
    values = {
        "id": source.identity, "name": _clean(config.name), "condition": _clean(config.condition),
        "facts": _json(facts),
        "prices": source.prices, "host": socket.gethostname(), "pid": os.getpid(), "alive": alive,
    }  # fmt: skip
    connection.execute(_ENTER, values)


def beat(connection: Any, source: Source, *, alive: bool, complete: bool) -> None:
    """Say how it stands.

    Args:
        connection: To the database.
        source: The experiment.
        alive: As for `enter`.
        complete: It has ended, and everything is there.
    """
    facts = source.summary()
    shown = {key: facts.get(key) for key in _SHOWN}
    shown["kept_events"] = facts["kept_events"] + facts["evicted_events"]
    values = {**shown, "summary": _json(shown), "id": source.identity, "complete": complete, "alive": alive}
    connection.execute(_BEAT, values)


_ENTER = """
insert into crucible.experiments (id, name, condition, status, summary, facts, prices, host, pid, beat)
values (%(id)s, %(name)s, %(condition)s, 'running', '{}', %(facts)s, %(prices)s, %(host)s, %(pid)s,
    case when %(alive)s then now() else 'epoch'::timestamptz end)
on conflict (id) do update set host = excluded.host, pid = excluded.pid, beat = now(), complete = false
where %(alive)s
"""
_BEAT = """
update crucible.experiments set status = %(status)s, started_at = %(started_at)s, stopped_at = %(stopped_at)s,
    total_events = %(total_events)s, summary = %(summary)s, complete = %(complete)s,
    beat = case when %(alive)s then now() else beat end
where id = %(id)s
"""
_SHOWN = ("status", "tags", "started_at", "stopped_at", "total_events", "kept_events", "wall_clock_duration",
          "active_duration", "errors")  # fmt: skip


def _json(facts: Any) -> str:
    """JSON with the few values that are not plain as text."""
    return _clean(orjson.dumps(facts, default=str).decode()) or ""


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "\ufffd").replace("\\u0000", "\ufffd")
