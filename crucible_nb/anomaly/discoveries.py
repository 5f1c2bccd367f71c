"""Control of the false discovery rate over many groups at once."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Any

import numpy as np

MEMORY = 4096
"""Number of past scores of a group among which a new score is ranked."""


class Discoveries:
    """Convert scores to p-values among the past scores of their group, and apply Benjamini-Hochberg over all groups.

    At each event the p-value of its group is (1 + past scores at least as large) / (1 + past scores). The latest
    p-values of all G groups enter Benjamini and Hochberg's step-up procedure: if k groups are at or below rate k / G,
    these groups are flagged. Of the groups flagged at a moment, on average at most a proportion `rate` are false
    alarms; without any anomaly, an event is flagged with probability rate / G. The new score is rate k / G divided by
    the p-value. About 5 us per event.

    Args:
        rate: Proportion of false alarms among the groups flagged at a moment.

    References:
        Benjamini, Hochberg: Controlling the false discovery rate. JRSS B 57 (1995).
        Bates, Candès, Lei, Romano, Sesia: Testing for outliers with conformal p-values. Annals of Statistics 51 (2023).
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._past: dict[int, deque[float]] = {}
        self._sorted: dict[int, list[float]] = {}
        self._latest: dict[int, float] = {}

    def calibrate(self, score: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Convert the scores of consecutive events; NaN while a group has fewer than G / rate scores."""
        result = np.full(len(score), np.nan)
        for i in np.flatnonzero(~np.isnan(score)).tolist():
            result[i] = self._calibrate_score(int(codes[i]), float(score[i]))
        return result

    def _calibrate_score(self, group: int, score: float) -> float:
        ranked = self._sorted.setdefault(group, [])
        p = (1 + len(ranked) - bisect_left(ranked, score)) / (1 + len(ranked))
        self._latest[group] = p
        groups, available = len(self._latest), len(ranked) + 1
        self._learn(group, ranked, score)
        if available * self.rate < groups:
            return float("nan")
        return self.rate * (self._count_discoveries() if p <= self.rate else 1) / groups / p

    def _count_discoveries(self) -> int:
        """Return the number of groups that Benjamini-Hochberg flags now; at least 1, the step of a single group."""
        p = np.sort(np.fromiter(self._latest.values(), float))
        below = np.flatnonzero(p <= self.rate * np.arange(1, len(p) + 1) / len(p))
        return int(below[-1]) + 1 if len(below) else 1

    def _learn(self, group: int, ranked: list[float], score: float) -> None:
        past = self._past.setdefault(group, deque())
        past.append(score)
        insort(ranked, score)
        if len(past) > MEMORY:
            del ranked[bisect_left(ranked, past.popleft())]

    def to_dict(self) -> list[list[Any]]:
        """Return the state as plain data."""
        return [[group, list(past), self._latest[group]] for group, past in self._past.items()]

    def load(self, state: list[list[Any]]) -> None:
        """Restore a state of `to_dict`."""
        for group, past, latest in state:
            self._past[group], self._sorted[group], self._latest[group] = deque(past), sorted(past), latest
