"""Process-wide state: objects that exist once per process, and objects that have to survive a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable


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

    def before_fork(self) -> None:
        """Take all locks, so that none is held by a thread that the child will not have."""
        self._forking.__enter__()
        for part in tuple(self._objects):
            part.before_fork()
            self._held.append(part)

    def after_in_parent(self) -> None:
        """Release the locks in the parent."""
        while self._held:
            self._held.pop().after_in_parent()
        self._forking.__exit__(None, None, None)

    def after_in_child(self) -> None:
        """Release the locks in the child, and drop threads and files of the parent."""
        for forget in self._in_child:
            forget()
        while self._held:
            self._held.pop().after_in_child()
        self._forking.__exit__(None, None, None)


RUNTIME = Runtime()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=RUNTIME.before_fork,
        after_in_parent=RUNTIME.after_in_parent,
        after_in_child=RUNTIME.after_in_child,
    )
