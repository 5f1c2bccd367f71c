"""Where this runs: a kernel with widgets, a terminal, or somewhere widgets are not wanted."""

from __future__ import annotations

import os
import sys
from typing import Any

BUSY = "Buttons and pickers answer when the running cell has ended: this kernel (ipykernel {}) cannot sooner."


def shell() -> Any:
    """The IPython shell of this process, None outside of one."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def widgets() -> bool:
    """Whether a live dashboard can be shown: in a kernel or in marimo, unless CRUCIBLE_UI=off."""
    if os.environ.get("CRUCIBLE_UI", "").lower() == "off":
        return False
    if "marimo" in sys.modules and sys.modules["marimo"].running_in_notebook():
        return True
    return getattr(shell(), "kernel", None) is not None


def note() -> str:
    """What a person should know about the buttons here; "" where they work inside of a running cell."""
    ipykernel = sys.modules.get("ipykernel")
    if ipykernel is None or ipykernel.version_info[:2] >= (7, 1):
        return ""
    return BUSY.format(ipykernel.__version__)


def answer_anywhere(comm: Any) -> None:
    """Have messages of this comm handled while the main thread runs a cell.

    Browsers send comm messages to a subshell. From 7.4 on ipykernel asks for the answer to go to the shell that
    published last, which is the busy one; earlier ones do not ask. The name is private: where it is gone, nothing
    is changed, and the browser test says so.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default  # noqa: ARG005
