"""Kernel versions: what their comms can do while a cell runs."""

from __future__ import annotations

import sys
from typing import Any

BUSY_NOTE = "Buttons and pickers respond when the running cell has ended (ipykernel {}; at once from ipykernel 7.1 on)."


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
