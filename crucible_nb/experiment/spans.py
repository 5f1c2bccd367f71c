"""Spans and tracked functions: latency, success and error class are measured."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any

from crucible_nb.utils import checks

Record = Callable[..., bool]
Report = Callable[[str], None]


class ActiveClock:
    """A monotonic clock in nanoseconds that stands still while its experiment is paused.

    Examples:
        >>> clock = ActiveClock()
        >>> clock.follow(paused=True)
        >>> clock() == clock()
        True
    """

    def __init__(self) -> None:
        self._state: tuple[int | None, int] = None, 0  # start of the pause, and the length of all earlier ones

    def __call__(self) -> int:
        """Return nanoseconds; only differences have a meaning."""
        begun, paused = self._state
        return (time.perf_counter_ns() if begun is None else begun) - paused

    def follow(self, *, paused: bool) -> None:
        """Stand still from now on, or go on."""
        begun, length = self._state
        if paused and begun is None:
            self._state = time.perf_counter_ns(), length
        elif begun is not None and not paused:
            self._state = None, length + time.perf_counter_ns() - begun


class Span:
    """A block of work recorded as one event when it ends.

    The event's time is the moment of completion; a pause in the block is not part of its latency. An exception is
    recorded (`success` False, `error` its class) and propagates; a generator closed early by its consumer has not
    failed.

    Args:
        record: Records the event.
        event: Name of the event.
        fields: Columns of the event.
        report: Counts a problem and warns of it.
        clock: Returns nanoseconds, of which differences are the latency.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     with exp.span("llm.request", model="gpt-4o") as span:
        ...         span.set(prompt_tokens=311)
        >>> exp.df[["model", "prompt_tokens", "success"]].iloc[0].to_dict()
        {'model': 'gpt-4o', 'prompt_tokens': 311, 'success': True}
    """

    __slots__ = ("_before", "_clock", "_continues", "_ended", "_event", "_fields", "_record", "_report", "_start")

    def __init__(
        self, record: Record, event: str, fields: dict[str, Any], report: Report, clock: Callable[[], int]
    ) -> None:
        self._record, self._event, self._fields, self._report, self._clock = record, event, fields, report, clock
        self._before = 0  # nanoseconds of the parts that ended before
        self._continues = False  # the next exit records nothing, for the span is entered again
        self._ended = False

    def set(self, **fields: Any) -> None:
        """Add columns to the event, or replace measured ones; after the end it is too late, counted and warned of.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo") as exp, exp.span("judge") as span:
            ...     span.set(success=False, score=0.2)
            >>> exp.df.success.tolist()
            [False]
        """
        if self._ended:
            names = ", ".join(map(repr, fields))
            self._report(f"span.set({names}) came after the end of span {self._event!r}; its event has been recorded")
            return
        self._fields.update(fields)

    def __enter__(self) -> Span:
        self._ended = False
        self._start = self._clock() - self._before
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        elapsed = self._clock() - self._start
        self._before = elapsed if self._continues else 0
        if self._continues and error is None:
            self._continues = False
            return
        failed = error is not None and not isinstance(error, GeneratorExit)
        measured: dict[str, Any] = {"latency_ms": elapsed / 1e6, "success": not failed}
        if failed:
            measured["error"] = type(error).__name__
        self._ended = True
        self._record(self._event, **{**measured, **self._fields})


def reporter(span: Span) -> Report:
    """Return the function by which a span reports problems."""
    return span._report


# -- tracked functions -------------------------------------------------------------------------------------------------


def track(span: Callable[[str, dict[str, Any]], Span], event: Any, fields: dict[str, Any]) -> Any:
    """Build the decorator of `exp.track` and `cr.track`; without arguments the event is named after the function."""
    if isinstance(event, str):
        return lambda function: tracked(function, lambda: span(event, dict(fields)))
    name = _name(event)
    return tracked(event, lambda: span(name, dict(fields)))


def _name(function: Any) -> str:
    function = getattr(function, "__func__", function)
    if isinstance(function, functools.partial):
        return _name(function.func)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def tracked(function: Any, span: Callable[[], Span]) -> Any:
    """Wrap each call of a function in a span. What a call starts, it measures to the end: awaitables and generators.

    Raises:
        ConfigError: It is a class, or cannot be called.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(tracked(function.__func__, span))
    if isinstance(function, type) or not callable(function):
        raise checks.wrong("track", function, "a name, a function, a method or a callable object; no class")
    plain = inspect.isroutine(function) or isinstance(function, functools.partial)
    call = function if plain else type(function).__call__
    if inspect.isasyncgenfunction(call):
        wrapper = _async_generator(function, span)
    elif inspect.isgeneratorfunction(call):
        wrapper = _generator(function, span)
    elif inspect.iscoroutinefunction(call):
        wrapper = _coroutine(function, span)
    else:
        wrapper = _function(function, span)
    attributes = functools.WRAPPER_UPDATES if plain else ()  # those of a callable object are its state
    return functools.update_wrapper(wrapper, function, updated=attributes)


def _function(function: Callable[..., Any], span: Callable[[], Span]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with span() as current:
            result = function(*args, **kwargs)
            finish = _unfinished(result)
            if finish is None:
                return result
            current._continues = True
        return finish(result, current)

    return wrapper


def _coroutine(function: Callable[..., Any], span: Callable[[], Span]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with span() as current:
            result = await function(*args, **kwargs)
            finish = _unfinished(result)
            if finish is None:
                return result
            current._continues = True
        return finish(result, current)

    return wrapper


def _generator(function: Callable[..., Any], span: Callable[[], Span]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with span():
            return (yield from function(*args, **kwargs))

    return wrapper


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


# -- results that are not done when the call is ------------------------------------------------------------------------

Finish = Callable[[Any, Span], Any]


def _unfinished(result: Any) -> Finish | None:
    """Return the function that measures a result to its end, None for a result that is done."""
    kind = type(result)
    wrapper = _WRAPPERS.get(kind)
    if wrapper is not None:
        return lambda inner, current: wrapper(lambda: inner, lambda: current)()
    if not hasattr(kind, "__await__"):
        return None
    return _future if hasattr(kind, "add_done_callback") else _Awaited


_WRAPPERS: dict[type, Callable[..., Callable[..., Any]]] = {
    GeneratorType: _generator,
    AsyncGeneratorType: _async_generator,
    CoroutineType: _coroutine,
}


def _future(future: Any, current: Span) -> Any:
    """End the span when a future or task is done; it stays what it is, so that it can be cancelled and waited for."""

    def end(done: Any) -> None:
        try:
            error = done.exception()
        except BaseException as cancelled:  # noqa: BLE001  raised by a future that was cancelled
            error = cancelled
        current.__exit__(None if error is None else type(error), error, None)

    current.__enter__()
    future.add_done_callback(end)
    return future


class _Awaited:
    """An awaitable object; its span ends with its `await` or its `async with`, and the rest is the object's own."""

    def __init__(self, inner: Any, current: Span) -> None:
        self._inner, self._current = inner, current

    def __await__(self) -> Generator[Any, Any, Any]:
        awaited: Generator[Any, Any, Any] = _coroutine(lambda: self._inner, lambda: self._current)().__await__()
        return awaited

    async def __aenter__(self) -> Any:
        with self._current:
            entered = await self._inner.__aenter__()
            self._current._continues = True
        self._current.__enter__()
        return entered

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            return await self._inner.__aexit__(kind, error, trace)
        finally:
            self._current.__exit__(kind, error, trace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
