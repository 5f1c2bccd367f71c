"""The HTTP server of a receiver: loopback only, all connections in one thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import orjson

from crucible_nb.capture.receiver.connection import Connection, Head
from crucible_nb.capture.receiver.gate import STATS, Answer, Gate, accepted, later

Keep = Callable[[bytes, str, str], None]
"""Takes body, content type and encoding, and returns once they are kept; raises OSError if they cannot be."""

_SILENCE, _ROUNDS = 60.0, 15.0  # seconds after which a silent connection is closed, and between two looks
_COUNTED = (
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


class Server:
    """Takes bodies of OTLP.

    Args:
        token: What a sender has to know.
        keep: Keeps a body; answered with 200 only after it has returned.
        stats: Further facts for the statistics.
        port: Port on 127.0.0.1; 0 for any free one.

    Attributes:
        port: Its port.
        gate: Decides who may send, and counts.
        connections: Those that are open.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, token: str, keep: Keep, stats: Callable[[], dict[str, Any]], port: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = int(self._socket.getsockname()[1])
        self.gate, self._keep, self._stats = Gate(token, self.port), keep, stats
        self.connections: set[Connection] = set()
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crucible-otlp", daemon=True)

    def begin(self) -> None:
        """Serve in a thread."""
        self._thread.start()
        self._began.wait()

    def end(self) -> None:
        """Take nothing more."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def leave(self) -> None:
        """Close the port in this process; a fork of it serves."""
        self._socket.close()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()  # not asyncio.run, which notebooks like to replace
        try:
            loop.run_until_complete(self._serve())
        finally:
            loop.close()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: Connection(self), sock=self._socket)
        self._began.set()
        while not self._over.is_set():
            try:
                await asyncio.wait_for(self._over.wait(), _ROUNDS)
            except TimeoutError:
                self._close_silent(self._loop.time() - _SILENCE)
        server.close()
        for connection in list(self.connections):
            connection.transport.close()
        await asyncio.sleep(0)  # what is closed is told so in the next round of the loop

    def _close_silent(self, since: float) -> None:
        for connection in list(self.connections):
            if connection.heard < since:
                connection.transport.close()

    def stats(self) -> dict[str, Any]:
        """Return the counts so far."""
        return {**{name: self.gate.counts[name] for name in _COUNTED}, **self._stats()}

    def answer(self, head: Head, body: bytes) -> Answer:
        """Answer a request of a sender that may send.

        Raises:
            Refused: The body cannot be read.
        """
        if head.path == STATS and head.method == "GET":
            return Answer(200, orjson.dumps(self.stats()), (("content-type", "application/json"),))
        if head.path == STATS or head.method != "POST":
            return Answer(405, b"", (("allow", "GET" if head.path == STATS else "POST"),))
        content_type = head.headers.get("content-type", "").lower()
        return self._take(body, content_type, head.headers.get("content-encoding", "").strip().lower())

    def _take(self, body: bytes, content_type: str, encoding: str) -> Answer:
        """Keep a body and return the answer."""
        self.gate.check_body(body, content_type, encoding)
        try:
            self._keep(body, content_type, encoding)
        except Exception as error:  # noqa: BLE001  a full disk, a queue that is full: the sender has to try again
            self.gate.count("unavailable")
            return later(f"{type(error).__name__}: {error}"[:300])
        self.gate.count("bodies")
        self.gate.count("bytes", len(body))
        return accepted(content_type)
