"""Twins: one call that two libraries recorded, each in a trace of its own, so that no ancestry tells."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, NamedTuple

from crucible_nb.otel.records import SpanRecord
from crucible_nb.otel.roles import complete, demote

_SLACK = 1_000_000  # ns; clocks of two libraries in one process, rounded to microseconds
_RECENT, _KINDS = 64, 512  # calls that are kept of each library, and sets of calls that are alike


class _Call(NamedTuple):
    span: SpanRecord
    row: dict[str, Any]
    models: frozenset[str]
    turn: int


class Twins:
    """Finds twins among calls, and keeps the last ones for those that come later.

    Two calls are twins if they are in different traces and of different libraries, one lies inside of the other in
    time, and event, tokens, outcome and model agree; each has at most one twin. This is a guess, so it is counted.
    """

    def __init__(self) -> None:
        self._alike: OrderedDict[tuple[Any, ...], dict[str, deque[_Call]]] = OrderedDict()
        self._turn = 0

    def mark(self, calls: list[tuple[SpanRecord, dict[str, Any]]]) -> int:
        """Turn the inner of two twins, or one that comes later than the other, into a `trace.span` with `twin_of`."""
        self._turn += 1
        found = 0
        for span, row in sorted(calls, key=lambda call: (call[0].start, -call[0].end)):
            models = frozenset(filter(None, (row.get("model"), row.get("response_model"))))
            call = _Call(span, row, models, self._turn)
            earlier = self._take_twin(call)
            if earlier is None:
                continue
            if earlier.turn == self._turn:  # else it was recorded already
                complete(earlier.row, row)
            demote(row, earlier.span.span_id)
            found += 1
        return found

    def _take_twin(self, call: _Call) -> _Call | None:
        """Return the twin of a call, which no other call gets; keep the call if it has none yet."""
        row = call.row
        same = (row["event"], row.get("success"), row.get("prompt_tokens"), row.get("completion_tokens"))
        libraries = self._alike.setdefault(same, {})
        others = [calls for scope, calls in libraries.items() if scope != call.span.scope]
        fitting = [(other, calls) for calls in others for other in calls if _are_twins(call, other)]
        if not fitting:
            libraries.setdefault(call.span.scope, deque(maxlen=_RECENT)).append(call)
            self._alike.move_to_end(same)
            if len(self._alike) > _KINDS:
                self._alike.popitem(last=False)
            return None
        twin, calls = min(fitting, key=lambda pair: _distance(call.span, pair[0].span))
        calls.remove(twin)
        return twin


def _distance(one: SpanRecord, other: SpanRecord) -> int:
    return abs(other.start - one.start) + abs(other.end - one.end)


def _are_twins(one: _Call, other: _Call) -> bool:
    a, b = one.span, other.span
    return (
        (_inside(a, b) or _inside(b, a))
        and a.trace_id != b.trace_id
        and (not one.models or not other.models or bool(one.models & other.models))
    )


def _inside(inner: SpanRecord, outer: SpanRecord) -> bool:
    return outer.start - _SLACK <= inner.start and inner.end <= outer.end + _SLACK
