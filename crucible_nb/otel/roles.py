"""Rows that are counted as calls, and rows that are only part of a trace."""

from __future__ import annotations

from typing import Any

from crucible_nb.otel.aliases import EMBEDDING, EVENTS, LLM, SPAN

TOKENS = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_CALLS = frozenset((EVENTS[LLM], EVENTS[EMBEDDING]))
_OF_CALLS = (*TOKENS, "cost_usd", "model", "provider", "response_model", "ttft_ms", "streamed", "attempts")


def is_call(event: str) -> bool:
    """Return whether an event is a call of a model."""
    return event in _CALLS


def demote(row: dict[str, Any], twin_of: str | None = None) -> None:
    """Turn a call into a `trace.span`: it was counted elsewhere, so its tokens and cost go to metadata.

    Examples:
        >>> row = {"event": "llm.request", "prompt_tokens": 21, "metadata": {"scope": "demo"}}
        >>> demote(row, "ab")
        >>> row
        {'event': 'trace.span', 'metadata': {'scope': 'demo', 'prompt_tokens': 21}, 'twin_of': 'ab'}
    """
    row["event"] = EVENTS[SPAN]
    row["metadata"] = {**row["metadata"], **{name: row.pop(name) for name in _OF_CALLS if name in row}}
    if twin_of is not None:
        row["twin_of"] = twin_of


def complete(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    """Fill what the outer of two rows of one call does not say from the inner one."""
    for name in (*_OF_CALLS, "session_id", "user_id", "error", "error_class"):
        if outer.get(name) is None and inner.get(name) is not None and name in inner:
            outer[name] = inner[name]


def is_call_kind(kind: str) -> bool:
    """Return whether spans of a kind are calls of a model."""
    return kind in (LLM, EMBEDDING)
