"""Spans on their way to one experiment: a bounded queue, mapped and recorded by a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from crucible_nb.capture.base import Capture
from crucible_nb.capture.reporting import SENTENCES, report
from crucible_nb.experiment.experiment import Experiment, intake_of
from crucible_nb.otel import Mapper
from crucible_nb.otel.fields import kind_of
from crucible_nb.otel.readable import span_of_readable
from crucible_nb.otel.roles import is_call_kind
from crucible_nb.utils.interrupts import let_pass

LIMIT = 65_536
"""Spans that may wait; further ones are dropped and counted."""

_HELD = 4_096


class OpenSpans:
    """Spans that have begun, until they are mapped.

    Attributes:
        begun: Spans that began since the last `settle`; appended to in the traced code.
        gone: Spans that ended where no experiment was current; appended to in the traced code.
        by_id: The spans by their id.
    """

    def __init__(self) -> None:
        self.begun: deque[Any] = deque(maxlen=LIMIT)
        self.gone: deque[Any] = deque(maxlen=LIMIT)
        self.by_id: dict[int, Any] = {}

    def settle(self, mapped: Iterable[Any] = ()) -> None:
        """Take in what began, and leave out what is mapped or gone; of spans that never end the oldest."""
        gone = list(_taken(self.gone))  # before those that began: it holds no span that is not among them
        self.by_id |= {span.context.span_id: span for span in _taken(self.begun)}
        for span in chain(mapped, gone):
            self.by_id.pop(span.context.span_id, None)
        while len(self.by_id) > LIMIT:
            self.by_id.pop(next(iter(self.by_id)), None)

    def get(self, span_id: int) -> Any:
        """Return a span by its id; None if it is not open."""
        return self.by_id.get(span_id)

    def clear(self) -> None:
        """Forget all."""
        for spans in (self.begun, self.gone, self.by_id):
            spans.clear()


def _taken(queue: deque[Any]) -> Iterator[Any]:
    """Take what is in a queue now; others may take from it too."""
    with suppress(IndexError):
        for _ in range(len(queue)):
            yield queue.popleft()


class SpanSink:
    """Takes finished spans of the Python SDK, and records them into one experiment.

    A call inside of a call that is still open waits for it, since the outer one counts.

    Args:
        experiment: Where the events go.
        mapper: Maps the spans.
        capture: Keeps what was recorded.
        open_spans: Spans that have not ended.
        rate: Callable () -> proportion of traces that the provider samples; None if it does not tell.
    """

    def __init__(
        self,
        experiment: Experiment,
        mapper: Mapper,
        capture: Capture,
        open_spans: OpenSpans,
        rate: Callable[[], float | None],
    ) -> None:
        self.experiment, self.mapper, self.capture, self._open = experiment, mapper, capture, open_spans
        self._rate = rate
        mapper.unfinished = self._unfinished
        self.queue: deque[Any] = deque()
        self.dropped = 0
        self._held: list[Any] = []
        self._intake = intake_of(experiment)
        self._draining = threading.local()
        self._intake.sources.append(self.drain)

    def drain(self) -> None:
        """Map and record what waits; never raises."""
        if getattr(self._draining, "now", False) or not (self.queue or self._held or self.dropped):
            return
        with self._intake.lock:
            self._draining.now = True
            try:
                self._drain()
            except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
                let_pass(error)
                self._report("dropped_spans", f"spans could not be mapped: {type(error).__name__}: {error}", 1)
            finally:
                self._draining.now = False

    def close(self) -> None:
        """Record what waits, and leave the experiment."""
        self.drain()
        if self.drain in self._intake.sources:
            self._intake.sources.remove(self.drain)

    @property
    def is_over(self) -> bool:
        """Whether the experiment has ended and nothing waits."""
        return self._intake.log.ended and not self.queue

    def warn(self, kind: str, sentence: str) -> None:
        """Warn once, as the experiment."""
        self._intake.log.stream.problems.warn(kind, sentence)

    def _drain(self) -> None:
        rate = self._rate()
        self.mapper.weight = 1.0 if rate is None else 1.0 / rate
        if rate is None:
            self.warn("sampler", "the sampler of the TracerProvider does not tell its rate; events have weight 1")
        spans, self._held = self._held, []
        ended = list(_taken(self.queue))
        self._open.settle(ended)
        spans += ended
        ready: list[Any] = []
        for span in spans:
            (self._held if self._waits(span) and len(self._held) < _HELD else ready).append(span)
        dropped, self.dropped = self.dropped, 0
        if dropped:
            self._report("dropped_spans", "spans came faster than they could be recorded; some were dropped", dropped)
        if ready:
            self._record(ready)

    def _record(self, spans: list[Any]) -> None:
        records = []
        for span in spans:
            try:
                records.append(span_of_readable(span))
            except Exception as error:  # noqa: BLE001  a span of another kind costs itself alone
                let_pass(error)
                self._report("dropped_spans", f"a span could not be read: {type(error).__name__}: {error}", 1)
        mapped = self.mapper.map(records)
        report(self.experiment, {kind: getattr(mapped, kind) for kind in SENTENCES})
        if mapped.events and self.experiment.extend(mapped.events):
            self.capture._add(mapped.events)

    def _report(self, kind: str, sentence: str, count: int) -> None:
        self._intake.log.stream.problems.report(kind, sentence, count)

    def _unfinished(self, span_id: str) -> tuple[Any, str | None] | None:
        """Return attributes and parent of a span that has not ended, by its hexadecimal id."""
        span = self._open.get(int(span_id, 16))
        if span is None:
            return None
        return dict(span.attributes or {}), None if span.parent is None else f"{span.parent.span_id:016x}"

    def _waits(self, span: Any) -> bool:
        """Return whether a call is inside of a span that is open and a call of the same kind."""
        kind = kind_of(span.attributes or {})
        if not is_call_kind(kind):
            return False
        seen = 0
        parent = span.parent
        while parent is not None and seen < 100:
            above = self._open.get(parent.span_id)
            if above is None:
                return False
            if kind_of(above.attributes or {}) == kind:
                return True
            parent, seen = above.parent, seen + 1
        return False
