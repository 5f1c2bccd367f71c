"""The clients of OpenAI and Anthropic: both send every request through one method of the client."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from crucible_nb.capture.answers import anthropic_answer, openai_answer
from crucible_nb.capture.base import Capture, capture_of, checked, installed, name_of
from crucible_nb.capture.calls import AsyncChunks, Call, Chunks, Reader, begin_call, count_attempt
from crucible_nb.capture.patching import patch
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.utils.checks import wrong
from crucible_nb.utils.optional import have

_OPENAI = {
    "/chat/completions": "llm.request",
    "/completions": "llm.request",
    "/responses": "llm.request",
    "/embeddings": "llm.embedding",
}
_ANTHROPIC = {"/v1/messages": "llm.request", "/v1/complete": "llm.request"}


def openai(client: Any = None, exp: Experiment | None = None) -> Capture:
    """Record every call of the OpenAI client: chat, completions, responses, embeddings; sync, async and streamed.

    One event per call, `llm.request` or `llm.embedding`, with model asked and answered, tokens, time to first
    chunk, attempts, tool calls, and the class of the exception. A stream that breaks is a failure; one that is
    left before its end has unknown success. Messages are not kept (CRUCIBLE_CAPTURE_CONTENT=1 keeps those sent).

    Args:
        client: One client, patched in place; None for the classes `OpenAI` and `AsyncOpenAI`, with all their clients.
        exp: Experiment to record into; None for the current one when a call begins.

    Returns:
        A Capture with `undo`, also usable in `with`.

    Raises:
        ConfigError: The package is not installed, or the client is of another kind: nothing could be patched.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.capture.openai() as capture:
        ...     capture.patched
        ('OpenAI', 'AsyncOpenAI')
    """
    return _capture("openai", ("OpenAI", "AsyncOpenAI"), _OPENAI, openai_answer, client, exp)


def anthropic(client: Any = None, exp: Experiment | None = None) -> Capture:
    """Record every call of the Anthropic client: messages; sync, async and streamed. See `cr.capture.openai`.

    Args:
        client: One client, patched in place; None for the classes `Anthropic` and `AsyncAnthropic`.
        exp: Experiment to record into; None for the current one when a call begins.

    Returns:
        A Capture with `undo`, also usable in `with`.

    Raises:
        ConfigError: The package is not installed, or the client is of another kind: nothing could be patched.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.capture.anthropic() as capture:
        ...     capture.patched
        ('Anthropic', 'AsyncAnthropic')
    """
    return _capture("anthropic", ("Anthropic", "AsyncAnthropic"), _ANTHROPIC, anthropic_answer, client, exp)


def _capture(
    package: str, names: tuple[str, str], paths: dict[str, str], read: Reader, client: Any, exp: Experiment | None
) -> Capture:
    experiment, module = checked(exp), installed(package, have(package), package)
    classes = [found for name in names if (found := getattr(module, name, None)) is not None]
    if client is not None and not isinstance(client, tuple(classes)):
        raise wrong("client", client, f"a client of {package} ({', '.join(names)}) or None")
    begin = partial(_begin, experiment=experiment, package=package, paths=paths, read=read)
    owners = classes if client is None else [client]
    parts = {name_of(owner): partial(_patch_client, owner=owner, begin=begin) for owner in owners}
    return capture_of(package, parts, "client with a method `request`")


def _patch_client(capture: Capture, owner: Any, begin: Callable[..., Call | None]) -> bool:
    bound = not inspect.isclass(owner)
    if not patch(capture, owner, "request", lambda original: _measured(
        original, partial(begin, capture), bound=bound, client=owner
    )):  # fmt: skip
        return False
    patch(capture, owner, "_prepare_request", _counted)
    return True


def _counted(original: Callable[..., Any]) -> Callable[..., Any]:
    """Count a request that is sent; the client calls this for every attempt."""

    def prepare(*args: Any, **kwargs: Any) -> Any:
        count_attempt(kwargs.get("request", args[-1] if args else None))
        return original(*args, **kwargs)

    return prepare


def count_attempts(capture: Capture) -> None:
    """Let the calls of another wrapper count the requests that the OpenAI client sends for it."""
    module = have("openai")
    for name in ("OpenAI", "AsyncOpenAI"):
        if module is not None and hasattr(module, name):
            patch(capture, getattr(module, name), "_prepare_request", _counted)


def _begin(
    capture: Capture, options: Any, client: Any, *, experiment: Experiment | None, package: str, paths: dict[str, str],
    read: Reader,
) -> Call | None:  # fmt: skip
    """Return the call that a request begins; None if it is no call of a model, or inside of one that is measured."""
    path = str(getattr(options, "url", "")).partition("?")[0]
    event = next((event for end, event in paths.items() if path.endswith(end)), None)
    body = getattr(options, "json_data", None)
    if event is None or not isinstance(body, dict) or str(getattr(options, "method", "")).lower() != "post":
        return None
    provider = "azure" if "Azure" in type(client).__name__ else package
    fields = {"event": event, "provider": provider, "model": body.get("model")}
    content = body.get("messages") or body.get("input") or body.get("prompt")
    return begin_call(capture, experiment, fields, read, streamed=bool(body.get("stream")), content=content)


def _measured(
    original: Callable[..., Any], begin: Callable[[Any, Any], Call | None], *, bound: bool, client: Any
) -> Callable[..., Any]:
    """Wrap `request(self, cast_to, options, ...)`, which is a coroutine function in the asynchronous client."""

    def call_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        positional = args if bound else args[1:]
        options = kwargs.get("options", positional[1] if len(positional) > 1 else None)
        return begin(options, client if bound else args[0])

    def request(*args: Any, **kwargs: Any) -> Any:
        call = call_of(args, kwargs)
        if call is None:
            return original(*args, **kwargs)
        with call.running():
            return _followed(original(*args, **kwargs), call)

    async def request_async(*args: Any, **kwargs: Any) -> Any:
        call = call_of(args, kwargs)
        if call is None:
            return await original(*args, **kwargs)
        with call.running():
            return _followed(await original(*args, **kwargs), call)

    return request_async if inspect.iscoroutinefunction(original) else request


def _followed(result: Any, call: Call) -> Any:
    """Follow an answer to its end: a stream, a raw response, or an object that is complete."""
    if hasattr(result, "_iterator") and hasattr(result, "response"):
        _follow_stream(result, call)
    elif hasattr(result, "http_response"):
        _follow_raw(result, call)
    else:
        call.see(result)
        call.finish()
    return result


def _follow_stream(stream: Any, call: Call) -> None:
    chunks = stream._iterator
    stream._iterator = AsyncChunks(chunks, call) if hasattr(chunks, "__anext__") else Chunks(chunks, call)
    _before(stream, "close", call.abandon)


def _follow_raw(response: Any, call: Call) -> None:
    """Follow a raw response: its body if it was read, else what `parse` makes of it, else its end."""
    if call.fields["streamed"]:
        parse = response.parse

        def parsed(*args: Any, **kwargs: Any) -> Any:
            found = parse(*args, **kwargs)
            return _awaited(found, call) if inspect.isawaitable(found) else _once(found, call)

        response.parse = parsed
        _before(response, "close", call.abandon)
    elif getattr(response.http_response, "is_closed", True):
        _read_body(response.http_response, call)
    else:
        _before(response, "close", lambda: _read_body(response.http_response, call))


def _once(found: Any, call: Call) -> Any:
    if hasattr(found, "_iterator") and not isinstance(found._iterator, (Chunks, AsyncChunks)):
        _follow_stream(found, call)
    return found


async def _awaited(found: Any, call: Call) -> Any:
    return _once(await found, call)


def _read_body(response: Any, call: Call) -> None:
    """Read the JSON of an HTTP response whose body is there; without one the tokens are unknown."""
    try:
        body = response.json()
    except Exception as error:  # noqa: BLE001  not read, or no JSON
        call.metadata["unread"] = type(error).__name__
    else:
        call.see(body)
    call.finish()


def _before(owner: Any, name: str, action: Callable[[], None]) -> None:
    """Call `action` before a method of one object, which may be a coroutine function."""
    method = getattr(owner, name, None)
    if not callable(method):
        return

    def call(*args: Any, **kwargs: Any) -> Any:
        action()
        return method(*args, **kwargs)

    setattr(owner, name, call)
