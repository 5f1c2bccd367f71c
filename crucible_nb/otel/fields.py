"""Fields of one span: what its attributes, status and moments say, by the tables of aliases."""

from __future__ import annotations

import re
from typing import Any

from crucible_nb.events.providers import provider_of
from crucible_nb.otel import aliases
from crucible_nb.otel.aliases import EMBEDDING, LLM, SPAN, TOOL
from crucible_nb.otel.reading import Aliases, boolean, first, real, text, whole
from crucible_nb.otel.records import ERROR, SpanRecord
from crucible_nb.utils.instants import nanoseconds

_CLASS = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Timeout|Exceeded|Interrupt))(?:[:(]|$)")
_MS = 1e6
_WITH_CONTENT = aliases.KEPT.union(aliases.CONTENT)
_ALIASES = Aliases({**aliases.TEXTS, **aliases.TOKENS, "cost_usd": aliases.COSTS})
_MODEL_LIKE = (LLM, EMBEDDING)


def kind_of(attributes: Any) -> str:
    """Return the kind of a span by its attributes: "llm", "embedding", "tool" or "span".

    Examples:
        >>> kind_of({"gen_ai.operation.name": "chat"}), kind_of({"gen_ai.usage.input_tokens": 5})
        ('llm', 'span')
    """
    for name, kinds in aliases.KINDS:
        value = text(attributes.get(name))
        if value is not None:
            return kinds.get(value.lower(), SPAN)
    return SPAN


def fields_of(span: SpanRecord, *, content: bool = False) -> dict[str, Any]:
    """Return the columns of the event that a span is, without those that depend on other spans.

    Args:
        span: The span.
        content: Whether to keep the text of messages, in `metadata`.

    Examples:
        >>> span = SpanRecord("1" * 32, "2" * 16, None, "chat", "demo", 0, 5_000_000, attributes={
        ...     "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 21})
        >>> fields = fields_of(span)
        >>> fields["event"], fields["model"], fields["prompt_tokens"], fields["latency_ms"]
        ('llm.request', 'm', 21, 5.0)
    """
    kind, attributes = kind_of(span.attributes), span.attributes
    failed = span.status == ERROR or attributes.get("langfuse.observation.level") == "ERROR"
    failed = failed or bool(text(attributes.get("error.type")))
    told = _ALIASES.read(attributes)
    fields: dict[str, Any] = {
        "event": aliases.EVENTS[kind],
        "time": span.end,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": text(first(attributes, aliases.TOOL_NAMES)) or span.name if kind == TOOL else span.name,
        "latency_ms": (span.end - span.start) / _MS,
        "success": not failed,
        "session_id": text(told.get("session_id")),
        "user_id": text(told.get("user_id")),
    }
    if failed:
        fields["error"] = _error(span)
        fields["error_class"] = None if fields["error"] is None else fields["error"].rpartition(".")[2]
    tokens = {name: whole(told.get(name)) for name in aliases.TOKENS}
    if kind in _MODEL_LIKE:
        fields |= _call_fields(span, told, tokens, failed=failed)
    elif any(value is not None for value in tokens.values()):
        fields["metadata"] = {name: value for name, value in tokens.items() if value is not None}
    names = _WITH_CONTENT if content else aliases.KEPT
    kept = {name: value for name, value in attributes.items() if name in names and value not in (None, "")}
    fields["metadata"] = {"scope": span.scope, **dict(sorted(kept.items())), **fields.get("metadata", {})}
    return {name: value for name, value in fields.items() if value is not None}


def _call_fields(
    span: SpanRecord, told: dict[str, Any], tokens: dict[str, int | None], *, failed: bool
) -> dict[str, Any]:
    """Return what only a call of a model has."""
    attributes = span.attributes
    model = _without_route(text(told.get("model")), attributes)
    fields: dict[str, Any] = {
        "model": model,
        "response_model": text(told.get("response_model")),
        "provider": _provider(attributes) or aliases.PROVIDERS_BY_NAME.get(span.name),
        "ttft_ms": _first_chunk_ms(span),
        **{name: value for name, value in tokens.items() if name != "total_tokens"},
    }
    if fields["provider"] == "google":
        fields |= _with_thoughts(tokens)
    streamed = _streamed(span, fields["ttft_ms"])
    fields["streamed"] = streamed
    if streamed and first(attributes, aliases.FINISHED) is None:
        if failed:  # counted when the stream broke: the number of a first chunk, not of the answer
            fields["completion_tokens"] = None
        elif fields["completion_tokens"] is None:
            fields["success"] = None  # dropped or abandoned: nothing says that it came to its end
    resent = whole(attributes.get("http.request.resend_count"))
    fields["attempts"] = None if resent is None else resent + 1
    cost = real(told.get("cost_usd"))
    if cost is not None and (cost > 0 or fields["prompt_tokens"] is not None):
        fields["cost_usd"] = cost
    return fields


def _without_route(model: str | None, attributes: dict[str, Any]) -> str | None:
    """Remove the provider that LiteLLM puts before a model ("openai/gpt-4o")."""
    if model is None or "/" not in model:
        return model
    before, _, rest = model.partition("/")
    known = text(first(attributes, aliases.TEXTS["provider"]))
    shown = {text(attributes.get(name)) for name in ("llm.model_name", "embedding.model_name", "gen_ai.response.model")}
    same = known is not None and provider_of(known.lower()) == provider_of(before.lower())
    return rest if same or rest in shown or before.lower() in ("openai", "anthropic", "gemini", "mistral") else model


def _provider(attributes: dict[str, Any]) -> str | None:
    """Return the provider in one spelling; names of frameworks are skipped."""
    for name in aliases.TEXTS["provider"]:
        value = text(attributes.get(name))
        if value is not None and value.lower() not in aliases.NO_PROVIDERS:
            return provider_of(value.lower())
    route = text(first(attributes, aliases.ROUTES)) or ""
    return provider_of(route.partition("/")[0].lower()) if "/" in route else None


def _with_thoughts(tokens: dict[str, int | None]) -> dict[str, int | None]:
    """Return the tokens of the answer with thoughts, which one instrumentation counts in the total only."""
    given, answered, total = (tokens[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if given is None or answered is None or total is None or total - given <= answered:
        return {}
    reasoning = tokens["reasoning_tokens"]
    return {
        "completion_tokens": total - given,
        "reasoning_tokens": total - given - answered if reasoning is None else reasoning,
    }


def _first_chunk_ms(span: SpanRecord) -> float | None:
    for name, factor in aliases.FIRST_CHUNK:
        value = real(span.attributes.get(name))
        if value is not None and value >= 0:
            return value * factor
    for name in aliases.FIRST_CHUNK_AT:
        written = text(span.attributes.get(name))
        if written is not None:
            try:
                return (nanoseconds(written) - span.start) / _MS
            except ValueError:
                continue
    moments = [event.time for event in span.events if event.name in aliases.FIRST_CHUNK_EVENTS]
    return (min(moments) - span.start) / _MS if moments else None


def _streamed(span: SpanRecord, first_chunk_ms: float | None) -> bool | None:
    if first_chunk_ms is not None:
        return True
    told = boolean(first(span.attributes, aliases.STREAMED))
    if told is not None:
        return told
    parameter = boolean(first(span.attributes, aliases.STREAMED_PARAMETERS))
    return None if parameter is False and span.scope.endswith("langchain") else parameter


def _error(span: SpanRecord) -> str | None:
    """Return the class of an error: as told, else of its moment, else the one that the text begins with."""
    told = text(span.attributes.get("error.type"))
    raised = [text(event.attributes.get("exception.type")) for event in span.events if event.name == "exception"]
    if told is not None and not told.isdigit():
        return told
    written = _CLASS.match(span.status_text)
    return next((name for name in raised if name), None) or (written[1] if written else None) or told
