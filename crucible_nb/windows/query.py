"""Select a time window of a frame, given in one of four forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.events.where import Where, select
from crucible_nb.utils import checks
from crucible_nb.windows import sliding_frames

Selected = pd.DataFrame | Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]]
"""Result of `query_window`: the rows, or with `sliding` (window_start, window_end, rows) of each window."""

Edges = tuple[int | None, int | None, int | None]
"""First nanosecond, stop (exclusive), and maximum number of the newest rows; None for no limit."""


class TimedRows(NamedTuple):
    """The rows of which a window is selected.

    Attributes:
        frame: Rows in order of time.
        times: Times of the rows, int64 UTC nanoseconds.
        now: End of `last`, inclusive, UTC nanoseconds; None for the newest row.
    """

    frame: pd.DataFrame
    times: np.ndarray
    now: int | None


def edges_of(
    now: int,
    *,
    last: Any = None,
    last_n: Any = None,
    start: Any = None,
    end: Any = None,
    sliding: Any = None,
    where: Where = None,
    **_others: Any,
) -> Edges | None:
    """Return the limits of the rows that a window can contain, for arguments of `query_window`; None for all rows."""
    _one_form(last, last_n, (start, end), sliding, where)
    if sliding is not None:
        return None
    if last_n is not None:
        return None, None, checks.whole("last_n", last_n)
    if last is not None:
        return now - checks.duration("last", last), now + 1, None
    first, stop = (
        None if edge is None else checks.instant(name, edge) for name, edge in (("start", start), ("end", end))
    )
    return first, stop, None


def query_window(
    rows: TimedRows,
    *,
    last: Any = None,
    last_n: int | None = None,
    start: Any = None,
    end: Any = None,
    sliding: Any = None,
    step: Any = None,
    where: Where = None,
) -> pd.DataFrame | Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]]:
    """Select one window of the rows, or a sequence of sliding ones, given in one form; or all rows by `where` alone.

    Args:
        rows: The rows, their times, and now.
        last: Duration up to now ("5min"), both edges included.
        last_n: Number of the newest rows.
        start, end: From start (inclusive) to end (exclusive), or only one of them: datetime, Timestamp, ISO text or
            int nanoseconds; or the name of a moment that `Experiment.mark` has named.
        sliding, step: Length and step of sliding windows, on the grid of `windowed_metrics`.
        where: Condition on the rows: text such as "latency_ms > 900 and model == 'a'" or "time >= warm" (a `mark`), or
            a callable (frame) -> mask. It is applied within the window.

    Returns:
        DataFrame, a view without a copy unless `where` is given; for `sliding` an iterator of (window_start,
        window_end, DataFrame).

    Raises:
        ConfigError: Several forms, or none and no `where`; an argument of the wrong type.
        SchemaError: `where` names a missing column.

    Examples:
        >>> frame = pd.DataFrame({"latency_ms": [1.0, 2.0]})
        >>> query_window(TimedRows(frame, np.array([0, 10**9]), None), last_n=1).latency_ms.tolist()
        [2.0]
    """
    frame, times, now = rows
    _one_form(last, last_n, (start, end), sliding, where)
    if step is not None and sliding is None:
        raise ConfigError(f"step={step!r}: accepted only together with sliding=")
    if sliding is not None:
        windows = sliding_frames(frame, sliding, sliding if step is None else step)
        return ((window_start, window_end, select(part, where)) for window_start, window_end, part in windows)
    if last_n is not None:
        first, stop = max(0, len(frame) - checks.whole("last_n", last_n)), len(frame)
    elif last is not None:
        span = checks.duration("last", last)
        newest = now if now is not None else int(times[-1]) if len(times) else 0
        first, stop = np.searchsorted(times, [newest - span, newest + 1]).tolist()
    else:
        first = 0 if start is None else int(np.searchsorted(times, checks.instant("start", start)))
        stop = len(times) if end is None else int(np.searchsorted(times, checks.instant("end", end)))
    return select(frame.iloc[first : max(first, stop)], where)


def _one_form(last: Any, last_n: Any, bounds: tuple[Any, Any], sliding: Any, where: Where) -> None:
    forms = [last is not None, last_n is not None, any(edge is not None for edge in bounds), sliding is not None]
    if sum(forms) > 1 or not (sum(forms) or where is not None):
        given = [name for name, used in zip(("last", "last_n", "start/end", "sliding"), forms, strict=True) if used]
        expected = "query_window: expected exactly one of last=, last_n=, start=/end=, sliding=, or where= alone"
        raise ConfigError(f"{expected}, got {' and '.join(given) or 'none'}")
