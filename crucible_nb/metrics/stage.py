"""The measuring stage: live metrics advance at aligned blocks, a look folds the unfinished one into a copy.

Sums depend on where they are cut, so they are cut at multiples of BLOCK events only, wherever the events came
from and whoever looked in between: the same events give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch, Categories
from crucible_nb.metrics.live_state import Live
from crucible_nb.metrics.moment_table import NUMBERS, Block

BLOCK = 16_384
"""Events a block; live state changes at multiples of it. Larger is cheaper an event, smaller a look."""


class Grouping:
    """Gives every event the number of its group by one column.

    Args:
        name: The column.
        dictionary: Of a category column, whose codes are the groups; None numbers other values by itself.
    """

    def __init__(self, name: str, dictionary: Categories | None) -> None:
        self.name = name
        self._dictionary = dictionary
        self._labels: dict[object, int] = {}

    def codes(self, batch: Batch) -> np.ndarray | int:
        """Group numbers of a batch, -1 for no group; one number when it is all the same."""
        cells = batch.cells.get(self.name)
        if cells is None:
            return -1
        if self._dictionary is not None:
            return cells.values  # type: ignore[no-any-return]
        values = cells.values.to_pylist() if cells.kind == "string" else cells.values.tolist()
        if cells.mask is not None:
            values = [None if gone else value for value, gone in zip(values, cells.mask.tolist(), strict=True)]
        labels = self._labels
        return np.array([-1 if v is None or v != v else labels.setdefault(v, len(labels)) for v in values], np.int32)

    def fresh(self) -> Grouping:
        """The same grouping before its first event."""
        return Grouping(self.name, self._dictionary)

    def to_dict(self) -> list[Any]:
        """The labels that it numbered by itself."""
        return list(self._labels)

    def load(self, labels: list[Any]) -> None:
        """Take labels over."""
        self._labels = {label: number for number, label in enumerate(labels)}

    def labels(self) -> list[object]:
        """The value of each group."""
        return list(self._labels) if self._dictionary is None else list(self._dictionary.values)


class Measure:
    """Folds batches into `Live` state block by block.

    Args:
        groupings: What live groups are counted by.
        windows: Lengths of the live sliding windows in nanoseconds.
    """

    def __init__(self, groupings: Sequence[Grouping], windows: Sequence[int]) -> None:
        self.groupings = tuple(groupings)
        self.windows = tuple(windows)
        self.live = Live(len(self.groupings), self.windows)
        self.event_count = 0
        self._looked: tuple[int, Live] | None = None
        self._glanced: dict[int | None, tuple[int, Live]] = {}  # by live window
        self._fill = 0
        self._active: set[int] = set()
        self._weighted = False
        self._time = np.empty(BLOCK, np.int64)
        self._values = np.empty((len(NUMBERS), BLOCK))
        self._success = np.empty(BLOCK, np.int8)
        self._weight = np.empty(BLOCK)
        self._codes = np.empty((len(self.groupings), BLOCK), np.int32)

    def add(self, batch: Batch, latest: int | None = None) -> None:
        """Take a batch in; it may end anywhere.

        Args:
            batch: Events as columns.
            latest: Newest time of a larger lot it is part of, in the midst of which nobody looks.
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
        """The state with the unfinished block, as plain data and arrays."""
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
        """Take a state over."""
        self.live.load(state["live"])
        for grouping, labels in zip(self.groupings, state["labels"], strict=True):
            grouping.load(labels)
        self.event_count, self._active, self._weighted = state["seen"], set(state["active"]), bool(state["weighted"])
        time, values, success, weight, codes = (np.asarray(part) for part in state["block"])
        n = self._fill = len(time)
        self._time[:n], self._values[:, :n], self._success[:n] = time, values, success
        self._weight[:n], self._codes[:, :n], self._looked, self._glanced = weight, codes, None, {}

    def exact_state(self) -> Live:
        """The live state of every event so far; read it, do not advance it."""
        if not self._fill:
            return self.live
        if self._looked is None or self._looked[0] != self.event_count:
            live = self.live.copy()
            block = self._block()
            live.add(block, int(block.time.max()))
            self._looked = (self.event_count, live)
        return self._looked[1]

    def incremental_state(self, window: int | None = None) -> Live:
        """The live total and one of the live windows, for faces, which look often: each event is folded once.

        Sums are cut where somebody looked, so their last bits may not be those of `look`.
        """
        seen, live = self._glanced.get(window, (-1, self.live))
        new = self.event_count - seen
        if seen < 0 or new > self._fill:  # blocks were finished meanwhile
            live, new = self.live.copy(), self._fill
            live.groups, live.rings = [], {size: ring for size, ring in live.rings.items() if size == window}
        if new:
            block = self._block(self._fill - new)
            block.codes = block.codes[:0]
            live.add(block, int(block.time.max()))
        self._glanced[window] = (self.event_count, live)
        return live.copy()
