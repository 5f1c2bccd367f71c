"""One connection of a receiver: reads requests of HTTP/1.1 from its bytes, and writes the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from crucible_nb.capture.receiver.gate import MAX_BODY, Answer, Gate, Refused

_MAX_HEAD = 64 << 10  # bytes of a request before its body
_MAX_LINE = 64  # bytes of the line before a chunk
_PATIENCE = 2.0  # seconds in which a sender that was refused may read why
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Head(NamedTuple):
    """A request before its body.

    Attributes:
        method: Such as "POST".
        path: Without query and closing slash.
        headers: Values by names in small letters.
        keeps: Whether the connection stays open after the answer.
    """

    method: str
    path: str
    headers: dict[str, str]
    keeps: bool


class Host(Protocol):
    """The server as a connection sees it."""

    gate: Gate
    connections: set[Connection]

    def answer(self, head: Head, body: bytes) -> Answer:
        """Answer a complete request."""


class Connection(asyncio.Protocol):
    """Reads requests and writes answers, in order; one that is refused ends the connection.

    Args:
        host: Answers the requests.

    Attributes:
        heard: Time of the last bytes, seconds of the event loop.
    """

    transport: Any

    def __init__(self, host: Host) -> None:
        self._host = host
        self._bytes = bytearray()
        self._head: Head | None = None
        self._body: Callable[[], bytes | None] = bytes
        self._ended = False
        self.heard = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._host.connections.add(self)
        self._hear()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  as asyncio calls it
        self._host.connections.discard(self)

    def _hear(self) -> None:
        self.heard = asyncio.get_running_loop().time()

    def data_received(self, data: bytes) -> None:
        self._hear()
        if self._ended:
            return  # of a request that was refused
        self._bytes += data
        try:
            while self._step():
                pass
        except Refused as refused:
            self._host.gate.count(refused.counted)
            self._send(refused.answer, keeps=False)

    def _step(self) -> bool:
        """Answer the next request if it is complete; return whether it was."""
        if self._ended or (self._head is None and not self._begin()):
            return False
        body = self._body()
        if body is None:
            return False
        head, self._head = self._head, None
        assert head is not None
        self._send(self._host.answer(head, body), keeps=head.keeps)
        return True

    def _begin(self) -> bool:
        """Read and check what comes before a body; return whether it is complete."""
        end = self._bytes.find(b"\r\n\r\n")
        if max(end, len(self._bytes) if end < 0 else 0) > _MAX_HEAD:
            raise Refused(Answer(431), "unreadable")
        if end < 0:
            return False
        head = parse_head(bytes(self._bytes[:end]))
        del self._bytes[: end + 4]
        self._host.gate.admit(head.path, head.headers)
        self._body = self._body_of(head)
        self._head = head
        if head.headers.get("expect", "").lower() == "100-continue":
            self.transport.write(_CONTINUE)
        return True

    def _body_of(self, head: Head) -> Callable[[], bytes | None]:
        """Return what reads the body: of a stated length, or in chunks."""
        length, coding = head.headers.get("content-length"), head.headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise Refused(Answer(400), "unreadable")
            whole = bytearray()
            return lambda: self._chunks(whole)
        if length is None and head.method != "POST":
            return bytes
        if length is None or not (length.isascii() and length.isdigit()):
            raise Refused(Answer(411), "unreadable")
        if len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            raise Refused(Answer(413), "too_large")
        size = int(length)
        return lambda: self._take(size)

    def _take(self, size: int) -> bytes | None:
        if len(self._bytes) < size:
            return None
        body = bytes(self._bytes[:size])
        del self._bytes[:size]
        return body

    def _chunks(self, whole: bytearray) -> bytes | None:
        """Move complete chunks into `whole`; return it once the last one has come."""
        while True:
            end = self._bytes.find(b"\r\n", 0, _MAX_LINE)
            if end < 0:
                if len(self._bytes) >= _MAX_LINE:
                    raise Refused(Answer(400), "unreadable")
                return None
            line = bytes(self._bytes[:end]).partition(b";")[0].strip()
            if not line or line.strip(b"0123456789abcdefABCDEF"):
                raise Refused(Answer(400), "unreadable")
            size = int(line, 16)
            if len(whole) + size > MAX_BODY:
                raise Refused(Answer(413), "too_large")
            if len(self._bytes) < end + 2 + size + 2:
                return None
            whole += self._bytes[end + 2 : end + 2 + size]
            if self._bytes[end + 2 + size : end + 2 + size + 2] != b"\r\n":
                raise Refused(Answer(400), "unreadable")  # fields after the last chunk are not taken
            del self._bytes[: end + 2 + size + 2]
            if not size:
                return bytes(whole)

    def _send(self, answer: Answer, *, keeps: bool) -> None:
        """Send an answer by one write; one that ends the connection waits for the sender to read it."""
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", f"content-length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if not keeps:
            lines.append("connection: close")
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + answer.body)
        if not keeps:
            self._ended = True
            self._bytes.clear()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            asyncio.get_running_loop().call_later(_PATIENCE, self.transport.abort)


def parse_head(data: bytes) -> Head:
    r"""Read the lines before a body.

    Raises:
        Refused: They are not of HTTP/1.1 or HTTP/1.0.

    Examples:
        >>> parse_head(b"POST /v1/traces/?a=1 HTTP/1.1\r\nHost: here\r\nConnection: close")
        Head(method='POST', path='/v1/traces', headers={'host': 'here', 'connection': 'close'}, keeps=False)
    """
    first, *lines = data.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Refused(Answer(400), "unreadable")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Refused(Answer(400), "unreadable")
        headers[name.lower()] = value.strip()
    said = headers.get("connection", "").lower()
    keeps = said != "close" if words[2] == "HTTP/1.1" else said == "keep-alive"
    return Head(words[0], words[1].partition("?")[0].rstrip("/"), headers, keeps)
