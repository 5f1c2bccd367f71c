"""Spans of the Python SDK in this process, as records."""

from __future__ import annotations

from typing import Any

from crucible_nb.otel.records import ERROR, OK, UNSET, SpanEvent, SpanRecord

_STATUS = {0: UNSET, 1: OK, 2: ERROR}


def span_of_readable(span: Any) -> SpanRecord:
    """Copy a `ReadableSpan` into a record.

    Examples:
        >>> from types import SimpleNamespace as Made
        >>> context, status = Made(trace_id=1, span_id=2), Made(status_code=Made(value=1), description=None)
        >>> span = Made(context=context, parent=None, name="chat", instrumentation_scope=None, start_time=5,
        ...     end_time=9, status=status, attributes={}, events=(), dropped_attributes=0)
        >>> span_of_readable(span).span_id
        '0000000000000002'
    """
    scope, parent, status = span.instrumentation_scope, span.parent, span.status
    end = span.end_time or span.start_time or 0
    return SpanRecord(
        trace_id=f"{span.context.trace_id:032x}",
        span_id=f"{span.context.span_id:016x}",
        parent_id=None if parent is None else f"{parent.span_id:016x}",
        name=span.name,
        scope=(scope.name if scope is not None else "") or "",
        start=span.start_time or end,
        end=end,
        status=_STATUS.get(status.status_code.value, UNSET),
        status_text=status.description or "",
        attributes=dict(span.attributes or {}),
        events=[SpanEvent(event.name, event.timestamp or 0, dict(event.attributes or {})) for event in span.events],
        dropped=span.dropped_attributes,
    )
