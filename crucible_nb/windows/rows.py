"""Rows of each window of each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.events.columns import group_codes
from crucible_nb.utils import checks
from crucible_nb.windows.grid import Grid


class Rows(NamedTuple):
    """Rows in order of (group, time) and the stretch of them that each window of each group holds.

    Attributes:
        order: Positions in the frame; None where the frame is in order.
        lo: First row, shape (groups, windows).
        hi: Row after the last, shape (groups, windows).
    """

    order: np.ndarray | None
    lo: np.ndarray
    hi: np.ndarray


def groups_of(frame: pd.DataFrame, by: str | Sequence[str] | None) -> tuple[pd.Index, np.ndarray | None]:
    """Return the observed groups in the order of pandas, and the group of each row; one unnamed group without `by`."""
    if by is None:
        return pd.Index([0]), None
    return group_codes(frame, checks.columns("by", by, frame.columns), sort=True)


def rows_of(times: pd.DatetimeIndex, windows: Grid, codes: np.ndarray | None, groups: int) -> Rows:
    """Sort rows by (group, time) where they are not, and find each window's stretch of them."""
    moments = times.asi8
    order = None if times.is_monotonic_increasing else np.argsort(moments, kind="stable")
    if codes is not None:
        codes = codes.astype(np.min_scalar_type(groups))  # numpy sorts short integers by radix
        order = np.argsort(codes, kind="stable") if order is None else order[np.argsort(codes[order], kind="stable")]
    moments = moments if order is None else moments[order]
    ends = np.array([len(moments)]) if codes is None else np.cumsum(np.bincount(codes, minlength=groups))
    lo, hi = np.zeros((2, len(ends), len(windows.starts)), np.int64)
    start = 0
    for group, end in enumerate(ends.tolist()):
        lo[group] = start + np.searchsorted(moments[start:end], windows.lower)
        hi[group] = start + np.searchsorted(moments[start:end], windows.upper)
        start = end
    return Rows(order, lo, hi)
