"""Spans of OpenTelemetry in this process: a processor that only puts them into a queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crucible_nb.capture.base import Capture, checked
from crucible_nb.capture.spans import LIMIT, OpenSpans, SpanSink
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.otel import Mapper
from crucible_nb.utils import checks
from crucible_nb.utils.environment import keeps_content
from crucible_nb.utils.optional import need
from crucible_nb.utils.threads import TICKER


def otel(exp: Experiment | None = None, provider: Any = None, twins: str = "mark") -> Capture:
    """Record the OpenTelemetry spans of this process.

    Adds a processor to the provider. In the traced code it only puts finished spans into a queue of at most 65,536; a
    thread maps and records them some 20 times a second, and so does every read of the experiment and its end. So an
    event is durable once it has been recorded by that thread, not when its span ends.

    Each call of a model is one `llm.request` or `llm.embedding`; agents, chains and tasks are `trace.span` with their
    tokens in `metadata`. Only attributes of a list are kept; with CRUCIBLE_CAPTURE_CONTENT=1 messages too.

    Args:
        exp: Experiment to record into; None for the current one when a span ends.
        provider: TracerProvider; None for the global one. If none is set yet, spans are recorded from the moment it is
            set: this function never sets one, since a second cannot be set.
        twins: "mark" makes a call that a second library recorded in a trace of its own a `trace.span` with `twin_of`;
            "keep" counts both.

    Returns:
        A Capture; `undo` switches the processor off.

    Raises:
        ConfigError: An argument is invalid, or the extra `otel` is not installed.

    Examples:
        >>> import crucible_nb as cr
        >>> from opentelemetry.sdk.trace import TracerProvider
        >>> provider = TracerProvider()
        >>> with cr.start("demo") as exp, cr.capture.otel(exp, provider):
        ...     with provider.get_tracer("demo").start_as_current_span("chat gpt-4o-mini") as span:
        ...         span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 21})
        >>> exp.df[["event", "prompt_tokens"]].values.tolist()
        [['llm.request', 21]]
    """
    experiment = checked(exp)
    checks.one_of("twins", twins, ("mark", "keep"))
    need("opentelemetry.sdk.trace", "otel", "cr.capture.otel")
    capture = Capture("OpenTelemetry")
    receiver = _Receiver(experiment, twins, capture)
    if provider is not None:
        _attach(provider, receiver)
    else:
        _attach_global(receiver, capture)
    capture._on_undo(receiver.switch_off)
    capture._on_read(receiver.drain)
    TICKER.add(receiver.tick)
    return capture


def _attach(provider: Any, receiver: _Receiver) -> None:
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        raise checks.wrong("provider", provider, "a TracerProvider of opentelemetry.sdk, or None for the global one")
    receiver.rate = _rate(getattr(provider, "sampler", None))
    receiver.capture.patched = (f"{type(provider).__name__} with {type(getattr(provider, 'sampler', None)).__name__}",)
    add(_processor(receiver))


def _attach_global(receiver: _Receiver, capture: Capture) -> None:
    """Attach to the global provider; if there is none, when it is set."""
    from opentelemetry import trace  # noqa: PLC0415  of the extra

    provider = trace.get_tracer_provider()
    if hasattr(provider, "add_span_processor"):
        _attach(provider, receiver)
        return
    print(  # noqa: T201
        "crucible_nb: no TracerProvider is set yet. Spans are recorded as soon as you set one: "
        "opentelemetry.trace.set_tracer_provider(opentelemetry.sdk.trace.TracerProvider())"
    )
    original = getattr(trace, "_set_tracer_provider", None)
    if original is None:
        receiver.find = trace.get_tracer_provider
        return

    def set_and_attach(tracer_provider: Any, log: bool) -> None:
        original(tracer_provider, log)
        taken = receiver.active and trace.get_tracer_provider() is tracer_provider
        if taken and hasattr(tracer_provider, "add_span_processor"):
            _attach(tracer_provider, receiver)

    trace._set_tracer_provider = set_and_attach  # set_tracer_provider calls it by name

    def restore() -> None:
        if trace._set_tracer_provider is set_and_attach:
            trace._set_tracer_provider = original

    capture._on_undo(restore)


def _rate(sampler: Any) -> float | None:
    """Return the proportion of traces that a sampler keeps; None if it does not tell."""
    root = getattr(sampler, "_root", sampler)
    rate = getattr(root, "rate", None)
    if isinstance(rate, float) and 0 < rate <= 1:
        return rate
    return 1.0 if root is None or type(root).__name__ == "StaticSampler" else None


class _Receiver:
    """Gives spans to the sink of their experiment.

    Attributes:
        active: Whether spans are taken.
        rate: Proportion of traces that are sampled; None if unknown.
        open: Spans that have begun; removed when they are mapped, not when they end.
        only: Sink of the one experiment that was given; None where it is the current one.
        processors: Processors that call this one.
        failed: Spans that could not be taken because of an exception.
    """

    def __init__(self, experiment: Experiment | None, twins: str, capture: Capture) -> None:
        self.experiment, self.twins, self.capture = experiment, twins, capture
        self.active, self.failed = True, 0
        self.rate: float | None = 1.0
        self.find: Callable[[], Any] | None = None
        self.open = OpenSpans()
        self.processors: list[Any] = []
        self._sinks: dict[int, SpanSink] = {}
        self.only = None if experiment is None else self._sink(experiment)

    def end(self, span: Any) -> None:
        """Queue a span that has ended for the current experiment; no exception reaches the traced code."""
        try:
            sink = self.only
            if sink is None:
                found = CURRENT.get()
                if found is None:
                    self.open.gone.append(span)
                    return
                sink = self._sinks.get(id(found)) or self._sink(found)
            if len(sink.queue) < LIMIT:
                sink.queue.append(span)
            else:
                sink.dropped += 1
        except Exception:  # noqa: BLE001
            self.failed += 1

    def _sink(self, experiment: Experiment) -> SpanSink:
        mapper = Mapper(twins=self.twins, content=keeps_content())
        sink = self._sinks[id(experiment)] = SpanSink(experiment, mapper, self.capture, self.open, lambda: self.rate)
        return sink

    def drain(self) -> None:
        """Record everything that waits."""
        for sink in list(self._sinks.values()):
            sink.drain()

    def tick(self) -> bool:
        """Record what waits; return whether to be called again."""
        if self.find is not None:
            provider = self.find()
            if hasattr(provider, "add_span_processor"):
                self.find = None
                _attach(provider, self)
        self.drain()
        self.open.settle()
        for key, sink in list(self._sinks.items()):
            if sink is not self.only and sink.is_over:
                sink.close()
                del self._sinks[key]
        return self.active

    def switch_off(self) -> None:
        """Record what waits, and take no more."""
        for processor in self.processors:
            processor.switch_off()
        self.drain()
        self.active = False
        for sink in self._sinks.values():
            sink.close()
        self.open.clear()


def _processor(receiver: _Receiver) -> Any:
    """Build the processor. It is in the way of the traced code: a span is only appended to queues."""
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415  of the extra

    begin, only = receiver.open.begun.append, receiver.only
    ended = None if only is None else only.queue

    def on_start(span: Any, parent_context: Any = None) -> None:  # noqa: ARG001  as the SDK calls it
        begin(span)

    def on_end(span: Any) -> None:
        if ended is not None and len(ended) < LIMIT:
            ended.append(span)
        else:
            receiver.end(span)

    def nothing(*_: Any, **__: Any) -> None:
        """Do nothing, once it is switched off."""

    class CrucibleProcessor(SpanProcessor):
        def __init__(self) -> None:
            vars(self).update(on_start=on_start, on_end=on_end)  # functions cost less than methods

        def switch_off(self) -> None:
            vars(self).update(on_start=nothing, on_end=nothing)

        def shutdown(self) -> None:
            receiver.drain()

        def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
            receiver.drain()
            return True

    processor = CrucibleProcessor()
    receiver.processors.append(processor)
    return processor
