"""What a metric name means on what a user has: values, their weights, and where they come from."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb import checks
from crucible_nb.errors import SchemaError, StatError
from crucible_nb.sampled import check_weights, facts_of

Kind = Literal["mean", "total", "rate", "quantile"]
_NAME = re.compile(r"(mean|total|p\d{1,2}(?:\.\d+)?)_(.+)")


class Metric(NamedTuple):
    """A metric: what of which column.

    Attributes:
        name: As written.
        kind: mean, total, rate (share of true) or quantile.
        column: Of the frame.
        q: The quantile, NaN for other kinds.
    """

    name: str
    kind: Kind
    column: str
    q: float = float("nan")


class Values(NamedTuple):
    """Known values of a column, in order.

    Attributes:
        metric: What they are for.
        x: float64[n], without NaN.
        weight: float64[n], events each stands for.
        missing: Rows without a value.
        sampled: Whether rows stand for events that are not there.
        seen: Events that the whole frame stands for, None where nobody knows.
        rows_weight: Sum of the weights of all rows, those without a value too.
        sized: Whether the sampler's probabilities grew with this very column.
    """

    metric: Metric
    x: np.ndarray
    weight: np.ndarray
    missing: int
    sampled: bool
    seen: int | None
    rows_weight: float
    sized: bool


def metric_of(name: str, columns: Any = ()) -> Metric:
    """Read a metric name; a name that is a column itself means its mean.

    Examples:
        >>> metric_of("p95_latency_ms")
        Metric(name='p95_latency_ms', kind='quantile', column='latency_ms', q=0.95)
        >>> metric_of("loss").kind
        'mean'
    """
    checks.text("metric", name)
    if name == "success_rate":
        return Metric(name, "rate", "success")
    if name == "total_tokens":
        return Metric(name, "total", "total_tokens")
    found = _NAME.fullmatch(name)
    if found is None or name in columns:
        return Metric(name, "mean", name)
    what, column = found.groups()
    if not what.startswith("p"):
        return Metric(name, "mean" if what == "mean" else "total", column)
    return Metric(name, "quantile", column, float(what[1:]) / 100)


def values_of(data: Any, metric: str, name: str = "data") -> Values:
    """The values of a metric.

    Args:
        data: Experiment, DataFrame, Series, list or array; with bare values `metric` only says what they are.
        metric: E.g. "mean_latency_ms", "p95_latency_ms", "total_cost_usd", "success_rate", or a column for its mean.
        name: What the argument is called.

    Raises:
        SchemaError: There is no such column, or it holds no numbers.
        StatError: Weights are negative or not finite; outcomes are not 0 or 1.
    """
    frame = data.frame() if hasattr(data, "frame") and not isinstance(data, pd.DataFrame) else data
    if isinstance(frame, pd.DataFrame):
        check_weights(frame)
        wanted = metric_of(metric, frame.columns)
        checks.columns("metric", wanted.column, frame.columns)
        x, facts = _numbers(frame[wanted.column], wanted.column), facts_of(frame)
        weight = checks.weights(frame["weight"], len(frame)) if "weight" in frame.columns else np.ones(len(frame))
    else:
        wanted, facts = metric_of(metric), {}
        x = _numbers(pd.Series(frame) if not isinstance(frame, pd.Series) else frame, name)
        weight = np.ones(len(x))
    known = ~np.isnan(x)
    sampled = bool((weight != 1).any()) or len(x) < (facts.get("seen") or 0)
    values = Values(
        wanted, x[known], weight[known], int((~known).sum()), sampled, facts.get("seen"), float(weight.sum()),
        facts.get("sized_by") == wanted.column,
    )  # fmt: skip
    if wanted.kind == "rate" and not np.isin(values.x, (0.0, 1.0)).all():
        raise StatError(f"{wanted.column}: expected true, false, 0 or 1 for {wanted.name}, got other numbers")
    return values


def _numbers(column: pd.Series, name: str) -> np.ndarray:
    try:
        if column.dtype == object:
            column = column.astype("Float64")
        x = column.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"{name}: expected numbers, got {column.dtype}") from error
    if np.isinf(x).any():
        raise StatError(f"{name}: expected finite numbers, got {int(np.isinf(x).sum())} infinite ones")
    return x
