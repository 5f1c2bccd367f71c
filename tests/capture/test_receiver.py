"""`exp.listen`: who may send, what is kept, and that nothing that was answered is lost."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.capture.receiver.spool import Place, Spool, numbers, read_records
from tests.conftest import need

JSON = "application/json"


def body(*spans: int, **more: Any) -> bytes:
    """A body with a call for each number."""
    made = [
        {
            "traceId": f"{span + 1:032x}", "spanId": f"{span + 1:016x}", "name": "chat",
            "startTimeUnixNano": str(10**18), "endTimeUnixNano": str(10**18 + 5_000_000),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(span)}},
            ],
        }
        for span in spans
    ]  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": made}]}], **more}).encode()


def spans(scope: str, *made: dict[str, Any]) -> bytes:
    """A body with spans of one library."""
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": made}]}]}).encode()


def span(trace: int, number: int, start: int, end: int, parent: int | None = None, **attributes: Any) -> Any:
    """A span from `start` to `end`, nanoseconds; of attributes `__` stands for a dot."""
    above = {} if parent is None else {"parentSpanId": f"{parent:016x}"}
    pairs = [{"key": name.replace("__", "."), "value": value} for name, value in attributes.items()]
    ids = {"traceId": f"{trace:032x}", "spanId": f"{number:016x}", **above}
    times = {"startTimeUnixNano": str(10**18 + start), "endTimeUnixNano": str(10**18 + end)}
    return {**ids, **times, "name": "n", "attributes": pairs}


CALL = {"gen_ai__operation__name": {"stringValue": "chat"}, "gen_ai__usage__input_tokens": {"intValue": "21"}}


def post(
    rx: Any, data: bytes, path: str = "/v1/traces", method: str = "POST", **headers: str
) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(rx.endpoint.removeprefix("http://"), timeout=30)
    given = {**rx.headers, "content-type": JSON, **{name.replace("_", "-"): text for name, text in headers.items()}}
    try:
        connection.request(method, path, data, {name: text for name, text in given.items() if text})
        response = connection.getresponse()
        response.read()
        return response.status, dict(response.getheaders())
    finally:
        connection.close()


@pytest.fixture
def listening() -> Iterator[tuple[cr.Experiment, Any]]:
    with cr.start("listening") as exp:
        yield exp, exp.listen()


REQUESTS: list[tuple[int, str, dict[str, Any]]] = [
    (200, "bodies", {}),
    (200, "bodies", {"path": "/v1/traces/"}),
    (401, "unauthorized", {"Authorization": "Bearer wrong"}),
    (401, "unauthorized", {"Authorization": ""}),
    (401, "unauthorized", {"Authorization": "Basic !!"}),
    (403, "foreign", {"Origin": "http://127.0.0.1"}),
    (403, "foreign", {"Host": "example.com"}),
    (404, "unknown_path", {"path": "/v1/metrics"}),
    (405, "requests", {"method": "GET"}),
    (415, "unreadable", {"content_type": "text/plain"}),
    (400, "unreadable", {"data": b"{"}),
    (400, "unreadable", {"data": b"[]"}),
    (400, "unreadable", {"content_encoding": "gzip"}),
    (400, "unreadable", {"content_encoding": "br"}),
    (411, "unreadable", {"content_length": "many"}),
    (413, "too_large", {"content_length": "999999999"}),
    (413, "too_large", {"data": gzip.compress(bytes(33 << 20), 1), "content_encoding": "gzip"}),
]


def test_requests_are_answered_and_counted(listening: tuple[cr.Experiment, Any]) -> None:
    _, rx = listening
    for status, counted, changed in REQUESTS:
        before = rx.stats[counted]
        assert post(rx, **{"data": body(1), **changed})[0] == status, changed
        assert rx.stats[counted] == before + 1, changed


def test_every_form_of_a_body_is_kept_once(listening: tuple[cr.Experiment, Any]) -> None:
    need("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    exp, rx = listening
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="work", end_time_unix_nano=10**18)
    span.trace_id, span.span_id = (99).to_bytes(16), (99).to_bytes(8)
    token = rx.headers["Authorization"].removeprefix("Bearer ")
    basic = "Basic " + base64.b64encode(f"crucible:{token}".encode()).decode()
    assert post(rx, gzip.compress(body(10)), content_encoding="gzip")[0] == 200
    assert post(rx, zlib.compress(body(11, 10)), content_encoding="deflate")[0] == 200
    status, headers = post(rx, request.SerializeToString(), content_type="application/x-protobuf")
    assert (status, headers["content-type"]) == (200, "application/x-protobuf")
    assert post(rx, body(12), "/api/public/otel/v1/traces", Authorization=basic)[0] == 200
    assert post(rx, body(13), Authorization="", x_crucible_token=token)[0] == 200
    connection = http.client.HTTPConnection(rx.endpoint.removeprefix("http://"), timeout=30)
    connection.request(
        "POST",
        "/v1/traces",
        iter([body(14)[:50], body(14)[50:]]),
        {**rx.headers, "content-type": JSON},
        encode_chunked=True,
    )
    assert connection.getresponse().status == 200
    connection.close()
    assert rx.wait()
    df = exp.df[exp.df.event.isin(["llm.request", "trace.span"])]
    assert sorted(df.span_id) == sorted({f"{i + 1:016x}" for i in range(10, 15)} | {f"{99:016x}"})
    assert rx.stats["repeated"] >= 1


def _said(rx: Any, *pieces: bytes) -> bytes:
    """Send pieces one after the other, and return everything that is answered until the receiver closes."""
    address = ("127.0.0.1", int(rx.endpoint.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_the_bytes_of_requests_may_come_as_they_like(listening: tuple[cr.Experiment, Any]) -> None:
    _, rx = listening
    host, sent = rx.endpoint.removeprefix("http://"), body(70)

    def request(last: bool = False, length: int = len(sent), more: str = "") -> bytes:
        lines = ["POST /v1/traces HTTP/1.1", f"host: {host}", f"content-type: {JSON}", f"content-length: {length}"]
        lines += [f"{name}: {value}" for name, value in rx.headers.items()] + ["connection: close"] * last
        return "\r\n".join([*lines, *more.split(), "", ""]).encode()

    twice = request() + sent + request(last=True) + sent
    assert _said(rx, twice).count(b"HTTP/1.1 200") == 2  # both at once
    assert _said(rx, twice[:7], twice[7:90], twice[90:]).count(b"HTTP/1.1 200") == 2
    whole = request(last=True).replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n") + sent
    assert _said(rx, whole).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    old = (request() + sent).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert b"connection: close" in _said(rx, old)
    for status, wrong in [
        (400, b"nonsense\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nno colon\r\n\r\n"),
        (431, b"POST / HTTP/1.1\r\nx: " + bytes(70_000)),
        (400, request().replace(b"content-type", b"transfer-encoding: chunked\r\ncontent-type")),
        (400, request().replace(f"content-length: {len(sent)}".encode(), b"transfer-encoding: chunked") + b"no\r\n"),
    ]:
        assert _said(rx, wrong).startswith(f"HTTP/1.1 {status} ".encode()), wrong[:60]


def test_the_exporter_of_the_sdk(listening: tuple[cr.Experiment, Any]) -> None:
    need("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exp, rx = listening
    provider, kept = TracerProvider(), InMemorySpanExporter()
    exporter = OTLPSpanExporter(f"{rx.endpoint}/v1/traces", headers=rx.headers, compression=Compression.Gzip)
    for one in (kept, exporter):
        provider.add_span_processor(SimpleSpanProcessor(one))  # each span is a body of its own, children first
    tracer, call = provider.get_tracer("agent"), {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 21}
    with tracer.start_as_current_span("invoke_agent", attributes={"session.id": "s"}):
        with (
            tracer.start_as_current_span("chat", attributes=call),
            tracer.start_as_current_span("chat", attributes=call),
        ):
            pass
        with pytest.raises(RuntimeError), tracer.start_as_current_span("tool", attributes={"list": [1, 2]}):
            raise RuntimeError("no")
    provider.shutdown()
    assert rx.wait()
    assert rx.stats["nested"] == 1
    df = exp.df.set_index("span_id")
    assert df.event.eq("llm.request").sum() == 1
    assert df.prompt_tokens.sum() == 21
    for span in kept.get_finished_spans():
        assert span.context is not None and span.end_time is not None and span.start_time is not None  # noqa: PT018
        row = df.loc[f"{span.context.span_id:016x}"]
        assert row.trace_id == f"{span.context.trace_id:032x}"
        assert (row.parent_id if span.parent else None) == (span.parent and f"{span.parent.span_id:016x}")
        assert row.latency_ms == pytest.approx((span.end_time - span.start_time) / 1e6)
        assert row["name"] == span.name
        assert (row.error_class == "RuntimeError") == (span.name == "tool")


def test_later_bodies_belong_to_earlier_ones_and_twins_are_told(listening: tuple[cr.Experiment, Any]) -> None:
    exp, rx = listening

    session = {"session__id": {"stringValue": "s"}}
    with pytest.warns(cr.CrucibleWarning, match="recorded by two libraries"):  # noqa: PT031  it comes from the thread that maps
        post(rx, spans("agent", span(1, 1, 0, 1000, **session)))
        post(rx, spans("one", span(1, 2, 100, 900, 1, **CALL)))
        post(rx, spans("two", span(2, 3, 200, 800, **CALL)))
        assert rx.wait()
    df = exp.df.set_index("span_id")
    assert df.loc[f"{2:016x}", "session_id"] == "s"
    assert df.loc[f"{2:016x}", "event"] == "llm.request"
    assert df.loc[f"{3:016x}", ["event", "twin_of"]].tolist() == ["trace.span", f"{2:016x}"]
    assert exp.summary()["twins"] == rx.stats["twins"] == 1


def test_a_fault_of_ours_is_503_so_that_the_sender_tries_again(
    listening: tuple[cr.Experiment, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    exp, rx = listening
    monkeypatch.setattr("crucible_nb.capture.receiver.memory._LIMIT", 10)
    status, headers = post(rx, body(20))
    assert (status, headers["retry-after"]) == (503, "1")
    assert rx.stats["unavailable"] == 1
    assert rx.env["OTEL_EXPORTER_OTLP_HEADERS"].startswith("Authorization=Bearer%20")
    assert rx.env["LANGFUSE_HOST"] == rx.endpoint
    with pytest.raises(cr.LifecycleError, match="expected one that this process records"):
        with cr.start("ended") as ended:
            pass
        ended.listen()
    assert exp.status == "running"


def test_the_journal_of_bodies(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(b"one", JSON, "")
    spool.append(b"two", "application/x-protobuf", "gzip")
    spool.close()
    found = list(read_records(spool.folder, Place()))
    assert [record[1:] for record in found] == [(b"one", JSON, ""), (b"two", "application/x-protobuf", "gzip")]
    path = spool.folder / "bodies-000001"
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:-1])  # torn by a kill
    again = Spool(spool.folder)
    again.append(b"three", JSON, "")
    again.close()
    assert numbers(spool.folder) == [1, 2]
    assert [record.body for record in read_records(spool.folder, Place())] == [b"one", b"three"]
    assert [record.body for record in read_records(spool.folder, found[0].end)] == [b"three"]


def test_a_reader_sees_what_a_receiver_has_left(tmp_path: Path) -> None:
    with cr.start("left", store=tmp_path) as exp:
        exp.record("own")
    spool = Spool(Path(exp.handle) / "otlp" / "a1")
    spool.append(body(1, 2), JSON, "")
    spool.append(gzip.compress(body(2, 3)), JSON, "gzip")
    spool.close()
    read = cr.attach("left", store=tmp_path, mode="read")
    assert sorted(read.df.span_id.dropna()) == [f"{number + 1:016x}" for number in (1, 2, 3)]
    assert read.summary()["total_events"] == 4
    assert read.metrics().tokens.total_prompt == 6
    assert len(list(read_records(spool.folder, Place()))) == 2  # who reads, writes nothing
    shutil.rmtree(spool.folder)  # as after they were recorded
    assert read.summary()["total_events"] == 1


PARENT = """
import sys, time
import crucible_nb as cr
exp = cr.start("killed", store=sys.argv[1])
rx = exp.listen()
print(rx._serving.pid, rx._serving.taker, rx.endpoint, rx.headers["Authorization"], flush=True)
sys.stdin.readline()
"""


class Sender:
    """Posts bodies of one span until the receiver is gone, and keeps the numbers that were answered."""

    def __init__(self, endpoint: str, authorization: str) -> None:
        self.endpoint, self.headers = endpoint, {"Authorization": authorization}
        self.answered: list[int] = []
        self.over = False

    def run(self, first: int, step: int) -> None:
        number = first
        while not self.over:
            try:
                if post(self, body(number))[0] == 200:
                    self.answered.append(number)
                    number += step
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)


@pytest.mark.check
@pytest.mark.parametrize("victims", ["parent", "child", "taker", "both"])
def test_what_was_answered_survives_kill_9(tmp_path: Path, victims: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None and parent.stdout is not None  # noqa: PT018
    said = ""
    while not said[:1].isdigit():
        said = parent.stdout.readline()
    child, taker, endpoint, scheme, token = said.split()
    sender = Sender(endpoint, f"{scheme} {token}")
    threads = [threading.Thread(target=sender.run, args=(first, 3)) for first in range(3)]
    for thread in threads:
        thread.start()
    _until(lambda: len(sender.answered) > 100)
    killed = {"parent": [parent.pid], "child": [int(child)], "taker": [int(taker)], "both": [parent.pid, int(child)]}
    for pid in killed[victims]:
        os.kill(pid, signal.SIGKILL)
    if victims in ("child", "taker"):
        count = len(sender.answered)
        _until(lambda: len(sender.answered) > count + 20)  # it was started again, at the same port
    sender.over = True
    for thread in threads:
        thread.join()
    if victims in ("child", "taker"):
        parent.stdin.write("\n")
        parent.stdin.close()
    parent.wait(60)
    for pipe in (parent.stdin, parent.stdout):
        pipe.close()
    if victims != "both":
        _until(lambda: not list(tmp_path.glob("*/otlp/*/bodies-*")))
    wanted = {f"{number + 1:016x}" for number in sender.answered}
    _until(lambda: wanted <= set(cr.attach("killed", store=tmp_path, mode="read").df.span_id))  # once they are dead
    exp = cr.attach("killed", store=tmp_path, mode="resume")
    df = exp.df
    assert df.span_id.is_unique
    assert wanted <= set(df.span_id)
    assert len(df) <= len(sender.answered) + 6  # kept, but the answer was lost with the process
    assert not list(tmp_path.glob("*/otlp/*/bodies-*"))
    exp.stop()


def _until(holds: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.check
def test_with_a_store_a_process_receives(tmp_path: Path) -> None:
    with cr.start("stored", store=tmp_path) as exp:
        rx = exp.listen()
        assert rx._serving.pid != os.getpid()
        assert post(rx, body(*range(50)))[0] == 200
        assert rx.wait()
        assert len(exp.df) == 50
        exp.record("own")
        later = 10**10  # outside of the spans above
        with pytest.warns(cr.CrucibleWarning, match="recorded by two libraries"):  # noqa: PT031  of the thread that hears
            post(rx, spans("one", span(91, 91, later + 100, later + 900, **CALL)))
            post(rx, spans("two", span(92, 92, later + 200, later + 800, **CALL)))
            _until(lambda: exp.summary().get("twins"))
        assert post(rx, body(60))[0] == 200  # stop() takes it in
    assert len(exp.df) == 54
    assert rx.stats["alive"] is False
    assert exp.summary()["twins"] == 1
    assert len(cr.attach("stored", store=tmp_path).df) == 54
    with pytest.raises(OSError, match="refused"):
        post(rx, body(61))
