"""Values that were given as NaN or infinite: the first after many finite ones are anomalies."""

from __future__ import annotations

from typing import Any

import numpy as np

SCORE = 6.0
"""Score of such a value: critical."""
RARE = 0.01
"""Share of such values from which they are nothing new."""


class Faults:
    """Counts finite values and faults of each group of one metric.

    Args:
        warm_up: Number of finite values before a fault is an anomaly.
    """

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self._counts: dict[int, list[int]] = {}

    def judge(self, valid: np.ndarray, faults: np.ndarray, codes: np.ndarray) -> dict[int, int]:
        """Learn consecutive events.

        Args:
            valid: Events with a value that is finite.
            faults: Events with a value that was given and is not.
            codes: Group of each event.

        Returns:
            {event: number of finite values before it} of the faults that are anomalies.
        """
        found: dict[int, int] = {}
        if not faults.any():
            for code, count in enumerate(np.bincount(codes[valid]).tolist()):
                if count:
                    self._counts.setdefault(code, [0, 0])[0] += count
            return found
        for i in np.flatnonzero(valid | faults).tolist():
            counts = self._counts.setdefault(int(codes[i]), [0, 0])
            if valid[i]:
                counts[0] += 1
                continue
            if counts[0] >= self.warm_up and counts[1] <= RARE * counts[0]:
                found[i] = counts[0]
            counts[1] += 1
        return found

    def to_dict(self) -> list[list[int]]:
        """Return the state as plain data."""
        return [[code, *counts] for code, counts in self._counts.items()]

    def load(self, state: list[list[int]]) -> None:
        """Restore a state of `to_dict`."""
        self._counts = {code: counts for code, *counts in state}


def fault_sentence(metric: str, value: float, finite: int, group: str) -> str:
    """Build the reason of a fault.

    Examples:
        >>> fault_sentence("loss", float("nan"), 2500, "")
        'loss is NaN (not a number), after 2,500 finite values'
    """
    said: Any = "NaN (not a number)" if np.isnan(value) else "infinite" if value > 0 else "minus infinite"
    return f"{metric} is {said}{group}, after {finite:,} finite values"
