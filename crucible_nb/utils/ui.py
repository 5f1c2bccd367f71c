"""Detect the environment: a kernel with widgets, a terminal, or CRUCIBLE_UI=off."""

from __future__ import annotations

import os
import sys
from typing import Any


def shell() -> Any:
    """Return the IPython shell of this process, None outside of IPython."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def has_widgets() -> bool:
    """Whether a live dashboard can be shown: in a kernel or in marimo, unless CRUCIBLE_UI=off."""
    if os.environ.get("CRUCIBLE_UI", "").lower() == "off":
        return False
    if "marimo" in sys.modules and sys.modules["marimo"].running_in_notebook():
        return True
    return getattr(shell(), "kernel", None) is not None
