"""Clients whose calls are functions of their own: wrap a function that answers, or one that streams."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from crucible_nb.capture.calls import AsyncChunks, Call, Chunks

Begin = Callable[[tuple[Any, ...], dict[str, Any]], Call | None]
"""Takes the arguments of a call and returns its measurement; None if it is not to be measured."""


def measured(original: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """Wrap a function, a coroutine function or a generator function that calls a model.

    Args:
        original: The function. What it returns may be an answer, an iterator of chunks, or an object of its own class
            that is iterated; with the latter, `begin` has to say that it is streamed.
        begin: Begins the measurement.
    """

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        if call is None:
            return original(*args, **kwargs)
        with call.running():
            return _followed(original(*args, **kwargs), call, Chunks)

    @functools.wraps(original)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        if call is None:
            return await original(*args, **kwargs)
        with call.running():
            return _followed(await original(*args, **kwargs), call, AsyncChunks)

    return coroutine if inspect.iscoroutinefunction(original) else function


def _followed(result: Any, call: Call, chunks: type[Chunks] | type[AsyncChunks]) -> Any:
    """Follow an answer to its end, chunk by chunk if it is streamed."""
    if not call.fields["streamed"]:
        call.see(result)
        call.finish()
        return result
    if hasattr(result, "generator"):  # an object whose iterator is an attribute, which stays what it is
        result.generator = chunks(result.generator, call)
        return result
    return chunks(result, call)
