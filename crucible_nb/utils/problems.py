"""Problems during recording: all are counted by kind, and the first of each kind is shown as a warning."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections import Counter
from pathlib import Path

from crucible_nb.errors import CrucibleWarning


class Problems:
    """Counts problems by kind; the first of a kind is also a warning. Never raises, not even under `-W error`.

    Args:
        name: Name of the experiment.

    Attributes:
        counts: Number of problems by kind.
        muted: Whether warnings are suppressed, as they are during a replay.

    Examples:
        >>> problems = Problems("demo")
        >>> problems.counts["errors"]
        0
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.muted = False
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def report(self, kind: str, sentence: str, count: int = 1) -> None:
        """Count `count` problems of a kind; warn with the sentence the first time."""
        with self._lock:
            first = not self.counts[kind]
            self.counts[kind] += count
        if first:
            self.warn(kind, sentence)

    def warn(self, kind: str, sentence: str) -> None:
        """Warn with the sentence, unless there was a problem of this kind already; it is counted elsewhere."""
        with self._lock:
            first = kind not in self._warned
            self._warned.add(kind)
        if first and not self.muted:
            with contextlib.suppress(CrucibleWarning):  # telemetry never breaks the code it measures
                warnings.warn(f"experiment {self.name!r}: {sentence}", CrucibleWarning, stacklevel=_users_level())

    def after_in_child(self) -> None:
        """Replace the lock in a forked process; the thread that may hold it is in the parent."""
        self._lock = threading.Lock()


_OURS = (str(Path(__file__).parents[1]), contextlib.__file__)


def _users_level() -> int:
    """Return the stack level, counted from the caller, of the first line outside the package: the user's code."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    return level
