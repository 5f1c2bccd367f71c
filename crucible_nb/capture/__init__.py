"""Capture without `record()`: provider clients, OpenTelemetry spans, files of other tools."""

from crucible_nb.capture.base import Capture
from crucible_nb.capture.files import from_otel
from crucible_nb.capture.google import google_genai
from crucible_nb.capture.opentelemetry import otel
from crucible_nb.capture.others import auto, litellm, mistral
from crucible_nb.capture.receiver import Receiver
from crucible_nb.capture.stainless import anthropic, openai
from crucible_nb.capture.traces import Trace

__all__ = [
    "Capture",
    "Receiver",
    "Trace",
    "anthropic",
    "auto",
    "from_otel",
    "google_genai",
    "litellm",
    "mistral",
    "openai",
    "otel",
]
