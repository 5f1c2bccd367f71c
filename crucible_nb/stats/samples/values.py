"""Read a metric from data by its name: values, their weights, and their sampling information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.dtypes import family_of
from crucible_nb.events.ids import dense_numbers, joint_codes
from crucible_nb.events.metric_names import Kind, Metric, metric_of, unit_of
from crucible_nb.events.metric_values import metric_numbers, require_estimate
from crucible_nb.events.sampling_info import check_weights, facts_of
from crucible_nb.events.where import Where, select
from crucible_nb.utils import checks


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
        notes: Sentences on units, neighbours that correlate and time blocks; those that begin with "warning: " are
            warnings.
        known: Whether each row of the data has a value, bool[rows]; None if all have.
        lost: Weights of the rows without a value, float64[missing]; None if there are none.
        lost_cluster: int64[missing], codes of the clusters of these rows; None without clusters.
        blocks: Whether the clusters are time blocks.
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
    blocks: bool = False

    @property
    def n(self) -> int:
        """Number of values, or of time blocks."""
        return len(np.unique(self.cluster)) if self.blocks and self.cluster is not None else len(self.x)

    @property
    def plain(self) -> bool:
        """Whether rows are neither sampled nor clustered."""
        return not self.sampled and self.cluster is None


def frame_of(data: Any) -> Any:
    """Return the rows of an experiment, or of a list of experiments, which are runs of one arm; other data as they are.

    The rows of several runs have a column `run`, the name of the experiment, unless they have one of this name.
    """
    if is_experiment(data):
        return data.frame()
    if isinstance(data, (list, tuple)) and data and all(map(is_experiment, data)):
        return pd.concat([_named_run(run) for run in data])
    return data


def _named_run(run: Any) -> pd.DataFrame:
    rows: pd.DataFrame = run.frame()
    return rows if "run" in rows.columns else rows.assign(run=pd.Series(run.name, index=rows.index, dtype="str"))


def rows_where(where: Where, *groups: Any) -> tuple[Any, ...]:
    """Select the rows of each group for which a condition is true; see `crucible_nb.events.where.select`.

    Args:
        where: Text, or a callable (frame) -> mask; None returns the groups as they are.
        groups: Experiments or DataFrames; None stays None.

    Raises:
        SchemaError, ConfigError: See `select`.
        StatError: A group without columns.

    Examples:
        >>> calls = pd.DataFrame({"event": ["call", "warmup"], "latency_ms": [10.0, 900.0]})
        >>> rows_where("event == 'call'", calls)[0].latency_ms.tolist()
        [10.0]
    """
    return groups if where is None else tuple(_rows_where(where, data) for data in groups)


def _rows_where(where: Where, data: Any) -> Any:
    rows = frame_of(data)
    if rows is not None and not isinstance(rows, pd.DataFrame):
        raise StatError(f"where={where!r}: expected experiments or DataFrames, got {type(data).__name__}")
    return None if rows is None else select(rows, where)


def is_experiment(data: Any) -> bool:
    """Return whether data are an experiment; a column or label named "frame" does not make a table one."""
    return hasattr(type(data), "frame")


def values_of(data: Any, metric: str, name: str = "data", *, cluster: str | None = None) -> Values:
    """Read the values of a metric; the mean of a column that holds only 0 and 1, or booleans, is read as a rate.

    Amounts in a unit (latency_ms, cost_usd) stay amounts.

    Args:
        data: Experiment, DataFrame, Series, list or array; of plain values, `metric` only gives the kind.
        metric: E.g. "mean_latency_ms", "p95_latency_ms", "total_cost_usd", "success_rate", "cost_per_success", or a
            column for its mean.
        name: Name of the argument, for messages.
        cluster: Column that identifies clusters of correlated rows, e.g. "session_id"; each missing value is a cluster.

    Raises:
        SchemaError: There is no such column, it does not contain numbers, or no metric has this name.
        StatError: Weights are negative or not finite; outcomes are not 0 or 1.

    Examples:
        >>> values_of([0, 1, 1], "correct").metric.kind, values_of([0, 1, 2], "correct").metric.kind
        ('rate', 'mean')
    """
    data = frame_of(data)
    wanted = metric_of(metric, data.columns if isinstance(data, pd.DataFrame) else ())
    values = read_values(data, wanted, name, cluster=cluster)
    amount = wanted.kind != "mean" or unit_of(wanted)
    return values if amount or not len(values.x) or not is_zero_one(values.x) else _with_kind(values, "rate")


def read_values(data: Any, metric: Metric, name: str = "data", *, cluster: str | None = None) -> Values:
    """Read the values of a metric of known kind; arguments and errors as for `values_of`."""
    data = frame_of(data)
    require_estimate(metric)
    if metric.kind == "per_time":
        raise StatError(f"{metric.name}: a rate per time has no value per row")
    if isinstance(data, pd.DataFrame):
        return _of_frame(data, metric, cluster)
    if cluster is not None:
        raise StatError(f"cluster={cluster!r}: {name} needs to be a DataFrame or an experiment with that column")
    if metric.kind == "ratio" or metric.name.startswith("share("):
        raise StatError(f"{metric.name}: {name} needs to be a DataFrame or an experiment, got {type(data).__name__}")
    series = bare_series(data, name)
    x = finite_numbers(series, metric.column, name)
    return _known(metric, x, equal_weights(len(x)), {}, None, None)._replace(notes=_unit_notes(metric.column, series))


def same_kind(arms: Sequence[Values]) -> tuple[Values, ...]:
    """Read a metric alike in all arms: a column with other numbers than 0 and 1 in one arm is a mean in each.

    Examples:
        >>> arms = same_kind([values_of([0, 1, 1], "score"), values_of([0, 0.5, 1], "score")])
        >>> [arm.metric.kind for arm in arms]
        ['mean', 'mean']
    """
    mixed = any(arm.metric.kind == "mean" and len(arm.x) for arm in arms)
    return tuple(_with_kind(arm, "mean") if mixed and arm.metric.kind == "rate" else arm for arm in arms)


def is_zero_one(x: np.ndarray) -> bool:
    """Return whether all values are 0 or 1."""
    return all(bool(((part == 0) | (part == 1)).all()) for part in (x[:100], x))  # most columns differ at once


def is_constant(x: np.ndarray) -> bool:
    """Return whether all values are equal."""
    return all(bool((part == x[0]).all()) for part in (x[:100], x))  # most columns vary at once


def _with_kind(values: Values, kind: Kind) -> Values:
    return values._replace(metric=values.metric._replace(kind=kind))


def _of_frame(frame: pd.DataFrame, metric: Metric, cluster: str | None) -> Values:
    check_weights(frame)
    x, per = metric_numbers(frame, metric), None
    require_finite(x, metric.column)
    if metric.per is not None:
        checks.columns("metric", metric.per, frame.columns)
        per = finite_numbers(frame[metric.per], metric.per)
        x = np.where(np.isnan(per), np.nan, x)
    values = _known(metric, x, weights_of(frame), facts_of(frame), clusters_of(frame, cluster), per)
    columns = [column for column in (metric.column, metric.per) if column is not None]
    notes = [note for column in columns if column in frame.columns for note in _unit_notes(column, frame[column])]
    return values._replace(notes=tuple(notes)) if notes else values


def _unit_notes(name: str, column: pd.Series) -> tuple[str, ...]:
    """Name the unit of durations, which have none as numbers."""
    if family_of(column.dtype) != "duration":
        return ()
    return (f"{name} holds durations, in {'milliseconds' if name.endswith('_ms') else 'seconds'}",)


def clusters_of(frame: pd.DataFrame, cluster: str | None) -> np.ndarray | None:
    """Return the cluster code of each row; a row without one is its own cluster."""
    if cluster is None:
        return None
    checks.columns("cluster", cluster, frame.columns)
    numbers = dense_numbers(frame[cluster])
    if numbers is not None:
        return numbers
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
    known = ~np.isnan(x)
    if (weight == 1).all():  # the same bits as without weights
        weight = equal_weights(len(x))
    equal = weight.strides == (0,)
    if not equal and not weight.all():  # rows of weight 0 count nowhere
        known &= weight > 0
    whole, missing, lost, lost_cluster = bool(known.all()), 0, None, None
    if not whole:
        left_out = ~known & (weight > 0)
        missing, lost = int(np.count_nonzero(left_out)), weight[left_out]
        lost_cluster = None if cluster is None else cluster[left_out]
    weighted = not equal and bool(((weight != 1) & (weight != 0)).any())
    sampled = weighted or len(x) < (facts.get("seen") or 0)
    total = float(len(x) if equal else weight.sum())
    if not whole:
        x, weight = x[known], weight[known]
        cluster = None if cluster is None else cluster[known]
        per = None if per is None else per[known]
    if wanted.kind == "rate" and not is_zero_one(x):
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
    """Read the weights of rows; 1 for each, read-only and without memory, if there is no column `weight`.

    Raises:
        StatError: A weight is negative or not finite.
    """
    if "weight" not in frame.columns:
        return equal_weights(len(frame))
    return checks.weights(numbers_of(frame["weight"], "weight"), len(frame))


def equal_weights(n: int) -> np.ndarray:
    """Weights of 1 for n rows, float64[n], read-only and without memory."""
    return np.broadcast_to(1.0, n)


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
    require_finite(x, argument or name)
    return x


def require_finite(x: np.ndarray, name: str) -> None:
    """Refuse infinite numbers; NaN is a missing value.

    Raises:
        StatError: A number is infinite.
    """
    if np.isinf(x).any():
        raise StatError(f"{name}: expected finite numbers, got {int(np.isinf(x).sum())} infinite ones")
