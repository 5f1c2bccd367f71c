"""Read answers and chunks of providers: objects of their clients, or mappings of their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fields = dict[str, Any]


def get(value: Any, *path: str) -> Any:
    """Return a field of nested objects or mappings; None where there is none.

    Examples:
        >>> get({"usage": {"tokens": 5}}, "usage", "tokens"), get(None, "usage")
        (5, None)
    """
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def put(fields: Fields, **values: Any) -> None:
    """Write the values that are known."""
    fields.update({name: value for name, value in values.items() if value is not None})


def openai_answer(fields: Fields, part: Any) -> None:
    """Read an answer, or a chunk, of chat completions, completions, responses or embeddings of OpenAI.

    Examples:
        >>> fields = {}
        >>> openai_answer(fields, {"usage": {"prompt_tokens": 21, "completion_tokens": 9}, "model": "m-1"})
        >>> fields
        {'response_model': 'm-1', 'prompt_tokens': 21, 'completion_tokens': 9}
    """
    kind = get(part, "type")
    if isinstance(kind, str) and kind.startswith(("response.", "error")):
        _response_event(fields, kind, part)
        return
    put(fields, response_model=get(part, "model"))
    usage = get(part, "usage")
    if usage is not None:
        _openai_usage(fields, usage)
    for choice in get(part, "choices") or ():
        put(fields, finish_reason=get(choice, "finish_reason"))
        for message in (get(choice, "message"), get(choice, "delta")):
            for call in get(message, "tool_calls") or ():
                _count_tool(fields, (get(choice, "index"), get(call, "index") or get(call, "id")))
    if get(part, "output") is not None:
        _response(fields, part)


def _openai_usage(fields: Fields, usage: Any) -> None:
    given = get(usage, "prompt_tokens_details") or get(usage, "input_tokens_details")
    answered = get(usage, "completion_tokens_details") or get(usage, "output_tokens_details")
    prompt, completion = get(usage, "prompt_tokens"), get(usage, "completion_tokens")
    put(
        fields,
        prompt_tokens=get(usage, "input_tokens") if prompt is None else prompt,
        completion_tokens=get(usage, "output_tokens") if completion is None else completion,
        cache_read_tokens=get(given, "cached_tokens"),
        cache_write_tokens=get(given, "cache_write_tokens"),
        reasoning_tokens=get(answered, "reasoning_tokens"),
    )


def _count_tool(fields: Fields, key: Any) -> None:
    seen = fields.setdefault("_tools", set())
    seen.add(key)
    fields["tool_calls"] = len(seen)


def _response_event(fields: Fields, kind: str, part: Any) -> None:
    """Read an event of a streamed response."""
    response = get(part, "response")
    put(fields, response_model=get(response, "model"))
    if kind in ("response.completed", "response.incomplete", "response.failed"):
        _response(fields, response)
    elif kind == "error":
        put(fields, finish_reason="error", error=get(part, "code") or "error", failed=True)


def _response(fields: Fields, response: Any) -> None:
    status = get(response, "status")
    put(fields, finish_reason=status)
    if status in ("failed", "cancelled"):
        put(fields, failed=True, error=get(response, "error", "code") or status)
    usage = get(response, "usage")
    if usage is not None:
        _openai_usage(fields, usage)
    for item in get(response, "output") or ():
        if str(get(item, "type")).endswith("_call"):
            _count_tool(fields, get(item, "id"))


def anthropic_answer(fields: Fields, part: Any) -> None:
    """Read a message, or an event of a streamed one, of Anthropic; prompt tokens include cached ones.

    Examples:
        >>> fields = {}
        >>> usage = {"input_tokens": 30, "output_tokens": 40, "cache_read_input_tokens": 2000}
        >>> anthropic_answer(fields, {"type": "message", "usage": usage, "stop_reason": "end_turn"})
        >>> fields["prompt_tokens"], fields["cache_read_tokens"]
        (2030, 2000)
    """
    kind = get(part, "type")
    if kind == "message_start":
        message = get(part, "message")
        put(fields, response_model=get(message, "model"))
        _anthropic_usage(fields, get(message, "usage"))
        fields.pop("completion_tokens", None)  # of the first chunk
    elif kind == "message_delta":
        put(fields, finish_reason=get(part, "delta", "stop_reason"))
        _anthropic_usage(fields, get(part, "usage"))
    elif kind == "content_block_start":
        _anthropic_block(fields, get(part, "content_block"))
    elif kind == "message":
        put(fields, response_model=get(part, "model"), finish_reason=get(part, "stop_reason"))
        _anthropic_usage(fields, get(part, "usage"))
        for block in get(part, "content") or ():
            _anthropic_block(fields, block)


def _anthropic_block(fields: Fields, block: Any) -> None:
    if str(get(block, "type")).endswith("tool_use"):
        _count_tool(fields, get(block, "id"))


def _anthropic_usage(fields: Fields, usage: Any) -> None:
    put(
        fields,
        _uncached=get(usage, "input_tokens"),
        cache_read_tokens=get(usage, "cache_read_input_tokens"),
        cache_write_tokens=get(usage, "cache_creation_input_tokens"),
        completion_tokens=get(usage, "output_tokens"),
        reasoning_tokens=get(usage, "output_tokens_details", "thinking_tokens"),
    )
    if "_uncached" in fields:
        parts = ("_uncached", "cache_read_tokens", "cache_write_tokens")
        fields["prompt_tokens"] = sum(fields.get(name) or 0 for name in parts)


def google_answer(fields: Fields, part: Any) -> None:
    """Read an answer, or a chunk, of Google; thoughts are part of the completion tokens.

    Examples:
        >>> fields = {}
        >>> google_answer(fields, {"usage_metadata": {"prompt_token_count": 14, "candidates_token_count": 8,
        ...     "thoughts_token_count": 160}})
        >>> fields["completion_tokens"], fields["reasoning_tokens"]
        (168, 160)
    """
    put(fields, response_model=get(part, "model_version"))
    usage = get(part, "usage_metadata")
    answered, thoughts = get(usage, "candidates_token_count"), get(usage, "thoughts_token_count")
    given = get(usage, "prompt_token_count")
    put(
        fields,
        prompt_tokens=None if given is None else given + (get(usage, "tool_use_prompt_token_count") or 0),
        completion_tokens=None if answered is None and thoughts is None else (answered or 0) + (thoughts or 0),
        cache_read_tokens=get(usage, "cached_content_token_count"),
        reasoning_tokens=thoughts,
    )
    for candidate in get(part, "candidates") or ():
        reason = get(candidate, "finish_reason")
        put(fields, finish_reason=None if reason is None else str(getattr(reason, "value", reason)))
        for block in get(candidate, "content", "parts") or ():
            if get(block, "function_call") is not None:
                fields["tool_calls"] = fields.get("tool_calls", 0) + 1


def google_embedding(fields: Fields, part: Any) -> None:
    """Read embeddings of Google; only Vertex tells the tokens."""
    counts = [get(embedding, "statistics", "token_count") for embedding in get(part, "embeddings") or ()]
    known = [int(count) for count in counts if count is not None]
    put(fields, prompt_tokens=sum(known) if known else None)
