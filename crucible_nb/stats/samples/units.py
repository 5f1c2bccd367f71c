"""A metric per unit, such as a session or a user: one value for each unit, over its events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.durations import begins_of
from crucible_nb.events.ids import id_codes, joint_codes
from crucible_nb.events.metric_names import EVENTS, Kind, Metric, metric_of
from crucible_nb.events.metric_values import metric_numbers
from crucible_nb.events.sampling_info import facts_of
from crucible_nb.events.times import times_of
from crucible_nb.stats.samples.values import Values, require_finite, weights_of
from crucible_nb.utils import checks


def unit_values(data: Any, name: str, unit: str, cluster: str | None = None) -> Values:
    """Aggregate a metric by unit first: each unit has one value, and counts once however many events it has.

    Totals and counts are those of the unit; means, quantiles, ratios and single values (min_, max_, first_, last_) too.
    A rate per time is divided by the time of the unit, from its first start to its last completion. A rate is that of
    units of which all events meet it: of `success_rate` all succeeded, of a share all meet the condition; of
    `error_rate` any failed. Unknown values are left out; a unit whose outcomes are unknown, and none decides, is
    missing.

    Args:
        data: DataFrame with the column `unit`.
        name: Name of the metric.
        unit: Column of units, e.g. "session_id"; rows without one are left out.
        cluster: Column of clusters of similar units, e.g. "user_id": that of the first row of a unit.

    Raises:
        SchemaError: No such column.
        StatError: Rows that are a sample, whose units are incomplete; a rate per time of rows without times.

    Examples:
        >>> calls = pd.DataFrame({"session_id": [1, 1, 2], "cost_usd": [0.1, 0.2, 0.4], "success": [True, False, True]})
        >>> unit_values(calls, "total_cost_usd", "session_id").x.round(3).tolist()
        [0.3, 0.4]
        >>> unit_values(calls, "success_rate", "session_id").x.tolist()
        [0.0, 1.0]
    """
    if not isinstance(data, pd.DataFrame):
        raise StatError(f"unit={unit!r}: expected a DataFrame or an experiment, got {type(data).__name__}")
    checks.columns("unit", unit, data.columns)
    metric = metric_of(name, data.columns)
    _require_whole_units(data, unit)
    if isinstance(data.index, pd.DatetimeIndex) and not data.index.is_monotonic_increasing:
        data = data.sort_index(kind="stable")
    codes, labels = id_codes(data[unit], unit)
    named = codes >= 0
    x = _per_unit(data[named], metric, codes[named], len(labels))
    known = ~np.isnan(x)
    of_unit = None if cluster is None else _cluster_of_units(data, cluster, codes, len(labels))[known]
    notes = [f"each of {len(labels):,} values of {unit} has one value and counts once"]
    if not named.all():
        notes.append(f"{int((~named).sum()):,} rows without {unit} are left out")
    kind: Kind = "rate" if metric.kind == "rate" else "mean"
    return Values(
        metric=Metric(f"{name} per {unit}", kind, f"{name} per {unit}"), x=x[known], weight=np.ones(int(known.sum())),
        missing=int((~known).sum()), sampled=False, seen=None, rows_weight=float(len(x)), sized=False, cluster=of_unit,
        notes=tuple(notes),
    )  # fmt: skip


def _require_whole_units(data: pd.DataFrame, unit: str) -> None:
    weight = weights_of(data)
    if ((weight != 1) & (weight != 0)).any() or len(data) < (facts_of(data).get("seen") or 0):
        raise StatError(
            f"unit={unit!r}: the rows are a sample of the events, so units are not complete, and how many have no row "
            "is not known"
        )


def _per_unit(data: pd.DataFrame, metric: Metric, codes: np.ndarray, units: int) -> np.ndarray:
    """The metric of each unit, float64[units]; NaN where unknown."""
    x = metric_numbers(data, metric)
    require_finite(x, metric.column)
    if metric.per is not None:
        per = metric_numbers(data, metric._replace(column=metric.per))
        both = ~np.isnan(x) & ~np.isnan(per)
        below = np.bincount(codes[both], per[both], units)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(below > 0, np.bincount(codes[both], x[both], units) / below, np.nan)
    if metric.kind == "per_time":
        return _per_time(data, x, metric, codes, units)
    if metric.column == EVENTS:
        return np.bincount(codes, minlength=units).astype(np.float64)
    if metric.kind == "rate":
        return _all_meet(x, codes, units, failing=metric.name == "error_rate")
    if metric.kind == "quantile":
        return _quantiles(x, metric.q, codes, units)
    groups = pd.Series(x).groupby(codes)
    how: dict[str, Any] = {"total": "sum", "count": "sum", "min": "min", "max": "max", "first": "first", "last": "last"}
    found = groups.sum(min_count=1) if metric.kind in {"total", "count"} else groups.agg(how.get(metric.kind, "mean"))
    return np.asarray(found.reindex(range(units)).to_numpy(np.float64))


def _quantiles(x: np.ndarray, q: float, codes: np.ndarray, units: int) -> np.ndarray:
    """The quantile of the known values of each unit, linear between them, as of all rows."""
    known = ~np.isnan(x)
    order = np.lexsort((x[known], codes[known]))
    ordered, sizes = x[known][order], np.bincount(codes[known], minlength=units)
    if not len(ordered):
        return np.full(units, np.nan)
    place = (np.cumsum(sizes) - sizes) + q * np.maximum(sizes - 1, 0)
    low = np.minimum(np.floor(place).astype(np.int64), len(ordered) - 1)
    high = np.minimum(np.ceil(place).astype(np.int64), len(ordered) - 1)
    found = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return np.where(sizes > 0, found, np.nan)


def _per_time(data: pd.DataFrame, x: np.ndarray, metric: Metric, codes: np.ndarray, units: int) -> np.ndarray:
    """The total of each unit by its time; NaN for a unit whose time is 0, such as one event without a latency."""
    times = times_of(data)
    if times is None:
        raise StatError(f"{metric.name}: expected rows with times, in the index or a column time")
    latency = numbers_of(data["latency_ms"], "latency_ms") if "latency_ms" in data.columns else None
    begins = begins_of(times.ns, latency)
    first, last = np.full(units, np.iinfo(np.int64).max), np.full(units, np.iinfo(np.int64).min)
    np.minimum.at(first, codes[times.known], begins[times.known])
    np.maximum.at(last, codes[times.known], times.ns[times.known])
    seconds = np.where(last > first, (last - first) / 1e9, np.nan)
    known = ~np.isnan(x)
    total = np.bincount(codes[known], x[known], units)
    counted = np.bincount(codes[known], minlength=units) > 0
    return np.where(counted, total / seconds * metric.seconds, np.nan)


def _all_meet(x: np.ndarray, codes: np.ndarray, units: int, *, failing: bool) -> np.ndarray:
    """Whether all events of each unit meet a condition; of failures, whether any does; NaN where that is unknown."""
    met = 1 - x if failing else x
    broken = np.bincount(codes[met == 0], minlength=units) > 0
    unknown = np.bincount(codes[np.isnan(met)], minlength=units) > 0
    every = np.where(broken, 0.0, np.where(unknown, np.nan, 1.0))
    return 1 - every if failing else every


def _cluster_of_units(data: pd.DataFrame, cluster: str, codes: np.ndarray, units: int) -> np.ndarray:
    checks.columns("cluster", cluster, data.columns)
    groups = joint_codes([data[cluster]], cluster)[0]
    first = np.full(units, -1)
    first[codes[::-1][codes[::-1] >= 0]] = groups[::-1][codes[::-1] >= 0]
    alone = first < 0
    first[alone] = np.arange(int(alone.sum())) + first.max(initial=-1) + 1  # a unit without a cluster is one
    return first
