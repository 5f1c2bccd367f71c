"""Decide about a request before anything of it is kept: who sends it, from where, and whether it can be read."""

from __future__ import annotations

import base64
import binascii
import hmac
import threading
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from crucible_nb.otel.bodies import inflate
from crucible_nb.otel.protobuf import request_class

PATHS = ("/v1/traces", "/api/public/otel/v1/traces")
"""Paths of OTLP/HTTP, and of Langfuse's exporter."""

STATS = "/crucible/stats"

MAX_BODY = 32 << 20
"""Largest body, as sent and inflated: 32 MiB."""

PROTOBUF, JSON = "application/x-protobuf", "application/json"


class Answer(NamedTuple):
    """Status, body and headers of an answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):  # noqa: N818  an answer, not an error of ours
    """A request that is answered without being kept."""

    def __init__(self, answer: Answer, counted: str) -> None:
        super().__init__(counted)
        self.answer, self.counted = answer, counted


class Gate:
    """Checks of requests, and counts of what came.

    Args:
        token: What a sender has to know.
        port: Port of the server, for the Host header.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token.encode()
        self.hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, kind: str, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[kind] += number

    def admit(self, path: str, headers: Mapping[str, str]) -> None:
        """Check who sends a request.

        Raises:
            Refused: Another host (DNS rebinding), a web page, a wrong token, another path.
        """
        if path != STATS:
            self.count("requests")
        if headers.get("host", "").lower() not in self.hosts or "origin" in headers:
            raise Refused(_said(403, "only programs of this machine may send here"), "foreign")
        if not self._knows_token(headers):
            raise Refused(_said(401, "wrong or missing token: use rx.env or rx.headers"), "unauthorized")
        if path not in (*PATHS, STATS):
            raise Refused(_said(404, f"only traces are taken, at {PATHS[0]}"), "unknown_path")

    def _knows_token(self, headers: Mapping[str, str]) -> bool:
        """Return whether the token is there: as bearer, in a header of ours, or as the secret of Langfuse's Basic."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        given = value.strip() if scheme.lower() == "bearer" else headers.get("x-crucible-token", "")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                given = ""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def check_body(self, body: bytes, content_type: str, encoding: str) -> None:
        """Check that a body can be read later.

        Raises:
            Refused: It cannot; the sender is told why, and does not send it again.
        """
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in (PROTOBUF, JSON):
            raise Refused(_said(415, f"content type {kind[:80]!r}: expected {PROTOBUF} or {JSON}"), "unreadable")
        try:
            whole = inflate(body, encoding, MAX_BODY)
        except ValueError as error:
            large = "larger than" in str(error)
            raise Refused(_said(413 if large else 400, str(error)), "too_large" if large else "unreadable") from None
        try:
            if kind == JSON:
                parsed = orjson.loads(whole)
                if not isinstance(parsed, dict) or not isinstance(parsed.get("resourceSpans", []), list):
                    raise ValueError("not a request of OTLP")
            else:
                request_class()().ParseFromString(whole)
        except Exception as error:  # noqa: BLE001  parsers raise what they like
            raise Refused(_said(400, f"cannot be read: {error}"[:300]), "unreadable") from None


def _said(status: int, sentence: str) -> Answer:
    return Answer(status, orjson.dumps({"message": sentence}), (("content-type", JSON),))


def accepted(content_type: str) -> Answer:
    """Return the answer to a body that is kept: an empty response message."""
    if content_type.startswith(JSON):
        return Answer(200, b"{}", (("content-type", JSON),))
    return Answer(200, b"", (("content-type", PROTOBUF),))


def later(sentence: str) -> Answer:
    """Return the answer to a fault of ours: senders try again after one second (a 500 would lose the batch)."""
    return Answer(503, orjson.dumps({"message": sentence}), (("content-type", JSON), ("retry-after", "1")))
