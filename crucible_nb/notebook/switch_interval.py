"""Turns at the interpreter: a thread that computes lets another in only every 5 ms, and a tick needs a dozen turns."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SHORT = 0.001
"""Seconds between two turns while a message is on its way."""

_LOCK = threading.Lock()
_ASKING = 0
_USUAL = 0.0


@contextmanager
def short_turns() -> Iterator[None]:
    """Have threads take turns quickly within; for moments, since it holds for the whole process.

    Examples:
        >>> usual = sys.getswitchinterval()
        >>> with short_turns():
        ...     within = sys.getswitchinterval()
        >>> within < usual == sys.getswitchinterval()
        True
    """
    global _ASKING, _USUAL  # noqa: PLW0603  the interpreter has one such number
    with _LOCK:
        if not _ASKING:
            _USUAL = sys.getswitchinterval()
            sys.setswitchinterval(min(SHORT, _USUAL))
        short = sys.getswitchinterval()
        _ASKING += 1
    try:
        yield
    finally:
        with _LOCK:
            _ASKING -= 1
            if not _ASKING and sys.getswitchinterval() == short:  # else somebody chose another one meanwhile
                sys.setswitchinterval(_USUAL)
