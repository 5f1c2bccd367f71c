"""Metrics state of rows in memory: windows of a buffer, or any DataFrame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crucible_nb.accumulators import Quantiles
from crucible_nb.metrics.group_state import GroupState, group_block, ungrouped_block
from crucible_nb.metrics.moment_table import NUMBERS, Block


def block_of(numbers: Callable[[str], np.ndarray | None], time: np.ndarray) -> Block:
    """Build a block from columns.

    Args:
        numbers: Function that returns a column as float64 with NaN for missing, or None if there is no such column.
        time: Times of the rows in UTC nanoseconds, int64.
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


def state_of_block(block: Block, codes: np.ndarray | None = None, groups: int = 1) -> GroupState:
    """Compute the state of a block, or of its groups; quantiles are exact for any number of rows."""
    state = GroupState(groups)
    state.sketches = [Quantiles(limit=max(1, len(block))) for _ in range(groups)]
    if len(block):
        grouped = ungrouped_block(block) if codes is None else group_block(block, codes)
        state.add(grouped.keys, grouped)
    return state
