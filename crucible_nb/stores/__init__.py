"""The embedded store: journals, segments and states in a folder; nothing here knows of stages or experiments."""

from crucible_nb.stores.redact import Redaction

__all__ = ["Redaction"]
