"""Spans and tracked functions: what is measured, and that nothing is changed."""

from __future__ import annotations

import asyncio
import time

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
