"""The metrics stage: the live state is updated at aligned blocks; a read adds the unfinished block to a copy.

Sums depend on where they are cut, so they are cut at multiples of BLOCK events only: the same events give the same
bits, in any batches and with any reads in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories
from crucible_nb.metrics.live_state import LiveState
from crucible_nb.metrics.moment_table import NUMBERS, Block

BLOCK = 16_384
"""Number of events per block; the live state changes at multiples of it. A larger block costs less per event, a
smaller one less per read."""


class Grouping:
    """Assignment of group numbers to events by one column.

    Args:
        name: Name of the column.
        dictionary: Categories of a category column, whose codes are the group numbers; None for other columns, whose
            values are numbered in order of first appearance.
    """

    def __init__(self, name: str, dictionary: Categories | None) -> None:
        self.name = name
        self._dictionary = dictionary
        self._labels: dict[object, int] = {}

    def codes(self, batch: Batch) -> np.ndarray | int:
        """Return the group number of each event, -1 for no group; one number if it is the same for all."""
        cells = batch.cells.get(self.name)
        if cells is None:
            return -1
        if self._dictionary is not None:
            return cells.values  # type: ignore[no-any-return]
        values = cells.values.to_pylist() if cells.kind == "string" else cells.values.tolist()
        if cells.mask is not None:
            values = [None if missing else value for value, missing in zip(values, cells.mask.tolist(), strict=True)]
        labels = self._labels
        return np.array([-1 if v is None or v != v else labels.setdefault(v, len(labels)) for v in values], np.int32)

    def empty_copy(self) -> Grouping:
        """Return the same grouping before its first event."""
        return Grouping(self.name, self._dictionary)

    def to_dict(self) -> list[Any]:
        """Return the values that were numbered without a dictionary."""
        return list(self._labels)

    def load(self, labels: list[Any]) -> None:
        """Restore a state of `to_dict`."""
        self._labels = {label: number for number, label in enumerate(labels)}

    def labels(self) -> list[object]:
        """Return the value of each group."""
        return list(self._labels) if self._dictionary is None else list(self._dictionary.values)


class MetricsStage:
    """Collects batches and adds them to a `LiveState` block by block.

    Args:
        groupings: Groupings with live metrics.
        windows: Lengths of the live sliding windows in nanoseconds.

    Attributes:
        live: State of all finished blocks.
        event_count: Number of events so far.
    """

    def __init__(self, groupings: Sequence[Grouping], windows: Sequence[int]) -> None:
        self.groupings = tuple(groupings)
        self.windows = tuple(windows)
        self.live = LiveState(len(self.groupings), self.windows)
        self.event_count = 0
        self._exact: tuple[int, LiveState] | None = None  # event count and state of the last read
        self._incremental: dict[int | None, tuple[int, LiveState]] = {}  # the same, by live window
        self._fill = 0
        self._active: set[int] = set()
        self._weighted = False
        self._time = np.empty(BLOCK, np.int64)
        self._values = np.empty((len(NUMBERS), BLOCK))
        self._success = np.empty(BLOCK, np.int8)
        self._weight = np.empty(BLOCK)
        self._codes = np.empty((len(self.groupings), BLOCK), np.int32)

    def add(self, batch: Batch, latest: int | None = None) -> None:
        """Add a batch; it may end anywhere.

        Args:
            batch: Events as columns.
            latest: Newest time of a larger batch of which it is a part, and during which nothing is read.
        """
        done, latest = 0, int(batch.time.max()) if latest is None else latest
        while done < len(batch):
            part = batch.slice(done, min(len(batch), done + BLOCK - self._fill))
            self._copy(part)
            done += len(part)
            self.event_count += len(part)
            if self._fill == BLOCK:
                self.live.add(self._block(), latest)
                self._fill = 0
                self._active.clear()
                self._weighted = False

    def _copy(self, part: Batch) -> None:
        at = slice(self._fill, self._fill + len(part))
        self._time[at] = part.time
        for row, name in enumerate(NUMBERS):
            cells = part.cells.get(name)
            if cells is not None:
                if row not in self._active:
                    self._values[row, : self._fill] = np.nan
                    self._active.add(row)
                self._values[row, at] = cells.floats()
            elif row in self._active:
                self._values[row, at] = np.nan
        success = part.cells.get("success")
        self._success[at] = -1 if success is None else success.values
        if success is not None and success.mask is not None:
            self._success[at][success.mask] = -1
        weight = part.cells.get("weight")
        if weight is not None and not self._weighted:
            self._weight[: self._fill] = 1.0
            self._weighted = True
        if self._weighted:
            self._weight[at] = 1.0 if weight is None else weight.values
        for row, grouping in enumerate(self.groupings):
            self._codes[row, at] = grouping.codes(part)
        self._fill = at.stop

    def _block(self, start: int = 0) -> Block:
        rows = slice(start, self._fill)
        weight = self._weight[rows] if self._weighted else None
        values, codes = self._values[:, rows], self._codes[:, rows]
        return Block(self._time[rows], values, sorted(self._active), self._success[rows], weight, codes)

    def to_dict(self) -> dict[str, Any]:
        """Return the state with the unfinished block, as plain data and arrays."""
        n = self._fill
        block = [self._time[:n], self._values[:, :n], self._success[:n], self._weight[:n], self._codes[:, :n]]
        return {
            "live": self.live.to_dict(),
            "labels": [grouping.to_dict() for grouping in self.groupings],
            "seen": self.event_count,
            "active": sorted(self._active),
            "weighted": self._weighted,
            "block": [np.array(part) for part in block],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.live.load(state["live"])
        for grouping, labels in zip(self.groupings, state["labels"], strict=True):
            grouping.load(labels)
        self.event_count, self._active, self._weighted = state["seen"], set(state["active"]), bool(state["weighted"])
        time, values, success, weight, codes = (np.asarray(part) for part in state["block"])
        n = self._fill = len(time)
        self._time[:n], self._values[:, :n], self._success[:n] = time, values, success
        self._weight[:n], self._codes[:, :n], self._exact, self._incremental = weight, codes, None, {}

    def exact_state(self) -> LiveState:
        """Return the live state of all events so far; do not change it."""
        if not self._fill:
            return self.live
        if self._exact is None or self._exact[0] != self.event_count:
            live = self.live.copy()
            block = self._block()
            live.add(block, int(block.time.max()))
            self._exact = (self.event_count, live)
        return self._exact[1]

    def incremental_state(self, window: int | None = None) -> LiveState:
        """Return the live total and one live window, for frequent reads such as a dashboard: each event is added once.

        Sums are cut at each read, so their last bits may differ from those of `exact_state`.
        """
        count, live = self._incremental.get(window, (-1, self.live))
        new = self.event_count - count
        if count < 0 or new > self._fill:  # blocks were finished in between
            live, new = self.live.copy(), self._fill
            live.groups, live.windows = [], {size: w for size, w in live.windows.items() if size == window}
        if new:
            block = self._block(self._fill - new)
            block.codes = block.codes[:0]
            live.add(block, int(block.time.max()))
        self._incremental[window] = (self.event_count, live)
        return live.copy()
