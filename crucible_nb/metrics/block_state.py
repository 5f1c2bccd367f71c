"""Metrics of rows that are at hand: windows of a buffer, any DataFrame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crucible_nb.accumulators import Quantiles
from crucible_nb.metrics.group_state import Tally, cut, whole
from crucible_nb.metrics.moment_table import NUMBERS, Block


def block_of(numbers: Callable[[str], np.ndarray | None], time: np.ndarray) -> Block:
    """A block of rows.

    Args:
        numbers: Gives a column as float64 with NaN for missing, or None when there is none.
        time: int64 UTC nanoseconds of the rows.
    """
    values = np.empty((len(NUMBERS), len(time)))
    active = []
    for row, name in enumerate(NUMBERS):
        column = numbers(name)
        if column is not None and not np.isnan(column).all():
            values[row] = column
            active.append(row)
    success, weight = numbers("success"), numbers("weight")
    known = np.full(len(time), -1, np.int8) if success is None else np.nan_to_num(success, nan=-1).astype(np.int8)
    weighted = weight is not None and bool((weight != 1).any())
    return Block(time, values, active, known, weight if weighted else None)


def tally_of(block: Block, codes: np.ndarray | None = None, groups: int = 1) -> Tally:
    """State of one block, or of its groups; quantiles stay exact whatever the number of rows."""
    tally = Tally(groups)
    tally.sketches = [Quantiles(limit=max(1, len(block))) for _ in range(groups)]
    if len(block):
        pieces = whole(block) if codes is None else cut(block, codes)
        tally.add(pieces.keys, pieces)
    return tally
