"""Robust baselines of the recent past: read anew at fixed numbers of values, constant in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from crucible_nb.anomaly.base import Detector, Lookup, Parts, known
from crucible_nb.anomaly.exact_json import numbers, plain
from crucible_nb.anomaly.recursions import MOST

WINDOW = 256
"""Values of a group that its baseline is read from."""


def next_refresh(count: int) -> int:
    """The number of values after `count` at which a baseline is read anew: 32, 48, 64, 96, ... then every 256.

    Examples:
        >>> [next_refresh(count) for count in (0, 32, 48, 64, 200, 256)]
        [32, 48, 64, 96, 256, 512]
    """
    if count >= WINDOW:
        return (count // WINDOW + 1) * WINDOW
    at = 32
    while at <= count:
        at = at * 3 // 2 if at & (at - 1) == 0 else at * 4 // 3
    return at


@dataclass
class Recent:
    """The recent past of one group and what was read from it last."""

    count: int = 0
    run: int = 0
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    base: tuple[float, ...] = ()
    step: float = np.inf
    last: float = np.nan


def middle(inorder: np.ndarray, q: float) -> float:
    """A quantile of sorted values, interpolated; `np.quantile` takes ten times as long for so few.

    Examples:
        >>> middle(np.array([1.0, 2.0, 4.0]), 0.75)
        3.0
    """
    place = (len(inorder) - 1) * q
    low = int(place)
    high = min(low + 1, len(inorder) - 1)
    return float(inorder[low] + (inorder[high] - inorder[low]) * (place - low))


class Windowed(Detector):
    """A detector whose baseline is read from the last 256 values of a group; a subclass has `read` and `distance`."""

    def start(self) -> None:
        """Set up the state before the first event."""
        super().start()
        self._recent: dict[str, dict[int, Recent]] = {metric: {} for metric in self.metrics}

    def read(self, values: np.ndarray, step: float) -> tuple[float, ...]:
        """The baseline of some values, of whose group `step` is the smallest step so far."""
        raise NotImplementedError

    def distance(self, x: np.ndarray, base: tuple[float, ...]) -> np.ndarray:
        """Signed distance of values from a baseline, in its unit; the baseline's first number is its middle."""
        raise NotImplementedError

    def rule(self, base: tuple[float, ...]) -> float:  # noqa: ARG002
        """Which rule a baseline follows, for the reason."""
        return 0.0

    def floor_of(self, values: np.ndarray, step: float) -> float:
        """Smallest scale believed: as given, or the smallest step so far and 1 % of the mean size."""
        if self.floor is not None:
            return max(self.floor, 1e-100)
        return max(step if step < np.inf else 0.0, 0.01 * float(np.abs(values).mean()), 1e-100)

    def _score(self, metric: str, x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Lookup]:
        score, center, distance, rule = (np.full(len(x), np.nan) for _ in range(4))
        for rows, members, counts in self._groups.batches(known(x), codes):
            for row, places, count in zip(rows.tolist(), members, counts.tolist(), strict=True):
                at = places[:count]
                recent = self._recent[metric].setdefault(row, Recent())
                score[at], center[at], distance[at], rule[at] = self._one(recent, x[at])

        def lookup(event: int) -> Parts:
            named = {"center": center, "distance": distance, "rule": rule}
            return {name: float(column[event]) for name, column in named.items()}

        return score, lookup

    def _one(self, recent: Recent, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Score values of one group and learn them, piece by piece between two readings."""
        score, center, distance, rule = (np.full(len(x), np.nan) for _ in range(4))
        done = 0
        while done < len(x):
            stop = min(len(x), done + next_refresh(recent.count) - recent.count)
            part = x[done:stop]
            if recent.base:
                far = self.distance(part, recent.base)
                distance[done:stop], center[done:stop], rule[done:stop] = far, recent.base[0], self.rule(recent.base)
                if recent.count >= self.warm_up:
                    score[done:stop] = np.minimum(np.abs(far) / self.threshold, MOST)
            self._learn(recent, part, score[done:stop])
            done = stop
        return score, center, distance, rule

    def _learn(self, recent: Recent, values: np.ndarray, score: np.ndarray) -> None:
        if self.learn == "normal" and (recent.run or (score >= 1).any()):
            learnt: Any = []
            for value, alarm in zip(values.tolist(), (score >= 1).tolist(), strict=True):
                recent.run = recent.run + 1 if alarm else 0
                if not alarm or recent.run > self.PATIENCE:
                    learnt.append(value)
        else:
            learnt = values
        known = np.concatenate(((recent.last,), learnt))
        steps = np.abs(known[1:] - known[:-1])
        recent.step = float(steps.min(initial=recent.step, where=steps > 0))
        recent.last = float(known[-1])
        recent.values = np.concatenate((recent.values, learnt))[-WINDOW:]
        recent.count += len(values)
        if recent.count == next_refresh(recent.count - 1) and len(recent.values) > 1:
            recent.base = self.read(recent.values, recent.step)

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data."""
        recent = {
            metric: [
                [row, one.count, one.run, plain(one.values), list(one.base), plain(one.step), plain(one.last)]
                for row, one in groups.items()
            ]
            for metric, groups in self._recent.items()
        }
        return {**super().to_dict(), "recent": recent}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        detector = super().from_dict(state)
        for metric, groups in state["recent"].items():
            for row, count, run, values, base, *steps in groups:
                step, last = numbers(steps).tolist()
                detector._recent[metric][row] = Recent(count, run, numbers(values), tuple(base), step, last)
        return detector
