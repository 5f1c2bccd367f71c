"""LiteLLM and Mistral, and all clients that are installed."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import Any

from crucible_nb.capture.answers import Fields, get, openai_answer, put
from crucible_nb.capture.base import Capture, capture_of, checked, installed, nothing_patched
from crucible_nb.capture.calls import Call, begin_call
from crucible_nb.capture.functions import measured
from crucible_nb.capture.google import google_genai
from crucible_nb.capture.patching import patch
from crucible_nb.capture.stainless import anthropic, count_attempts, openai
from crucible_nb.errors import ConfigError
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.utils.checks import wrong
from crucible_nb.utils.optional import have

_LITELLM = {
    "completion": "llm.request", "acompletion": "llm.request", "text_completion": "llm.request",
    "atext_completion": "llm.request", "responses": "llm.request", "aresponses": "llm.request",
    "embedding": "llm.embedding", "aembedding": "llm.embedding",
}  # fmt: skip
_MISTRAL = (
    ("chat", "Chat", {"complete": False, "complete_async": False, "stream": True, "stream_async": True}, "llm.request"),
    ("embeddings", "Embeddings", {"create": False, "create_async": False}, "llm.embedding"),
)


def litellm(client: Any = None, exp: Experiment | None = None) -> Capture:
    """Record every call of LiteLLM: completion, responses and embeddings; sync, async and streamed.

    The functions are replaced in the package, so import them after this (`litellm.completion(...)` always works).
    Where LiteLLM uses the OpenAI client, attempts are counted. See `cr.capture.openai`.

    Args:
        client: None: LiteLLM has functions, no clients.
        exp: Experiment to record into; None for the current one when a call begins.

    Returns:
        A Capture with `undo`, also usable in `with`.

    Raises:
        ConfigError: The package is not installed, or a client is given: nothing could be patched.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.capture.litellm(client="gpt-4o")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.ConfigError: client='gpt-4o': expected None: LiteLLM has functions, no clients
    """
    experiment = checked(exp)
    if client is not None:
        raise wrong("client", client, "None: LiteLLM has functions, no clients")
    module = installed("litellm", have("litellm"), "litellm")

    def patch_function(capture: Capture, name: str, event: str) -> bool:
        begin = partial(_begin_litellm, capture, experiment, event)
        return patch(capture, module, name, partial(measured, begin=begin))

    parts = {name: partial(patch_function, name=name, event=event) for name, event in _LITELLM.items()}
    capture = capture_of("litellm", parts, "function `completion`")
    count_attempts(capture)
    return capture


def _begin_litellm(
    capture: Capture, experiment: Experiment | None, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call | None:
    asked = str(kwargs.get("model") or (args[0] if args else ""))
    provider, model = _route(asked, kwargs.get("custom_llm_provider"))
    fields = {"event": event, "provider": provider, "model": model}
    content = kwargs.get("messages") or kwargs.get("input")
    streamed = bool(kwargs.get("stream"))
    return begin_call(capture, experiment, fields, _litellm_answer, streamed=streamed, content=content)


def _route(asked: str, given: Any) -> tuple[str | None, str]:
    """Return provider and model of a name such as "openai/gpt-4o"."""
    try:
        model, provider, *_ = sys.modules["litellm"].get_llm_provider(asked, custom_llm_provider=given)
    except Exception:  # noqa: BLE001  LiteLLM raises for models that it does not know
        before, slash, rest = asked.partition("/")
        return (before, rest) if slash else (given, asked)
    return provider, model


def _litellm_answer(fields: Fields, part: Any) -> None:
    openai_answer(fields, part)
    usage = get(part, "usage")
    put(
        fields,
        cache_read_tokens=get(usage, "cache_read_input_tokens"),
        cache_write_tokens=get(usage, "cache_creation_input_tokens"),
    )
    cost = get(part, "_hidden_params", "response_cost")
    if isinstance(cost, float) and cost > 0:
        fields["cost_usd"] = cost


def mistral(client: Any = None, exp: Experiment | None = None) -> Capture:
    """Record every call of Mistral's client: chat and embeddings; sync, async and streamed. See `cr.capture.openai`.

    Args:
        client: One `Mistral`, patched in place; None for all.
        exp: Experiment to record into; None for the current one when a call begins.

    Returns:
        A Capture with `undo`, also usable in `with`.

    Raises:
        ConfigError: The package is not installed, or the client is of another kind: nothing could be patched.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.capture.mistral() as capture:
        ...     capture.patched
        ('Chat', 'Embeddings')
    """
    experiment, home = checked(exp), _mistral_home()
    installed("mistral", home, "mistralai")
    if client is not None and not hasattr(client, "chat"):
        raise wrong("client", client, "a mistralai Mistral or None")

    def patch_part(capture: Capture, part: str, name: str, methods: dict[str, bool], event: str) -> bool:
        owner = getattr(import_module(f"{home}.{part}"), name) if client is None else getattr(client, part)
        found = False
        for method, streamed in methods.items():
            begin = partial(_begin_mistral, capture, experiment, event, streamed)
            found |= patch(capture, owner, method, partial(measured, begin=begin))
        return found

    parts = {
        name: partial(patch_part, part=part, name=name, methods=methods, event=event)
        for part, name, methods, event in _MISTRAL
    }
    return capture_of("mistral", parts, "method `complete`")


def _mistral_home() -> str | None:
    for home in ("mistralai.client", "mistralai"):
        try:
            import_module(f"{home}.chat")
        except ModuleNotFoundError:
            continue
        return home
    return None


def _begin_mistral(
    capture: Capture, experiment: Experiment | None, event: str, streamed: bool, _args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Call | None:  # fmt: skip
    fields = {"event": event, "provider": "mistral", "model": kwargs.get("model")}
    content = kwargs.get("messages")
    return begin_call(capture, experiment, fields, _mistral_answer, streamed=streamed, content=content)


def _mistral_answer(fields: Fields, part: Any) -> None:
    data = get(part, "data")
    openai_answer(fields, part if data is None or isinstance(data, list) else data)


def auto(exp: Experiment | None = None) -> Capture:
    """Record the calls of all clients that are installed, and print which ones.

    LiteLLM loads a list of prices from the network when it is imported, so it is captured only if it is imported
    already. OpenTelemetry is not part of this: a call that both record would count twice.

    Args:
        exp: Experiment to record into; None for the current one when a call begins.

    Returns:
        One Capture of all.

    Raises:
        ConfigError: None of the clients is installed.

    Examples:
        >>> import crucible_nb as cr
        >>> cr.capture.auto().undo()  # doctest: +ELLIPSIS
        crucible_nb: capturing ...
    """
    capture, missing = Capture("auto"), []
    for name, make in {
        "openai": openai, "anthropic": anthropic, "google_genai": google_genai, "litellm": litellm, "mistral": mistral
    }.items():  # fmt: skip
        if name == "litellm" and name not in sys.modules:
            continue
        try:
            part = make(exp=exp)
        except ConfigError as error:
            if "is not installed" not in str(error):
                missing.append(str(error))
            continue
        capture.patched += (name,)
        part._rows = capture._rows
        capture._on_undo(part.undo)
        capture._parts.append(part)
    if not capture.patched:
        raise nothing_patched("auto", "; ".join(missing) or "no client is installed that it knows")
    print("crucible_nb: capturing " + ", ".join(capture.patched) + "".join(f"; {why}" for why in missing))  # noqa: T201
    return capture
