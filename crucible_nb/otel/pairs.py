"""Logfire's two spans of a streamed call: one until the stream is open, and later one of no length with the tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from crucible_nb.otel.aliases import EVENTS, LLM, SPAN
from crucible_nb.otel.fields import kind_of
from crucible_nb.otel.reading import real
from crucible_nb.otel.records import ERROR, SpanRecord
from crucible_nb.otel.roles import is_call

_SCOPE = "logfire"
_NS, _MS = 1e9, 1e6


def join_stream_logs(
    ordered: list[SpanRecord],
    rows: Mapping[tuple[str, str], dict[str, Any]],
    remembered: deque[SpanRecord],
    *,
    whole: bool,
) -> None:
    """Make the second span the call, as long as both together; the first becomes a `trace.span`.

    They have no link, so each log takes the open call of its scope and model whose end fits its duration best.

    Args:
        ordered: Spans in order of their end.
        rows: Their rows, which are changed.
        remembered: Opening spans of earlier calls, and where those of this one are put.
        whole: Whether no log can follow later: an opening span without one stays a call.
    """
    calls = [span for span in ordered if span.scope.startswith(_SCOPE) and is_call(rows[span.key]["event"])]
    opened = [span for span in calls if _opens_stream(span)]
    remembered.extend(opened)
    joined = [_join(span, rows[span.key], remembered) for span in calls if _is_log(span)]
    for call in joined if whole else opened:
        row = rows.get(call.key) if call is not None else None
        if row is not None:
            row["event"] = EVENTS[SPAN]
            row.pop("model", None)


def _join(span: SpanRecord, row: dict[str, Any], opened: deque[SpanRecord]) -> SpanRecord | None:
    """Complete the row of a log by the opening of its stream, and return that; None without one."""
    duration = real(span.attributes.get("duration")) or 0.0
    began = span.end - int(duration * _NS)
    fitting = [
        other
        for other in opened
        if other.scope == span.scope
        and other.end <= span.end
        and other.attributes.get("gen_ai.request.model") == span.attributes.get("gen_ai.request.model")
    ]
    row["streamed"], row["latency_ms"] = True, duration * 1e3
    if not fitting:
        return None
    call = min(fitting, key=lambda other: abs(other.end - began))
    opened.remove(call)
    row["latency_ms"] = (span.end - call.start) / _MS
    if call.parent_id is not None:
        row["trace_id"], row["parent_id"] = call.trace_id, call.parent_id
    return call


def _is_log(span: SpanRecord) -> bool:
    return bool(span.attributes.get("logfire.span_type") == "log")


def _opens_stream(span: SpanRecord) -> bool:
    """Return whether a span is only the opening of a stream: no error, no answer."""
    names = span.attributes
    answered = "gen_ai.response.id" in names or "gen_ai.usage.input_tokens" in names
    return span.status != ERROR and not answered and not _is_log(span) and kind_of(names) == LLM
