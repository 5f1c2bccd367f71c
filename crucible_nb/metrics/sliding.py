"""A sliding window as a ring of panes that are merged, never subtracted."""

from __future__ import annotations

from typing import Any

import numpy as np

from crucible_nb.metrics.group_state import GroupState, Latencies
from crucible_nb.metrics.sum_table import SumTable

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

    @property
    def oldest(self) -> int:
        """Smallest pane number that is still kept."""
        return self.newest - len(self.ids) + 1

    def panes(self, time: np.ndarray, latest: int) -> np.ndarray | int | None:
        """Return the pane of each event, `oldest - 1` for those that have left; one number if all are in it.

        Args:
            time: Times in UTC nanoseconds, at least one.
            latest: Newest known time, of these or of later events of the same batch.

        Returns:
            int64[n], a number, or None if all events have left the window.
        """
        self.newest = max(self.newest, latest // self.width)
        oldest = self.oldest
        low, high = int(time.min()) // self.width, int(time.max()) // self.width
        if high < oldest:
            return None
        if low == high:
            return low
        pane = time // self.width
        return np.maximum(pane, oldest - 1) if low < oldest else pane

    def add(self, panes: np.ndarray, table: SumTable) -> None:
        """Merge a table with one group per pane, in place."""
        self._merged = None
        slots = panes % len(self.ids)
        expired = slots[self.ids[slots] != panes]
        if len(expired):
            self.state.clear(expired)
            self.ids[slots] = panes
        self.state.add(slots, table)

    def keep(self, latencies: Latencies) -> None:
        """Add latencies by pane, in place, after `add`."""
        self.state.keep(latencies, (latencies.keys % len(self.ids)).tolist())

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
