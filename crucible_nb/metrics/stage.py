"""The metrics stage: events are collected and added to the live state many at a time, or when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories
from crucible_nb.metrics.live_state import LiveState
from crucible_nb.metrics.sum_table import NUMBERS, Block, joined
from crucible_nb.utils.interrupts import unbroken

BLOCK = 16_384
"""Maximum number of events that wait. A larger block costs less per event, a smaller one less per read; the state is
the same for any."""


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
    """Collects batches and adds them to a `LiveState`.

    Args:
        groupings: Groupings with live metrics.
        windows: Lengths of the live sliding windows in nanoseconds.

    Attributes:
        event_count: Number of events so far.
    """

    def __init__(self, groupings: Sequence[Grouping], windows: Sequence[int]) -> None:
        self.groupings = tuple(groupings)
        self.windows = tuple(windows)
        self.event_count = 0
        self._live = LiveState(len(self.groupings), self.windows)
        self._waiting: list[Block] = []
        self._waiting_events = self._latest = 0

    def add(self, batch: Batch, latest: int | None = None) -> None:
        """Add a batch of at least one event.

        Args:
            batch: Events as columns.
            latest: Newest time of a larger batch of which it is a part, and during which nothing is read.
        """
        latest = int(batch.time.max()) if latest is None else latest
        self._latest = max(self._latest, latest) if self._waiting else latest
        self._waiting.append(self._block_of(batch))
        self._waiting_events += len(batch)
        self.event_count += len(batch)
        if self._waiting_events >= BLOCK:
            self.state()

    def _block_of(self, batch: Batch) -> Block:
        values, active = np.empty((len(NUMBERS), len(batch))), []
        for row, name in enumerate(NUMBERS):
            cells = batch.cells.get(name)
            if cells is not None:
                values[row] = cells.values
                if cells.mask is not None:
                    values[row][cells.mask] = np.nan
                active.append(row)
        success, weight = batch.cells.get("success"), batch.cells.get("weight")
        outcomes = np.full(len(batch), -1, np.int8) if success is None else success.values.astype(np.int8)
        if success is not None and success.mask is not None:
            outcomes[success.mask] = -1
        codes = np.empty((len(self.groupings), len(batch)), np.int32)
        for row, grouping in enumerate(self.groupings):
            codes[row] = grouping.codes(batch)
        copies = batch.time.copy(), None if weight is None else weight.values.copy()  # the user's arrays may change
        return Block(copies[0], values, active, outcomes, copies[1], codes)

    def state(self) -> LiveState:
        """Return the live state of all events so far; it changes with later events."""
        if self._waiting:
            with unbroken():
                self._add_waiting()
        return self._live

    def _add_waiting(self) -> None:
        if not self._waiting:  # a handler of a signal has read the state since
            return
        blocks, self._waiting, self._waiting_events = self._waiting, [], 0
        self._live.add(blocks[0] if len(blocks) == 1 else joined(blocks), self._latest)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data and arrays."""
        return {
            "live": self.state().to_dict(),
            "labels": [grouping.to_dict() for grouping in self.groupings],
            "seen": self.event_count,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`, or of release 0.1, whose unfinished block is added."""
        self._live.load(state["live"])
        for grouping, labels in zip(self.groupings, state["labels"], strict=True):
            grouping.load(labels)
        self.event_count = state["seen"]
        if "block" not in state:
            return
        time, values, success, weight, codes = (np.asarray(part) for part in state["block"])
        if len(time):
            active = list(state["active"])
            block = Block(time, values, active, success, weight if state["weighted"] else None, codes)
            self._live.add(block, int(time.max()))
