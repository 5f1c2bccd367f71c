"""Environment variables that change what is recorded."""

from __future__ import annotations

import os

STORE, MODE, CONTENT = "CRUCIBLE_DIR", "CRUCIBLE_MODE", "CRUCIBLE_CAPTURE_CONTENT"


def keeps_content() -> bool:
    """Return whether captured calls keep the text of messages: CRUCIBLE_CAPTURE_CONTENT=1.

    Examples:
        >>> keeps_content()
        False
    """
    return os.environ.get(CONTENT, "").strip().lower() in ("1", "true", "yes", "on")


def default_store() -> str | None:
    """Return the store of experiments that are started without one: CRUCIBLE_DIR; None for memory.

    Examples:
        >>> default_store() is None
        True
    """
    return os.environ.get(STORE) or None


def is_disabled() -> bool:
    """Return whether experiments keep nothing: CRUCIBLE_MODE=disabled.

    Examples:
        >>> is_disabled()
        False
    """
    return os.environ.get(MODE, "").strip().lower() == "disabled"
