"""Iterate over time windows and their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.events.times import zoned_index
from crucible_nb.utils import checks
from crucible_nb.windows.grid import grid

Slice = tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]


def sliding_frames(frame: pd.DataFrame, window: Any, step: Any) -> Iterator[Slice]:
    """Iterate over the windows `[start, start + window)` of a frame, on the grid of `windowed_metrics`; empty ones too.

    Args:
        frame: Rows with a time index or a `time` column; sorted once when they are not in order of time.
        window: Length of a window: "5min", Timedelta or timedelta.
        step: From one window's start to the next.

    Returns:
        An iterator of (window_start, window_end, rows): Timestamps in UTC, and a view of the rows without a copy.

    Raises:
        ConfigError: `window` or `step` is no positive duration, or there would be over 10 million windows.
        SchemaError: The frame has no times.

    Examples:
        >>> import pandas as pd
        >>> times = pd.to_datetime(["2025-01-01 00:00:01", "2025-01-01 00:00:07"], utc=True)
        >>> frame = pd.DataFrame({"latency_ms": [1.0, 3.0]}, index=times)
        >>> for start, end, rows in sliding_frames(frame, "10s", "5s"):
        ...     print(start.time(), end.time(), rows.latency_ms.tolist())
        00:00:00 00:00:10 [1.0, 3.0]
        00:00:05 00:00:15 [3.0]
    """
    checks.duration("step", step)
    times = zoned_index(frame)
    if not times.is_monotonic_increasing:
        order = np.argsort(times.asi8, kind="stable")
        frame, times = frame.iloc[order], times[order]
    windows = grid(times, window, step, closed="left")
    first, beyond = np.searchsorted(times.asi8, [windows.lower, windows.upper]).tolist()
    edges = zip(windows.starts, windows.ends, first, beyond, strict=True)
    return ((start, end, frame.iloc[a:b]) for start, end, a, b in edges)
