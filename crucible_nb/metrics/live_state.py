"""The live metrics state of a writer: the total, its groups and the sliding windows, over all events."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

import numpy as np

from crucible_nb.metrics.group_state import GroupState, group_block, ungrouped_block
from crucible_nb.metrics.moment_table import Block
from crucible_nb.metrics.sliding import SlidingWindow

GROUPS = 1000
"""Maximum number of groups of one grouping with separate metrics; all further groups share one more."""


class LiveState:
    """Live metrics state, updated block by block; `copy` returns a state to which an unfinished block can be added.

    Args:
        groupings: Number of groupings for which each block has codes.
        windows: Lengths of the sliding windows in nanoseconds.

    Attributes:
        total: State of all events.
        groups: State of the groups of each grouping; row 0 is for events without a group.
        windows: Sliding windows by their length in nanoseconds.
    """

    __slots__ = ("groups", "total", "windows")

    def __init__(self, groupings: int = 0, windows: Iterable[int] = ()) -> None:
        self.total = GroupState()
        self.groups = [GroupState() for _ in range(groupings)]
        self.windows = {window: SlidingWindow(window) for window in windows}

    def add(self, block: Block, latest: int) -> None:
        """Add a block, in place; `latest` is the newest time of the batch that it is part of."""
        if not len(block):
            return
        ungrouped = ungrouped_block(block)
        self.total.add(ungrouped.keys, ungrouped)
        for state, codes in zip(self.groups, block.codes, strict=True):
            # row 0 is for events without a group, the last row for groups above the limit
            rows = (np.minimum(codes, GROUPS) + 1).astype(np.int16)  # small integers are sorted by counting
            state.grow(int(rows.max()) + 1)
            if (rows == rows[0]).all():
                state.add(rows[:1], ungrouped)
            else:
                grouped = group_block(block, rows)
                state.add(grouped.keys, grouped)
        for window in self.windows.values():
            window.add(block, ungrouped, latest)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        groups = [state.to_dict() for state in self.groups]
        windows = [[length, window.to_dict()] for length, window in self.windows.items()]
        return {"total": self.total.to_dict(), "groups": groups, "rings": windows}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.total = GroupState.from_dict(state["total"])
        self.groups = [GroupState.from_dict(saved) for saved in state["groups"]]
        for length, saved in state["rings"]:
            self.windows[length].load(saved)

    def copy(self) -> LiveState:
        """Return a copy that can be updated independently."""
        live = copy(self)
        live.total = self.total.copy()
        live.groups = [state.copy() for state in self.groups]
        live.windows = {length: window.copy() for length, window in self.windows.items()}
        return live
