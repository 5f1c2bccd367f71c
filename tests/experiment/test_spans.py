"""Spans and tracked functions: what is measured, and that nothing is changed."""

from __future__ import annotations

import asyncio
import functools
import time
import warnings

import pytest

import crucible_nb as cr


@pytest.fixture
def exp() -> cr.Experiment:
    return cr.start("tracking")


def last(exp: cr.Experiment) -> dict:
    return exp.df.iloc[-1].to_dict()


def test_a_span_measures_latency_and_success(exp: cr.Experiment) -> None:
    start = time.perf_counter()
    with exp.span("work", model="m", stage_index=1) as span:
        inside = time.perf_counter()
        while time.perf_counter() - inside < 0.01:
            pass
        span.set(prompt_tokens=3, stage_index=2)
    took = (time.perf_counter() - start) * 1000
    row = last(exp)
    assert 10 <= row["latency_ms"] <= took
    assert (row["event"], row["model"], row["prompt_tokens"], row["stage_index"], row["success"]) == (
        "work",
        "m",
        3,
        2,
        True,
    )
    assert exp.df.error.isna().all()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
def test_an_exception_is_recorded_with_its_class_and_goes_on(exp: cr.Experiment, error: type[BaseException]) -> None:
    with pytest.raises(error), exp.span("work"):
        raise error
    assert (last(exp)["success"], last(exp)["error"]) == (False, error.__name__)


def test_what_the_user_sets_wins(exp: cr.Experiment) -> None:
    with exp.span("work") as span:
        span.set(success=False, latency_ms=1.0)
    assert (last(exp)["success"], last(exp)["latency_ms"]) == (False, 1.0)


def test_functions(exp: cr.Experiment) -> None:
    @exp.track("add", model="m")
    def add(a: int, b: int = 2) -> int:
        """Adds."""
        return a + b

    assert add(1) == 3
    assert add(1, b=5) == 6
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert exp.df.event.tolist() == ["add", "add"]
    with pytest.raises(TypeError):
        add("x")
    assert last(exp)["error"] == "TypeError"


def test_a_bare_decorator_takes_the_functions_name(exp: cr.Experiment) -> None:
    @exp.track
    def work() -> int:
        return 1

    assert work() == 1
    assert last(exp)["event"].endswith("work")


def test_coroutines(exp: cr.Experiment) -> None:
    @exp.track("ask")
    async def ask(x: int) -> int:
        await asyncio.sleep(0)
        if x < 0:
            raise ValueError(x)
        return x

    async def main() -> list:
        return await asyncio.gather(*(ask(i) for i in range(5)), ask(-1), return_exceptions=True)

    assert asyncio.iscoroutinefunction(ask)
    assert asyncio.run(main())[:5] == [0, 1, 2, 3, 4]
    assert exp.df.success.sum() == 5
    assert exp.df.error.dropna().tolist() == ["ValueError"]


def test_generators_keep_send_throw_and_return(exp: cr.Experiment) -> None:
    @exp.track("stream")
    def stream():
        got = yield 1
        try:
            yield got
        except KeyError:
            yield "caught"
        return "done"

    running = stream()
    assert next(running) == 1
    assert len(exp.df) == 0  # the event comes with the end
    assert running.send("hi") == "hi"
    assert running.throw(KeyError) == "caught"
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == "done"
    assert (last(exp)["event"], last(exp)["success"]) == ("stream", True)


def test_a_generator_that_is_left_early_has_not_failed(exp: cr.Experiment) -> None:
    closed = []

    @exp.track("stream")
    def stream():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    for item in (running := stream()):
        if item == 2:
            break
    running.close()
    assert closed == [True]
    assert last(exp)["success"] is True or bool(last(exp)["success"])
    assert exp.df.error.isna().all()


def test_a_generator_that_fails(exp: cr.Experiment) -> None:
    @exp.track("stream")
    def stream():
        yield 1
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        list(stream())
    assert last(exp)["error"] == "OSError"


def test_async_generators_keep_send_throw_and_close(exp: cr.Experiment) -> None:
    closed = []

    @exp.track("stream")
    async def stream():
        try:
            got = yield 1
            try:
                yield got
            except KeyError:
                yield "caught"
        finally:
            closed.append(True)

    async def main() -> None:
        running = stream()
        assert await anext(running) == 1
        assert await running.asend("hi") == "hi"
        assert await running.athrow(KeyError) == "caught"
        with pytest.raises(StopAsyncIteration):
            await anext(running)
        early = stream()
        assert await anext(early) == 1
        await early.aclose()
        assert [item async for item in stream()] == [1, None]

    asyncio.run(main())
    assert closed == [True] * 3
    assert exp.df.success.tolist() == [True] * 3


def test_an_async_generator_that_fails(exp: cr.Experiment) -> None:
    @exp.track("stream")
    async def stream():
        yield 1
        raise OSError

    async def main() -> None:
        with pytest.raises(OSError):  # noqa: PT011
            _ = [item async for item in stream()]

    asyncio.run(main())
    assert last(exp)["error"] == "OSError"


def test_the_event_is_timed_at_completion() -> None:
    now = [0]
    exp = cr.start("when", clock=lambda: now[0])
    with exp.span("work"):
        now[0] = 10
    assert exp.df.index.asi8.tolist() == [10]


def test_a_paused_experiment_collects_no_span(exp: cr.Experiment) -> None:
    with exp.span("work"):
        exp.pause()
    exp.resume()
    assert len(exp.df) == 0


# -- callables of every kind, and results that are not done when the call is -------------------------------------------

PAUSE = 0.03


def measured(exp: cr.Experiment) -> tuple[bool, float, bool, object]:
    row = last(exp)
    error = row["error"] if isinstance(row["error"], str) else None
    return len(exp.df) == 1, row["latency_ms"] >= PAUSE * 900, bool(row["success"]), error


async def _ask(fail: bool = False) -> str:
    await asyncio.sleep(PAUSE)
    if fail:
        raise TimeoutError("boom")
    return "answer"


class AsyncTool:
    async def __call__(self, fail: bool = False) -> str:
        return await _ask(fail)


class Awaitable:
    """An awaitable object with more to it, as clients' request managers are."""

    url = "here"

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail

    def __await__(self):
        return _ask(self.fail).__await__()

    async def __aenter__(self) -> str:
        return "entered"

    async def __aexit__(self, *exception: object) -> bool:
        return False


@functools.wraps(_ask)
def _sync_wrapper(*args: object, **kwargs: object) -> object:
    return _ask(*args, **kwargs)


ASYNC = {
    "coroutine function": _ask,
    "sync wrapper": _sync_wrapper,
    "callable object": AsyncTool(),
    "bound method": AsyncTool().__call__,
    "partial": functools.partial(_ask),
    "partial of a wrapper": functools.partial(_sync_wrapper),
    "lambda": lambda fail=False: _ask(fail),
    "task": lambda fail=False: asyncio.ensure_future(_ask(fail)),
    "awaitable object": lambda fail=False: Awaitable(fail),
    "coroutine that returns a task": None,
}


async def _task(fail: bool = False) -> object:
    return asyncio.ensure_future(_ask(fail))


@pytest.mark.parametrize("kind", ASYNC)
@pytest.mark.parametrize("fail", [False, True])
def test_awaitables_are_measured_until_they_are_done(exp: cr.Experiment, kind: str, fail: bool) -> None:
    function = ASYNC[kind] or _task
    call = exp.track("ask")(function)

    async def main() -> object:
        result = await call(fail)
        return await result if isinstance(result, asyncio.Future) else result

    if fail:
        with pytest.raises(TimeoutError, match="boom"):
            asyncio.run(main())
    else:
        assert asyncio.run(main()) == "answer"
    assert measured(exp) == (True, True, not fail, "TimeoutError" if fail else None)


def test_a_task_stays_a_task(exp: cr.Experiment) -> None:
    async def main() -> None:
        task = exp.track("ask")(lambda: asyncio.ensure_future(asyncio.sleep(10)))()
        assert isinstance(task, asyncio.Task)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (last(exp)["success"], last(exp)["error"]) == (False, "CancelledError")


def test_an_awaitable_object_keeps_its_attributes_and_its_block(exp: cr.Experiment) -> None:
    async def main() -> None:
        request = exp.track("get")(lambda fail=False: Awaitable(fail))()
        assert request.url == "here"
        async with request as entered:
            assert entered == "entered"
            await asyncio.sleep(PAUSE)
        with pytest.raises(KeyError):
            async with exp.track("get")(lambda fail=False: Awaitable(fail))():
                raise KeyError

    asyncio.run(main())
    assert exp.df.success.tolist() == [True, False]
    assert exp.df.latency_ms.iloc[0] >= PAUSE * 900


def test_time_before_the_await_is_not_the_calls(exp: cr.Experiment) -> None:
    call = exp.track("ask")(_sync_wrapper)

    async def main() -> None:
        waiting = call()
        time.sleep(5 * PAUSE)
        await waiting

    asyncio.run(main())
    assert PAUSE * 900 <= last(exp)["latency_ms"] < PAUSE * 4000


def test_generators_that_a_function_returns_are_measured_to_their_end(exp: cr.Experiment) -> None:
    def numbers(n: int):
        time.sleep(PAUSE)
        yield from range(n)

    async def letters(letter: str = "a"):
        await asyncio.sleep(PAUSE)
        yield letter

    async def ask():
        return letters()

    assert list(exp.track("numbers")(lambda n=2: numbers(n))()) == [0, 1]
    assert list(exp.track("partial")(functools.partial(numbers, 2))()) == [0, 1]

    async def main() -> None:
        assert [item async for item in exp.track("letters")(lambda letter="a": letters(letter))()] == ["a"]
        assert [item async for item in await exp.track("ask")(ask)()] == ["a"]

    asyncio.run(main())
    assert exp.df.event.tolist() == ["numbers", "partial", "letters", "ask"]
    assert (exp.df.latency_ms >= PAUSE * 900).all()


def test_methods_of_every_kind(exp: cr.Experiment) -> None:
    class A:
        @exp.track("static")
        @staticmethod
        def static(x: int) -> int:
            return x

        @staticmethod
        @exp.track("static")
        def inner(x: int) -> int:
            return x

        @exp.track("class")
        @classmethod
        def of(cls) -> str:
            return cls.__name__

        @exp.track
        @classmethod
        async def ask(cls) -> str:
            return await _ask()

        @exp.track
        def plain(self) -> str:
            return type(self).__name__

    assert [A.static(1), A().static(2), A.inner(3), A().inner(4)] == [1, 2, 3, 4]
    assert [A.of(), A().of(), A().plain()] == ["A", "A", "A"]
    assert asyncio.run(A.ask()) == "answer"
    assert len(exp.df) == 8
    assert exp.df.event.iloc[-1].endswith("A.ask")
    assert exp.df.event.iloc[-2].endswith("A.plain")


def test_partials_and_callable_objects_are_named(exp: cr.Experiment) -> None:
    assert exp.track(functools.partial(len, "ab"))() == 2
    asyncio.run(exp.track(AsyncTool())())
    assert exp.df.event.tolist() == ["len", "AsyncTool"]


@pytest.mark.parametrize("thing", [AsyncTool, int, None, 5, property(len)])
def test_classes_and_what_cannot_be_called_are_refused(exp: cr.Experiment, thing: object) -> None:
    for decorate in (exp.track("x"), exp.track, cr.track("x"), cr.track):
        with pytest.raises(cr.ConfigError, match=r"^track=.*: expected a name, a function, a method or a callable"):
            decorate(thing)


def test_fields_after_the_end_are_counted_and_warned_of_once(exp: cr.Experiment) -> None:
    with exp.span("llm.stream") as span:
        span.set(model="m")
    with pytest.warns(cr.CrucibleWarning, match=r"span.set\('prompt_tokens'\) came after the end of span 'llm.stream'"):
        span.set(prompt_tokens=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        span.set(prompt_tokens=5)
        with exp:
            with cr.span("work") as second:
                pass
            second.set(x=1)
    assert exp.summary()["errors"] == 3
    assert "x" not in exp.df
    assert exp.df.prompt_tokens.isna().all()
    with pytest.warns(cr.CrucibleWarning, match="after the end of span 'work'"):  # no experiment is current
        second.set(x=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second.set(x=1)  # never breaks the code it measures


def test_a_pause_is_not_part_of_a_latency(exp: cr.Experiment, monkeypatch) -> None:
    """The machine's clock is set by hand: 10 ms of work, a pause of 1,000 ms, 5 ms of work."""
    from crucible_nb.experiment import spans

    now = [0]
    monkeypatch.setattr(spans.time, "perf_counter_ns", lambda: now[0])

    def work() -> None:
        now[0] += 10_000_000
        exp.pause()
        now[0] += 1_000_000_000
        exp.resume()
        now[0] += 5_000_000

    with exp.span("own"):
        work()
    exp.track("tracked")(work)()
    exp.pause()
    now[0] += 1
    exp.resume()
    with exp.span("after"):
        now[0] += 1_000_000
    with exp, cr.span("current"):
        work()
    assert exp.df.latency_ms.tolist() == [15.0, 15.0, 1.0, 15.0]


def test_an_end_does_not_stop_the_clock_of_a_span(exp: cr.Experiment, monkeypatch) -> None:
    from crucible_nb.experiment import spans

    now = [0]
    monkeypatch.setattr(spans.time, "perf_counter_ns", lambda: now[0])
    span = exp.span("work")
    with span:
        exp.pause()
        exp.stop()
        now[0] += 3
        assert span._clock() == 3
