"""The current experiment, kept in a context variable, so that threads and tasks do not mix."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from crucible_nb.utils.runtime import RUNTIME


class Current:
    """Holder of the innermost experiment entered in this context, else of the default of the process.

    Examples:
        >>> current = Current()
        >>> current.push("outer"); current.push("inner")
        >>> current.get()
        'inner'
        >>> current.pop("inner")
        >>> current.get()
        'outer'
    """

    def __init__(self) -> None:
        self._stack: ContextVar[tuple[Any, ...]] = ContextVar("crucible_current", default=())
        self.default: Any = None

    def push(self, experiment: Any) -> None:
        """Enter an experiment."""
        self._stack.set((*self._stack.get(), experiment))

    def pop(self, experiment: Any) -> None:
        """Leave an experiment: remove its innermost entry, also if it is not on top."""
        stack = list(self._stack.get())
        for i in range(len(stack) - 1, -1, -1):
            if stack[i] is experiment:
                del stack[i]
                break
        self._stack.set(tuple(stack))

    def reset(self) -> None:
        """Remove the default and all experiments entered in this context."""
        self.default = None
        self._stack.set(())

    def get(self) -> Any:
        """Return the current experiment, or None."""
        stack = self._stack.get()
        return stack[-1] if stack else self.default


CURRENT = RUNTIME.add(Current())
