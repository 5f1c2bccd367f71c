"""The client of Google's models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from crucible_nb.capture.answers import google_answer, google_embedding
from crucible_nb.capture.base import Capture, capture_of, checked, installed, name_of
from crucible_nb.capture.calls import Call, begin_call, count_attempt
from crucible_nb.capture.functions import measured
from crucible_nb.capture.patching import patch
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.utils.checks import wrong
from crucible_nb.utils.optional import have

_ONE_CALL = {"_generate_content": False, "_generate_content_stream": True}
"""Methods that send one request, and whether they stream: the public ones send several where tools are called."""
_PUBLIC = {"generate_content": False, "generate_content_stream": True}


def google_genai(client: Any = None, exp: Experiment | None = None) -> Capture:
    """Record every call of Google's client (`google-genai`): content and embeddings; sync, async and streamed.

    Where the client calls tools by itself, each request to the model is an event. See `cr.capture.openai`.

    Args:
        client: One `genai.Client`, patched in place; None for all.
        exp: Experiment to record into; None for the current one when a call begins.

    Returns:
        A Capture with `undo`, also usable in `with`.

    Raises:
        ConfigError: The package is not installed, or the client is of another kind: nothing could be patched.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.capture.google_genai() as capture:
        ...     capture.patched
        ('Models', 'AsyncModels')
    """
    experiment = checked(exp)
    installed("google_genai", have("google.genai"), "google-genai")
    models, genai = import_module("google.genai.models"), import_module("google.genai")
    if client is not None and not isinstance(client, genai.Client):
        raise wrong("client", client, "a google.genai.Client or None")
    owners = (models.Models, models.AsyncModels) if client is None else (client.models, client.aio.models)
    parts = {name_of(owner): partial(_patch_models, owner=owner, experiment=experiment) for owner in owners}
    capture = capture_of("google_genai", parts, "methods generate_content")
    _patch_attempts(capture, client)
    return capture


def _patch_models(capture: Capture, owner: Any, experiment: Experiment | None) -> bool:
    methods = _ONE_CALL if hasattr(owner, "_generate_content") else _PUBLIC
    found = False
    for name, streamed in methods.items():
        begin = partial(_begin, capture, experiment, "llm.request", google_answer, streamed)
        found |= patch(capture, owner, name, partial(measured, begin=begin))
    begin = partial(_begin, capture, experiment, "llm.embedding", google_embedding, False)
    return patch(capture, owner, "embed_content", partial(measured, begin=begin)) or found


def _begin(
    capture: Capture, experiment: Experiment | None, event: str, read: Any, streamed: bool, _args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Call | None:  # fmt: skip
    model = str(kwargs.get("model") or "").removeprefix("models/") or None
    fields = {"event": event, "provider": "google", "model": model}
    return begin_call(capture, experiment, fields, read, streamed=streamed, content=kwargs.get("contents"))


def _patch_attempts(capture: Capture, client: Any) -> None:
    """Count the requests: the client sends each attempt by a method of its own."""
    owner = getattr(client, "_api_client", None)
    if owner is None:
        owner = getattr(import_module("google.genai._api_client"), "BaseApiClient", None)
    for name in ("_request_once", "_async_request_once"):
        if owner is not None:
            patch(capture, owner, name, _counted)


def _counted(original: Callable[..., Any]) -> Callable[..., Any]:
    def send(*args: Any, **kwargs: Any) -> Any:
        count_attempt(object())  # the same request object is sent again
        return original(*args, **kwargs)

    return send
