"""States of rules on single values: the newest or the first one, the best one with patience, and values not finite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from crucible_nb.pipeline.rule_terms import SIGNS, Observed
from crucible_nb.pipeline.rule_windows import Limit, Running, Trace, no_checks


class ValueState(ABC):
    """A rule that is checked at each known value.

    Attributes:
        met: Whether the condition held at the last check.
    """

    def __init__(self) -> None:
        self.met = False
        self._value = float("nan")

    def trace(self, seen: Observed, life: Running) -> Trace:  # noqa: ARG002  windows need the lifecycle
        """Take events; return a check for each known value."""
        seen = seen.take(np.flatnonzero(seen.known))
        if not seen.size:
            return no_checks()
        values, holds = self._take(seen)
        self.met, self._value = bool(holds[-1]), float(values[-1])
        return Trace(seen.row, seen.time, holds, lambda i: float(values[i]))

    @abstractmethod
    def _take(self, seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        """Take known values; return the value of the rule and whether it holds, after each."""

    def pass_time(self, now: int, life: Running) -> Trace:  # noqa: ARG002  of windows
        """Do nothing: only values decide."""
        return no_checks()

    def peek(self, now: int, life: Running) -> Trace:  # noqa: ARG002
        """Return what holds now."""
        return Trace(np.zeros(1, np.int64), np.array([now]), np.array([self.holds_now]), lambda _: self._value)

    @property
    def holds_now(self) -> bool:
        """Whether the condition holds after the values so far."""
        return self.met

    def begin_anew(self) -> None:
        """Decide from the next value on."""
        self.met = False

    def skip_until(self, time: int) -> None:  # noqa: B027
        """Do nothing: only values decide."""

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {name: value for name, value in vars(self).items() if name not in self._fixed}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        vars(self).update(state)

    _fixed: frozenset[str] = frozenset()


class SelectedState(ValueState):
    """The newest or the first value by time, and by order among equal times, against a limit.

    Args:
        statistic: "last" or "first".
        limit: The condition.
    """

    _fixed = frozenset({"_sign", "_limit", "_is_last"})

    def __init__(self, statistic: str, limit: Limit) -> None:
        super().__init__()
        self._sign, self._limit, self._is_last = limit.sign, limit, statistic == "last"
        self._time: int | None = None
        self._known = 0

    @property
    def holds_now(self) -> bool:
        return self._known >= self._limit.min_events and bool(SIGNS[self._sign](self._value, self._limit.limit))

    def _take(self, seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        time = seen.time if self._is_last else -seen.time
        before = np.iinfo(np.int64).min if self._time is None else self._time if self._is_last else -self._time
        extreme = np.maximum.accumulate(np.maximum(time, before))
        earlier = np.concatenate(([before], extreme[:-1]))
        chosen = (time >= earlier) if self._is_last else (time > earlier)
        place = np.maximum.accumulate(np.where(chosen, np.arange(seen.size), -1))
        values = np.where(place >= 0, seen.values[place], self._value)
        self._time = int(extreme[-1]) if self._is_last else -int(extreme[-1])
        counts = self._known + np.arange(1, seen.size + 1)
        self._known += seen.size
        return values, SIGNS[self._sign](values, self._limit.limit) & (counts >= self._limit.min_events)


class PatienceState(ValueState):
    """The best value, and the number of values since it that were not better.

    Args:
        statistic: "min", where lower is better, or "max".
        patience: Number of values without a better one at which the condition holds.
        margin: Difference above which a value is better.

    References:
        Prechelt (1998), Early stopping - but when? In: Neural Networks: Tricks of the Trade.
    """

    _fixed = frozenset({"_sign", "_patience", "_margin"})

    def __init__(self, statistic: str, patience: int, margin: float) -> None:
        super().__init__()
        self._sign, self._patience, self._margin = (1 if statistic == "max" else -1), patience, margin
        self._best: float | None = None
        self._since = 0

    @property
    def holds_now(self) -> bool:
        return self._since >= self._patience

    def _take(self, seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        best, holds = np.empty(seen.size), np.empty(seen.size, np.bool_)
        for i, value in enumerate(seen.values.tolist()):
            if self._best is None or self._sign * (value - self._best) > self._margin:
                self._best, self._since = value, 0
            else:
                self._since += 1
            best[i], holds[i] = self._best, self._since >= self._patience
        return best, holds


class FiniteState(ValueState):
    """Values that are infinite or NaN; NaN counts where it was given, which a table does not tell from a gap."""

    def _take(self, seen: Observed) -> tuple[np.ndarray, np.ndarray]:
        return seen.values, ~np.isfinite(seen.values)
