"""A fixed number of events, all equally likely, from a stream of unknown length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Choice, Sampler
from crucible_nb.sampling.random_numbers import Draws
from crucible_nb.utils import checks

_AHEAD = 256  # entries worked out at a time


class Slots:
    """A reservoir of event numbers (Algorithm L): skips from one entry to the next, so its cost falls with n.

    Args:
        size: Slots.
        draws: Three numbers an entry: slot, threshold, skip.
    """

    def __init__(self, size: int, draws: Draws) -> None:
        self.size, self.draws = size, draws
        self.seen = 0
        self.members = np.empty(0, np.int64)
        self._log_w, self._last = 0.0, size - 1
        self._work_out()

    def _work_out(self) -> None:
        """The next entries: their places in the stream and the slots that they take."""
        self._before = (self.draws.position, self._log_w, self._last)
        slot, threshold, skip = self.draws.next(3 * _AHEAD).reshape(_AHEAD, 3).T
        log_w = np.cumsum(np.concatenate(([self._log_w], np.log1p(-threshold) / self.size)))[1:]
        with np.errstate(divide="ignore"):
            steps = np.floor(np.log1p(-skip) / np.log1p(-np.exp(log_w)))
        steps = np.minimum(steps, 2.0**52).astype(np.int64) + 1
        self._places = np.minimum(self._last + np.cumsum(np.minimum(steps, 2**52 // _AHEAD)), 2**62)
        self._slots = (slot * self.size).astype(np.int64)
        self._log_w, self._last, self._next = float(log_w[-1]), int(self._places[-1]), 0

    def take(self, seq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offer events; returns which of them are in (as positions in `seq`), and the earlier ones that are out."""
        begin, self.seen = self.seen, self.seen + len(seq)
        room = min(max(self.size - len(self.members), 0), len(seq))
        places, slots = [np.arange(room)], [np.arange(len(self.members), len(self.members) + room)]
        while self._places[self._next] < self.seen:
            until = int(np.searchsorted(self._places, self.seen))
            places.append(self._places[self._next : until] - begin)
            slots.append(self._slots[self._next : until])
            self._next = until
            if until == _AHEAD:
                self._work_out()
        return self._enter(seq, np.concatenate(places), np.concatenate(slots))

    def _enter(self, seq: np.ndarray, places: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        old = len(self.members)
        taken, last = np.unique(slots[::-1], return_index=True)  # the last to take a slot has it
        places = places[::-1][last]
        dropped = self.members[taken[taken < old]]
        if len(taken) and taken[-1] >= old:
            self.members = np.concatenate((self.members, np.empty(taken[-1] + 1 - old, np.int64)))
        self.members[taken] = seq[places]
        return np.sort(places), dropped

    @property
    def weight(self) -> float:
        """Events each member stands for."""
        return self.seen / len(self.members) if len(self.members) else 1.0

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        position, log_w, last = self._before
        draws = {**self.draws.to_dict(), "position": position}
        state = {"seen": self.seen, "members": self.members.tolist(), "draws": draws}
        return {**state, "log_w": log_w, "last": last, "next": self._next}

    @classmethod
    def from_dict(cls, size: int, state: dict[str, Any]) -> Slots:
        """Slots that go on from a state."""
        slots = cls(size, Draws(**state["draws"]))
        slots.draws = Draws(**state["draws"])
        slots._log_w, slots._last = state["log_w"], state["last"]
        slots._work_out()
        slots.seen, slots.members = state["seen"], np.array(state["members"], np.int64)
        slots._next = state["next"]
        return slots


@dataclass(eq=False)
class Reservoir(Sampler):
    """Keep exactly min(n, size) events, every subset of that size equally likely; each stands for n / size.

    Args:
        size: Rows to keep.

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

    def __post_init__(self) -> None:
        self.size = checks.whole("size", self.size, ge=1)

    def start(self) -> None:
        self._slots = Slots(self.size, self._draws)

    def choose(self, events: EventColumns) -> Choice:
        """Judge consecutive events; see `Sampler.choose`."""
        places, dropped = self._slots.take(events.seq)
        keep = np.zeros(len(events), np.bool_)
        keep[places] = True
        return Choice(keep, np.full(len(events), self._slots.weight), dropped)

    def weights(self, seq: np.ndarray) -> np.ndarray:
        """N / size for all."""
        return np.full(len(seq), self._slots.weight)

    def strata(self) -> dict[Any, tuple[int, int]]:
        """Events seen and kept."""
        return {"all": (self._slots.seen, len(self._slots.members))}

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data."""
        return {**super().to_dict(), "slots": self._slots.to_dict()}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        sampler = super().from_dict(state)
        sampler._slots = Slots.from_dict(self.size, state["slots"])
        return sampler
