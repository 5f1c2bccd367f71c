"""`Capture`: the instrumentation that a call of `cr.capture` put in place, and its removal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.experiment.context import CURRENT
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.utils import checks

_KEPT = 10_000


class Capture:
    """Instrumentation that is in place until `undo()`, or to the end of a `with` block.

    Attributes:
        what: Name of what is captured, e.g. "openai".
        patched: Names of what was patched.
        active: Whether it is in place.

    Examples:
        >>> import crucible_nb as cr
        >>> capture = Capture("demo", ["demo.call"])
        >>> with capture:
        ...     capture._add([{"event": "llm.request", "latency_ms": 5.0}])
        >>> capture, capture.events.latency_ms.tolist()
        (<Capture of demo: 1 events, undone>, [5.0])
    """

    def __init__(self, what: str, patched: Iterable[str] = ()) -> None:
        self.what, self.patched, self.active = what, tuple(patched), True
        self._count = 0
        self._parts: list[Capture] = []  # whose events are kept here
        self._rows: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._undo: list[Callable[[], None]] = []
        self._before_read: Callable[[], None] | None = None

    def _add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Keep events that were captured."""
        for row in rows:
            self._rows.append(row)
            self._count += 1

    def _on_undo(self, action: Callable[[], None]) -> None:
        """Register what `undo` has to do; the newest is done first."""
        self._undo.append(action)

    def _on_read(self, action: Callable[[], None]) -> None:
        """Register what has to be done before `events` is read."""
        self._before_read = action

    @property
    def events(self) -> pd.DataFrame:
        """The events captured so far, the last 10,000 of them, as they were handed to the experiment."""
        if self._before_read is not None:
            self._before_read()
        return pd.DataFrame(list(self._rows))

    def undo(self) -> None:
        """Take everything away again; a second time it does nothing.

        Examples:
            >>> capture = Capture("demo")
            >>> capture.undo()
            >>> capture.active
            False
        """
        while self._undo:
            self._undo.pop()()
        self.active = False

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()

    def __repr__(self) -> str:
        count = self._count + sum(part._count for part in self._parts)
        return f"<Capture of {self.what}: {count:,} events, {'active' if self.active else 'undone'}>"


def checked(exp: Any) -> Experiment | None:
    """Check the argument `exp`: an experiment, or None for the current one at the time of each event."""
    if exp is None or isinstance(exp, Experiment):
        return exp
    raise checks.wrong("exp", exp, "an Experiment, or None for the current one")


def target(exp: Experiment | None) -> Experiment | None:
    """Return the experiment that an event goes to: the one given, else the current one."""
    return exp if exp is not None else CURRENT.get()


def installed(what: str, module: Any, package: str) -> Any:
    """Return a module of a client; ConfigError says that its package is not installed if it is None."""
    if module is None:
        raise nothing_patched(what, f"the package {package} is not installed")
    return module


def capture_of(what: str, parts: Mapping[str, Callable[[Capture], bool]], missing: str) -> Capture:
    """Put a capture in place.

    Args:
        what: Name of what is captured.
        parts: By name, functions that patch one part of a client; they return whether it was there.
        missing: What a version has not whose parts are not there.

    Raises:
        ConfigError: None of the parts was there.

    Examples:
        >>> capture_of("demo", {"Client": lambda capture: True, "AsyncClient": lambda capture: False}, "method").patched
        ('Client',)
    """
    capture = Capture(what)
    capture.patched = tuple(name for name, patch_part in parts.items() if patch_part(capture))
    if not capture.patched:
        raise nothing_patched(what, f"this version has no {missing}")
    return capture


def name_of(owner: Any) -> str:
    """Return the name of a class, or of that of an object."""
    return str(getattr(owner, "__name__", type(owner).__name__))


def nothing_patched(what: str, why: str) -> ConfigError:
    """Build the error of a capture that could not take hold."""
    return ConfigError(f"cr.capture.{what}: nothing could be patched: {why}")
