"""One call of a model as it is measured, from the request to the last chunk of its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from crucible_nb.capture.base import Capture, target
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.utils.environment import keeps_content
from crucible_nb.utils.interrupts import let_pass

Reader = Callable[[dict[str, Any], Any], None]
"""Takes fields of a call and an answer, or a chunk of one, and writes what it says into the fields."""

_OPEN: ContextVar[Call | None] = ContextVar("crucible_call", default=None)
_END: Any = object()  # the end of a stream


class Call:
    """A call of a model that becomes one event.

    Args:
        capture: Keeps the event.
        experiment: Where it goes; None for the current one when the call begins.
        fields: Columns that are known at the beginning: event, provider, model.
        read: Reads an answer or a chunk; it may be given anything, and what it raises is counted, not passed on.
        streamed: Whether chunks follow.
        content: Text of the messages; kept in metadata only with CRUCIBLE_CAPTURE_CONTENT=1.
    """

    def __init__(
        self, capture: Capture, experiment: Experiment | None, fields: dict[str, Any], read: Reader, *,
        streamed: bool = False, content: Any = None,
    ) -> None:  # fmt: skip
        self._capture, self._experiment, self._read = capture, target(experiment), read
        self.fields = {**fields, "streamed": streamed}
        self.metadata: dict[str, Any] = {}
        self.attempts = 0
        self.request: Any = None  # the last one that was sent
        self._begin = perf_counter()
        self._done = False
        self._lock = threading.Lock()
        self._content = content if keeps_content() else None

    @contextmanager
    def running(self) -> Iterator[Call]:
        """Run the request: calls inside belong to this one, and an exception ends it as a failure."""
        token = _OPEN.set(self)
        try:
            yield self
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            _OPEN.reset(token)

    def see(self, part: Any) -> None:
        """Read an answer or a chunk; the first chunk ends the time to first token."""
        if "ttft_ms" not in self.fields and self.fields["streamed"]:
            self.fields["ttft_ms"] = (perf_counter() - self._begin) * 1e3
        try:
            self._read(self.fields, part)
        except Exception as error:  # noqa: BLE001  an answer of another form must not break the traced code
            let_pass(error)
            self.metadata["unread"] = f"{type(error).__name__}: {error}"[:200]

    def finish(self) -> None:
        """End the call; a stream whose answer did not come to its end has unknown success."""
        ended = not self.fields["streamed"] or self.fields.get("finish_reason") is not None
        if self.fields.pop("failed", None):
            self._record(success=False)
        else:
            self._record(success=True if ended else None)

    def fail(self, error: BaseException) -> None:
        """End the call by an exception; one that the caller caused (a cancelled task) leaves success unknown."""
        self.fields["error"] = type(error).__name__
        status = getattr(error, "status_code", getattr(error, "code", None))
        if isinstance(status, int):
            self.metadata["http_status"] = status
        self._record(success=False if isinstance(error, Exception) else None)

    def abandon(self) -> None:
        """End the call because the caller left the stream before its end."""
        if not self._done:
            self.metadata["abandoned"] = True
            ended = self.fields.get("finish_reason") is not None
            self._record(success=True if ended else None)

    def _record(self, success: bool | None) -> None:
        with self._lock:
            if self._done:
                return
            self._done = True
        fields = {name: value for name, value in self.fields.items() if value is not None and name[0] != "_"}
        fields["latency_ms"], fields["success"] = (perf_counter() - self._begin) * 1e3, success
        self.request = None
        if self.attempts:
            fields["attempts"] = self.attempts
        if self.fields["streamed"] and success is not True:  # counted up to the last chunk, not of the answer
            for name in ("completion_tokens", "reasoning_tokens"):
                if name in fields:
                    self.metadata[f"partial_{name}"] = fields.pop(name)
        if self._content is not None:
            self.metadata["messages"] = self._content
        if self.metadata:
            fields["metadata"] = self.metadata
        if self._experiment is not None and self._experiment.record(fields.pop("event"), **fields):
            self._capture._add([{"event": self.fields["event"], **fields}])


def begin_call(
    capture: Capture, experiment: Experiment | None, fields: dict[str, Any], read: Reader, *,
    streamed: bool = False, content: Any = None,
) -> Call | None:  # fmt: skip
    """Begin the measurement of a call, see `Call`; None inside of one that is measured, which counts alone."""
    if _OPEN.get() is not None:
        return None
    return Call(capture, experiment, fields, read, streamed=streamed, content=content)


def count_attempt(request: Any) -> None:
    """Count a request that is sent for the running call; once, also where two captures look at it."""
    call = _OPEN.get()
    if call is not None and call.request is not request:
        call.request = request
        call.attempts += 1


class Chunks:
    """Iterator over the chunks of a stream that ends its call when it ends, fails or is left."""

    def __init__(self, chunks: Any, call: Call) -> None:
        self._chunks, self._call = iter(chunks), call

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> Any:
        with self._call.running():  # some clients send the request with the first chunk
            chunk = next(self._chunks, _END)
        if chunk is _END:
            self._call.finish()
            raise StopIteration
        self._call.see(chunk)
        return chunk

    def close(self) -> None:
        """Close the stream, as generators are closed."""
        self._call.abandon()
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)

    def __del__(self) -> None:
        self._call.abandon()


class AsyncChunks:
    """The same for asynchronous streams."""

    def __init__(self, chunks: Any, call: Call) -> None:
        self._chunks, self._call = aiter(chunks), call

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> Any:
        with self._call.running():
            chunk = await anext(self._chunks, _END)
        if chunk is _END:
            self._call.finish()
            raise StopAsyncIteration
        self._call.see(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close the stream, as generators are closed."""
        self._call.abandon()
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)

    def __del__(self) -> None:
        self._call.abandon()
