"""What happened inside recording that a user should know: counted always, warned of once per kind."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections import Counter
from pathlib import Path

from crucible_nb.errors import CrucibleWarning


class Problems:
    """Counts by kind; the first of a kind is also a warning. It never raises, not even under `-W error`.

    Examples:
        >>> notes = Notes("demo")
        >>> notes.counts["errors"]
        0
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.muted = False  # while an earlier run is gone through again
        self._lock = threading.Lock()

    def report(self, kind: str, sentence: str, count: int = 1) -> None:
        """Count `count` of a kind; say the sentence the first time."""
        with self._lock:
            first = not self.counts[kind]
            self.counts[kind] += count
        if first and not self.muted:
            with contextlib.suppress(CrucibleWarning):  # telemetry never breaks the code it measures
                warnings.warn(f"experiment {self.name!r}: {sentence}", CrucibleWarning, stacklevel=_users_level())


_OURS = (str(Path(__file__).parents[1]), contextlib.__file__)


def _users_level() -> int:
    """The stack level, counted from the caller, of the first line outside the package: the user's, if there is one."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    return level
