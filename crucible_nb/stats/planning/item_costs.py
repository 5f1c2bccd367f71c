"""What one item of an arm has taken so far: money and minutes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.events.columns import numbers_of
from crucible_nb.stats.samples.values import Metric, frame_of
from crucible_nb.utils import checks

_MINUTE = 60.0


class ItemCost(NamedTuple):
    """What one item of an arm takes.

    Attributes:
        usd: Money; NaN when nobody knows.
        minutes: Time; NaN when nobody knows.
        span: First and last moment, None without times.
        said: What a reader should know.
    """

    usd: float
    minutes: float
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None
    said: tuple[str, ...] = ()


def item_cost(data: Any, metric: Metric, pair_by: str | None = None) -> ItemCost:
    """What one item of an arm takes: money and minutes.

    Args:
        data: Experiment or DataFrame; of anything else nothing is known.
        metric: Items are rows with a value of it; where rows are weighted, the events they stand for.
        pair_by: Column that names the item, when several rows may be about one.
    """
    frame, paused = frame_of(data), getattr(data, "paused_spans", None)
    if not isinstance(frame, pd.DataFrame) or metric.column not in frame.columns:
        return ItemCost(math.nan, math.nan)
    valued = frame[metric.column].notna().to_numpy()
    weight = checks.weights(frame["weight"], len(frame)) if "weight" in frame.columns else None
    items = float(valued.sum() if weight is None else weight[valued].sum())
    if pair_by is not None and pair_by in frame.columns and valued.any():
        items *= frame.loc[valued, pair_by].nunique() / int(valued.sum())
    if not items > 0:
        return ItemCost(math.nan, math.nan)
    usd, said = _usd(frame, weight, valued)
    minutes, span = _minutes(frame, weight, paused)
    return ItemCost(usd / items, minutes / items, span, said)


def _usd(frame: pd.DataFrame, weight: np.ndarray | None, valued: np.ndarray) -> tuple[float, tuple[str, ...]]:
    if "cost_usd" not in frame.columns:
        return math.nan, ()
    cost = numbers_of(frame["cost_usd"], "cost_usd")
    known = ~np.isnan(cost)
    if not known.any():
        return math.nan, ("cost unknown: no row has a price; give prices, or cost_usd",)
    lacking = int((valued & ~known).sum())
    said = (f"the cost of {lacking:,} items is unknown: money is at least what is said",) if lacking else ()
    return _sum(cost, weight), said


def _sum(x: np.ndarray, weight: np.ndarray | None) -> float:
    """Of the known values, weighted."""
    return float(np.nansum(x if weight is None else x * weight))


def _minutes(
    frame: pd.DataFrame, weight: np.ndarray | None, paused: Any
) -> tuple[float, tuple[pd.Timestamp, pd.Timestamp] | None]:
    """From the first row to the last without pauses, else latencies one after the other."""
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
    return (math.nan if np.isnan(latency).all() else _sum(latency, weight) / 1000 / _MINUTE), None
