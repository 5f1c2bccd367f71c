"""Parts of the sentences that results offer for a paper: units, metrics, intervals, sample sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from crucible_nb.events.metric_names import Metric
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.pairs import Pairs


def what_of(metric: Metric) -> str:
    """Name the quantity that a test of means compares.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> what_of(metric_of("latency_ms")), what_of(metric_of("success_rate"))
        ('mean latency_ms', 'success_rate')
    """
    if metric.kind != "mean":
        return metric.name
    return f"mean {metric.column if metric.name in {metric.column, f'mean_{metric.column}'} else metric.name}"


def what_of_pairs(pairs: Pairs) -> str:
    """Name the quantity that a paired test compares: of repeated items, the mean over items."""
    what = what_of(pairs.control.metric)
    return what if pairs.rows is None or pairs.control.per is not None else f"{what} (mean over items)"


def own_name(metric: str, default: str, *data: Any) -> str:
    """Name of the values: the metric, if one was given, else the common name of the Series, else the metric.

    Examples:
        >>> import pandas as pd
        >>> own_name("success_rate", "success_rate", pd.Series([True], name="arm"))
        'arm'
        >>> own_name("success_rate", "success_rate", [True]), own_name("good", "success_rate", pd.Series([1], name="x"))
        ('success_rate', 'good')
    """
    names = {data.name if isinstance(data, pd.Series) and isinstance(data.name, str) else None for data in data}
    [name] = names if len(names) == 1 else [None]
    return metric if name is None or metric != default else name


def interval_text(interval: Interval, confidence: float) -> str:
    """Format an interval as in a paper; "" if both limits are NaN.

    Examples:
        >>> interval_text(Interval(12.0, float("inf")), 0.95)
        '95% CI [12, inf]'
    """
    if math.isnan(interval.low) and math.isnan(interval.high):
        return ""
    low, high = (f"{limit:g}" if math.isinf(limit) else number(limit) for limit in interval)
    return f"{100 * confidence:g}% CI [{low}, {high}]"


def sizes_text(names: Sequence[str], n: Sequence[int]) -> str:
    """Name the groups with their sizes.

    Examples:
        >>> sizes_text(["control", "treatment"], [120, 118])
        'control (n = 120) and treatment (n = 118)'
    """
    groups = [f"{name} (n = {size:,})" for name, size in zip(names, n, strict=True)]
    return " and ".join([", ".join(groups[:-1]), groups[-1]] if len(groups) > 1 else groups)


def joined(*parts: str) -> str:
    """Join the parts that are not empty, and end the sentence.

    Examples:
        >>> joined("difference 3", "", "p = 0.02")
        'difference 3, p = 0.02.'
    """
    return ", ".join(part for part in parts if part) + "."
