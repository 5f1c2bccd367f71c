"""A server on loopback that speaks the protocols of the providers; the model's name says how it behaves.

"retry": 429 for the first two requests; "broken": 500; "slow": no answer in time; "drop": the stream ends in the middle.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHAT = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30, "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip
RESPONSE = {"input_tokens": 40, "output_tokens": 70, "total_tokens": 110, "input_tokens_details": {"cached_tokens": 8},
            "output_tokens_details": {"reasoning_tokens": 32}}  # fmt: skip
MESSAGE = {"input_tokens": 30, "output_tokens": 40, "cache_read_input_tokens": 500, "cache_creation_input_tokens": 1500}
GOOGLE = {"promptTokenCount": 14, "candidatesTokenCount": 8, "thoughtsTokenCount": 160, "totalTokenCount": 182,
          "cachedContentTokenCount": 6}  # fmt: skip
TOOLS = [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.refused: dict[str, int] = {}
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        path = self.path.partition("?")[0]
        self.server.requests.append(path)
        model = str(body.get("model") or path.rpartition("/")[2].partition(":")[0])
        if "slow" in model:
            self.server.released.wait(20)
        elif "broken" in model:
            self._json(500, {"error": {"message": "made up", "code": 500, "status": "INTERNAL"}})
        elif "retry" in model and self.server.refused.setdefault(model, 0) < 2:
            self.server.refused[model] += 1
            self._json(429, {"error": {"message": "made up", "code": 429}}, {"retry-after-ms": "1", "retry-after": "0"})
        elif body.get("stream") or "stream" in path:
            self._stream(path, model, body)
        else:
            self._json(200, answer(path, model, body))

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "content-type": "application/json",
            "content-length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, path: str, model: str, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        lines = list(chunks(path, model, body))
        for line in lines[:2] if "drop" in model else lines:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()
        if "drop" not in model:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True


def answer(path: str, model: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the whole answer to a request."""
    if path.endswith("embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        return {
            "id": "e",
            "object": "list",
            "model": model,
            "data": data,
            "usage": {"prompt_tokens": 12, "total_tokens": 12},
        }
    if path.endswith("/responses"):
        return response(model, "completed")
    if path.endswith("/messages"):
        content = [{"type": "text", "text": "Sylvania"}, {"type": "tool_use", "id": "t1", "name": "look", "input": {}}]
        return {"id": "m", "type": "message", "role": "assistant", "model": f"{model}-1", "content": content,
                "stop_reason": "end_turn", "stop_sequence": None, "usage": MESSAGE}  # fmt: skip
    if path.endswith(":generateContent"):
        return google("Sylvania", "STOP")
    if path.endswith(":batchEmbedContents"):
        return {"embeddings": [{"values": [0.1]}]}
    message = {"role": "assistant", "content": "Sylvania", "tool_calls": TOOLS if body.get("tools") else None}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": f"{model}-1",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": CHAT}  # fmt: skip


def response(model: str, status: str) -> dict[str, Any]:
    return {"id": "r", "object": "response", "created_at": 1, "model": f"{model}-1", "status": status, "error": None,
            "output": [{"type": "function_call", "id": "f", "call_id": "f", "name": "look", "arguments": "{}", "status": "completed"}],
            "usage": RESPONSE, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {},
            "temperature": 1, "top_p": 1, "instructions": None, "incomplete_details": None}  # fmt: skip


def google(text: str, reason: str | None) -> dict[str, Any]:
    candidate = {
        "content": {"role": "model", "parts": [{"text": text}]},
        **({"finishReason": reason} if reason else {}),
    }
    return {"candidates": [candidate], "modelVersion": "gemini-1", "usageMetadata": GOOGLE}


def chunks(path: str, model: str, body: dict[str, Any]) -> Iterator[bytes]:
    """Yield the events of a streamed answer."""
    if path.endswith("/messages"):
        message = {
            **answer(path, model, body),
            "content": [],
            "stop_reason": None,
            "usage": {**MESSAGE, "output_tokens": 1},
        }
        for event in (
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Sylvania"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 40}},
            {"type": "message_stop"},
        ):  # fmt: skip
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    elif "GenerateContent" in path:
        for text, reason in (("Syl", None), ("va", None), ("nia", "STOP")):
            yield f"data: {json.dumps(google(text, reason))}\n\n".encode()
    elif path.endswith("/responses"):
        for kind, status in (
            ("response.created", "in_progress"),
            ("response.in_progress", "in_progress"),
            ("response.completed", "completed"),
        ):
            event = {"type": kind, "sequence_number": 0, "response": response(model, status)}
            yield f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode()
    else:
        made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": f"{model}-1"}
        for delta, reason in (
            ({"role": "assistant", "content": "Syl"}, None),
            ({"content": "va"}, None),
            ({"content": "nia"}, "stop"),
        ):
            yield f"data: {json.dumps({**made, 'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}]})}\n\n".encode()
        if (body.get("stream_options") or {}).get("include_usage"):
            yield f"data: {json.dumps({**made, 'choices': [], 'usage': CHAT})}\n\n".encode()
        yield b"data: [DONE]\n\n"


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
