"""The search for ranks in overlapping windows, compiled by numba (extra `[fast]`). Imported only where it is used.

Rows are cut into blocks and each block is sorted once. A window is a run of whole blocks plus loose rows at both
ends; a rank is found by counting below a pivot (bisection inside blocks, a scan of the loose rows) until few values
are left. Neighbouring windows have neighbouring answers, so the first pivot is the answer of the window before.

`where` is (lo, a, first, last, b, hi): a window's whole blocks are `first:last`, its loose rows `lo:a` and `b:hi`.
In block j the answer lies in `blocks[spots[0, j]:spots[1, j]]`; `spots[2, j]` is where the last pivot passes it.
Kernels take plain arguments: numba counts references to what a tuple of arrays holds, which costs a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np

_HEAD, _TAIL = 0, 1
_FEW = 32
_NEAR = 32
_SHARE = 32
"""A block holds about one part in so many of a window."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(kernel: Kernel) -> Kernel:
    """Compile at the first call, and keep the result on disk."""
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
    """Block edges on window edges, so that most windows have no loose rows."""
    edges = np.unique(np.concatenate([lo, hi]))
    size = max(int(np.median(hi - lo)) // _SHARE, 1)
    even = np.searchsorted(edges, np.arange(edges[0], edges[-1] + size, size))
    return np.unique(edges[even.clip(max=len(edges) - 1)])


@jit
def _search(values: Any, blocks: Any, cuts: Any, windows: Any, rank: Any, pairs: Any) -> None:
    spots = np.zeros((rank.shape[0], 3, len(cuts)), np.int64)
    few = np.empty(_FEW)
    before = (0, 0)  # the blocks of the window before
    for i in range(windows.shape[1]):
        lo, hi, first, last = windows[0, i], windows[1, i], windows[2, i], windows[3, i]
        if lo == hi:
            continue
        where = (lo, min(cuts[first], hi), first, last, min(cuts[last], hi), hi)
        for k in range(rank.shape[0]):
            guess = pairs[0, k, i - 1] if i else np.nan
            if not np.isnan(guess):
                _restore(cuts, where, before, spots[k])
            pairs[0, k, i], pairs[1, k, i] = _pick(values, blocks, cuts, where, rank[k, i], guess, spots[k], few)
        before = (first, last)


@jit
def _pick(
    values: Any, blocks: Any, cuts: Any, where: Any, rank: int, guess: float, spots: Any, few: Any
) -> tuple[float, float]:
    """The values of `rank` and `rank + 1` in a window."""
    least, most = -np.inf, np.inf  # the answer is in [least, most], which
    start, stop = 0, where[5] - where[0]  # are the ranks start:stop of the window
    count = 0 if np.isnan(guess) else _under(values, blocks, cuts, where, guess, spots)
    _open(cuts, where, spots, 0 < count <= rank, count > rank)
    if count > rank:
        most, stop = np.nextafter(guess, -np.inf), count
    elif count:
        least, start = guess, count
    turn = 0
    while stop - start > _FEW:
        pivot = _pivot(values, blocks, where, spots, _share((rank - start) / (stop - start), turn), least, most)
        turn += 1
        count = _under(values, blocks, cuts, where, pivot, spots)
        if count > rank:
            most, stop = np.nextafter(pivot, -np.inf), count
            _keep(where, spots, _TAIL)
        elif count > start:
            least, start = pivot, count
            _keep(where, spots, _HEAD)
        elif pivot == np.inf:
            return pivot, pivot
        else:  # the least that is left: how often is it there?
            least = np.nextafter(pivot, np.inf)
            start = _under(values, blocks, cuts, where, least, spots)
            if start > rank + 1:
                return pivot, pivot
            if start > rank:
                return pivot, _beyond(values, blocks, cuts, where, spots[2], pivot, pivot)
            _keep(where, spots, _HEAD)
    size = _gather(values, blocks, where, least, most, spots, few)
    low = few[rank - start]
    if rank - start + 1 < size:
        return low, few[rank - start + 1]
    return low, _beyond(values, blocks, cuts, where, spots[1], most, low)


@jit
def _restore(cuts: Any, where: Any, before: Any, spots: Any) -> None:
    """Where the window before had its answer, this one has it nearby: keep those places, open the new blocks."""
    for j in range(where[2], where[3]):
        if not before[0] <= j < before[1]:
            spots[0, j], spots[1, j] = cuts[j], cuts[j + 1]


@jit
def _open(cuts: Any, where: Any, spots: Any, low: bool, high: bool) -> None:
    """Let all of each block be searched, up from the place last found (`low`) or down from it (`high`)."""
    for j in range(where[2], where[3]):
        spots[_HEAD, j] = spots[2, j] if low else cuts[j]
        spots[_TAIL, j] = spots[2, j] if high else cuts[j + 1]


@jit
def _keep(where: Any, spots: Any, side: int) -> None:
    for j in range(where[2], where[3]):
        spots[side, j] = spots[2, j]


@jit
def _share(share: float, turn: int) -> float:
    """How far into what is left to look: a little beyond the answer on its far side at first, then the middle."""
    if turn > 2:
        return 0.5
    return min(2 * share, 0.5) if share < 0.5 else max(2 * share - 1, 0.5)


@jit
def _pivot(values: Any, blocks: Any, where: Any, spots: Any, share: float, least: float, most: float) -> Any:
    """A value at `share` of the block that has most left; a loose one when none has any."""
    widest, width = 0, 0
    for j in range(where[2], where[3]):
        if spots[1, j] - spots[0, j] > width:
            widest, width = j, spots[1, j] - spots[0, j]
    if width == 0:
        return _loose(values, where, least, most)
    return blocks[spots[0, widest] + min(int(share * width), width - 1)]


@jit
def _loose(values: Any, where: Any, least: float, most: float) -> Any:
    """The middle one of the loose values in [least, most]: in no order of size, so as good as a random one."""
    wanted = 0
    for a, b in ((where[0], where[1]), (where[4], where[5])):
        for i in range(a, b):
            wanted += (values[i] >= least) & (values[i] <= most)
    wanted //= 2
    for a, b in ((where[0], where[1]), (where[4], where[5])):
        for i in range(a, b):
            if least <= values[i] <= most:
                if wanted == 0:
                    return values[i]
                wanted -= 1
    return np.nan


@jit
def _under(values: Any, blocks: Any, cuts: Any, where: Any, pivot: float, spots: Any) -> int:
    """How many values of the window are less than `pivot`; the place in each block goes to `spots[2]`."""
    count = 0
    for i in range(where[0], where[1]):
        count += values[i] < pivot
    for i in range(where[4], where[5]):
        count += values[i] < pivot
    for j in range(where[2], where[3]):
        start, size = spots[0, j], spots[1, j] - spots[0, j]
        if size > 2 * _NEAR:  # the answer is mostly near an end of what is left
            if blocks[start + _NEAR] >= pivot:
                size = _NEAR
            elif blocks[start + size - _NEAR] < pivot:
                start, size = start + size - _NEAR, _NEAR
        while size > 0:
            half = (size + 1) >> 1
            start += half * (blocks[start + half - 1] < pivot)
            size -= half
        spots[2, j] = start
        count += start - cuts[j]
    return count


@jit
def _beyond(values: Any, blocks: Any, cuts: Any, where: Any, tails: Any, most: float, low: float) -> float:
    """The smallest value above `most`; `low` when there is none."""
    result, found = np.inf, False
    for a, b in ((where[0], where[1]), (where[4], where[5])):
        for i in range(a, b):
            if values[i] > most:
                result, found = min(result, values[i]), True
    for j in range(where[2], where[3]):
        if tails[j] < cuts[j + 1]:
            result, found = min(result, blocks[tails[j]]), True
    return result if found else low


@jit
def _gather(values: Any, blocks: Any, where: Any, least: float, most: float, spots: Any, few: Any) -> int:
    """Copy what is left of the window to `few`, sorted; say how many."""
    size = 0
    for a, b in ((where[0], where[1]), (where[4], where[5])):
        for i in range(a, b):
            if least <= values[i] <= most:
                size = _insert(few, size, values[i])
    for j in range(where[2], where[3]):
        for i in range(spots[0, j], spots[1, j]):
            size = _insert(few, size, blocks[i])
    return size


@jit
def _insert(few: Any, size: int, value: float) -> int:
    at = size
    while at > 0 and few[at - 1] > value:
        few[at] = few[at - 1]
        at -= 1
    few[at] = value
    return size + 1
