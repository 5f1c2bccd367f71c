"""Problems inside recording that a user should know of: every one is counted, the first of a kind is a warning."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections import Counter

from crucible_nb.errors import CrucibleWarning


class Problems:
    """Counts by kind; the first of a kind is also a warning. It never raises, not even under `-W error`.

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
        self._lock = threading.Lock()

    def report(self, kind: str, sentence: str, count: int = 1) -> None:
        """Count `count` problems of a kind; warn with the sentence the first time."""
        with self._lock:
            first = not self.counts[kind]
            self.counts[kind] += count
        if first and not self.muted:
            with contextlib.suppress(CrucibleWarning):  # telemetry never breaks the code it measures
                warnings.warn(f"experiment {self.name!r}: {sentence}", CrucibleWarning, stacklevel=3)

    def after_in_child(self) -> None:
        """A thread that held the lock when the process forked is not in this process."""
        self._lock = threading.Lock()
