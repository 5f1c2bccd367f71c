"""One span, from whatever form it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

ERROR, OK, UNSET = "error", "ok", "unset"


class SpanEvent(NamedTuple):
    """A moment within a span.

    Attributes:
        name: Name of the moment, e.g. "exception".
        time: UTC nanoseconds.
        attributes: Its attributes.
    """

    name: str
    time: int
    attributes: dict[str, Any]


@dataclass(slots=True)
class SpanRecord:
    """A finished span as plain data.

    Attributes:
        trace_id: Trace, 32 hexadecimal digits.
        span_id: Span, 16 hexadecimal digits.
        parent_id: Parent span, None for a root.
        name: Name of the span.
        scope: Instrumentation scope: the library that made the span.
        start, end: UTC nanoseconds.
        status: "ok", "error" or "unset".
        status_text: Description of an error, "" if none was given.
        attributes: Attributes as Python values.
        events: Moments within the span.
        dropped: Attributes that the sender dropped, by its own limit.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    scope: str
    start: int
    end: int
    status: str = UNSET
    status_text: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)
    dropped: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Trace and span, by which a span that came twice is known."""
        return self.trace_id, self.span_id
