"""Spans and tracked functions: latency, success and error class are measured."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
Record = Callable[..., bool]


class Span:
    """A block of work recorded as one event when it ends.

    The event's time is the moment of completion. An exception is recorded (`success` False, `error` its class) and
    propagates; a generator closed early by its consumer has not failed.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     with exp.span("llm.request", model="gpt-4o") as span:
        ...         span.set(prompt_tokens=311)
        >>> exp.df[["model", "prompt_tokens", "success"]].iloc[0].to_dict()
        {'model': 'gpt-4o', 'prompt_tokens': 311, 'success': True}
    """

    __slots__ = ("_event", "_fields", "_record", "_start")

    def __init__(self, record: Record, event: str, fields: dict[str, Any]) -> None:
        self._record, self._event, self._fields = record, event, fields

    def set(self, **fields: Any) -> None:
        """Add columns to the event, or replace measured ones.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp, exp.span("judge") as span:
            ...     span.set(success=False, score=0.2)
            >>> exp.df.success.tolist()
            [False]
        """
        self._fields.update(fields)

    def __enter__(self) -> Span:
        self._start = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        latency = (time.perf_counter_ns() - self._start) / 1e6
        failed = error is not None and not isinstance(error, GeneratorExit)
        measured: dict[str, Any] = {"latency_ms": latency, "success": not failed}
        if failed:
            measured["error"] = type(error).__name__
        self._record(self._event, **{**measured, **self._fields})


def tracked(function: F, span: Callable[[], Span]) -> F:
    """Wrap each call of a function in a span; of coroutines and generators until they end."""
    if inspect.isasyncgenfunction(function):
        wrapper: Any = _async_generator(function, span)
    elif inspect.isgeneratorfunction(function):

        def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with span():
                return (yield from function(*args, **kwargs))

    elif inspect.iscoroutinefunction(function):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with span():
                return await function(*args, **kwargs)

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with span():
                return function(*args, **kwargs)

    return functools.wraps(function)(wrapper)  # type: ignore[return-value]


def _async_generator(function: Callable[..., Any], span: Callable[[], Span]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with span():
            inner = function(*args, **kwargs)
            try:
                value = await anext(inner)
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001  exceptions thrown in go to the inner generator
                        value = await inner.athrow(error)
                    else:
                        value = await inner.asend(sent)
            except StopAsyncIteration:
                return
            finally:
                await inner.aclose()

    return wrapper


def track(span: Callable[[str, dict[str, Any]], Span], event: Any, fields: dict[str, Any]) -> Any:
    """Build the decorator of `exp.track` and `cr.track`; without arguments the event is named after the function."""
    if callable(event):
        return tracked(event, lambda: span(event.__qualname__, dict(fields)))
    return lambda function: tracked(function, lambda: span(event, dict(fields)))
