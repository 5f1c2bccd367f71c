"""Spans of real instrumentations against what the clients did, from the shared data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crucible_nb.otel import Mapper, events_of, spans_of_body
from tests.conftest import need

CALLS = ("llm.request", "llm.embedding")
TOKENS = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens")
FORMS = {"sdk": ("spans.json",), "json": ("otlp.json", "otlp.json.gz"), "protobuf": ("otlp.pb", "otlp.pb.gz")}
AT_LEAST = 148  # of 165; the others hide an error, a span or numbers: see docs/guides/capture.md


@pytest.fixture(scope="module")
def scenarios(shared_data: Path) -> list[dict[str, Any]]:
    folder = shared_data / "capture"
    found: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["scenarios"]
    for scenario in found:
        scenario["folder"] = folder / scenario["dir"]
    return found


def bodies(scenario: dict[str, Any], form: str) -> list[bytes]:
    return [(scenario["folder"] / name).read_bytes() for name in FORMS[form] if name in scenario["files"]]


def mapped(scenario: dict[str, Any], form: str) -> list[dict[str, Any]]:
    """Events of a scenario in a form; in that of the other bodies where it has no such file."""
    found = next((found for found in (bodies(scenario, other) for other in (form, *FORMS)) if found), [])
    return [event for body in found for event in events_of(spans_of_body(body)).events]


def totals(events: list[dict[str, Any]]) -> tuple[Any, ...]:
    calls = [event for event in events if event["event"] in CALLS]
    sums = tuple(sum(event.get(name) or 0 for event in calls) for name in TOKENS)
    return Counter(event["event"] for event in calls), sums, sum(event.get("success") is False for event in calls)


@pytest.mark.parametrize("form", FORMS)
def test_calls_tokens_and_failures_are_those_of_the_client(scenarios: list[dict[str, Any]], form: str) -> None:
    need("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    wrong = [s["dir"] for s in scenarios if totals(mapped(s, form)) != totals(s["expected"])]
    assert len(scenarios) - len(wrong) >= AT_LEAST, wrong


def pairs(scenarios: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]]:
    """Calls and what is expected of them, where their number is right."""
    for scenario in scenarios:
        events = mapped(scenario, "sdk")
        calls = [event for event in events if event["event"] in CALLS]
        wanted = [event for event in scenario["expected"] if event["event"] in CALLS]
        for call, expected in zip(calls, wanted, strict=False) if len(calls) == len(wanted) else ():
            yield call, expected, events


def test_what_the_source_tells_is_right(scenarios: list[dict[str, Any]]) -> None:
    need("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    told: Counter[str] = Counter()
    for call, expected, events in pairs(scenarios):
        names = {event["span_id"]: event["name"] for event in events}
        session = expected.get("session_id") or expected.get("session_id_inherited")
        wanted = {**expected, "session_id": session, "parent": expected.get("parent")}
        given = {**call, "parent": names.get(call.get("parent_id"))}
        for name in ("provider", "streamed", "session_id", "parent", "reasoning_tokens", *TOKENS[2:]):
            if wanted.get(name) is not None and given.get(name) is not None:
                assert given[name] == wanted[name], (call["name"], name)
                told[name] += 1
        assert call.get("model") in {expected.get("model"), expected.get("response_model")}
        if expected.get("first_chunk_ms") is not None and call.get("ttft_ms") is not None:
            assert call["ttft_ms"] == pytest.approx(expected["first_chunk_ms"], abs=50)
        if expected.get("success") is False:
            assert call.get("success") is not True
    assert min(told.values()) >= 5, told  # a table that reads nothing agrees with everything
    assert told["session_id"] >= 9


def test_no_content_is_kept(scenarios: list[dict[str, Any]]) -> None:
    words = ("Freedonia", "Sylvania", "Traceback", "user_api_key", "made up failure")
    for scenario in scenarios:
        for body in bodies(scenario, "sdk"):
            text = json.dumps(events_of(spans_of_body(body)).events)
            assert not [word for word in words if word in text], scenario["dir"]


def test_spans_that_come_one_by_one_are_counted_once(scenarios: list[dict[str, Any]]) -> None:
    for scenario in scenarios:
        spans = [span for body in bodies(scenario, "sdk") for span in spans_of_body(body)]
        if any(span.scope.startswith("logfire") for span in spans):
            continue  # its two spans of a streamed call have no link: they have to come together
        mapper, whole = Mapper(), totals(events_of(spans).events)
        single = [event for span in spans for event in mapper.map([span]).events]
        assert totals(single)[:2] == whole[:2], scenario["dir"]
        assert mapper.map(spans).events == []
