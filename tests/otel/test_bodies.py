"""Bodies of OTLP in every form that exporters send, and bodies that are none."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crucible_nb as cr
from crucible_nb.experiment.replay import replay
from crucible_nb.otel import is_spans, spans_of_body
from crucible_nb.otel.bodies import inflate
from tests.conftest import need

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
VALUES = [
    ({"stringValue": "chat"}, "chat"),
    ({"intValue": "21"}, 21),
    ({"intValue": 21}, 21),
    ({"doubleValue": 0.5}, 0.5),
    ({"boolValue": False}, False),
    ({"bytesValue": base64.b64encode(b"\x00\x01").decode()}, b"\x00\x01"),
    ({"arrayValue": {"values": [{"intValue": 1}, {}]}}, [1, None]),
    ({"arrayValue": {}}, []),
    ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}, {"a": 1}),
    ({"stringValue": None}, None),
    ({}, None),
    (None, None),
]


def body(**more: Any) -> dict[str, Any]:
    span = {
        "traceId": TRACE, "spanId": SPAN, "name": "chat", "startTimeUnixNano": "1736942400000000000",
        "endTimeUnixNano": 1736942400812000000, "status": {"code": 2, "message": "APITimeoutError: made up"},
        "attributes": [{"key": f"a{i}", "value": value} for i, (value, _) in enumerate(VALUES)], **more,
    }  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "lib"}, "spans": [span]}]}]}


def test_json_in_all_its_spellings() -> None:
    [span] = spans_of_body(json.dumps(body()).encode(), "application/json; charset=utf-8")
    assert span.attributes == {f"a{i}": value for i, (_, value) in enumerate(VALUES)}
    assert (span.trace_id, span.span_id, span.parent_id, span.scope) == (TRACE, SPAN, None, "lib")
    assert (span.end - span.start, span.status) == (812_000_000, "error")
    ids = {"traceId": base64.b64encode(bytes.fromhex(TRACE)).decode(), "spanId": SPAN.upper(), "parentSpanId": ""}
    [other] = spans_of_body(json.dumps(body(**ids)).encode())
    assert other.key == span.key
    lines = b"\n".join(json.dumps(body(spanId=f"{i:016x}")).encode() for i in (1, 2))
    assert len(spans_of_body(lines)) == len(spans_of_body(gzip.compress(lines))) == 2


def test_protobuf_says_the_same_as_json() -> None:
    need("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    made = body(
        traceId=base64.b64encode(bytes.fromhex(TRACE)).decode(), spanId=base64.b64encode(bytes.fromhex(SPAN)).decode()
    )
    made["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].pop()  # protobuf has no null
    posted = json_format.ParseDict(made, ExportTraceServiceRequest()).SerializeToString()
    [span], [same] = spans_of_body(posted, "application/x-protobuf"), spans_of_body(json.dumps(made).encode())
    assert is_spans(posted)
    assert span == same


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b"{", "not JSON"),
        (b'{"resourceSpans": 5}', "not OTLP"),
        (b"[5]", "not OTLP"),
        (json.dumps(body(traceId="xyz")).encode(), "no id"),
        (json.dumps(body(endTimeUnixNano="soon")).encode(), "invalid literal"),
        (b"\x0a\xff\xff\xff", "protobuf"),
        (gzip.compress(b"{}", mtime=0)[:-4], "cut short"),
    ],
)  # fmt: skip
def test_a_body_that_is_none_says_so(wrong: bytes, said: str) -> None:
    need("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    with pytest.raises(ValueError, match=said):
        spans_of_body(wrong)


def test_compressed_bodies() -> None:
    data = b"spans" * 100
    raw = zlib.compressobj(wbits=-15)
    for encoding, packed in {
        "gzip": gzip.compress(data[:200]) + gzip.compress(data[200:]),
        "deflate": zlib.compress(data),
        "": data,
    }.items():
        assert inflate(packed, encoding, 500) == data
        with pytest.raises(ValueError, match="larger than 499 bytes"):
            inflate(packed, encoding, 499)
    assert inflate(raw.compress(data) + raw.flush(), "deflate") == data
    with pytest.raises(ValueError, match="expected gzip, deflate or none"):
        inflate(data, "br")
    with pytest.raises(ValueError, match="the body is not gzip"):
        inflate(data, "gzip")


BOMB = """
import resource, sys, zlib
packer = zlib.compressobj(9, wbits=31)
block = bytes(1 << 20)
bomb = b"".join(packer.compress(block) for _ in range(1024)) + packer.flush()
from crucible_nb.otel.bodies import inflate
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    inflate(bomb, "gzip", 16 << 20)
except ValueError as error:
    print(error, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.check
def test_a_bomb_costs_no_more_than_the_limit() -> None:
    done = subprocess.run([sys.executable, "-c", BOMB], capture_output=True, text=True, timeout=120, check=True)
    assert "larger than 16,777,216 bytes" in done.stdout
    assert int(done.stdout.split()[-1]) < 100  # MB


def test_files_of_spans_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "spans.json"
    attributes = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o-mini"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "21"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "9"}},
    ]
    path.write_text(json.dumps(body(attributes=attributes)))
    packed = tmp_path / "body"  # without a suffix
    packed.write_bytes(gzip.compress(path.read_bytes()))
    frame = cr.load(path)
    assert frame.equals(cr.capture.from_otel(packed))
    [row] = frame.to_dict("records")
    assert (row["event"], row["error"], row["success"], row["latency_ms"]) == (
        "llm.request",
        "APITimeoutError",
        False,
        812,
    )
    assert np.isnan(row["ttft_ms"])
    exp = replay(path)
    assert (exp.metrics().tokens.total, exp.metrics().reliability.failed) == (30, 1)
    assert exp.metrics().cost.total > 0
    with pytest.raises(cr.StoreError, match="it has no spans"):
        cr.capture.from_otel(_written(tmp_path / "none.json", b'{"resourceSpans": []}'))
    with pytest.raises(cr.StoreError, match="not JSON"):
        cr.capture.from_otel(_written(tmp_path / "bad.json", b'{"resourceSpans": ['))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
