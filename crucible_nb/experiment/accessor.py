"""`df.crucible`: metrics, windows and anomalies of any DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly import anomalies
from crucible_nb.events.durations import duration_of
from crucible_nb.events.marks import at_marks, marks_of
from crucible_nb.events.sampling_info import check_weights
from crucible_nb.events.tables import with_levels
from crucible_nb.events.times import all_times, time_source
from crucible_nb.events.where import Where, select
from crucible_nb.metrics import Metrics
from crucible_nb.metrics.frames import frame_metrics
from crucible_nb.pipeline.buffer import time_index
from crucible_nb.utils import checks
from crucible_nb.utils.signatures import signature_of
from crucible_nb.windows import windowed_metrics
from crucible_nb.windows.query import TimedRows, query_window


@pd.api.extensions.register_dataframe_accessor("crucible")
class CrucibleAccessor:
    """Metrics and windows of a DataFrame with event columns.

    Columns that are missing are unknown, not zero. A `weight` column is used.

    Examples:
        >>> import pandas as pd
        >>> import crucible_nb
        >>> pd.DataFrame({"latency_ms": [1.0, 2.0]}).crucible.metrics().latency.mean
        1.5
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = flat(frame)

    def metrics(self, by: str | Sequence[str] | None = None, last: Any = None, where: Where = None) -> Metrics:
        """Compute metrics of the rows; quantiles are exact up to 2,048 values, then within 0.2 %.

        Args:
            by: Column or columns to group by; missing keys form their own group.
            last: Duration of a window up to the newest row; needs a time index or a `time` column.
            where: Condition on the rows (of the window), as for `query_window`.

        Returns:
            Metrics, indexable by group when `by` is given.

        Raises:
            SchemaError: No such column, no time, or a metric column without numbers.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> frame = pd.DataFrame({"model": ["a", "b", "a"], "cost_usd": [1.0, 2.0, 3.0]})
            >>> frame.crucible.metrics(by="model")["a"].cost.total
            4.0
        """
        check_weights(self._frame)
        if last is None:
            return frame_metrics(select(self._frame, where), by)
        now, window = duration_of(self._frame), self.query_window(last=last, where=where)
        span = (None, 0) if now is None else (max(now[1] - checks.duration("last", last), now[0]), now[1])
        return frame_metrics(window, by, span=span)  # type: ignore[arg-type]

    @signature_of(windowed_metrics)
    def windowed_metrics(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Compute metrics of each time window, over rows in any order.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> times = pd.to_datetime(["2025-01-01 00:00", "2025-01-01 00:01"], utc=True)
            >>> frame = pd.DataFrame({"latency_ms": [1.0, 3.0]}, index=times)
            >>> frame.crucible.windowed_metrics("5min").mean_latency_ms.tolist()
            [2.0]
        """
        check_weights(self._frame)
        return windowed_metrics(self._frame, *args, **kwargs)

    def anomalies(
        self,
        method: Any = "auto",
        metric: str | None = None,
        *,
        by: str | Sequence[str] | None = None,
        cooldown: int | None = None,
        offline: bool = False,
    ) -> pd.DataFrame:
        """Detect incidents in the rows, in order of time.

        Args:
            method: "auto", "z_score", "modified_z_score", "iqr", "ewma", "cusum", "isolation_forest", a detector, or
                several of these ("z_score,iqr" or a list), whose largest score counts.
            metric: Column to score; None: latency_ms and cost_usd, if present.
            by: Columns whose groups have their own baselines.
            cooldown: Number of rows without an alarm that end an incident; None: the default of the detector.
            offline: Whether to score each row also against later rows, and use the smaller score.

        Returns:
            One row per incident: start, end, count, peak, severity, metrics, reason, first_seq, last_seq (rows in
            order of time).

        Raises:
            ConfigError, SchemaError: No such detector or column.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> frame = pd.DataFrame({"latency_ms": [100.0, 101.0, 102.0] * 40 + [900.0]})
            >>> frame.crucible.anomalies("z_score").reason.tolist()
            ['latency_ms 900 is 791.1 sd above the mean 101']
        """
        return anomalies(self._frame, method, metric, by=by, cooldown=cooldown, offline=offline)

    @signature_of(query_window)
    def query_window(
        self, **arguments: Any
    ) -> pd.DataFrame | Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]]:
        """Select rows of a time window, in order of time; `last` ends at the newest row.

        Examples:
            >>> import pandas as pd
            >>> import crucible_nb
            >>> times = pd.to_datetime(["2025-01-01 00:00", "2025-01-01 00:01"], utc=True)
            >>> frame = pd.DataFrame({"latency_ms": [1.0, 3.0]}, index=times)
            >>> frame.crucible.query_window(start="2025-01-01 00:01").latency_ms.tolist()
            [3.0]
        """
        arguments = at_marks(arguments, marks_of(self._frame))
        return query_window(TimedRows(*_ordered(self._frame), None), **arguments)


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the named index levels as columns, indexed by its times if those are a level."""
    if isinstance(frame.index, (pd.DatetimeIndex, pd.RangeIndex)):
        return frame
    source = time_source(frame)
    level = None if source is None else source.level
    flat = with_levels(frame, level)
    return flat if level is None else flat.set_axis(source.values.rename("time"), axis=0)  # type: ignore[union-attr]


def _ordered(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the frame in order of time with a UTC index, and its times; the input is not changed."""
    times = all_times(frame)
    if not isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.drop(columns="time", errors="ignore").set_axis(time_index(times), axis=0)
    if len(times) and (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        frame, times = frame.iloc[order], times[order]
    return frame, times
