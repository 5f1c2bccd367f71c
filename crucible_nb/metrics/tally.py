"""Metrics of many groups: a panel of moments and a quantile sketch of latency for each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators import Quantiles
from crucible_nb.metrics.panel import Block, Panel

_WHOLE = np.zeros(1, np.intp)
_LATENCY = 0


class Pieces(NamedTuple):
    """A block cut by group: keys of the groups, their panel, and the latencies of each."""

    keys: np.ndarray
    panel: Panel
    latencies: list[np.ndarray]
    weights: list[np.ndarray] | None


def cut(block: Block, key: np.ndarray) -> Pieces:
    """The pieces of a block by an integer key; events keep their order within a group."""
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        block, key = block.take(order), key[order]
    starts = np.concatenate((_WHOLE, np.flatnonzero(key[1:] != key[:-1]) + 1))
    known = _LATENCY in block.active
    edges = [*starts.tolist(), len(block)]
    slices = list(zip(edges[:-1], edges[1:], strict=True))
    latencies = [block.values[_LATENCY, a:b] for a, b in slices] if known else []
    weights = None if block.weight is None else [block.weight[a:b] for a, b in slices]
    return Pieces(key[starts], Panel.of(block, starts), latencies, weights)


def whole(block: Block) -> Pieces:
    """A block as one piece with key 0."""
    latencies = [block.values[_LATENCY]] if _LATENCY in block.active else []
    return Pieces(_WHOLE, Panel.of(block, _WHOLE), latencies, None if block.weight is None else [block.weight])


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
        weights: Any = pieces.weights or [None] * len(pieces.latencies)
        for row, values, weight in zip(rows.tolist(), pieces.latencies, weights, strict=False):
            if self._borrowed:
                self.sketches[row] = self.sketches[row].copy()
            self.sketches[row].update(values, weight)

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

    def copy(self) -> Tally:
        """A copy to fold a tail into; sketches are copied when they are written."""
        tally = Tally(0)
        tally.panel = self.panel.resized(len(self))
        tally.sketches = list(self.sketches)
        tally._borrowed = True
        return tally
