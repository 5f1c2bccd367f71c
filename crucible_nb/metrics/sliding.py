"""A sliding window as a ring of panes that are merged, never subtracted."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from crucible_nb.metrics.group_state import GroupedBlock, GroupState, group_block
from crucible_nb.metrics.moment_table import Block

PANES = 30
"""Number of panes of a window."""

_EMPTY = np.iinfo(np.int64).min


class SlidingWindow:
    """The metrics of the last `window` nanoseconds of event time, in `PANES` panes; memory is constant.

    Args:
        window: Length of the window in nanoseconds.

    Attributes:
        width: Length of a pane in nanoseconds; pane `i` holds the times in [i * width, (i + 1) * width).
        state: State of the pane in each slot of the ring.
        ids: Pane number in each slot of the ring.
        newest: Largest pane number so far.
    """

    __slots__ = ("_merged", "ids", "newest", "state", "width")

    def __init__(self, window: int) -> None:
        self.width = -(-window // PANES)
        self.state = GroupState(PANES + 2)
        self.ids = np.full(PANES + 2, _EMPTY)
        self.newest = _EMPTY
        self._merged: tuple[int, int, GroupState] | None = None

    def add(self, block: Block, ungrouped: GroupedBlock, latest: int) -> None:
        """Add a block, in place.

        Args:
            block: The events.
            ungrouped: The same block as one group.
            latest: Newest known time, in this block or a later block of the same batch. Events that will have left the
                window by then are not added.
        """
        low, high = (ungrouped.table.span[:, 0] // self.width).tolist()
        self.newest = max(self.newest, latest // self.width)
        self._merged = None
        oldest = self.newest - len(self.ids) + 1
        if high < oldest:
            return
        if low == high:
            self._add_panes(np.array([low]), ungrouped)
            return
        pane = block.time // self.width
        if low < oldest:
            inside = np.flatnonzero(pane >= oldest)
            block, pane = block.take(inside), pane[inside]
        grouped = group_block(block, pane)
        self._add_panes(grouped.keys, grouped)

    def _add_panes(self, panes: np.ndarray, grouped: GroupedBlock) -> None:
        slots = panes % len(self.ids)
        expired = slots[self.ids[slots] != panes]
        if len(expired):
            self.state.clear(expired)
            self.ids[slots] = panes
        self.state.add(slots, grouped)

    def merge_panes(self, start: int, stop: int) -> GroupState:
        """Merge all panes inside [start, stop), oldest first, into one group; both are multiples of `width`."""
        first, end = start // self.width, stop // self.width
        if self._merged is None or self._merged[:2] != (first, end):
            inside = np.flatnonzero((self.ids >= first) & (self.ids < end))
            self._merged = (first, end, self.state.merge_groups(inside[np.argsort(self.ids[inside])]))
        return self._merged[2]

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {"ids": np.array(self.ids), "newest": int(self.newest), "tally": self.state.to_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.ids, self.newest, self._merged = np.array(state["ids"]), state["newest"], None
        self.state = GroupState.from_dict(state["tally"])

    def copy(self) -> SlidingWindow:
        """Return a copy that can be updated independently."""
        window = copy(self)
        window.state, window.ids = self.state.copy(), self.ids.copy()
        return window
