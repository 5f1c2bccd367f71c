"""Delay signals (Ctrl-C, the stop button of a notebook, timeouts) during work that must not be cut short."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_NUMBERS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGPROF")
    if hasattr(signal, name)
]
"""Signals whose handlers may raise."""

PATIENCE = 10.0
"""Seconds that a signal waits at most, if it is sent again: a disk that never answers must not stop Ctrl-C for ever."""


class unbroken:  # noqa: N801  used as a statement
    """Delay signals handled by Python until the block has ended.

    Python calls handlers only in the main thread, between any two instructions, and a batch interrupted half-way would
    be half counted. Nothing changes in other threads, or where signals are handled outside Python. A signal sent again
    more than 10 s after it was delayed is handled at once.

    A class, because a generator can be interrupted between its `yield` and the block, and would then hold what it took.

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

    __slots__ = ("_first", "_handlers", "_pending")
    _active: unbroken | None = None  # only the main thread sets it

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._pending: list[tuple[int, FrameType | None]] = []
        self._first: dict[int, float] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread() or unbroken._active is not None:
            return
        try:
            unbroken._active = self
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._delay)
        except BaseException:
            self._restore()
            raise

    def _delay(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._first.setdefault(number, now) < PATIENCE:
            self._pending.append((number, frame))
        else:
            self._pending = [one for one in self._pending if one[0] != number]
            self._handlers[number](number, frame)

    def _restore(self) -> None:
        """Put all handlers back, also when one of them is called meanwhile and raises."""
        if unbroken._active is not self:
            return
        try:
            while self._handlers:
                number, handler = next(iter(self._handlers.items()))
                signal.signal(number, handler)
                self._handlers.pop(number, None)
            unbroken._active = None
        except BaseException:
            self._restore()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if unbroken._active is not self:
            return
        handlers = dict(self._handlers)
        self._restore()
        while self._pending:
            number, frame = self._pending.pop(0)
            handlers[number](number, frame)
