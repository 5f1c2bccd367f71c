"""Twins: one call that two libraries recorded, each in a trace of its own, so that no ancestry tells."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from crucible_nb.otel.records import SpanRecord
from crucible_nb.otel.roles import complete, demote

_SLACK = 1_000_000  # ns; clocks of two libraries in one process, rounded to microseconds
_RECENT = 512


class _Call(NamedTuple):
    span: SpanRecord
    row: dict[str, Any]
    models: frozenset[str]
    same: tuple[Any, ...]


class Twins:
    """Finds twins among calls, and keeps the last ones for those that come later.

    Two calls are twins if they are in different traces and of different libraries, one lies inside of the other in
    time, and event, tokens, outcome and model agree; each has at most one twin. This is a guess, so it is counted.
    """

    def __init__(self) -> None:
        self._recent: deque[_Call] = deque(maxlen=_RECENT)

    def mark(self, calls: list[tuple[SpanRecord, dict[str, Any]]]) -> int:
        """Turn the inner of two twins, or one that comes later than the other, into a `trace.span` with `twin_of`."""
        new = [_call(span, row) for span, row in calls]
        new.sort(key=lambda call: (call.span.start, -call.span.end))
        free: list[_Call] = []
        found = 0
        for call in new:
            earlier = _match(call, free)
            if earlier is not None:
                free.remove(earlier)
                complete(earlier.row, call.row)
                demote(call.row, earlier.span.span_id)
            else:
                earlier = _match(call, self._recent)
                if earlier is None:
                    free.append(call)
                    continue
                self._recent.remove(earlier)
                demote(call.row, earlier.span.span_id)
            found += 1
        self._recent.extend(free)
        return found


def _call(span: SpanRecord, row: dict[str, Any]) -> _Call:
    models = frozenset(filter(None, (row.get("model"), row.get("response_model"))))
    same = (row["event"], row.get("success"), row.get("prompt_tokens"), row.get("completion_tokens"))
    return _Call(span, row, models, same)


def _match(call: _Call, others: Any) -> _Call | None:
    """Return the call around or inside of this one that fits most closely; None without one."""
    fitting = [other for other in others if _are_twins(call, other)]
    return min(
        fitting,
        key=lambda other: abs(other.span.start - call.span.start) + abs(other.span.end - call.span.end),
        default=None,
    )


def _are_twins(one: _Call, other: _Call) -> bool:
    a, b = one.span, other.span
    return (
        one.same == other.same
        and a.trace_id != b.trace_id
        and a.scope != b.scope
        and (_inside(a, b) or _inside(b, a))
        and (not one.models or not other.models or bool(one.models & other.models))
    )


def _inside(inner: SpanRecord, outer: SpanRecord) -> bool:
    return outer.start - _SLACK <= inner.start and inner.end <= outer.end + _SLACK
