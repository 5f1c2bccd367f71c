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


def is_disabled() -> bool:
    """Return whether experiments keep nothing: CRUCIBLE_MODE=disabled.

    Examples:
        >>> is_disabled()
        False
    """
    return os.environ.get(MODE, "").strip().lower() == "disabled"
