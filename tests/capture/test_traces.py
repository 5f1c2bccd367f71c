"""`exp.trace`: the tree of a trace, also of one with gaps, circles and hostile names."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

import crucible_nb as cr

MS = 1_000_000


def test_a_trace_is_a_tree() -> None:
    with cr.start("demo", clock="events") as exp:
        for name, span, parent, end, length, more in (
            ("chat", "b", "a", 500, 400, {"prompt_tokens": 21, "completion_tokens": 9, "cost_usd": 0.25}),
            ("look", "c", "a", 700, 100, {"success": False, "error": "KeyError"}),
            ("part", "d", "b", 450, 50, {}),
            ("agent", "a", None, 1000, 1000, {}),
            ("lost", "e", "gone", 900, 10, {}),
            ("<script>alert(1)</script>", "x", "y", 950, 10, {}),  # x and y are a circle
            ("circle", "y", "x", 960, 10, {}),
        ):
            event = "llm.request" if name == "chat" else "trace.span"
            exp.record(
                event,
                name=name,
                trace_id="t1",
                span_id=span,
                parent_id=parent,
                latency_ms=float(length),
                time=end * MS,
                **more,
            )
        exp.record("trace.span", name="other", trace_id="t2", span_id="a", latency_ms=1.0, time=1000 * MS)
    trace = exp.trace("t1")
    lines = str(trace).splitlines()
    assert lines[0] == "trace t1: 7 spans in 1,000.0 ms, 30 tokens, 0.25 USD"
    assert [line[:44].rstrip() for line in lines[1:]] == [
        "agent", "├─ chat", "│  └─ part", "└─ look", "lost", "<script>alert(1)</script>", "└─ circle",
    ]  # fmt: skip
    assert lines[2].endswith("400.0 ms |   ############               | 30 tokens 0.25 USD")
    assert lines[4].endswith("failed: KeyError")
    page = trace._repr_html_()
    assert "<script>" not in page
    HTMLParser().feed(page)
    assert page.count("<rect") == 7


def test_a_trace_that_is_not_there_says_so() -> None:
    with cr.start("demo") as exp:
        with pytest.raises(cr.SchemaError, match="no event has a trace"):
            exp.trace("ab")
        for trace in ("ab1", "ab2"):
            exp.record("tool.call", trace_id=trace, span_id="1", latency_ms=1.0)
        with pytest.raises(cr.SchemaError, match="2 traces begin so; the newest is 'ab2'"):
            exp.trace("ab")
        with pytest.raises(cr.SchemaError, match="no event of this trace"):
            exp.trace("cd")
        assert len(exp.trace("ab1").frame) == 1
