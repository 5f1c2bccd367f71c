"""Process-wide state: objects that exist once per process, and objects that have to survive a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from crucible_nb.utils import interrupts
from crucible_nb.utils.interrupts import unbroken


class ForkAware(Protocol):
    """An object whose locks must not be held by another thread while the process forks."""

    def before_fork(self) -> None:
        """Take all locks, in the order in which other threads take them."""

    def after_in_parent(self) -> None:
        """Release the locks."""

    def after_in_child(self) -> None:
        """Release the locks, and drop threads and files of the parent."""


@runtime_checkable
class Resettable(Protocol):
    """An object that exists once per process and can be emptied."""

    def reset(self) -> None:
        """Return to the state after import."""


T = TypeVar("T")


class Runtime:
    """Registry of process-wide objects.

    Examples:
        >>> class Current:
        ...     value = None
        ...     def reset(self):
        ...         self.value = None
        >>> runtime = Runtime()
        >>> current = runtime.add(Current())
        >>> current.value = 1
        >>> runtime.reset()
        >>> current.value is None
        True
    """

    def __init__(self) -> None:
        self._singletons: list[object] = []
        self._in_child: list[Callable[[], None]] = []
        self._objects: weakref.WeakSet[ForkAware] = weakref.WeakSet()
        self._forking = threading.RLock()  # one thread forks at a time
        self._held: list[ForkAware] = []
        self._signals: unbroken | None = None

    def add(self, singleton: T) -> T:
        """Register an object for the lifetime of the process; return it."""
        self._singletons.append(singleton)
        return singleton

    def reset(self) -> None:
        """Reset all singletons, the newest first; for tests."""
        for singleton in reversed(self._singletons):
            if isinstance(singleton, Resettable):
                singleton.reset()

    def survive_forks(self, part: ForkAware) -> None:
        """Register an object to be called before and after forks, as long as it exists."""
        self._objects.add(part)

    def in_child(self, forget: Callable[[], None]) -> None:
        """Register a function that drops threads and files of the parent in a forked process."""
        self._in_child.append(forget)

    # Locks are held from one hook to the next, which no `with` can do. So signals are delayed first: without that, a
    # handler that raises would leave locks held, since Python only prints what a hook raises, and goes on.

    def before_fork(self) -> None:
        """Take all locks, so that none is held by a thread that the child will not have."""
        signals = unbroken()
        signals.__enter__()
        self._forking.__enter__()
        self._signals = signals
        for part in tuple(self._objects):
            self._held.append(part)
            part.before_fork()

    def after_in_parent(self) -> None:
        """Release the locks in the parent."""
        while self._held:
            self._held.pop().after_in_parent()
        self._end_fork()

    def after_in_child(self) -> None:
        """Release the locks in the child, and drop signals, threads and files of the parent."""
        interrupts.after_in_child()
        for forget in self._in_child:
            forget()
        while self._held:
            self._held.pop().after_in_child()
        self._end_fork()

    def _end_fork(self) -> None:
        signals, self._signals = self._signals, None
        if signals is not None:  # None: `before_fork` was interrupted before it took anything
            self._forking.__exit__(None, None, None)
            signals.__exit__(None, None, None)


RUNTIME = Runtime()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=RUNTIME.before_fork,
        after_in_parent=RUNTIME.after_in_parent,
        after_in_child=RUNTIME.after_in_child,
    )
