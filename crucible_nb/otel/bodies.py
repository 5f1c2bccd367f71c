"""Tell what a body or file of spans is, and read it: gzip or plain, JSON or protobuf."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import orjson

from crucible_nb.otel.json_spans import span_of_sdk, spans_of_request
from crucible_nb.otel.protobuf import spans_of_protobuf
from crucible_nb.otel.records import SpanRecord

MAX_BODY = 64 << 20
"""Default limit of an inflated body: 64 MiB."""

_GZIP = b"\x1f\x8b"


def inflate(body: bytes, encoding: str, limit: int = MAX_BODY) -> bytes:
    """Inflate a body in steps, so that one that grows beyond the limit costs no more memory than the limit.

    Args:
        body: The bytes.
        encoding: "gzip" or "deflate" (with or without the header of zlib); "" returns the body.
        limit: Largest size, bytes.

    Raises:
        ValueError: The bytes are damaged, cut short or inflate beyond the limit; the encoding is another.

    Examples:
        >>> import gzip
        >>> inflate(gzip.compress(b"spans"), "gzip")
        b'spans'
    """
    if encoding in ("", "identity"):
        return _within(body, limit)
    windows = {"gzip": 31, "x-gzip": 31, "deflate": 15}
    if encoding not in windows:
        raise ValueError(f"content encoding {encoding[:40]!r}: expected gzip, deflate or none")
    bits = windows[encoding]
    if bits == 15 and (len(body) < 2 or body[0] & 15 != 8 or (body[0] * 256 + body[1]) % 31):
        bits = -15  # some senders leave out the header of zlib
    whole = b""
    try:
        while body:
            stream = zlib.decompressobj(bits)
            whole += stream.decompress(body, limit + 1 - len(whole))
            if len(whole) > limit:
                break
            if not stream.eof:
                raise ValueError("the compressed body is cut short")
            body = stream.unused_data if encoding != "deflate" else b""
    except zlib.error as error:
        raise ValueError(f"the body is not {encoding}: {error}") from error
    return _within(whole, limit)


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise ValueError(f"the body is larger than {limit:,} bytes")
    return body


def is_spans(head: bytes) -> bool:
    """Return whether the beginning of a file (4 kB or more, inflated) is that of spans.

    Examples:
        >>> is_spans(b'{"resourceSpans": []}'), is_spans(b'{"event": "tick"}'), is_spans(b"time,event")
        (True, False, False)
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        name = text[1:40].lstrip()
        return name.startswith((b'"resourceSpans"', b'"resource_spans"')) or (_is_sdk(text) and b'"name"' in text)
    if text.startswith(b"["):
        first = text[1:].lstrip()
        return first.startswith(b"{") and (_is_sdk(first) or b'"resourceSpans"' in first[:60])
    return _is_protobuf(head)


def _is_sdk(text: bytes) -> bool:
    return b'"context"' in text and b'"trace_id"' in text and b'"span_id"' in text


def _is_protobuf(head: bytes) -> bool:
    """Return whether bytes begin as a request: field 1 (ResourceSpans), in which field 1 or 2 comes first."""
    if len(head) < 4 or head[0] != 0x0A:
        return False
    at = 1
    while at < len(head) and head[at] & 0x80:
        at += 1
    at += 1
    return 2 < at < 7 and at < len(head) and (head[at] in (0x0A, 0x12)) and (b"\0" in head or max(head) > 127)


def spans_of_body(body: bytes, content_type: str = "", encoding: str = "", limit: int = MAX_BODY) -> list[SpanRecord]:
    """Read a body of spans.

    Args:
        body: OTLP as posted or stored, or a list of `ReadableSpan.to_json()`, as one JSON array or one per line.
        content_type: "application/x-protobuf" or "application/json"; "" to tell by the bytes.
        encoding: "gzip" or "deflate"; "" to tell gzip by the bytes.
        limit: Largest size of the inflated body, bytes.

    Returns:
        The spans in the order of the body.

    Raises:
        ValueError: The body cannot be read.
        ConfigError: It is protobuf, and the extra `otel` is not installed.

    Examples:
        >>> spans_of_body(b'{"resourceSpans": []}')
        []
    """
    if not encoding and body.startswith(_GZIP):
        encoding = "gzip"
    body = inflate(body, encoding, limit)
    kind = content_type.partition(";")[0].strip().lower()
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if kind == "application/x-protobuf" or (not kind and not text.startswith((b"{", b"["))):
        return list(spans_of_protobuf(body))
    try:
        return [span for document in _documents(text) for span in _spans(document)]
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not OTLP in JSON: {type(error).__name__}: {error}") from error


def _documents(text: bytes) -> Iterator[Any]:
    """Yield the JSON documents of a text: one, or one per line."""
    try:
        whole = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise ValueError(f"not JSON: {error}") from error
        yield from map(orjson.loads, lines)
    else:
        yield from whole if isinstance(whole, list) else (whole,)


def _spans(document: Any) -> Iterator[SpanRecord]:
    if not isinstance(document, dict):
        raise TypeError("expected an object")
    if "context" in document:
        yield span_of_sdk(document)
    else:
        yield from spans_of_request(document)
