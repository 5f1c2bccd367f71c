"""`ItemCost`: cost and time per item of an arm so far; `Spending`: of all its rows."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.events.columns import numbers_of
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.metric_values import has_columns, known_rows
from crucible_nb.stats.samples.values import frame_of, is_experiment, weights_of

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


class Spending:
    """Cost and time of all rows of an arm, each computed once and only if it is asked for."""

    def __init__(self, data: Any) -> None:
        """Read the rows of an experiment or DataFrame; cost and time of other data are unknown."""
        frame = frame_of(data)
        self.frame: pd.DataFrame = frame if isinstance(frame, pd.DataFrame) else pd.DataFrame()
        self._paused = getattr(data, "paused_spans", None) if is_experiment(data) else None

    @cached_property
    def weight(self) -> np.ndarray | None:
        """Weights of the rows; None if there are none."""
        return weights_of(self.frame) if "weight" in self.frame.columns else None

    @cached_property
    def cost(self) -> tuple[float, np.ndarray] | None:
        """Total cost in USD of the rows with a price, and which have one, bool[rows]; None without costs."""
        if "cost_usd" not in self.frame.columns:
            return None
        return self._total(numbers_of(self.frame["cost_usd"], "cost_usd"))

    @cached_property
    def minutes(self) -> tuple[float, tuple[pd.Timestamp, pd.Timestamp] | None]:
        """Minutes from the first to the last row without pauses, with these times; else the sum of latencies."""
        frame, n = self.frame, len(self.frame)
        if isinstance(frame.index, pd.DatetimeIndex) and n > 1:
            start, end = frame.index.min(), frame.index.max()
            seconds = (end - start).total_seconds()
            for pause in self._paused if self._paused is not None else ():
                seconds -= max((min(end, pause.right) - max(start, pause.left)).total_seconds(), 0.0)
            if seconds > 0:
                return seconds / _MINUTE * n / (n - 1), (start, end)
        if "latency_ms" not in frame.columns:
            return math.nan, None
        total, known = self._total(numbers_of(frame["latency_ms"], "latency_ms"))
        return (total / 1000 / _MINUTE if known.any() else math.nan), None

    def _total(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Weighted sum of the known values, and which are known."""
        known = ~np.isnan(x)
        x = x if self.weight is None else x * self.weight
        return float(x.sum() if known.all() else np.nansum(x)), known


def item_cost(data: Any, metric: Metric, pair_by: str | None = None, *, spending: Spending | None = None) -> ItemCost:
    """Compute the cost and time per item of an arm.

    Args:
        data: Experiment or DataFrame; cost and time of other data are unknown.
        metric: Rows with a value of this metric are items; weighted rows count with their weight.
        pair_by: Column of item ids, if an item may have several rows.
        spending: Cost and time of these data, if they are known already.
    """
    spending = spending or Spending(data)
    frame, weight = spending.frame, spending.weight
    if not has_columns(frame, metric):
        return ItemCost(math.nan, math.nan)
    valued = known_rows(frame, metric)
    items = float(np.count_nonzero(valued) if weight is None else weight[valued].sum())
    if pair_by is not None and pair_by in frame.columns and valued.any():
        items *= frame.loc[valued, pair_by].nunique() / int(valued.sum())
    if not items > 0:
        return ItemCost(math.nan, math.nan)
    usd, warnings = _usd(spending, valued)
    minutes, span = spending.minutes
    return ItemCost(usd / items, minutes / items, span, warnings)


def _usd(spending: Spending, valued: np.ndarray) -> tuple[float, tuple[str, ...]]:
    if spending.cost is None:
        return math.nan, ()
    usd, known = spending.cost
    if not known.any():
        return math.nan, ("cost unknown: no row has a price; give prices, or cost_usd",)
    unpriced = int(np.count_nonzero(valued & ~known))
    warnings = (f"the cost of {unpriced:,} items is unknown: the total cost is too low",) if unpriced else ()
    return usd, warnings
