"""Read a metric from data by its name: values, their weights, and their sampling information."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.ids import joint_codes
from crucible_nb.events.sampling_info import check_weights, facts_of
from crucible_nb.utils import checks

Kind = Literal["mean", "total", "rate", "quantile", "ratio"]
_NAME = re.compile(r"(mean|total|p\d{1,2}(?:\.\d+)?)_(.+)")


class Metric(NamedTuple):
    """A metric: a statistic of a column.

    Attributes:
        name: As written.
        kind: mean, total, rate (share of true), quantile or ratio (of two totals).
        column: Of the frame.
        q: The quantile, NaN for other kinds.
        per: The column that a ratio divides by.
    """

    name: str
    kind: Kind
    column: str
    q: float = float("nan")
    per: str | None = None


class Values(NamedTuple):
    """Known values of a column, in order.

    Attributes:
        metric: Metric for which the values were read.
        x: Values, float64[n], without NaN.
        weight: Weights, float64[n].
        missing: Number of rows without a value; rows of weight 0 are left out and not counted.
        sampled: Whether the rows are a sample of the events.
        seen: Number of events that the whole frame represents; None if unknown.
        rows_weight: Sum of the weights of all rows, including those without a value.
        sized: Whether the sampling probabilities depended on this column.
        cluster: int64[n], codes of the clusters that the values lie in, counted from 0; None for independent values.
        per: Denominators of a ratio, float64[n].
        notes: Sentences on correlated neighbours and time blocks; those that begin with "warning: " are warnings.
        known: Whether each row of the data has a value, bool[rows]; None if all have.
        lost: Weights of the rows without a value, float64[missing]; None if there are none.
        lost_cluster: int64[missing], codes of the clusters of these rows; None without clusters.
    """

    metric: Metric
    x: np.ndarray
    weight: np.ndarray
    missing: int
    sampled: bool
    seen: int | None
    rows_weight: float
    sized: bool
    cluster: np.ndarray | None = None
    per: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    known: np.ndarray | None = None
    lost: np.ndarray | None = None
    lost_cluster: np.ndarray | None = None

    @property
    def plain(self) -> bool:
        """Whether rows are neither sampled nor clustered."""
        return not self.sampled and self.cluster is None


_OWN = {
    "success_rate": Metric("success_rate", "rate", "success"),
    "total_tokens": Metric("total_tokens", "total", "total_tokens"),
    "cost_per_success": Metric("cost_per_success", "ratio", "cost_usd", per="success"),
}


def metric_of(name: str, columns: Any = ()) -> Metric:
    """Read a metric name; a name that is a column itself means its mean.

    Examples:
        >>> metric_of("p95_latency_ms").q, metric_of("loss").kind
        (0.95, 'mean')
        >>> metric_of("cost_per_success")
        Metric(name='cost_per_success', kind='ratio', column='cost_usd', q=nan, per='success')
    """
    checks.text("metric", name)
    if name in _OWN:
        return _OWN[name]
    if name in columns:
        return Metric(name, "mean", name)
    for at in re.finditer("_per_", name):
        column, per = name[: at.start()], name[at.end() :]
        if column in columns and per in columns:
            return Metric(name, "ratio", column, per=per)
    found = _NAME.fullmatch(name)
    if found is None:
        return Metric(name, "mean", name)
    what, column = found.groups()
    if not what.startswith("p"):
        return Metric(name, "mean" if what == "mean" else "total", column)
    return Metric(name, "quantile", column, float(what[1:]) / 100)


def frame_of(data: Any) -> Any:
    """Return the rows of an experiment; other data are returned as they are."""
    return data.frame() if hasattr(data, "frame") and not isinstance(data, pd.DataFrame) else data


def values_of(data: Any, metric: str, name: str = "data", *, cluster: str | None = None) -> Values:
    """Read the values of a metric.

    Args:
        data: Experiment, DataFrame, Series, list or array; of plain values, `metric` only gives the kind.
        metric: E.g. "mean_latency_ms", "p95_latency_ms", "total_cost_usd", "success_rate", "cost_per_success", or a
            column for its mean.
        name: Name of the argument, for messages.
        cluster: Column that identifies clusters of correlated rows, e.g. "session_id"; each missing value is a cluster.

    Raises:
        SchemaError: There is no such column, or it does not contain numbers.
        StatError: Weights are negative or not finite; outcomes are not 0 or 1.
    """
    data = frame_of(data)
    if isinstance(data, pd.DataFrame):
        return _of_frame(data, metric, cluster)
    if cluster is not None:
        raise StatError(f"cluster={cluster!r}: {name} needs to be a DataFrame or an experiment with that column")
    wanted = metric_of(metric)
    if wanted.kind == "ratio":
        raise StatError(f"{metric}: {name} needs to be a DataFrame or an experiment, got {type(data).__name__}")
    x = finite_numbers(bare_series(data, name), wanted.column, name)
    return _known(wanted, x, np.ones(len(x)), {}, None, None)


def _of_frame(frame: pd.DataFrame, metric: str, cluster: str | None) -> Values:
    check_weights(frame)
    wanted, have = metric_of(metric, frame.columns), frame.columns
    checks.columns("metric", wanted.column, have)
    x = finite_numbers(frame[wanted.column], wanted.column)
    weight = (
        checks.weights(numbers_of(frame["weight"], "weight"), len(frame)) if "weight" in have else np.ones(len(frame))
    )
    per = None
    if wanted.per is not None:
        checks.columns("metric", wanted.per, have)
        per = finite_numbers(frame[wanted.per], wanted.per)
        x = np.where(np.isnan(per), np.nan, x)
    return _known(wanted, x, weight, facts_of(frame), clusters_of(frame, cluster), per)


def clusters_of(frame: pd.DataFrame, cluster: str | None) -> np.ndarray | None:
    """Return the cluster code of each row; a row without one is its own cluster."""
    if cluster is None:
        return None
    checks.columns("cluster", cluster, frame.columns)
    codes = joint_codes([frame[cluster]], cluster)[0]
    alone = codes < 0
    codes[alone] = np.arange(int(alone.sum())) + codes.max(initial=-1) + 1
    return codes


def _known(
    wanted: Metric,
    x: np.ndarray,
    weight: np.ndarray,
    facts: dict[str, Any],
    cluster: np.ndarray | None,
    per: np.ndarray | None,
) -> Values:
    present = weight > 0  # rows of weight 0 count nowhere
    known = present & ~np.isnan(x)
    missing = int(np.count_nonzero(present)) - int(np.count_nonzero(known))
    sampled = bool((weight[present] != 1).any()) or len(x) < (facts.get("seen") or 0)
    total = float(weight.sum())
    whole, lost, lost_cluster = bool(known.all()), None, None
    if missing:
        lost = weight[present & ~known]
        lost_cluster = None if cluster is None else cluster[present & ~known]
    if not whole:
        x, weight = x[known], weight[known]
        cluster = None if cluster is None else cluster[known]
        per = None if per is None else per[known]
    if wanted.kind == "rate" and not ((x == 0) | (x == 1)).all():
        raise StatError(f"{wanted.column}: expected true, false, 0 or 1 for {wanted.name}, got other numbers")
    sized = facts.get("sized_by") == wanted.column
    return Values(
        metric=wanted,
        x=x,
        weight=weight,
        missing=missing,
        sampled=sampled,
        seen=facts.get("seen"),
        rows_weight=total,
        sized=sized,
        cluster=cluster,
        per=per,
        known=None if whole else known,
        lost=lost,
        lost_cluster=lost_cluster,
    )


def weights_of(frame: pd.DataFrame) -> np.ndarray:
    """Read the weights of rows; 1 for each without a column `weight`.

    Raises:
        StatError: A weight is negative or not finite.
    """
    if "weight" not in frame.columns:
        return np.ones(len(frame))
    return checks.weights(numbers_of(frame["weight"], "weight"), len(frame))


def bare_series(data: Any, name: str) -> pd.Series:
    """Return values that are no table as a Series.

    Raises:
        SchemaError: They are no values in one dimension.
    """
    try:
        return data if isinstance(data, pd.Series) else pd.Series(data)
    except (TypeError, ValueError) as error:
        raise checks.wrong(name, data, f"numbers in one dimension: {error}", SchemaError) from error


def finite_numbers(column: Any, name: str, argument: str | None = None) -> np.ndarray:
    """Read a column as float64, NaN where missing.

    Raises:
        SchemaError: It holds values that are no numbers.
        StatError: It holds infinite numbers.
    """
    x = numbers_of(column, name, argument)
    if np.isinf(x).any():
        raise StatError(f"{argument or name}: expected finite numbers, got {int(np.isinf(x).sum())} infinite ones")
    return x
