"""Capture without `record()`: OpenTelemetry spans, provider clients, files of other tools."""

from crucible_nb.capture.base import Capture
from crucible_nb.capture.files import from_otel
from crucible_nb.capture.opentelemetry import otel

__all__ = ["Capture", "from_otel", "otel"]
