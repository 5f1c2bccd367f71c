"""Map spans to events: each call of a model is counted once, everything else becomes the trace around it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crucible_nb.otel.aliases import TEXTS
from crucible_nb.otel.fields import fields_of
from crucible_nb.otel.pairs import join_stream_logs
from crucible_nb.otel.reading import first, text
from crucible_nb.otel.records import SpanRecord
from crucible_nb.otel.roles import complete, demote, is_call
from crucible_nb.otel.twins import Twins

_REMEMBERED, _OPEN, _DEEP = 20_000, 512, 100


class Mapped(NamedTuple):
    """The events of some spans.

    Attributes:
        events: Rows for `Experiment.extend`, in order of their time.
        repeated: Spans that had been mapped before, which are left out.
        nested: Calls inside of another call's span, which are `trace.span` with their tokens in metadata.
        twins: Calls that another library recorded in a trace of its own, likewise.
        dropped_attributes: Attributes that the sender dropped by its own limit.
    """

    events: list[dict[str, Any]]
    repeated: int = 0
    nested: int = 0
    twins: int = 0
    dropped_attributes: int = 0


class _Known(NamedTuple):
    """Facts of a span that was mapped: its parent, the event it is counted as, and the session it belongs to."""

    parent: str | None
    counted: str | None
    session: str | None
    user: str | None


@dataclass
class Mapper:
    """Maps spans as they come, and remembers the last ones, so that one that comes late is not counted twice.

    Of nested calls the outer one counts if both come in one `map`; across two, the one that came first.

    Args:
        twins: "mark" turns the twin of a call, in another trace, into a `trace.span`; "keep" leaves both.
        content: Whether to keep the text of messages, in `metadata`.
        weight: Weight of each event, 1 / probability that its trace was sampled.
        whole: Whether all spans come in one `map`, as those of a file.
        unfinished: Callable (span id) -> attributes and parent of a span that has not ended; None if it is not known.

    Examples:
        >>> span = SpanRecord("1" * 32, "2" * 16, None, "chat", "demo", 0, 5, attributes={
        ...     "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 21})
        >>> mapper = Mapper()
        >>> [event["prompt_tokens"] for event in mapper.map([span]).events], mapper.map([span]).repeated
        ([21], 1)
    """

    twins: str = "mark"
    content: bool = False
    weight: float = 1.0
    whole: bool = False
    unfinished: Callable[[str], tuple[Mapping[str, Any], str | None] | None] | None = None
    _opened: deque[SpanRecord] = field(default_factory=lambda: deque(maxlen=_OPEN))
    _known: OrderedDict[tuple[str, str], _Known] = field(default_factory=OrderedDict)
    _frontier: OrderedDict[tuple[str, str], set[str]] = field(default_factory=OrderedDict)
    _twins: Twins = field(default_factory=Twins)

    def map(self, spans: Iterable[SpanRecord]) -> Mapped:
        """Map spans, each of which is finished; their order does not matter."""
        new: dict[tuple[str, str], SpanRecord] = {}
        repeated = 0
        for span in spans:
            if span.key in new or span.key in self._known:
                repeated += 1
            else:
                new[span.key] = span
        ordered = sorted(new.values(), key=lambda span: (span.end, -span.start))
        rows = {span.key: fields_of(span, content=self.content) for span in ordered}
        join_stream_logs(ordered, rows, self._opened, whole=self.whole)
        nested = self._nest(ordered, rows)
        twins = self._mark_twins(ordered, rows)
        self._inherit(ordered, rows)
        self._remember(ordered, rows)
        if self.weight != 1.0:
            for row in rows.values():
                row["weight"] = self.weight
        dropped = sum(span.dropped for span in ordered)
        return Mapped(list(rows.values()), repeated, nested, twins, dropped)

    # -- nested calls -------------------------------------------------------------------------------------------------

    def _nest(self, ordered: list[SpanRecord], rows: Mapping[tuple[str, str], dict[str, Any]]) -> int:
        """Demote calls inside of calls; the outermost is completed from them."""
        parents = {span.key: span.parent_id for span in ordered}
        events = {key: row["event"] for key, row in rows.items()}
        inner: list[tuple[SpanRecord, tuple[str, str]]] = []
        for span in ordered:
            if is_call(events[span.key]):
                outer = self._outermost(span, parents, events)
                if outer is not None:
                    inner.append((span, outer))
        for span, outer in sorted(inner, key=lambda pair: pair[0].end):
            if outer in rows:
                complete(rows[outer], rows[span.key])
            demote(rows[span.key])
        return len(inner) + self._nest_late_outer(ordered, rows)

    def _outermost(
        self, span: SpanRecord, parents: Mapping[Any, str | None], events: Mapping[Any, str]
    ) -> tuple[str, str] | None:
        """Return the outermost ancestor that is a call of the same event, None without one."""
        found, wanted, seen = None, events[span.key], {span.key}
        parent = span.parent_id
        while parent is not None:
            key = (span.trace_id, parent)
            if key in seen:
                break  # a circle: no tree
            seen.add(key)
            known = self._known.get(key)
            if events.get(key) == wanted or (known is not None and known.counted == wanted):
                found = key
            parent = parents.get(key, None if known is None else known.parent)
        return found

    def _nest_late_outer(self, ordered: list[SpanRecord], rows: Mapping[Any, dict[str, Any]]) -> int:
        """Demote calls around one that was counted in an earlier `map`."""
        late = 0
        for span in ordered:
            below = self._frontier.pop(span.key, None)
            if below is None:
                continue
            row = rows[span.key]
            if row["event"] in below:
                demote(row)
                late += 1
            if span.parent_id is not None:
                self._add_frontier((span.trace_id, span.parent_id), below)
        return late

    def _add_frontier(self, key: tuple[str, str], events: set[str]) -> None:
        if key not in self._known:
            self._frontier.setdefault(key, set()).update(events)
            _forget(self._frontier)

    # -- twins, sessions, memory --------------------------------------------------------------------------------------

    def _mark_twins(self, ordered: list[SpanRecord], rows: Mapping[Any, dict[str, Any]]) -> int:
        calls = [(span, rows[span.key]) for span in ordered if is_call(rows[span.key]["event"])]
        return 0 if self.twins == "keep" else self._twins.mark(calls)

    def _inherit(self, ordered: list[SpanRecord], rows: Mapping[Any, dict[str, Any]]) -> None:
        """Give spans without a session or user those of their nearest ancestor; parents end last."""
        for span in reversed(ordered):
            row, parent = rows[span.key], span.parent_id
            above: Any = rows.get((span.trace_id, parent or ""))
            if above is None:
                known = self._known.get((span.trace_id, parent or ""))
                above = self._of_open(parent) if known is None else {"session_id": known.session, "user_id": known.user}
            for name in ("session_id", "user_id"):
                if row.get(name) is None and above.get(name) is not None:
                    row[name] = above[name]

    def _of_open(self, parent: str | None) -> dict[str, str | None]:
        """Return session and user of the nearest ancestor that has not ended and tells them."""
        found: dict[str, str | None] = {"session_id": None, "user_id": None}
        for _ in range(_DEEP):
            above = None if self.unfinished is None or parent is None else self.unfinished(parent)
            if above is None:
                break
            for name, value in found.items():
                if value is None:
                    found[name] = text(first(above[0], TEXTS[name]))
            parent = above[1]
        return found

    def _remember(self, ordered: list[SpanRecord], rows: Mapping[Any, dict[str, Any]]) -> None:
        for span in ordered:
            row = rows[span.key]
            counted = row["event"] if is_call(row["event"]) else None
            self._known[span.key] = _Known(span.parent_id, counted, row.get("session_id"), row.get("user_id"))
        for span in ordered:
            event = rows[span.key]["event"]
            if is_call(event) and span.parent_id is not None:
                self._add_frontier(self._top(span), {event})
        _forget(self._known)

    def _top(self, span: SpanRecord) -> tuple[str, str]:
        """Return the first ancestor that was not mapped yet; the root if all were."""
        key, seen = (span.trace_id, span.parent_id or ""), set()
        while key in self._known and key not in seen and self._known[key].parent is not None:
            seen.add(key)
            key = (span.trace_id, self._known[key].parent or "")
        return key


def _forget(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)


def events_of(spans: Iterable[SpanRecord], *, twins: str = "mark", content: bool = False) -> Mapped:
    """Map all spans of a file at once.

    Examples:
        >>> events_of([]).events
        []
    """
    return Mapper(twins=twins, content=content, whole=True).map(spans)
