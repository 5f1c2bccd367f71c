"""Names of model providers and hosts, and the forms in which they write the name of one model."""

from __future__ import annotations

import re

_ALIASES = {
    "aws": "bedrock bedrock_converse bedrock_mantle aws_bedrock aws.bedrock amazon amazon_bedrock amazon_nova",
    "azure": "azure_ai azure_text azure_openai azure.ai.openai azure.ai.inference az.ai.openai az.ai.inference",
    "google": "gemini vertex_ai vertex_ai_beta vertexai vertex google_genai google_vertexai google_vertex_ai "
    "google-vertex google-gla google_ai_studio palm gcp.gemini gcp.vertex_ai gcp.gen_ai gcp.vertex_agent gen_ai.gemini",
    "openai": "text-completion-openai chat-openai openai_chat",
    "anthropic": "anthropic_text",
    "x-ai": "xai x_ai",
    "mistral": "mistralai mistral_ai codestral text-completion-codestral",
    "together": "together_ai together-ai togetherai",
    "fireworks": "fireworks_ai fireworks-ai",
    "cohere": "cohere_chat",
    "voyageai": "voyage voyage_ai",
    "moonshotai": "moonshot moonshot_ai",
    "meta": "meta_llama",
    "perplexity": "perplexity_ai",
    "zai": "z-ai z_ai",
}
_PROVIDERS = {alias: provider for provider, aliases in _ALIASES.items() for alias in aliases.split()}
"""Providers of the packaged price table by the names that LiteLLM, OpenTelemetry and client libraries use."""

ROUTERS = frozenset(
    ("openrouter", "litellm_proxy", "litellm", "vercel_ai_gateway", "vercel", "requesty", "portkey", "helicone")
)
"""Services that pass a call on at the price of the provider named next ("openrouter/openai/gpt-4o")."""

RESELLERS = {"azure": ("openai", "anthropic", "deepseek", "x-ai", "moonshotai"), "google": ("anthropic",)}
"""Hosts that sell the models of others at the makers' prices, as genai-prices lists them."""

_PATH = re.compile(
    r"(?:projects/[^/]+/locations/[^/]+/)?publishers/[a-z0-9-]+/models/"  # Vertex
    r"|models/"  # Gemini
    r"|(?:(?:converse|converse_like|invoke)/)?"  # Bedrock: route, region or ARN, inference region, maker
    r"(?:arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:[a-z-]+/|[a-z]{2}(?:-[a-z]+)+-\d/)?"
    r"(?:(?:us|eu|apac|ap|au|ca|jp|global|us-gov)\.)?"
    r"(?:(?:anthropic|amazon|meta|mistral|cohere|deepseek|ai21|openai|qwen|google|moonshot|moonshotai|zai|minimax|"
    r"nvidia|writer|stability|twelvelabs|luma)\.)?"
)
_VERSION = re.compile(
    r"(?:[-@:_]?(?:latest|preview|exp|experimental|default|stable|native-audio|\d{8}|\d{6}|\d{4}-\d\d-\d\d|\d\d-\d{4}"
    r"|\d\d-\d\d|\d{3,4}|v\d+(?:\.\d+)?(?::\d+)?(?::\d+k)?))*"
)


def provider_of(name: str) -> str:
    """Return the provider that a name in lower case means; an unknown name is itself. Spaces are underscores.

    Examples:
        >>> provider_of("vertex_ai"), provider_of("mycompany")
        ('google', 'mycompany')
    """
    name = name.strip().replace(" ", "_")
    return _PROVIDERS.get(name, name)


def is_form(before: str, after: str) -> bool:
    """Return whether a name is a model with a host's path before it and a version after it, and nothing else.

    Examples:
        >>> is_form("us.anthropic.", "-20241022-v2:0"), is_form("", "-8b"), is_form("my-finetune-of-", "")
        (True, False, False)
    """
    return _PATH.fullmatch(before) is not None and _VERSION.fullmatch(after) is not None
