"""`ItemCost`: cost and time per item of an arm so far."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.events.columns import numbers_of
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.metric_values import has_columns, known_rows
from crucible_nb.stats.samples.values import frame_of, weights_of

_MINUTE = 60.0


class ItemCost(NamedTuple):
    """Cost and time per item of an arm.

    Attributes:
        usd: Cost per item in USD; NaN if unknown.
        minutes: Time per item in minutes; NaN if unknown.
        span: Time of the first and the last row; None without times.
        warnings: Reasons to doubt the cost.
    """

    usd: float
    minutes: float
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None
    warnings: tuple[str, ...] = ()


def item_cost(data: Any, metric: Metric, pair_by: str | None = None) -> ItemCost:
    """Compute the cost and time per item of an arm.

    Args:
        data: Experiment or DataFrame; cost and time of other data are unknown.
        metric: Rows with a value of this metric are items; weighted rows count with their weight.
        pair_by: Column of item ids, if an item may have several rows.
    """
    frame, paused = frame_of(data), getattr(data, "paused_spans", None)
    if not isinstance(frame, pd.DataFrame) or not has_columns(frame, metric):
        return ItemCost(math.nan, math.nan)
    valued = known_rows(frame, metric)
    weight = weights_of(frame) if "weight" in frame.columns else None
    items = float(valued.sum() if weight is None else weight[valued].sum())
    if pair_by is not None and pair_by in frame.columns and valued.any():
        items *= frame.loc[valued, pair_by].nunique() / int(valued.sum())
    if not items > 0:
        return ItemCost(math.nan, math.nan)
    usd, warnings = _usd(frame, weight, valued)
    minutes, span = _minutes(frame, weight, paused)
    return ItemCost(usd / items, minutes / items, span, warnings)


def _usd(frame: pd.DataFrame, weight: np.ndarray | None, valued: np.ndarray) -> tuple[float, tuple[str, ...]]:
    if "cost_usd" not in frame.columns:
        return math.nan, ()
    cost = numbers_of(frame["cost_usd"], "cost_usd")
    known = ~np.isnan(cost)
    if not known.any():
        return math.nan, ("cost unknown: no row has a price; give prices, or cost_usd",)
    unpriced = int((valued & ~known).sum())
    warnings = (f"the cost of {unpriced:,} items is unknown: the total cost is too low",) if unpriced else ()
    return _weighted_sum(cost, weight), warnings


def _weighted_sum(x: np.ndarray, weight: np.ndarray | None) -> float:
    """Weighted sum of the known values."""
    return float(np.nansum(x if weight is None else x * weight))


def _minutes(
    frame: pd.DataFrame, weight: np.ndarray | None, paused: Any
) -> tuple[float, tuple[pd.Timestamp, pd.Timestamp] | None]:
    """Total time in minutes from the first to the last row without pauses, otherwise the sum of latencies."""
    n = len(frame)
    if isinstance(frame.index, pd.DatetimeIndex) and n > 1:
        start, end = frame.index.min(), frame.index.max()
        seconds = (end - start).total_seconds()
        for pause in paused if paused is not None else ():
            seconds -= max((min(end, pause.right) - max(start, pause.left)).total_seconds(), 0.0)
        if seconds > 0:
            return seconds / _MINUTE * n / (n - 1), (start, end)
    if "latency_ms" not in frame.columns:
        return math.nan, None
    latency = numbers_of(frame["latency_ms"], "latency_ms")
    return (math.nan if np.isnan(latency).all() else _weighted_sum(latency, weight) / 1000 / _MINUTE), None
