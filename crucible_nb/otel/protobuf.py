"""Spans from OTLP bodies in protobuf, read with the classes of the extra `otel`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

from crucible_nb.errors import ConfigError
from crucible_nb.otel.records import ERROR, OK, UNSET, SpanEvent, SpanRecord

_MODULE = "opentelemetry.proto.collector.trace.v1.trace_service_pb2"
_STATUS = {0: UNSET, 1: OK, 2: ERROR}


@cache
def request_class() -> Any:
    """Return the class of a request; ConfigError names the extra that installs it."""
    try:
        return import_module(_MODULE).ExportTraceServiceRequest
    except ModuleNotFoundError as error:
        if not str(error.name).startswith(("opentelemetry", "google")):
            raise
        message = "OTLP in protobuf needs opentelemetry-proto: pip install 'crucible_nb[otel]'; JSON needs nothing"
        raise ConfigError(message) from error


def spans_of_protobuf(body: bytes) -> Iterator[SpanRecord]:
    """Yield the spans of an `ExportTraceServiceRequest` in protobuf.

    Raises:
        ConfigError: The classes are not installed.
        ValueError: The body is not of this form.
    """
    request = request_class()()
    try:
        request.ParseFromString(body)
    except Exception as error:  # DecodeError of a package that may be absent
        raise ValueError(f"not an OTLP request in protobuf: {error}") from error
    for resource in request.resource_spans:
        for scoped in resource.scope_spans:
            scope = scoped.scope.name
            for span in scoped.spans:
                yield _span(span, scope)


def _span(span: Any, scope: str) -> SpanRecord:
    if len(span.trace_id) != 16 or len(span.span_id) != 8:
        raise ValueError("a span without a trace id of 16 bytes and a span id of 8")
    return SpanRecord(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        scope=scope,
        start=span.start_time_unix_nano or span.end_time_unix_nano,
        end=span.end_time_unix_nano or span.start_time_unix_nano,
        status=_STATUS.get(span.status.code, UNSET),
        status_text=span.status.message,
        attributes=_attributes(span.attributes),
        events=[SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in span.events],
        dropped=span.dropped_attributes_count,
    )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(value, kind)
    if kind == "array_value":
        return [_value(item) for item in inner.values]
    return _attributes(inner.values) if kind == "kvlist_value" else inner
