"""Sum a block of events by cell, with numpy or with numba; both give the same bits."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.accumulators.exact_add import add_runs, add_totals
from crucible_nb.accumulators.exact_sum import CHUNK
from crucible_nb.accumulators.kernels import KERNELS
from crucible_nb.metrics.sum_table import EVENTS, FAILURES, KNOWN, ONES, SUCCESSES, Block, SumTable
from crucible_nb.utils.interrupts import unbroken


class Cells(NamedTuple):
    """Rows by cell.

    Attributes:
        codes: Cell of each row, int32[n].
        order: Order of the rows by cell, int32[n]; None if they are in order.
        starts: Start of each cell in that order, and n; int64[cells + 1]. Cells may be empty.
    """

    codes: np.ndarray
    order: np.ndarray | None
    starts: np.ndarray


def cells_of(codes: np.ndarray, size: int) -> Cells:
    """Sort rows by cell, stably; codes are integers in [0, size)."""
    codes = codes.astype(np.int32, copy=False)
    if (codes[1:] >= codes[:-1]).all():
        return Cells(codes, None, np.searchsorted(codes, np.arange(size + 1)))
    kernels = KERNELS.after(0)
    if kernels is not None:
        with unbroken():  # where numba makes arrays, it turns what a signal handler raises into a SystemError
            return Cells(codes, *kernels.counting_sort(codes, size))
    order = np.argsort(codes.astype(np.min_scalar_type(size)), kind="stable")  # short integers are sorted by counting
    return Cells(codes, order, np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=size)))))


def one_cell(n: int) -> Cells:
    """Return all rows as one cell."""
    return Cells(np.zeros(n, np.int32), None, np.array([0, n]))


def fold(block: Block, cells: Cells, *, compiled: bool | None = None) -> SumTable:
    """Sum a block by cell.

    Args:
        block: At least one event.
        cells: Cells of the events.
        compiled: Whether to use numba; None uses it once it is loaded.
    """
    few = None if block.weight is None else _few(block.weight)
    if few is not None:
        return _by_weight(block, cells, *few, compiled=compiled)
    kernels = KERNELS.after(block.size) if compiled is None else KERNELS.load() if compiled else None
    if kernels is not None:
        return _compiled(block, cells, kernels)
    filled = np.flatnonzero(np.diff(cells.starts))
    runs = _runs(block if cells.order is None else block.take(cells.order), cells.starts[filled])
    size = len(cells.starts) - 1
    if len(filled) == size:
        return runs
    table = SumTable(size)
    table.add(filled, runs)
    return table


_FEW = 8
"""Number of different weights up to which rows of equal weight are summed first and multiplied then."""


def _few(w: np.ndarray) -> tuple[list[float], np.ndarray] | None:
    """Return the different weights and the index of each row's; None if there are many."""
    values = np.unique(w[:256]).tolist()
    if len(values) > _FEW:
        return None
    codes, found = np.zeros(len(w), np.int32), 0
    for code, value in enumerate(values):
        same = w == value
        codes[same] = code
        found += int(np.count_nonzero(same))
    return (values, codes) if found == len(w) else None


def _by_weight(
    block: Block, cells: Cells, weights: list[float], codes: np.ndarray, *, compiled: bool | None
) -> SumTable:
    """Sum rows of equal weight, as most samplers give, without it, and multiply their sums."""
    size, table = len(cells.starts) - 1, SumTable(len(cells.starts) - 1)
    finer = cells_of(cells.codes * len(weights) + codes, size * len(weights)) if len(weights) > 1 else cells
    sums = fold(block._replace(weight=None), finer, compiled=compiled)
    for code, weight in enumerate(weights):
        table.add(slice(None), sums.take(slice(code, None, len(weights))).times(weight))
    return table


# -- numpy -------------------------------------------------------------------------------------------------------------


def _runs(block: Block, starts: np.ndarray) -> SumTable:
    """Sum consecutive runs of a block."""
    table, w = SumTable(len(starts)), block.weight
    table.counts[EVENTS] = np.diff(starts, append=block.size)
    if block.counts_events:
        _events(table, block, starts, w)
    for row in block.active:
        _column(table, row, block.values[row], starts, w)
    return table


def _events(table: SumTable, block: Block, starts: np.ndarray, w: np.ndarray | None) -> None:
    outcomes = (block.success == 1, block.success == 0)
    if w is None:
        table.counts[ONES] = table.counts[EVENTS]
        table.counts[SUCCESSES], table.counts[FAILURES] = (
            np.add.reduceat(one, starts, dtype=np.int64) for one in outcomes
        )
    else:
        for row, part in enumerate((w, *(w * one for one in outcomes))):
            add_totals(table.use_weights(), row, part, starts)
    table.span[0] = np.minimum.reduceat(block.time, starts)
    table.span[1] = np.maximum.reduceat(block.time, starts)
    table.span[2] = np.minimum.reduceat(block.begins(), starts)


def _column(table: SumTable, row: int, x: np.ndarray, starts: np.ndarray, w: np.ndarray | None) -> None:
    low, high = float(x.min()), float(x.max())
    known = None
    if not math.isfinite(low) or not math.isfinite(high):
        known = ~np.isnan(x)
        if w is not None:
            known &= w > 0
        if not known.any():
            return
        infinite = np.isinf(x) & known
        if infinite.any():
            places = np.flatnonzero(infinite)
            table.totals.add_infinite(row, np.searchsorted(starts, places, side="right") - 1, x[places])
        x = np.where(known & ~infinite, x, 0.0)
    if w is not None:
        add_totals(table.use_weights(), KNOWN - ONES + row, w if known is None else np.where(known, w, 0.0), starts)
    elif known is None:
        table.counts[KNOWN + row] = table.counts[EVENTS]
    else:
        table.counts[KNOWN + row] = np.add.reduceat(known, starts, dtype=np.int64)
    add_runs(table.totals, table.squares, row, x, starts, w)


# -- numba -------------------------------------------------------------------------------------------------------------


def _compiled(block: Block, cells: Cells, compiled: Any) -> SumTable:
    """Sum by cell, with the events in any order."""
    codes, size = cells.codes, len(cells.starts) - 1
    order = _IN_ORDER if cells.order is None else cells.order
    table, w = SumTable(size), None if block.weight is None else np.require(block.weight, requirements=["C", "W"])
    if block.counts_events:
        time = np.require(block.time, requirements=["C", "W"])  # numba compiles anew for arrays that are read-only
        compiled.count(time, block.success, order, cells.starts, table.counts, table.span[:2])
        filled = np.flatnonzero(np.diff(cells.starts))
        begins = block.begins() if cells.order is None else block.begins()[order]
        table.span[2, filled] = np.minimum.reduceat(begins, cells.starts[filled])
    light, heavy = _BIAS, _BIAS  # a weight of 1 shifts nothing
    if w is not None:
        table.counts[ONES:KNOWN] = 0
        light, heavy, _ = compiled.exponents(w)
        if heavy < 0:
            return table
        _weights(table, block, w, codes, (light, heavy), compiled)
    ranges = {row: compiled.exponents(block.values[row]) for row in block.active}
    _reserve(table, [one[:2] for one in ranges.values() if one[1] >= 0], (light - _BIAS, heavy - _BIAS), block.size)
    where = (table.totals, table.squares)
    for row, (_, high, whole) in ranges.items():
        x, known = block.values[row], table.counts[KNOWN + row]
        infinite = int(np.isinf(x).sum()) if high < 0 else 0  # zeros and infinite values alone
        chunks = [part for sums in where for part in (sums.chunks[row], CHUNK * sums.low)]
        if high < 0:
            known += np.bincount(codes[~np.isnan(x)], minlength=size) if w is None else 0
        elif w is not None:
            infinite = compiled.add_weighted(x.view(np.int64), w.view(np.int64), codes, *chunks)
        elif whole:
            compiled.add_whole_runs(x, order, cells.starts, known, *chunks)
        else:
            infinite = compiled.add_runs(x, order, cells.starts, compiled.grid_of(high), known, *chunks)
        if infinite:
            places = np.flatnonzero(np.isinf(x) if w is None else np.isinf(x) & (w > 0))
            table.totals.add_infinite(row, codes[places], x[places])
    for sums in where:
        sums.trim()
    return table


_IN_ORDER = np.empty(0, np.int32)
_BIAS = 1075  # exponents of float64 minus that are positions of the lowest bit of a mantissa


def _reserve(table: SumTable, ranges: list[tuple[int, int]], shifts: tuple[int, int], n: int) -> None:
    """Make room for the sums of numbers of these ranges of exponents, and of their squares."""
    if not ranges:
        return
    light, heavy = shifts
    low = min(0, *(min(low - _BIAS, high - _BIAS - 40) for low, high in ranges))  # the grid is 24 bits below
    high = max(-52, *(max(high - _BIAS, _LOWEST_HIGH) for _, high in ranges))
    table.totals.reserve(low + light, high + heavy + 140, 16 * n)
    table.squares.reserve(2 * low + light, 2 * high + heavy + 240, 16 * n)


_LOWEST_HIGH = -940  # 10 above the lowest grid


def _weights(
    table: SumTable, block: Block, w: np.ndarray, codes: np.ndarray, exponents: tuple[int, int], compiled: Any
) -> None:
    """Sum the weights of all events, of successes, of failures and of the known values of each column."""
    sums = table.use_weights()
    sums.reserve(exponents[0] - _BIAS, exponents[1] - _BIAS + 64, 4 * block.size)
    parts = {0: w}
    if block.counts_events:
        parts |= {1: np.where(block.success == 1, w, 0.0), 2: np.where(block.success == 0, w, 0.0)}
    for row in block.active:
        parts[KNOWN - ONES + row] = np.where(np.isnan(block.values[row]), 0.0, w)
    for row, part in parts.items():
        compiled.add_totals(part.view(np.int64), codes, sums.chunks[row], CHUNK * sums.low)
    sums.trim()
