"""Spans from JSON: bodies of OTLP, and lists written by `ReadableSpan.to_json()` of the Python SDK."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crucible_nb.otel.records import ERROR, OK, UNSET, SpanEvent, SpanRecord
from crucible_nb.utils.instants import nanoseconds

_STATUS = {1: OK, 2: ERROR, "STATUS_CODE_OK": OK, "STATUS_CODE_ERROR": ERROR, "OK": OK, "ERROR": ERROR}


def spans_of_request(request: Mapping[str, Any]) -> Iterator[SpanRecord]:
    """Yield the spans of an `ExportTraceServiceRequest` in JSON; integers may be numbers or text.

    Raises:
        ValueError, TypeError, KeyError: The body is not of this form.

    Examples:
        >>> span = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "2", "name": "chat", "endTimeUnixNano": "7"}
        >>> [s.end for s in spans_of_request({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})]
        [7]
    """
    for resource in _list(request, "resourceSpans", "resource_spans"):
        for scoped in _list(resource, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            scope = _first(scoped, "scope", "instrumentationLibrary") or {}
            for span in _list(scoped, "spans"):
                yield _of_otlp(span, scope.get("name") or "")


def _first(values: Mapping[str, Any], *names: str) -> Any:
    """Return the value of the first name that is there; senders write camelCase or snake_case."""
    return next((values[name] for name in names if values.get(name) is not None), None)


def _list(values: Mapping[str, Any], *names: str) -> Sequence[Any]:
    found = _first(values, *names)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise TypeError(f"{names[0]} is not a list")
    return found


def _of_otlp(span: Mapping[str, Any], scope: str) -> SpanRecord:
    status = span.get("status") or {}
    start = int(_first(span, "startTimeUnixNano", "start_time_unix_nano") or 0)
    end = int(_first(span, "endTimeUnixNano", "end_time_unix_nano") or start)
    return SpanRecord(
        trace_id=id_text(_first(span, "traceId", "trace_id"), 32),
        span_id=id_text(_first(span, "spanId", "span_id"), 16),
        parent_id=id_text(_first(span, "parentSpanId", "parent_span_id"), 16) or None,
        name=str(span.get("name") or ""),
        scope=str(scope),
        start=start or end,
        end=end,
        status=_STATUS.get(status.get("code"), UNSET),
        status_text=str(status.get("message") or ""),
        attributes=_attributes(_list(span, "attributes")),
        events=[
            SpanEvent(
                str(event.get("name") or ""),
                int(_first(event, "timeUnixNano", "time_unix_nano") or 0),
                _attributes(_list(event, "attributes")),
            )
            for event in _list(span, "events")
        ],
        dropped=int(_first(span, "droppedAttributesCount", "dropped_attributes_count") or 0),
    )


def id_text(value: Any, digits: int) -> str:
    """Return an id as hexadecimal digits; base64 and "0x" are read too. "" stays ""."""
    text = str(value or "").lower().removeprefix("0x")
    if not text or not text.strip("0"):
        return ""
    if len(text) != digits:
        try:
            text = base64.b64decode(str(value), validate=True).hex()
        except (binascii.Error, ValueError):
            raise ValueError(f"{str(value)[:40]!r} is no id of {digits} hexadecimal digits") from None
    int(text, 16)
    if len(text) != digits:
        raise ValueError(f"{str(value)[:40]!r} is no id of {digits} hexadecimal digits")
    return text


def _attributes(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {str(pair.get("key")): _value(pair.get("value")) for pair in pairs}


def _value(value: Any) -> Any:
    """Return an `AnyValue` as a Python value; empty ones are None."""
    if not isinstance(value, Mapping) or not value:
        return None
    kind, inner = next(iter(value.items()))
    if inner is None:
        return None
    return _READ.get(kind.replace("_", "").lower(), lambda _: None)(inner)


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value)


_READ: dict[str, Any] = {
    "stringvalue": str,
    "boolvalue": bool,
    "intvalue": int,
    "doublevalue": float,
    "bytesvalue": _bytes,
    "arrayvalue": lambda value: [_value(item) for item in value.get("values") or ()],
    "kvlistvalue": lambda value: _attributes(value.get("values") or ()),
}


def span_of_sdk(span: Mapping[str, Any]) -> SpanRecord:
    """Return a span from the mapping that `ReadableSpan.to_json()` writes.

    Raises:
        ValueError, TypeError, KeyError: The mapping is not of this form.
    """
    context, status = span["context"], span.get("status") or {}
    scope = span.get("scope") or span.get("instrumentation_scope") or {}
    end = nanoseconds(span["end_time"])
    return SpanRecord(
        trace_id=id_text(context["trace_id"], 32),
        span_id=id_text(context["span_id"], 16),
        parent_id=id_text(span.get("parent_id"), 16) or None,
        name=str(span.get("name") or ""),
        scope=str(scope.get("name") or ""),
        start=nanoseconds(span["start_time"]) if span.get("start_time") else end,
        end=end,
        status=_STATUS.get(str(status.get("status_code", "")).rpartition(".")[2], UNSET),
        status_text=str(status.get("description") or ""),
        attributes=dict(span.get("attributes") or {}),
        events=[
            SpanEvent(str(event.get("name")), nanoseconds(event["timestamp"]), dict(event.get("attributes") or {}))
            for event in span.get("events") or ()
        ],
        dropped=int(span.get("dropped_attributes") or 0),
    )
