"""Metrics by name over all windows, such as "share(latency_ms < 2000)" or "events_per_second"."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crucible_nb.events.durations import observed_of
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.metric_values import metric_numbers
from crucible_nb.windows.grid import Grid
from crucible_nb.windows.measures import Measure, ratio


def named_metric(  # noqa: PLR0911  one branch per kind
    measure: Measure, frame: pd.DataFrame, metric: Metric, windows: Grid
) -> np.ndarray:
    """Compute a metric of each window and group.

    A rate per time is divided by the part of the window in which the rows happened, from their first start to their
    last time (see `observed_of`); NaN outside of it.

    Args:
        measure: The rows of each window.
        frame: The rows.
        metric: The metric; see `metric_of`.
        windows: The grid of windows.

    Returns:
        float64, groups within windows; NaN where unknown.

    Raises:
        SchemaError: No such column, or values that are no numbers.
    """
    x = metric_numbers(frame, metric)
    match metric.kind:
        case "quantile":
            return measure.quantile(x, metric.q)
        case "ratio":
            per = metric_numbers(frame, metric._replace(column=str(metric.per)))
            both = np.where(np.isnan(x) | np.isnan(per), np.nan, 1.0)
            return ratio(measure.sums(x * both)[0], measure.sums(per * both)[0])
        case "min" | "max":
            return measure.extreme(x, largest=metric.kind == "max")
        case "first" | "last":
            return measure.edge(x, last=metric.kind == "last")
        case "total" | "count":
            return measure.totals(x)
        case "per_time":
            return ratio(measure.totals(x) * metric.seconds, _seconds(measure, frame, windows))
    return ratio(*measure.sums(x))


def _seconds(measure: Measure, frame: pd.DataFrame, windows: Grid) -> np.ndarray:
    """Seconds of each window in which the rows happened, repeated for each group."""
    observed = observed_of(frame)
    if observed is None:
        return np.zeros(measure.lo.size)
    start, stop = (edges.asi8 for edges in (windows.starts.as_unit("ns"), windows.ends.as_unit("ns")))
    inside = np.minimum(stop, observed.stop) - np.maximum(start, observed.start)
    return np.repeat(np.maximum(inside, 0) / 1e9, measure.lo.size // max(len(windows.starts), 1))
