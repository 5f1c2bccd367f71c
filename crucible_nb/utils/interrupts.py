"""Work that an interrupt (Ctrl-C, the notebook's stop button) must not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unbroken() -> Iterator[None]:
    """Hold an interrupt back until the block has ended.

    Python interrupts the main thread only, between any two instructions; a batch that is half taken in would be half
    counted. Other threads, and programs that handle interrupts outside of Python, are left alone.

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
    held: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *caught: held.append(caught))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[0])
