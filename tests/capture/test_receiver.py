"""`exp.listen`: who may send, what is kept, and that nothing that was answered is lost."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import signal
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


PARENT = """
import sys, time
import crucible_nb as cr
exp = cr.start("killed", store=sys.argv[1])
rx = exp.listen()
print(rx._serving.pid, rx.endpoint, rx.headers["Authorization"], flush=True)
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
@pytest.mark.parametrize("victims", ["parent", "child", "both"])
def test_what_was_answered_survives_kill_9(tmp_path: Path, victims: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None and parent.stdout is not None  # noqa: PT018
    said = ""
    while not said[:1].isdigit():
        said = parent.stdout.readline()
    child, endpoint, scheme, token = said.split()
    sender = Sender(endpoint, f"{scheme} {token}")
    threads = [threading.Thread(target=sender.run, args=(first, 3)) for first in range(3)]
    for thread in threads:
        thread.start()
    _until(lambda: len(sender.answered) > 100)
    for pid in {"parent": [parent.pid], "child": [int(child)], "both": [parent.pid, int(child)]}[victims]:
        os.kill(pid, signal.SIGKILL)
    if victims == "child":
        count = len(sender.answered)
        _until(lambda: len(sender.answered) > count + 20)  # it was started again, at the same port
    sender.over = True
    for thread in threads:
        thread.join()
    if victims == "child":
        parent.stdin.write("\n")
        parent.stdin.close()
    parent.wait(60)
    for pipe in (parent.stdin, parent.stdout):
        pipe.close()
    if victims != "both":
        _until(lambda: not list(tmp_path.glob("*/otlp/*/bodies-*")))
    exp = cr.attach("killed", store=tmp_path, mode="resume")
    df = exp.df
    assert df.span_id.is_unique
    assert {f"{number + 1:016x}" for number in sender.answered} <= set(df.span_id)
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
        assert post(rx, body(60))[0] == 200  # stop() takes it in
    assert len(exp.df) == 52
    assert rx.stats["alive"] is False
    assert len(cr.attach("stored", store=tmp_path).df) == 52
    with pytest.raises(OSError, match="refused"):
        post(rx, body(61))
