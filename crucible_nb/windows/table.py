"""`windowed_metrics`: one row of metrics per time window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.events.metric_names import metric_of
from crucible_nb.events.times import zoned_index
from crucible_nb.events.where import Where, select
from crucible_nb.utils import checks
from crucible_nb.windows.columns import numbers, outcomes, tokens, weights
from crucible_nb.windows.grid import grid, limit
from crucible_nb.windows.measures import Measure
from crucible_nb.windows.named import named_metric
from crucible_nb.windows.rows import groups_of, rows_of
from crucible_nb.windows.sketch import BOUND


def windowed_metrics(
    frame: pd.DataFrame,
    window: Any,
    step: Any = None,
    by: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    origin: Any = "start_day",
    closed: str | None = None,
    exact: bool = True,
    where: Where = None,
) -> pd.DataFrame:
    """Compute metrics of each time window, over rows in any order.

    Offset aliases, `origin` and `closed` are those of `DataFrame.resample`, which defines the grid. Days and months
    are those of the frame's own time zone, 23 to 25 hours long where clocks change, and `origin` moves them in UTC
    only; the result is in UTC. The first window starts at the grid point at or before the first row, the last at the
    one at or before the last row; windows without rows are kept.

    Args:
        frame: Rows with a DatetimeIndex or a `time` column (naive means UTC). Missing columns and values of latency_ms,
            cost_usd, success and total_tokens (or prompt_tokens and completion_tokens) are unknown, not zero.
        window: Length of a window: an offset alias such as "5min", Timedelta or timedelta; without `step` also a
            calendar alias such as "W" or "ME".
        step: Time between two window starts; None for windows without overlap or gap.
        by: Column or columns whose observed groups become inner index levels; missing keys are a group.
        columns: Further numeric columns: adds mean_, p50_, p95_ and p99_ of each. A name of a metric that is no column,
            such as "max_loss", "share(latency_ms < 2000)" or "events_per_second", adds this metric.
        origin: "start_day", "start", "epoch", "end", "end_day" or a Timestamp, as in `DataFrame.resample`.
        closed: "left" for windows [start, end), "right" for (start, end]; None for the default of the alias in pandas:
            right for ME, QE, YE, BME, BQE, BYE, W and the origins "end" and "end_day", else left. The period ends are
            closed by days: a window "ME" is its whole month, from its first instant to that of the next.
        exact: Whether quantiles equal `np.quantile` of each window's rows; otherwise windows of over 2,048 rows use
            log-bucket histograms with a relative error of at most 0.2 %. `result.attrs["quantiles"]` tells which.
        where: Condition on the rows, as for `query_window`; the others are left out first.

    Returns:
        DataFrame indexed by window_start (datetime64[ns, UTC]), then the levels of `by`: window_end, event_count,
        mean_latency_ms, p50_latency_ms, p95_latency_ms, p99_latency_ms [ms], total_cost_usd [USD], success_count,
        failure_count, success_rate (of known outcomes), total_tokens; mean_, p50_, p95_, p99_ of each of `columns`.
        Counts are int64 and tokens Int64. Without rows: counts and totals 0, the rest NaN. With rows but no known
        cost or tokens: the total is NaN or NA. With weights other than 1 counts and totals are estimates of the full
        log (float64, Float64); means, rates and quantiles are weighted.

    Raises:
        ConfigError: An invalid argument, or over 10 million windows.
        SchemaError: No times, no such column, or a column that is not numeric.
        StatError: A negative or infinite weight.

    Examples:
        >>> import pandas as pd
        >>> times = pd.to_datetime(["2025-01-01 00:00:10", "2025-01-01 00:00:50", "2025-01-01 00:02:00"], utc=True)
        >>> frame = pd.DataFrame({"latency_ms": [100.0, 300.0, 500.0], "success": [True, False, True]}, index=times)
        >>> table = windowed_metrics(frame, "1min")
        >>> table[["event_count", "mean_latency_ms", "success_rate"]].reset_index(drop=True)
           event_count  mean_latency_ms  success_rate
        0            2            200.0           0.5
        1            0              NaN           NaN
        2            1            500.0           1.0
    """
    checks.one_of("exact", exact, (True, False))
    frame = select(frame, where)
    names = () if columns is None else names_of(columns, frame)
    times = zoned_index(frame)
    windows = grid(times, window, step, origin=origin, closed=closed)
    keys, codes = groups_of(frame, by)
    limit(*(("window", window) if step is None else ("step", step)), len(windows.starts) * len(keys))
    measure = Measure(rows_of(times, windows, codes, len(keys)), weights(frame), exact=exact)
    table = {"window_end": windows.ends.repeat(len(keys)), **_standard(measure, frame)}
    for name in names:
        if name in frame.columns:
            table |= measure.describe(name, numbers(frame, name))
        elif name not in table:
            table[name] = named_metric(measure, frame, metric_of(name, frame.columns), windows)
    result = pd.DataFrame(table, index=index_of(windows.starts, keys, by, set(table)))
    result.attrs["quantiles"] = "exact" if exact else f"relative error <= {BOUND}"
    return result


def names_of(columns: str | Sequence[str], frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the names of columns, and of metrics of columns, that `columns` asks for.

    Raises:
        SchemaError: No such column, or no metric has this name.
    """
    names = (columns,) if isinstance(columns, str) else checks.texts("columns", columns)
    for name in names:
        metric = metric_of(name, frame.columns)
        own = metric.kind == "mean" and metric.column == name
        wanted = name if own else [column for column in metric.columns if column not in (frame.index.name, "time")]
        checks.columns("columns", wanted, frame.columns)
    return names


def _standard(measure: Measure, frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "event_count": measure.counts(),
        **measure.describe("latency_ms", numbers(frame, "latency_ms")),
        "total_cost_usd": measure.totals(numbers(frame, "cost_usd")),
        **measure.outcomes(outcomes(frame)),
        "total_tokens": measure.tokens(tokens(frame)),
    }


def index_of(starts: pd.DatetimeIndex, keys: pd.Index, by: Any, columns: set[str]) -> pd.Index:
    """Return the index of the result: windows, and groups within windows."""
    if by is None:
        return starts.rename("window_start")
    if not columns.isdisjoint(keys.names) or "window_start" in keys.names:
        raise checks.wrong("by", by, "columns whose names are none of the result's; rename them")
    codes = np.tile(np.arange(len(keys)), len(starts))
    inner = [keys.get_level_values(level).take(codes) for level in range(keys.nlevels)]
    return pd.MultiIndex.from_arrays([starts.repeat(len(keys)), *inner], names=["window_start", *keys.names])
