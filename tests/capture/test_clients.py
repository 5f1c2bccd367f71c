"""Wrappers of the provider clients, with the real packages against a server that speaks their protocols."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import crucible_nb as cr
from tests.capture.server import Server, serving
from tests.conftest import missing, need

pytestmark = pytest.mark.filterwarnings(  # of the packages
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::DeprecationWarning"
)
ASKED = [{"role": "user", "content": "Which land borders Freedonia?"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def exp() -> Iterator[cr.Experiment]:
    with cr.start("clients") as experiment:
        yield experiment


def row(exp: cr.Experiment, model: str) -> dict[str, Any]:
    [found] = exp.df[exp.df.model == model].to_dict("records")
    return {str(name): value for name, value in found.items()}


def check(exp: cr.Experiment, outcome: dict[str, tuple[bool | None, str | None, int | None]]) -> None:
    """Compare success, error and attempts by model."""
    for model, (success, error, attempts) in outcome.items():
        found = row(exp, model)
        assert (pd.isna(found["success"]), pd.isna(found["error"])) == (success is None, error is None), model
        assert success is None or found["success"] == success, model
        assert error is None or found["error"] == error, model
        assert attempts is None or found["attempts"] == attempts, model


@pytest.mark.check
def test_openai(server: Server, exp: cr.Experiment) -> None:
    openai = need("openai")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=2, timeout=20)
    chat = client.chat.completions
    with cr.capture.openai() as capture:
        chat.create(model="plain", messages=ASKED, tools=[TOOL])
        list(chat.create(model="stream", messages=ASKED, stream=True, stream_options={"include_usage": True}))
        list(chat.create(model="no-usage", messages=ASKED, stream=True))
        chat.create(model="retry-o", messages=ASKED)
        once = client.with_options(max_retries=0)
        with pytest.raises(openai.InternalServerError):
            once.chat.completions.create(model="broken", messages=ASKED)
        with pytest.raises(openai.APITimeoutError):
            client.with_options(max_retries=0, timeout=0.1).chat.completions.create(model="slow", messages=ASKED)
        with pytest.raises(openai.APIConnectionError):
            list(chat.create(model="drop", messages=ASKED, stream=True))
        with chat.create(model="left", messages=ASKED, stream=True) as chunks:
            next(chunks)
        assert chat.with_raw_response.create(model="raw", messages=ASKED).parse().usage.total_tokens == 30
        list(chat.with_raw_response.create(model="raw-stream", messages=ASKED, stream=True).parse())
        with chat.with_streaming_response.create(model="unread", messages=ASKED) as response:
            response.read()
        with chat.stream(model="helper", messages=ASKED) as events:
            assert events.get_final_completion().choices[0].message.content == "Sylvania"
        client.responses.create(model="response", input="x")
        list(client.responses.create(model="response-stream", input="x", stream=True))
        client.embeddings.create(model="embed", input="x")
        client.close()
    check(exp, {
        "plain": (True, None, 1), "stream": (True, None, 1), "no-usage": (True, None, 1), "retry-o": (True, None, 3),
        "broken": (False, "InternalServerError", 1), "slow": (False, "APITimeoutError", 1),
        "drop": (False, "APIConnectionError", 1), "left": (None, None, 1), "raw": (True, None, 1),
        "raw-stream": (True, None, 1), "unread": (True, None, 1), "helper": (True, None, 1), "response": (True, None, 1),
        "response-stream": (True, None, 1), "embed": (True, None, 1),
    })  # fmt: skip
    plain, streamed, response = row(exp, "plain"), row(exp, "stream"), row(exp, "response-stream")
    assert (plain["response_model"], plain["provider"], plain["tool_calls"]) == ("plain-1", "openai", 1)
    for found in (plain, streamed, row(exp, "raw"), row(exp, "unread")):
        assert [
            found[name] for name in ("prompt_tokens", "completion_tokens", "cache_read_tokens", "reasoning_tokens")
        ] == [21, 9, 16, 3]
    assert 0 < streamed["ttft_ms"] <= streamed["latency_ms"]
    assert (plain["streamed"], streamed["streamed"]) == (False, True)
    assert (response["prompt_tokens"], response["completion_tokens"], response["tool_calls"]) == (40, 70, 1)
    assert (row(exp, "embed")["event"], row(exp, "embed")["prompt_tokens"]) == ("llm.embedding", 12)
    assert pd.isna(row(exp, "no-usage")["prompt_tokens"])
    assert "Freedonia" not in exp.df.to_csv()
    assert len(capture.events) == len(exp.df) == 15


@pytest.mark.check
def test_openai_asynchronous_and_in_threads(server: Server, exp: cr.Experiment) -> None:
    openai = need("openai")

    async def work() -> None:
        client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
        chat = client.chat.completions
        await asyncio.gather(*(chat.create(model=f"task-{i}", messages=ASKED) for i in range(4)))
        async for _ in await chat.create(model="a-stream", messages=ASKED, stream=True):
            pass
        with pytest.raises(openai.APIConnectionError):
            async for _ in await chat.create(model="a-drop", messages=ASKED, stream=True):
                pass
        async with chat.stream(model="a-helper", messages=ASKED) as events:
            async for _ in events:
                pass
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(chat.create(model="a-slow", messages=ASKED), 0.1)
        await client.close()

    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)
    with cr.capture.openai(exp=exp):
        asyncio.run(work())
        threads = [
            threading.Thread(target=client.chat.completions.create, kwargs={"model": f"thread-{i}", "messages": ASKED})
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    client.close()
    done = {f"{kind}-{i}": (True, None, 1) for kind in ("task", "thread") for i in range(4)}
    check(
        exp,
        {**done, "a-stream": (True, None, 1), "a-drop": (False, "APIConnectionError", 1), "a-helper": (True, None, 1)},
    )
    assert pd.isna(row(exp, "a-slow")["success"])  # the caller gave up


@pytest.mark.check
def test_anthropic(server: Server, exp: cr.Experiment) -> None:
    anthropic = need("anthropic")
    client = anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=2, timeout=20)
    more = {"max_tokens": 5, "messages": ASKED}
    with cr.capture.anthropic(exp=exp):
        client.messages.create(model="claude", **more)
        list(client.messages.create(model="claude-stream", stream=True, **more))
        with client.messages.stream(model="claude-helper", **more) as stream:
            assert stream.get_final_message().usage.output_tokens == 40
        with client.messages.stream(model="claude-left", **more) as stream:
            next(iter(stream))
        client.messages.create(model="retry-a", **more)
        with pytest.raises(anthropic.InternalServerError):
            client.with_options(max_retries=0).messages.create(model="broken-a", **more)
        with pytest.raises(Exception, match="peer closed"):
            list(client.messages.create(model="claude-drop", stream=True, **more))
    client.close()
    check(exp, {
        "claude": (True, None, 1), "claude-stream": (True, None, 1), "claude-helper": (True, None, 1),
        "claude-left": (None, None, 1), "retry-a": (True, None, 3), "broken-a": (False, "InternalServerError", 1),
        "claude-drop": (False, "RemoteProtocolError", 1),
    })  # fmt: skip
    for model in ("claude", "claude-stream", "claude-helper"):
        found = row(exp, model)
        tokens = [found[f"{name}_tokens"] for name in ("prompt", "completion", "cache_read", "cache_write")]
        assert tokens == [2030, 40, 500, 1500], model
    assert pd.isna(row(exp, "claude-drop")["completion_tokens"])
    assert row(exp, "claude")["tool_calls"] == 1


@pytest.mark.check
def test_google(server: Server, exp: cr.Experiment) -> None:
    genai = need("google.genai")
    retry = genai.types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002)
    options = genai.types.HttpOptions(base_url=server.url, timeout=20_000, retry_options=retry)
    client = genai.Client(api_key="k", http_options=options)

    async def work() -> None:
        await client.aio.models.generate_content(model="g-async", contents="x")
        async for _ in await client.aio.models.generate_content_stream(model="g-a-stream", contents="x"):
            pass
        await client.aio.aclose()

    with cr.capture.google_genai(client, exp):
        client.models.generate_content(model="g-plain", contents="x")
        list(client.models.generate_content_stream(model="g-stream", contents="x"))
        client.models.embed_content(model="g-embed", contents="x")
        client.models.generate_content(model="g-retry", contents="x")
        with pytest.raises(genai.errors.ServerError):
            client.models.generate_content(model="g-broken", contents="x")
        with pytest.raises(Exception, match="peer closed"):
            list(client.models.generate_content_stream(model="g-drop", contents="x"))
        asyncio.run(work())
    client.models.generate_content(model="g-after", contents="x")
    client.close()
    check(exp, {
        "g-plain": (True, None, 1), "g-stream": (True, None, 1), "g-embed": (True, None, 1), "g-retry": (True, None, 3),
        "g-broken": (False, "ServerError", 3), "g-async": (True, None, 1), "g-a-stream": (True, None, 1),
    })  # fmt: skip
    assert "g-after" not in set(exp.df.model)
    found = row(exp, "g-stream")
    assert [found[f"{name}_tokens"] for name in ("prompt", "completion", "cache_read", "reasoning")] == [
        14,
        168,
        6,
        160,
    ]
    assert (row(exp, "g-drop")["success"], pd.isna(row(exp, "g-drop")["completion_tokens"])) == (False, True)


@pytest.mark.check
def test_mistral(server: Server, exp: cr.Experiment) -> None:
    mistral = need("mistralai.client")
    with cr.capture.mistral(exp=exp), mistral.Mistral(api_key="k", server_url=server.url) as client:
        client.chat.complete(model="m-plain", messages=ASKED)
        with client.chat.stream(model="m-stream", messages=ASKED) as chunks:
            assert len(list(chunks)) == 3
        client.embeddings.create(model="m-embed", inputs=["x"])
        with pytest.raises(mistral.errors.SDKError):
            client.chat.complete(model="m-broken", messages=ASKED)
    check(exp, {
        "m-plain": (True, None, None), "m-stream": (True, None, None), "m-embed": (True, None, None),
        "m-broken": (False, "SDKError", None),
    })  # fmt: skip
    assert row(exp, "m-plain")["total_tokens"] == 30


LITELLM = """
import asyncio, sys
import litellm
import crucible_nb as cr
from tests.capture.server import serving
asked = [{"role": "user", "content": "x"}]
with serving() as server, cr.start("litellm") as exp, cr.capture.openai(), cr.capture.litellm():
    more = {"api_base": server.url + "/v1", "api_key": "k"}
    litellm.completion("openai/gpt-4o-mini", asked, **more)
    list(litellm.completion(model="openai/stream", messages=asked, stream=True, stream_options={"include_usage": True}, **more))
    litellm.embedding(model="openai/text-embedding-3-small", input=["x"], **more)
    litellm.completion(model="openai/retry-l", messages=asked, max_retries=2, **more)
    try:
        litellm.completion(model="openai/broken", messages=asked, max_retries=0, **more)
    except litellm.InternalServerError:
        pass
    async def work():
        await litellm.acompletion(model="openai/async", messages=asked, **more)
        async for _ in await litellm.acompletion(model="openai/a-stream", messages=asked, stream=True, **more):
            pass
    asyncio.run(work())
for event in exp.df[["model", "provider", "total_tokens", "success", "error", "attempts"]].values.tolist():
    print(event)
"""


@pytest.mark.check
def test_litellm_is_counted_once_though_it_uses_the_openai_client() -> None:
    if importlib.util.find_spec("litellm") is None:  # importing it takes seconds, and asks the network
        missing("litellm")
    settings = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LITELLM], capture_output=True, text=True, timeout=120, check=True,
        env=settings, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith(("[", "crucible_nb"))]
    assert lines == [
        "['gpt-4o-mini', 'openai', 30, True, nan, 1]",
        "['stream', 'openai', 30, True, nan, 1]",
        "['text-embedding-3-small', 'openai', 12, True, nan, 1]",
        "['retry-l', 'openai', 30, True, nan, 3]",
        "['broken', 'openai', <NA>, False, 'InternalServerError', 1]",
        "['async', 'openai', 30, True, nan, 1]",
        "['a-stream', 'openai', <NA>, True, nan, 1]",
    ]


def test_one_client_undo_and_the_current_experiment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    openai = need("openai")
    before = vars(openai.OpenAI).copy()
    mine, other = (openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) for _ in range(2))
    ask = {"model": "one", "messages": ASKED}
    capture = cr.capture.openai(mine)
    assert vars(openai.OpenAI) == before
    mine.chat.completions.create(**ask)  # no experiment is current: not recorded, and no error
    with cr.start("first") as first:
        mine.chat.completions.create(**ask)
        other.chat.completions.create(**ask)
        everywhere = cr.capture.openai()
        mine.chat.completions.create(**ask)  # both wrap it; it is one event
    with cr.start("second") as second:
        other.chat.completions.create(**ask)
        monkeypatch.setenv("CRUCIBLE_CAPTURE_CONTENT", "1")
        other.chat.completions.create(**ask)
        capture.undo()
        everywhere.undo()
        other.chat.completions.create(**ask)
        mine.chat.completions.create(**ask)
    assert (len(first.df), len(second.df), vars(openai.OpenAI)) == (2, 2, before)
    assert ["Freedonia" in str(text) for text in second.df.metadata] == [False, True]
    assert (repr(capture), repr(everywhere)) == (
        "<Capture of openai: 2 events, undone>",
        "<Capture of openai: 2 events, undone>",
    )
    mine.close()
    other.close()
    gc.collect()


def test_a_capture_that_cannot_take_hold_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    need("openai")
    with pytest.raises(cr.ConfigError, match="client=.*expected a client of openai"):
        cr.capture.openai(object())
    with pytest.raises(cr.ConfigError, match="exp=5"):
        cr.capture.anthropic(exp=5)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "openai", None)  # as if it were not installed
    with pytest.raises(cr.ConfigError, match="nothing could be patched: the package openai is not installed"):
        cr.capture.openai()
    monkeypatch.setitem(sys.modules, "openai", type(sys)("openai"))  # a version without its classes
    with pytest.raises(cr.ConfigError, match="no client with a method `request`"):
        cr.capture.openai()
