"""Reservoir sampling: a fixed number of events, all equally likely, from a stream of unknown length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Choice, Sampler
from crucible_nb.sampling.random_numbers import RandomStream
from crucible_nb.utils import checks

_AHEAD = 256  # entries computed at a time


class Slots:
    """A reservoir of sequence numbers (Algorithm L): it skips from one entry to the next, so its cost falls with n.

    Args:
        size: Number of slots.
        random: Random stream with three numbers per entry: slot, threshold, skip.
    """

    def __init__(self, size: int, random: RandomStream) -> None:
        self.size, self.random = size, random
        self.seen = 0
        self.members = np.empty(0, np.int64)
        self._log_w, self._last = 0.0, size - 1
        self._compute_entries()

    def _compute_entries(self) -> None:
        """Compute the next entries: their positions in the stream and their slots."""
        self._before = (self.random.position, self._log_w, self._last)
        slot, threshold, skip = self.random.next(3 * _AHEAD).reshape(_AHEAD, 3).T
        log_w = np.cumsum(np.concatenate(([self._log_w], np.log1p(-threshold) / self.size)))[1:]
        with np.errstate(divide="ignore"):
            steps = np.floor(np.log1p(-skip) / np.log1p(-np.exp(log_w)))
        steps = np.minimum(steps, 2.0**52).astype(np.int64) + 1
        self._positions = np.minimum(self._last + np.cumsum(np.minimum(steps, 2**52 // _AHEAD)), 2**62)
        self._slots = (slot * self.size).astype(np.int64)
        self._log_w, self._last, self._next = float(log_w[-1]), int(self._positions[-1]), 0

    def add(self, seq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add events; return the positions in `seq` of those that enter, and the sequence numbers they replace."""
        begin, self.seen = self.seen, self.seen + len(seq)
        free = min(max(self.size - len(self.members), 0), len(seq))
        positions, slots = [np.arange(free)], [np.arange(len(self.members), len(self.members) + free)]
        while self._positions[self._next] < self.seen:
            stop = int(np.searchsorted(self._positions, self.seen))
            positions.append(self._positions[self._next : stop] - begin)
            slots.append(self._slots[self._next : stop])
            self._next = stop
            if stop == _AHEAD:
                self._compute_entries()
        return self._fill(seq, np.concatenate(positions), np.concatenate(slots))

    def _fill(self, seq: np.ndarray, positions: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        old = len(self.members)
        filled, last = np.unique(slots[::-1], return_index=True)  # the last entry of a slot is retained
        positions = positions[::-1][last]
        replaced = self.members[filled[filled < old]]
        if len(filled) and filled[-1] >= old:
            self.members = np.concatenate((self.members, np.empty(filled[-1] + 1 - old, np.int64)))
        self.members[filled] = seq[positions]
        return np.sort(positions), replaced

    @property
    def weight(self) -> float:
        """Weight of each member: events seen / members."""
        return self.seen / len(self.members) if len(self.members) else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        position, log_w, last = self._before
        random = {**self.random.to_dict(), "position": position}
        state = {"seen": self.seen, "members": self.members.tolist(), "draws": random}
        return {**state, "log_w": log_w, "last": last, "next": self._next}

    @classmethod
    def from_dict(cls, size: int, state: dict[str, Any]) -> Slots:
        """Rebuild slots from the result of `to_dict`."""
        slots = cls(size, RandomStream(**state["draws"]))
        slots.random = RandomStream(**state["draws"])
        slots._log_w, slots._last = state["log_w"], state["last"]
        slots._compute_entries()
        slots.seen, slots.members = state["seen"], np.array(state["members"], np.int64)
        slots._next = state["next"]
        return slots


@dataclass(eq=False)
class Reservoir(Sampler):
    """Keep exactly min(n, size) events, every subset of that size equally likely; each has the weight n / size.

    Args:
        size: Number of rows to keep.

    Raises:
        ConfigError: `size` is not a whole number of at least 1.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb as cr
        >>> rows = cr.sampling.sample(pd.DataFrame({"x": range(1000)}), cr.sampling.Reservoir(50), seed=1)
        >>> len(rows), rows.weight.unique().tolist()
        (50, [20.0])

    References:
        Li: Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n))). ACM TOMS 20 (1994).
    """

    size: int
    revises = True
    restorable = True

    def __post_init__(self) -> None:
        self.size = checks.whole("size", self.size, ge=1)

    def start(self) -> None:
        self._slots = Slots(self.size, self.random)

    def choose(self, events: EventColumns) -> Choice:
        positions, dropped = self._slots.add(events.seq)
        keep = np.zeros(len(events), np.bool_)
        keep[positions] = True
        return Choice(keep, np.full(len(events), self._slots.weight), dropped)

    def weights(self, seq: np.ndarray) -> np.ndarray:
        return np.full(len(seq), self._slots.weight)

    def strata(self) -> dict[Any, tuple[int, int]]:
        return {"all": (self._slots.seen, len(self._slots.members))}

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "slots": self._slots.to_dict()}

    def from_dict(self, state: dict[str, Any]) -> Self:
        sampler = super().from_dict(state)
        sampler._slots = Slots.from_dict(self.size, state["slots"])
        return sampler
