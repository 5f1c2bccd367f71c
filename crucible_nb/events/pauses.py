"""Pauses of an experiment, kept with its rows: time in which nothing was collected is no silence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

_KEY = "crucible_pauses"


def without_pauses(times: np.ndarray, pauses: Sequence[Sequence[int]]) -> np.ndarray:
    """Return times less the paused time before each; their differences are active time.

    Args:
        times: UTC nanoseconds, int64[n].
        pauses: Begin and end of each pause, UTC nanoseconds, in order.

    Examples:
        >>> without_pauses(np.array([5, 12, 20]), [(10, 15)]).tolist()
        [5, 10, 15]
    """
    begins, ends = np.array(pauses, np.int64).reshape(-1, 2).T
    whole = np.concatenate(([0], np.cumsum(ends - begins)))
    at = np.searchsorted(begins, times, "right")  # number of pauses that began before
    running = np.where(at > 0, np.concatenate(([0], ends))[at] - times, 0)  # rest of a pause that lasts then
    return np.asarray(times - whole[at] + np.maximum(running, 0))


def set_pauses(frame: pd.DataFrame, pauses: Sequence[Sequence[int]]) -> None:
    """Store pauses in the `attrs` of a frame; its slices inherit them, files store them."""
    if pauses:
        frame.attrs[_KEY] = [[int(begin), int(end)] for begin, end in pauses]


def pauses_of(frame: pd.DataFrame) -> list[list[int]]:
    """Return the pauses of a frame.

    Examples:
        >>> frame = pd.DataFrame({"latency_ms": [1.0]})
        >>> set_pauses(frame, [(10, 15)])
        >>> pauses_of(frame.iloc[:0])
        [[10, 15]]
    """
    pauses = frame.attrs.get(_KEY)
    if not isinstance(pauses, list):
        return []
    return [[int(begin), int(end)] for begin, end in pauses]
