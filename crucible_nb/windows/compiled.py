"""Rank search in overlapping windows, compiled by numba (extra `[fast]`). Imported only where it is used.

Rows are divided into blocks, and each block is sorted once. A window consists of whole blocks plus loose rows at both
ends. A rank is found by counting values below a pivot (bisection in blocks, a scan of the loose rows) until few
candidates are left. Neighbouring windows have similar results, so the first pivot is the previous window's result.

`window` is (lo, a, first, last, b, hi): the window's whole blocks are `first:last`, its loose rows `lo:a` and `b:hi`.
In block j the candidates are `blocks[bounds[0, j]:bounds[1, j]]`; `bounds[2, j]` is the position of the last pivot.
Kernels take separate arguments: numba counts references to arrays in a tuple, which takes 10 % of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np

_LOW, _HIGH, _PIVOT = 0, 1, 2  # rows of `bounds`
_FEW = 32  # candidates that are sorted directly
_NEAR = 32  # distance from the ends of a block's candidates that is tried first
_BLOCKS_PER_WINDOW = 32
"""Approximate number of blocks in a window."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(kernel: Kernel) -> Kernel:
    """Compile at the first call, and cache the result on disk."""
    return cast("Kernel", nb.njit(cache=True, nogil=True)(kernel))


def select(values: np.ndarray, lo: np.ndarray, hi: np.ndarray, rank: np.ndarray, pairs: np.ndarray) -> None:
    """Write the values of ranks `rank` and `rank + 1` of every window to `pairs`; see `quantiles`."""
    cuts = _cuts(lo, hi)
    blocks = values.copy()
    for a, b in pairwise(cuts.tolist()):
        blocks[a:b].sort()
    first = np.searchsorted(cuts, lo)
    last = np.maximum(np.searchsorted(cuts, hi, side="right") - 1, first)
    _search(values, blocks, cuts, np.stack([lo, hi, first, last]).astype(np.int64), rank, pairs)


def _cuts(lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """Choose block edges among the window edges, so that most windows have no loose rows."""
    edges = np.unique(np.concatenate([lo, hi]))
    size = max(int(np.median(hi - lo)) // _BLOCKS_PER_WINDOW, 1)
    even = np.searchsorted(edges, np.arange(edges[0], edges[-1] + size, size))
    return np.unique(edges[even.clip(max=len(edges) - 1)])


@jit
def _search(values: Any, blocks: Any, cuts: Any, windows: Any, rank: Any, pairs: Any) -> None:
    bounds = np.zeros((rank.shape[0], 3, len(cuts)), np.int64)
    candidates = np.empty(_FEW)
    previous = (0, 0)  # the blocks of the previous window
    for i in range(windows.shape[1]):
        lo, hi, first, last = windows[0, i], windows[1, i], windows[2, i], windows[3, i]
        if lo == hi:
            continue
        window = (lo, min(cuts[first], hi), first, last, min(cuts[last], hi), hi)
        for k in range(rank.shape[0]):
            guess = pairs[0, k, i - 1] if i else np.nan
            if not np.isnan(guess):
                _restore_bounds(cuts, window, previous, bounds[k])
            pairs[0, k, i], pairs[1, k, i] = _find_pair(
                values, blocks, cuts, window, rank[k, i], guess, bounds[k], candidates
            )
        previous = (first, last)


@jit
def _find_pair(
    values: Any, blocks: Any, cuts: Any, window: Any, rank: int, guess: float, bounds: Any, candidates: Any
) -> tuple[float, float]:
    """Return the values of `rank` and `rank + 1` in a window."""
    lowest, highest = -np.inf, np.inf  # the result is in [lowest, highest], which
    start, stop = 0, window[5] - window[0]  # are the ranks start:stop of the window
    count = 0 if np.isnan(guess) else _count_below(values, blocks, cuts, window, guess, bounds)
    _reset_bounds(cuts, window, bounds, 0 < count <= rank, count > rank)
    if count > rank:
        highest, stop = np.nextafter(guess, -np.inf), count
    elif count:
        lowest, start = guess, count
    step = 0
    while stop - start > _FEW:
        fraction = _pivot_fraction((rank - start) / (stop - start), step)
        pivot = _pivot(values, blocks, window, bounds, fraction, lowest, highest)
        step += 1
        count = _count_below(values, blocks, cuts, window, pivot, bounds)
        if count > rank:
            highest, stop = np.nextafter(pivot, -np.inf), count
            _narrow(window, bounds, _HIGH)
        elif count > start:
            lowest, start = pivot, count
            _narrow(window, bounds, _LOW)
        elif pivot == np.inf:
            return pivot, pivot
        else:  # the pivot is the minimum of the candidates: count its copies
            lowest = np.nextafter(pivot, np.inf)
            start = _count_below(values, blocks, cuts, window, lowest, bounds)
            if start > rank + 1:
                return pivot, pivot
            if start > rank:
                return pivot, _next_above(values, blocks, cuts, window, bounds[_PIVOT], pivot, pivot)
            _narrow(window, bounds, _LOW)
    size = _collect(values, blocks, window, lowest, highest, bounds, candidates)
    low = candidates[rank - start]
    if rank - start + 1 < size:
        return low, candidates[rank - start + 1]
    return low, _next_above(values, blocks, cuts, window, bounds[_HIGH], highest, low)


@jit
def _restore_bounds(cuts: Any, window: Any, previous: Any, bounds: Any) -> None:
    """Keep the bounds of blocks shared with the previous window, whose result is near; reset those of new blocks."""
    for j in range(window[2], window[3]):
        if not previous[0] <= j < previous[1]:
            bounds[_LOW, j], bounds[_HIGH, j] = cuts[j], cuts[j + 1]


@jit
def _reset_bounds(cuts: Any, window: Any, bounds: Any, from_pivot: bool, to_pivot: bool) -> None:
    """Search whole blocks, or only from the last pivot up (`from_pivot`) or up to it (`to_pivot`)."""
    for j in range(window[2], window[3]):
        bounds[_LOW, j] = bounds[_PIVOT, j] if from_pivot else cuts[j]
        bounds[_HIGH, j] = bounds[_PIVOT, j] if to_pivot else cuts[j + 1]


@jit
def _narrow(window: Any, bounds: Any, side: int) -> None:
    """Move one bound of each block to the last pivot."""
    for j in range(window[2], window[3]):
        bounds[side, j] = bounds[_PIVOT, j]


@jit
def _pivot_fraction(fraction: float, step: int) -> float:
    """Choose the position of the pivot among the candidates: first a little beyond the rank, later the middle."""
    if step > 2:
        return 0.5
    return min(2 * fraction, 0.5) if fraction < 0.5 else max(2 * fraction - 1, 0.5)


@jit
def _pivot(values: Any, blocks: Any, window: Any, bounds: Any, fraction: float, lowest: float, highest: float) -> Any:
    """Return the value at `fraction` of the block with most candidates; a loose value if no block has any."""
    widest, width = 0, 0
    for j in range(window[2], window[3]):
        if bounds[_HIGH, j] - bounds[_LOW, j] > width:
            widest, width = j, bounds[_HIGH, j] - bounds[_LOW, j]
    if width == 0:
        return _loose_pivot(values, window, lowest, highest)
    return blocks[bounds[_LOW, widest] + min(int(fraction * width), width - 1)]


@jit
def _loose_pivot(values: Any, window: Any, lowest: float, highest: float) -> Any:
    """Return the loose value in [lowest, highest] at the middle position: unsorted, so as good as a random one."""
    remaining = 0
    for a, b in ((window[0], window[1]), (window[4], window[5])):
        for i in range(a, b):
            remaining += (values[i] >= lowest) & (values[i] <= highest)
    remaining //= 2
    for a, b in ((window[0], window[1]), (window[4], window[5])):
        for i in range(a, b):
            if lowest <= values[i] <= highest:
                if remaining == 0:
                    return values[i]
                remaining -= 1
    return np.nan


@jit
def _count_below(values: Any, blocks: Any, cuts: Any, window: Any, pivot: float, bounds: Any) -> int:
    """Count the values of the window below `pivot`; its position in each block is written to `bounds[_PIVOT]`."""
    count = 0
    for i in range(window[0], window[1]):
        count += values[i] < pivot
    for i in range(window[4], window[5]):
        count += values[i] < pivot
    for j in range(window[2], window[3]):
        start, size = bounds[_LOW, j], bounds[_HIGH, j] - bounds[_LOW, j]
        if size > 2 * _NEAR:  # the position is mostly near an end
            if blocks[start + _NEAR] >= pivot:
                size = _NEAR
            elif blocks[start + size - _NEAR] < pivot:
                start, size = start + size - _NEAR, _NEAR
        while size > 0:
            half = (size + 1) >> 1
            start += half * (blocks[start + half - 1] < pivot)
            size -= half
        bounds[_PIVOT, j] = start
        count += start - cuts[j]
    return count


@jit
def _next_above(values: Any, blocks: Any, cuts: Any, window: Any, tails: Any, highest: float, low: float) -> float:
    """Return the smallest value above `highest`; `low` if there is none."""
    result, exists = np.inf, False
    for a, b in ((window[0], window[1]), (window[4], window[5])):
        for i in range(a, b):
            if values[i] > highest:
                result, exists = min(result, values[i]), True
    for j in range(window[2], window[3]):
        if tails[j] < cuts[j + 1]:
            result, exists = min(result, blocks[tails[j]]), True
    return result if exists else low


@jit
def _collect(values: Any, blocks: Any, window: Any, lowest: float, highest: float, bounds: Any, candidates: Any) -> int:
    """Copy the remaining candidates of the window, sorted, to `candidates`; return their number."""
    size = 0
    for a, b in ((window[0], window[1]), (window[4], window[5])):
        for i in range(a, b):
            if lowest <= values[i] <= highest:
                size = _insert(candidates, size, values[i])
    for j in range(window[2], window[3]):
        for i in range(bounds[_LOW, j], bounds[_HIGH, j]):
            size = _insert(candidates, size, blocks[i])
    return size


@jit
def _insert(candidates: Any, size: int, value: float) -> int:
    at = size
    while at > 0 and candidates[at - 1] > value:
        candidates[at] = candidates[at - 1]
        at -= 1
    candidates[at] = value
    return size + 1
