"""All live state that every event passes: the total, its groups, the sliding windows."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

import numpy as np

from crucible_nb.metrics.group_state import Tally, cut, whole
from crucible_nb.metrics.moment_table import Block
from crucible_nb.metrics.sliding import Ring

GROUPS = 1000
"""Groups of one grouping that are counted apart; the rest share one more."""


class Live:
    """Live metrics; `add` advances them by a block, `copy` gives a place to fold an unfinished one.

    Args:
        groupings: How many groupings each block has codes for.
        windows: Lengths of the sliding windows in nanoseconds.
    """

    __slots__ = ("groups", "rings", "total")

    def __init__(self, groupings: int = 0, windows: Iterable[int] = ()) -> None:
        self.total = Tally()
        self.groups = [Tally() for _ in range(groupings)]
        self.rings = {window: Ring(window) for window in windows}

    def add(self, block: Block, latest: int) -> None:
        """Fold a block in, in place; `latest` is the newest time of the batch it came with."""
        if not len(block):
            return
        everything = whole(block)
        self.total.add(everything.keys, everything)
        for tally, codes in zip(self.groups, block.codes, strict=True):
            # row 0 is for the events without a group, the last one for groups beyond the limit
            rows = (np.minimum(codes, GROUPS) + 1).astype(np.int16)  # sorting small numbers is a count
            tally.grow(int(rows.max()) + 1)
            if (rows == rows[0]).all():
                tally.add(rows[:1], everything)
            else:
                pieces = cut(block, rows)
                tally.add(pieces.keys, pieces)
        for ring in self.rings.values():
            ring.add(block, everything, latest)

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data and arrays."""
        rings = [[window, ring.to_dict()] for window, ring in self.rings.items()]
        return {"total": self.total.to_dict(), "groups": [tally.to_dict() for tally in self.groups], "rings": rings}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self.total = Tally.from_dict(state["total"])
        self.groups = [Tally.from_dict(tally) for tally in state["groups"]]
        for window, ring in state["rings"]:
            self.rings[window].load(ring)

    def copy(self) -> Live:
        """A copy that can be advanced while this one stays."""
        live = copy(self)
        live.total = self.total.copy()
        live.groups = [tally.copy() for tally in self.groups]
        live.rings = {window: ring.copy() for window, ring in self.rings.items()}
        return live
