"""OpenTelemetry spans: read OTLP bodies and span lists, and map spans to events by their kind."""

from crucible_nb.otel.bodies import is_spans, spans_of_body
from crucible_nb.otel.mapping import Mapped, Mapper, events_of
from crucible_nb.otel.records import SpanRecord

__all__ = ["Mapped", "Mapper", "SpanRecord", "events_of", "is_spans", "spans_of_body"]
