"""Metrics of many groups: a panel of moments and a quantile sketch of latency for each."""

from __future__ import annotations

from copy import copy
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators import Quantiles
from crucible_nb.accumulators.shared_values import SharedValues
from crucible_nb.metrics.moment_table import Block, Panel

_WHOLE = np.zeros(1, np.intp)
_LATENCY = 0


class Pieces(NamedTuple):
    """A block cut by group: keys of the groups, their panel, and the latencies of each (none: nobody has any)."""

    keys: np.ndarray
    panel: Panel
    latencies: list[SharedValues]


def cut(block: Block, key: np.ndarray) -> Pieces:
    """The pieces of a block by an integer key; events keep their order within a group."""
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        block, key = block.take(order), key[order]
    starts = np.concatenate((_WHOLE, np.flatnonzero(key[1:] != key[:-1]) + 1))
    return Pieces(key[starts], Panel.of(block, starts), _latencies(block, [*starts.tolist(), len(block)]))


def whole(block: Block) -> Pieces:
    """A block as one piece with key 0."""
    return Pieces(_WHOLE, Panel.of(block, _WHOLE), _latencies(block, [0, len(block)]))


def _latencies(block: Block, edges: list[int]) -> list[SharedValues]:
    """The known latencies between neighbouring edges, copied."""
    if _LATENCY not in block.active:
        return []
    values, weights = block.values[_LATENCY], block.weight
    missing = np.isnan(values)
    holes = bool(missing.any())
    pieces = []
    for start, stop in pairwise(edges):
        x, w = values[start:stop], None if weights is None else weights[start:stop]
        if holes:
            known = ~missing[start:stop]
            pieces.append(SharedValues(x[known], None if w is None else w[known], len(x) - int(known.sum())))
        else:
            pieces.append(SharedValues(x.copy(), None if w is None else w.copy()))
    return pieces


class Tally:
    """The live state of some groups; the state of one group is the ordered monoid behind `Metrics`."""

    __slots__ = ("_borrowed", "panel", "sketches")

    def __init__(self, size: int = 1) -> None:
        self.panel = Panel(size)
        self.sketches = [Quantiles() for _ in range(size)]
        self._borrowed = False

    def __len__(self) -> int:
        return len(self.sketches)

    def grow(self, size: int) -> None:
        """Make room for `size` groups, in steps."""
        if size > len(self):
            size = max(size, 2 * len(self))
            self.panel = self.panel.resized(size)
            self.sketches += [Quantiles() for _ in range(size - len(self))]

    def add(self, rows: np.ndarray, pieces: Pieces) -> None:
        """Merge pieces into the groups at `rows`, in place."""
        self.panel.add(rows, pieces.panel)
        for row, latencies in zip(rows.tolist(), pieces.latencies, strict=False):
            if self._borrowed:
                self.sketches[row] = self.sketches[row].copy()
            self.sketches[row].keep(latencies)

    def clear(self, rows: np.ndarray) -> None:
        """Forget the groups at `rows`."""
        self.panel.clear(rows)
        for row in rows.tolist():
            self.sketches[row] = Quantiles()

    def fold(self, rows: np.ndarray) -> Tally:
        """One group out of those at `rows`, merged in that order."""
        tally = Tally(0)
        tally.panel = self.panel.fold(rows)
        tally.sketches = [Quantiles.merge_all([self.sketches[row] for row in rows.tolist()])]
        return tally

    def merge(self, later: Tally) -> Tally:
        """Both, group by group; neither is changed."""
        tally = self.copy()
        tally.panel.add(slice(None), later.panel)
        tally.sketches = [one.merge(two) for one, two in zip(self.sketches, later.sketches, strict=True)]
        return tally

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data and arrays; sketches without a value are None."""
        sketches = [one.to_dict() if one.count or one.missing else None for one in self.sketches]
        return {"panel": self.panel.to_dict(), "sketches": sketches}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Tally:
        """The tally whose `to_dict` gave `state`."""
        tally = cls(0)
        tally.panel = Panel.from_dict(state["panel"])
        tally.sketches = [Quantiles() if one is None else Quantiles.from_dict(one) for one in state["sketches"]]
        return tally

    def copy(self) -> Tally:
        """A copy to fold a tail into; sketches are copied when they are written."""
        tally = copy(self)
        tally.panel = self.panel.resized(len(self))
        tally.sketches = list(self.sketches)
        tally._borrowed = True
        return tally
