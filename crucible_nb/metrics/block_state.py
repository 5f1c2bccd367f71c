"""Metrics state of rows in memory: windows of a buffer, or any DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crucible_nb.metrics.fold import Cells, fold, one_cell
from crucible_nb.metrics.group_state import GroupState, latencies_of
from crucible_nb.metrics.sum_table import NO_SPAN, NUMBERS, Block


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
        if column is not None:
            values[row] = column
            active.append(row)
    success, weight = numbers("success"), numbers("weight")
    known = np.full(len(time), -1, np.int8)
    if success is not None:
        known = success.view(np.int8) if success.dtype == np.bool_ else np.nan_to_num(success, nan=-1).astype(np.int8)
    weighted = weight is not None and bool((weight != 1).any())
    return Block(time, values, active, known, weight if weighted else None)


def add_block(state: GroupState, block: Block, cells: Cells, groups: Sequence[int], *, timed: bool = True) -> None:
    """Add rows to groups of a state, in place.

    Args:
        state: The state.
        block: The rows.
        cells: Their cells.
        groups: Group of the state for each cell; all are different.
        timed: Whether the times of the rows are known; otherwise they count in no time span.
    """
    if block.size:
        table = fold(block, cells)
        if not timed:
            table.span[:] = NO_SPAN
        state.add(groups, table)
        latencies = latencies_of(block, cells)
        state.keep(latencies, [groups[key] for key in latencies.keys.tolist()])


def state_of_block(block: Block) -> GroupState:
    """Compute the state of all rows of a block."""
    state = GroupState()
    add_block(state, block, one_cell(block.size), [0])
    return state
