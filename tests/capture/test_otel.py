"""`cr.capture.otel`: spans of this process become events of the experiment."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.capture import spans as sinks
from tests.conftest import need

need("opentelemetry.sdk.trace")

from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: E402

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.provider.name": "openai"}
USED = {"gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 9}


def ask(tracer: Any, **more: Any) -> None:
    with tracer.start_as_current_span("chat", attributes=CHAT) as span:
        span.set_attributes({**USED, **more})


def test_a_trace_of_an_agent_is_counted_once_and_kept_whole() -> None:
    provider = TracerProvider()
    tracer, other = provider.get_tracer("framework"), provider.get_tracer("client")
    exp = cr.start("agent")
    capture = cr.capture.otel(exp, provider)
    with tracer.start_as_current_span("invoke_agent", attributes={"session.id": "s-1"}) as agent:
        agent.set_attributes({"gen_ai.operation.name": "invoke_agent", **USED, "gen_ai.input.messages": "secret"})
        with tracer.start_as_current_span("chat", attributes=CHAT) as outer:
            ask(other, **{"gen_ai.usage.cache_read.input_tokens": 16, "user.prompt": "secret"})
            assert exp.df.empty  # the call inside waits for the one around it, which counts
            outer.set_attributes(USED)
        assert exp.df.event.tolist() == ["trace.span", "llm.request"]  # live: the agent goes on
        assert exp.df.session_id.tolist() == ["s-1", "s-1"]  # of the agent, which has not ended
        with tracer.start_as_current_span("get_border", attributes={"gen_ai.operation.name": "execute_tool"}):
            pass
    df = exp.df
    assert df.event.tolist() == ["trace.span", "llm.request", "tool.call", "trace.span"]
    [call] = df[df.event == "llm.request"].to_dict("records")
    assert (call["prompt_tokens"], call["completion_tokens"], call["cache_read_tokens"]) == (21, 9, 16)
    assert call["cost_usd"] > 0
    assert call["model"] == "gpt-4o-mini"
    agent_row = df.iloc[-1]
    assert call["parent_id"] == agent_row.span_id
    assert call["trace_id"] == agent_row.trace_id == f"{agent.get_span_context().trace_id:032x}"
    assert '"prompt_tokens":21' in agent_row.metadata
    assert df.total_tokens.sum() == 30
    assert "secret" not in df.to_csv()
    assert len(capture.events) == 4
    capture.undo()
    ask(tracer)
    assert len(exp.df) == 4
    exp.stop()


def twin_spans(outer: Any, inner: Any) -> None:
    """One call, recorded by two libraries in traces of their own."""
    alone = trace.set_span_in_context(trace.INVALID_SPAN)
    framework = outer.start_span("ChatOpenAI", attributes=CHAT, context=alone)
    client = inner.start_span("chat", attributes=CHAT, context=alone)
    for span in (client, framework):
        span.set_attributes(USED)
        span.end()


def test_twins_are_marked_counted_and_warned_of_once() -> None:
    provider = TracerProvider()
    outer, inner = provider.get_tracer("langchain"), provider.get_tracer("openai")
    for twins, calls in (("mark", 2), ("keep", 4)):
        with cr.start("twins") as exp:
            cr.capture.otel(exp, provider, twins)
            with exp._intake.lock:  # the thread that records waits for the warning to be caught
                for _ in range(2):
                    twin_spans(outer, inner)
                if twins == "mark":
                    with pytest.warns(cr.CrucibleWarning, match="twin_of") as warned:
                        assert exp.summary()["twins"] == 2
                    assert len(warned) == 1
                    assert exp.df.twin_of.notna().sum() == 2
        assert (exp.df.event == "llm.request").sum() == calls
        assert exp.df.total_tokens.sum() == 30 * calls


class Odd(TraceIdRatioBased):
    """A sampler that does not tell its rate."""

    rate = None

    def __init__(self) -> None:
        super().__init__(1.0)


def test_head_sampling_becomes_weight_and_limits_are_counted() -> None:
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.25)))
    tracer = provider.get_tracer("app")
    with cr.start("sampled") as exp:
        cr.capture.otel(exp, provider)
        for _ in range(400):
            ask(tracer)
    assert set(exp.df.weight) == {4.0}
    assert 200 < exp.df.weight.sum() < 600
    odd = TracerProvider(sampler=Odd())
    with cr.start("odd") as exp:
        cr.capture.otel(exp, odd)
        with exp._intake.lock:
            ask(odd.get_tracer("app"))
            with pytest.warns(cr.CrucibleWarning, match="does not tell its rate"):
                assert exp.frame()["weight"].tolist() == [1.0]
    full = TracerProvider()
    with cr.start("limited") as exp:
        cr.capture.otel(exp, full)
        with exp._intake.lock:
            with full.get_tracer("app").start_as_current_span("work") as span:
                for i in range(200):
                    span.set_attribute(f"a{i}", i)
            with pytest.warns(cr.CrucibleWarning, match="ATTRIBUTE_COUNT_LIMIT"):
                assert exp.summary()["dropped_attributes"] == 72


def test_a_full_queue_and_broken_spans_cost_the_traced_code_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crucible_nb.capture.opentelemetry.LIMIT", 2)
    monkeypatch.setattr(sinks.SpanSink, "_waits", lambda *_: False)
    provider = TracerProvider()
    with cr.start("full") as exp:
        cr.capture.otel(exp, provider)
        with exp._intake.lock:  # the thread cannot drain meanwhile
            for _ in range(5):
                ask(provider.get_tracer("app"))
            with pytest.warns(cr.CrucibleWarning, match="faster"):
                assert exp.summary()["dropped_spans"] == 3
        monkeypatch.setattr(sinks, "span_of_readable", lambda span: span.nothing)
        ask(provider.get_tracer("app"))
        assert exp.summary()["dropped_spans"] == 4
    assert len(exp.df) == 2


def test_arguments_are_checked() -> None:
    with pytest.raises(cr.ConfigError, match="provider="):
        cr.capture.otel(provider=object())
    with pytest.raises(cr.ConfigError, match="twins='drop': expected one of 'mark', 'keep'"):
        cr.capture.otel(provider=TracerProvider(), twins="drop")
    with pytest.raises(cr.ConfigError, match="exp='demo'"):
        cr.capture.otel("demo")  # type: ignore[arg-type]


LATER = """
import crucible_nb as cr
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
with cr.start("later") as exp:
    capture = cr.capture.otel()
    early = trace.get_tracer("app")
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    assert trace.get_tracer_provider() is provider
    with early.start_as_current_span("work"):
        pass
print(len(exp.df))
"""


def test_a_provider_that_is_set_later_works() -> None:
    done = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, timeout=60, check=True)
    said, count = done.stdout.strip().splitlines()
    assert said.startswith("crucible_nb: no TracerProvider is set yet")
    assert count == "1"
