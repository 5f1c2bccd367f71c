"""The HTTP server of a receiver: loopback only, one thread per connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from crucible_nb.capture.receiver.gate import MAX_BODY, STATS, Answer, Gate, Refused, accepted, later

Keep = Callable[[bytes, str, str], None]
"""Takes body, content type and encoding, and returns once they are kept; raises OSError if they cannot be."""


class Server(ThreadingHTTPServer):
    """Takes bodies of OTLP.

    Args:
        token: What a sender has to know.
        keep: Keeps a body; answered with 200 only after it has returned.
        stats: Further facts for the statistics.
        port: Port on 127.0.0.1; 0 for any free one.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, token: str, keep: Keep, stats: Callable[[], dict[str, Any]], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.port = int(self.server_address[1])
        self.gate, self.keep, self._stats = Gate(token, self.port), keep, stats
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="crucible-otlp", daemon=True)

    def begin(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def end(self) -> None:
        """Take nothing more."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def stats(self) -> dict[str, Any]:
        """Return the counts so far."""
        names = (
            "requests",
            "bodies",
            "bytes",
            "unauthorized",
            "foreign",
            "unknown_path",
            "unreadable",
            "too_large",
            "unavailable",
        )
        return {**{name: self.gate.counts[name] for name in names}, **self._stats()}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: senders that go away are their own affair."""

    def take(self, body: bytes, content_type: str, encoding: str) -> Answer:
        """Keep a body and return the answer."""
        self.gate.check_body(body, content_type, encoding)
        try:
            self.keep(body, content_type, encoding)
        except Exception as error:  # noqa: BLE001  a full disk, a queue that is full: the sender has to try again
            self.gate.count("unavailable")
            return later(f"{type(error).__name__}: {error}"[:300])
        self.gate.count("bodies")
        self.gate.count("bytes", len(body))
        return accepted(content_type)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 60

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer_request(self._get)

    def do_POST(self) -> None:
        self._answer_request(self._post)

    def _answer_request(self, make: Callable[[str, dict[str, str]], Answer]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0].rstrip("/")
        try:
            self.server.gate.admit(path, headers)
            answer = make(path, headers)
        except Refused as refused:
            self.server.gate.count(refused.counted)
            answer = refused.answer
            self.close_connection = True  # the body may not have been read
        self._send(answer)

    def _get(self, path: str, _headers: dict[str, str]) -> Answer:
        if path != STATS:
            return Answer(405, b"", (("allow", "POST"),))
        return Answer(200, orjson.dumps(self.server.stats()), (("content-type", "application/json"),))

    def _post(self, path: str, headers: dict[str, str]) -> Answer:
        body = self._body(headers)
        if path == STATS:
            return Answer(405, b"", (("allow", "GET"),))
        return self.server.take(
            body, headers.get("content-type", "").lower(), headers.get("content-encoding", "").strip().lower()
        )

    def _body(self, headers: dict[str, str]) -> bytes:
        """Read the body, of a stated length or in chunks."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = headers.get("content-length", "")
        if not length.isdigit():
            raise Refused(Answer(411), "unreadable")
        if int(length) > MAX_BODY:
            raise Refused(Answer(413), "too_large")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise Refused(Answer(400), "unreadable")
        return body

    def _chunks(self) -> bytes:
        whole = bytearray()
        while True:
            line = self.rfile.readline(32).partition(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                raise Refused(Answer(400), "unreadable") from None
            if size < 0 or len(whole) + size > MAX_BODY:
                raise Refused(Answer(413), "too_large")
            whole += self.rfile.read(size)
            self.rfile.readline(8)
            if not size:
                return bytes(whole)

    def _send(self, answer: Answer) -> None:
        """Send an answer by one write."""
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", f"content-length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if self.close_connection:
            lines.append("connection: close")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + answer.body)
