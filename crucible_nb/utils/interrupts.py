"""Delay interrupts (Ctrl-C, the stop button of a notebook) during work that must not be cut short."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unbroken() -> Iterator[None]:
    """Delay an interrupt until the block has ended.

    Python interrupts only the main thread, between any two instructions, and a batch interrupted half-way would be
    half counted. Nothing changes in other threads, or where interrupts are handled outside Python.

    Examples:
        >>> import signal
        >>> done = []
        >>> try:
        ...     with unbroken():
        ...         signal.raise_signal(signal.SIGINT)
        ...         done.append("whole")
        ... except KeyboardInterrupt:
        ...     done.append("then interrupted")
        >>> done
        ['whole', 'then interrupted']
    """
    handler = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(handler):
        yield
        return
    pending: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *caught: pending.append(caught))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pending:
            handler(*pending[0])
