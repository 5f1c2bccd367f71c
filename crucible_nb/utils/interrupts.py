"""Delay signals (Ctrl-C, the stop button of a notebook, timeouts) during work that must not be cut short."""

from __future__ import annotations

import inspect
import signal
import threading
import time
from itertools import pairwise
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

    __slots__ = ("_ended", "_first", "_handlers", "_pending", "_thread")
    _active: unbroken | None = None  # only the main thread sets it

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._pending: dict[int, FrameType | None] = {}
        self._first: dict[int, float] = {}
        self._ended = False
        self._thread = threading.get_ident()

    def __enter__(self) -> None:
        active = unbroken._active
        if threading.current_thread() is not threading.main_thread() or (active is not None and not active._ended):
            return
        try:
            unbroken._active = self
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._delay)
        except BaseException:  # of a handler that was not replaced yet
            self._end()
            raise

    def _delay(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; call its handler after long waiting, and once the block has ended."""
        now = time.monotonic()
        if not self._ended and now - self._first.setdefault(number, now) < PATIENCE:
            self._pending[number] = frame
            return
        self._pending.pop(number, None)
        try:
            if self._ended:
                self._restore()
        finally:
            self._handlers[number](number, frame)

    def _end(self) -> None:
        """Put all handlers back; should two of them raise meanwhile, the rest is put back with the next signal."""
        try:
            self._restore()
        finally:
            self._ended = True

    def _restore(self) -> None:
        """Put all handlers back, also when one of them is called meanwhile and raises."""
        try:
            for number, handler in self._handlers.items():
                if signal.getsignal(number) == self._delay:
                    signal.signal(number, handler)
            unbroken._active = None
        except BaseException:
            self._restore()
            raise

    def _deliver(self) -> None:
        """Call the handlers of the delayed signals, each also if the one before raises."""
        while self._pending:
            number = next(iter(self._pending))
            frame = self._pending.pop(number)
            try:
                self._handlers[number](number, frame)
            except BaseException:
                self._deliver()
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if unbroken._active is not self:
            return
        try:
            self._end()
        finally:
            self._deliver()


def after_in_child() -> None:
    """Drop the signals sent to the parent, and put the handlers back if the block is one of a thread of the parent."""
    active = unbroken._active
    if active is not None:
        active._pending.clear()
        if active._thread != threading.get_ident():
            active._end()


# -- exceptions of handlers --------------------------------------------------------------------------------------------


def let_pass(error: BaseException) -> None:
    """Raise an exception again, or its cause, if a signal handler has raised it.

    A timeout whose handler raises a TimeoutError is meant for the code that is timed, not for the code that contains
    the errors of values.

    Raises:
        BaseException: The exception of the handler.

    Examples:
        >>> def handler(number, frame):
        ...     raise TimeoutError
        >>> before = signal.signal(signal.SIGINT, handler)
        >>> try:
        ...     signal.raise_signal(signal.SIGINT)
        ... except Exception as error:
        ...     let_pass(error)
        Traceback (most recent call last):
            ...
        TimeoutError
        >>> _ = signal.signal(signal.SIGINT, before)
    """
    found: BaseException | None = error
    while found is not None:
        if _came_from_handler(found):
            raise found
        found = found.__cause__


def _came_from_handler(error: BaseException) -> bool:
    """Return whether an exception has passed a function that was called with a number and a frame, as handlers are."""
    trace = error.__traceback__ and error.__traceback__.tb_next  # the first frame is that of `except`
    while trace is not None:
        names, variadic, _, values = inspect.getargvalues(trace.tb_frame)
        given = [*map(values.get, names), *(values.get(variadic, ()) if variadic else ())]
        # by type(): the class of a value of the user may raise
        if any(issubclass(type(number), int) and type(frame) is FrameType for number, frame in pairwise(given)):
            return True
        trace = trace.tb_next
    return False
