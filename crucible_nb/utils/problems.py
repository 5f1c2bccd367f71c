"""What happened inside recording that a user should know: counted always, warned of once per kind."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections import Counter

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
                warnings.warn(f"experiment {self.name!r}: {sentence}", CrucibleWarning, stacklevel=3)
