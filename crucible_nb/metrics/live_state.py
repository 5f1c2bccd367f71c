"""The live metrics state of a writer: the total, its groups and the sliding windows, over all events."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from crucible_nb.metrics.fold import Cells, cells_of, fold, one_cell
from crucible_nb.metrics.group_state import GroupState, Latencies, latencies_of
from crucible_nb.metrics.sliding import SlidingWindow
from crucible_nb.metrics.sum_table import Block

GROUPS = 1000
"""Maximum number of groups of one grouping with separate metrics; all further groups share one more."""

_ALL = [0]


class LiveState:
    """Live metrics state, updated block by block: a block is summed once, by its finest cells of group and pane.

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
        if not block.size:
            return
        # row 0 is for events without a group, the last row for groups above the limit
        grouped = [_alike(np.minimum(one, GROUPS) + 1) for one in (() if block.codes is None else block.codes)]
        paned = [window.panes(block.time, latest) for window in self.windows.values()]
        cells, keys = finest([one for one in (*grouped, *paned) if isinstance(one, np.ndarray)], block.size)
        table, everything = fold(block, cells), latencies_of(block)
        total = table.summed(np.zeros(1, np.intp))
        self.total.add(slice(None), total)
        self.total.keep(everything, _ALL)
        of_cells = iter(keys)
        for state, rows in zip(self.groups, grouped, strict=True):
            if isinstance(rows, int):
                state.grow(rows + 1)
                state.add([rows], total)
                state.keep(everything, [rows])
                continue
            groups, sums = table.by(next(of_cells))
            state.grow(int(groups[-1]) + 1)
            state.add(groups, sums)
            if len(keys) == 1:
                state.keep(latencies_of(block, cells), groups.tolist())
            else:
                latencies = _by(block, rows)
                state.keep(latencies, latencies.keys.tolist())
        for window, panes in zip(self.windows.values(), paned, strict=True):
            if isinstance(panes, np.ndarray):
                ids, sums = table.by(next(of_cells))
                left = int(ids[0] < window.oldest)  # events that have left the window
                window.add(ids[left:], sums.take(slice(left, None)))
                inside = np.flatnonzero(panes >= window.oldest) if left else None
                window.keep(_by(block, panes) if inside is None else _by(block.take(inside), panes[inside]))
            elif panes is not None:
                window.add(np.array([panes]), total)
                window.keep(everything._replace(keys=np.array([panes])))

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


def _alike(codes: np.ndarray) -> np.ndarray | int:
    """Return one number in place of codes that are all the same."""
    return int(codes[0]) if (codes == codes[0]).all() else codes


def _by(block: Block, codes: np.ndarray) -> Latencies:
    """Divide the latencies of a block by an integer column."""
    low = int(codes.min())
    latencies = latencies_of(block, cells_of(codes - low, int(codes.max()) - low + 1))
    return latencies._replace(keys=latencies.keys + low)


def finest(columns: Sequence[np.ndarray], n: int) -> tuple[Cells, Sequence[np.ndarray]]:
    """Divide rows by several integer columns at once.

    Args:
        columns: int[n] each.
        n: Number of rows, at least one.

    Returns:
        The cells of the rows, none of them empty, and the value of each column in each cell.

    Examples:
        >>> cells, values = finest([np.array([5, 5, 7]), np.array([1, 0, 1])], 3)
        >>> cells.codes.tolist(), [one.tolist() for one in values]
        ([1, 0, 2], [[5, 5, 7], [0, 1, 1]])
    """
    if not columns:
        return one_cell(n), ()
    if all((one[1:] >= one[:-1]).all() for one in columns):  # panes of events in order of time
        new = np.zeros(n - 1, np.bool_)
        for one in columns:
            new |= one[1:] != one[:-1]
        starts = np.concatenate((np.zeros(1, np.intp), np.flatnonzero(new) + 1))
        codes = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(starts, append=n))
        return Cells(codes, None, np.append(starts, n)), [one[starts].astype(np.int64) for one in columns]
    lows = [int(one.min()) for one in columns]
    sizes = [int(one.max()) - low + 1 for one, low in zip(columns, lows, strict=True)]
    if math.prod(sizes) > _MOST_KEYS:  # times far apart, many groups
        distinct = [np.unique(one, return_inverse=True) for one in columns]
        cells, inner = finest([codes for _, codes in distinct], n)
        return cells, [values[codes] for (values, _), codes in zip(distinct, inner, strict=True)]
    key = np.zeros(n if len(columns) > 1 else 1, np.int64)
    for one, low, size in zip(columns, lows, sizes, strict=True):
        key = key * size + (one - low)
    present, numbers = _numbered(key, math.prod(sizes))
    values, rest = [], present
    for low, size in zip(reversed(lows), reversed(sizes), strict=True):
        values.append(rest % size + low)
        rest = rest // size
    return cells_of(numbers, len(present)), values[::-1]


_MOST_KEYS = 1 << 62
_MOST_COUNTED = 1 << 20


def _numbered(key: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the different keys, ascending, and the number of each row's key among them."""
    if size > _MOST_COUNTED:
        present, cells = np.unique(key, return_inverse=True)
        return present, cells.astype(np.int32)
    occurs = np.zeros(size, np.bool_)
    occurs[key] = True
    present = np.flatnonzero(occurs)
    numbers = np.empty(size, np.int32)
    numbers[present] = np.arange(len(present), dtype=np.int32)
    return present, numbers[key]
