"""A sliding window as a ring of panes that are folded, never subtracted."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from crucible_nb.metrics.group_state import Pieces, Tally, cut
from crucible_nb.metrics.moment_table import Block

PANES = 30
"""Panes a window is made of."""

_EMPTY = np.iinfo(np.int64).min


class Ring:
    """The last `window` nanoseconds of event time in `PANES` panes; memory does not grow with events.

    Args:
        window: Length in nanoseconds.

    Attributes:
        width: Length of a pane in nanoseconds; pane `i` holds the times in [i * width, (i + 1) * width).
    """

    __slots__ = ("_folded", "ids", "newest", "tally", "width")

    def __init__(self, window: int) -> None:
        self.width = -(-window // PANES)
        self.tally = Tally(PANES + 2)
        self.ids = np.full(PANES + 2, _EMPTY)
        self.newest = _EMPTY
        self._folded: tuple[int, int, Tally] | None = None

    def add(self, block: Block, everything: Pieces, latest: int) -> None:
        """Fold a block in, given also as one piece.

        `latest` is the newest time that is known, in this block or a later one of the same batch: what the ring will
        have forgotten by then is not folded in first.
        """
        low, high = (everything.panel.span[:, 0] // self.width).tolist()
        self.newest = max(self.newest, latest // self.width)
        self._folded = None
        oldest = self.newest - len(self.ids) + 1
        if high < oldest:
            return
        if low == high:
            self._merge(np.array([low]), everything)
            return
        pane = block.time // self.width
        if low < oldest:
            inside = np.flatnonzero(pane >= oldest)
            block, pane = block.take(inside), pane[inside]
        pieces = cut(block, pane)
        self._merge(pieces.keys, pieces)

    def _merge(self, panes: np.ndarray, pieces: Pieces) -> None:
        slots = panes % len(self.ids)
        stale = slots[self.ids[slots] != panes]
        if len(stale):
            self.tally.clear(stale)
            self.ids[slots] = panes
        self.tally.add(slots, pieces)

    def fold(self, start: int, stop: int) -> Tally:
        """The panes that lie whole in [start, stop), oldest first, as one group.

        `start` and `stop` are multiples of `width`.
        """
        first, beyond = start // self.width, stop // self.width
        if self._folded is None or self._folded[:2] != (first, beyond):
            inside = np.flatnonzero((self.ids >= first) & (self.ids < beyond))
            self._folded = (first, beyond, self.tally.fold(inside[np.argsort(self.ids[inside])]))
        return self._folded[2]

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data and arrays."""
        return {"ids": np.array(self.ids), "newest": int(self.newest), "tally": self.tally.to_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self.ids, self.newest, self._folded = np.array(state["ids"]), state["newest"], None
        self.tally = Tally.from_dict(state["tally"])

    def copy(self) -> Ring:
        """A copy to fold a tail into."""
        ring = copy(self)
        ring.tally, ring.ids = self.tally.copy(), self.ids.copy()
        return ring
