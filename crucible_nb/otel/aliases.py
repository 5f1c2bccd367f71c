"""The names that instrumentations use, as tables: kinds of spans, and aliases of each column in order of priority.

An alias is the name of an attribute, or "attribute:path" for a field of the mapping that its text holds (JSON, or the
repr of a dict). The first that is there
and not empty wins; spellings are never added up. Where instrumentations disagree about a unit, each alias has its own
factor.
"""

from __future__ import annotations

LLM, EMBEDDING, TOOL, SPAN = "llm", "embedding", "tool", "span"

EVENTS = {LLM: "llm.request", EMBEDDING: "llm.embedding", TOOL: "tool.call", SPAN: "trace.span"}
"""Event of each kind of span."""

KINDS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "gen_ai.operation.name",
        {
            "chat": LLM, "text_completion": LLM, "generate_content": LLM, "responses": LLM, "embeddings": EMBEDDING,
            "execute_tool": TOOL,
        },
    ),
    ("openinference.span.kind", {"llm": LLM, "embedding": EMBEDDING, "tool": TOOL}),
    ("langfuse.observation.type", {"generation": LLM, "embedding": EMBEDDING, "tool": TOOL}),
    ("mlflow.spanType", {"chat_model": LLM, "llm": LLM, "embedding": EMBEDDING, "tool": TOOL}),
    (
        "llm.request.type",
        {
            "chat": LLM, "completion": LLM, "acompletion": LLM, "text_completion": LLM, "responses": LLM,
            "aresponses": LLM, "embedding": EMBEDDING, "embeddings": EMBEDDING, "aembedding": EMBEDDING,
        },
    ),
)  # fmt: skip
"""The first of these attributes that is there decides; values that are not listed are `trace.span`."""

TEXTS: dict[str, tuple[str, ...]] = {
    "model": (
        "gen_ai.request.model",
        "llm.request.model_name",
        "llm.invocation_parameters:model",
        "embedding.invocation_parameters:model",
        "embedding.model_name",
        "llm.model_name",
        "model",  # of MLflow, in JSON
        "langfuse.observation.model.name",
        "mlflow.llm.model",
        "gen_ai.response.model",
    ),
    "response_model": (
        "gen_ai.response.model",
        "llm.model_name",
        "langfuse.observation.model.name",
        "mlflow.llm.model",
        "embedding.model_name",
    ),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "mlflow.message.format"),
    "session_id": (
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.thread_id",
    ),
    "user_id": ("user.id", "langfuse.user.id", "enduser.id", "traceloop.association.properties.user_id"),
}

TOKENS: dict[str, tuple[str, ...]] = {
    "prompt_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "langfuse.observation.usage_details:prompt_tokens",
        "langfuse.observation.usage_details:input_tokens",
        "langfuse.observation.usage_details:input",
        "mlflow.chat.tokenUsage:input_tokens",
    ),
    "completion_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "langfuse.observation.usage_details:completion_tokens",
        "langfuse.observation.usage_details:output_tokens",
        "langfuse.observation.usage_details:output",
        "mlflow.chat.tokenUsage:output_tokens",
    ),
    "cache_read_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "langfuse.observation.usage_details:prompt_tokens_details.cached_tokens",
        "langfuse.observation.usage_details:input_tokens_details.cached_tokens",
        "langfuse.observation.usage_details:cache_read_input_tokens",
        "mlflow.chat.tokenUsage:cache_read_input_tokens",
        "gen_ai.usage.raw:prompt_tokens_details.cached_tokens",
        "gen_ai.usage.raw:input_tokens_details.cached_tokens",
        "gen_ai.usage.raw:cache_read_input_tokens",
        "metadata.usage_object:prompt_tokens_details.cached_tokens",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
        "langfuse.observation.usage_details:cache_creation_input_tokens",
        "mlflow.chat.tokenUsage:cache_creation_input_tokens",
        "gen_ai.usage.raw:cache_creation_input_tokens",
        "metadata.usage_object:cache_creation_input_tokens",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "langfuse.observation.usage_details:completion_tokens_details.reasoning_tokens",
        "langfuse.observation.usage_details:output_tokens_details.reasoning_tokens",
        "gen_ai.usage.raw:completion_tokens_details.reasoning_tokens",
        "gen_ai.usage.raw:output_tokens_details.reasoning_tokens",
        "metadata.usage_object:completion_tokens_details.reasoning_tokens",
    ),
    "total_tokens": ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens"),
}
"""Numbers of tokens. `gen_ai.aggregated_usage.*` are sums over an agent's calls, and not among them."""

COSTS = ("gen_ai.cost.total_cost", "llm.cost.total", "operation.cost", "langfuse.observation.cost_details:total")
"""Cost in USD."""

FIRST_CHUNK = (("gen_ai.response.time_to_first_chunk", 1e3), ("gen_ai.server.time_to_first_token", 1.0))
"""Attributes with the time to the first chunk, and the factor to ms: by source, never guessed by size."""

FIRST_CHUNK_AT = ("langfuse.observation.completion_start_time",)
"""Attributes with the moment of the first chunk: ISO text, quoted as JSON."""

FIRST_CHUNK_EVENTS = ("First Token Stream Event", "gen_ai.content.completion.chunk", "llm.content.completion.chunk")
"""Moments of a span; the first of these is that of the first chunk."""

STREAMED = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
"""Whether the answer was streamed: booleans, or their text."""

STREAMED_PARAMETERS = ("llm.invocation_parameters:stream",)
"""The same as a parameter of the call, which frameworks leave at false when they stream by another method."""

NO_PROVIDERS = frozenset(("langchain", "langgraph", "strands-agents", "openai_agents", "crewai", "autogen"))
"""Frameworks that give their own name as the provider."""

PROVIDERS_BY_NAME = {"OpenAI-generation": "openai", "OpenAI-embedding": "openai"}
"""Names of spans of Langfuse's client, which tells the provider nowhere else."""

ROUTES = ("llm.invocation_parameters:model", "embedding.invocation_parameters:model", "litellm.provider.model")
"""Models as LiteLLM writes them, with the provider before a slash."""

TOOL_NAMES = ("gen_ai.tool.name", "tool.name")

KEPT = frozenset(
    (
        "gen_ai.operation.name", "gen_ai.request.temperature", "gen_ai.request.max_tokens", "gen_ai.request.top_p",
        "gen_ai.request.top_k", "gen_ai.request.seed", "gen_ai.request.choice.count", "gen_ai.response.id",
        "gen_ai.response.finish_reasons", "gen_ai.agent.name", "gen_ai.agent.id", "gen_ai.workflow.name",
        "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.tool.call.id", "gen_ai.data_source.id", "server.address",
        "server.port", "http.response.status_code", "http.request.method", "http.request.resend_count",
        "openai.response.service_tier", "anthropic.response.service_tier", "llm.finish_reason", "tool.name",
        "openinference.span.kind", "langfuse.observation.type", "langfuse.observation.level", "mlflow.spanType",
        "traceloop.span.kind", "traceloop.entity.name", "traceloop.workflow.name", "litellm.cache_hit",
        "anthropic.message.stop_reason", "error.type",
    )
)  # fmt: skip
"""Attributes that are kept in `metadata`, and no others: those hold prompts, answers, keys and paths."""

FINISHED = ("gen_ai.response.finish_reasons", "llm.finish_reason", "anthropic.message.stop_reason")
"""Attributes that an answer which came to its end has."""

CONTENT = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.prompt",
    "gen_ai.completion", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "input.value", "output.value",
    "langfuse.observation.input", "langfuse.observation.output", "mlflow.spanInputs", "mlflow.spanOutputs",
    "traceloop.entity.input", "traceloop.entity.output",
)  # fmt: skip
"""Attributes with the text of messages, kept in `metadata` only if that was asked for."""
