"""Detect the environment: a kernel with widgets, a terminal, or CRUCIBLE_UI=off."""

from __future__ import annotations

import os
import sys
from typing import Any

BUSY_NOTE = "Buttons and pickers respond when the running cell has ended (ipykernel {}; at once from ipykernel 7.1 on)."


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


def button_note() -> str:
    """Return a hint for kernels where buttons do not work during a running cell; "" where they do."""
    ipykernel = sys.modules.get("ipykernel")
    if ipykernel is None or ipykernel.version_info[:2] >= (7, 1):
        return ""
    return BUSY_NOTE.format(ipykernel.__version__)


def handle_messages_while_busy(comm: Any) -> None:
    """Let messages of a comm be handled while the main thread runs a cell.

    Browsers send comm messages to a subshell. From 7.4 on ipykernel routes the reply to the shell that published
    last, which is the busy one; earlier versions do not. The attribute is private to ipykernel: where it is missing,
    nothing is changed, and the browser test fails.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default  # noqa: ARG005
