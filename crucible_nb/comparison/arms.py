"""Arms of a comparison: their rows, names and plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.ids import joint_codes
from crucible_nb.events.metric_names import metric_of
from crucible_nb.events.metric_values import require_estimate
from crucible_nb.events.where import Where
from crucible_nb.stats.planning.item_costs import Spending
from crucible_nb.stats.planning.plan import Ledger
from crucible_nb.stats.samples.values import frame_of, is_experiment, rows_where, weights_of
from crucible_nb.utils import checks


class Arm(NamedTuple):
    """One arm of a comparison.

    Attributes:
        name: Name for messages and tables.
        source: Data as given by the user.
        frame: Rows of the arm.
        ledger: Plan and looks of the experiment; None without a plan.
        spending: Cost and time of the rows; None if they are not computed yet.
    """

    name: str
    source: Any
    frame: pd.DataFrame
    ledger: Ledger | None
    spending: Spending | None = None


class ArmPair(NamedTuple):
    """Data of a control and a treatment; a name replaces that of the data."""

    control: Any
    treatment: Any
    control_name: str | None = None
    treatment_name: str | None = None


def read_arm(data: Any, name: str, metrics: Sequence[str] | None, where: Where = None) -> Arm:
    """Read one arm.

    Args:
        data: Experiment, DataFrame, Series, list or array; data without columns need exactly one metric, which names
            them.
        name: Name of the argument.
        metrics: Metrics to compare; None for the default ones.
        where: Condition on the rows.

    Raises:
        SchemaError: Several columns have one name.
        StatError: Data without columns, and not exactly one metric; weights that are no weights.
    """
    if isinstance(data, str):
        accepted = "an experiment, DataFrame, Series, list or array; a name is for `%crucible compare` or cr.attach"
        raise checks.wrong(name, data, accepted, StatError)
    [rows] = rows_where(where, frame_of(data))
    if isinstance(rows, pd.DataFrame):
        _check_columns(rows, name)
        weights_of(rows)  # raises for values that are no weights
        ledger = getattr(data, "planned", None) if is_experiment(data) else None
        return Arm(own_name(data) or name, data if where is None else rows, rows, ledger, Spending(rows))
    if metrics is None or len(metrics) != 1:
        given = None if metrics is None else list(metrics)
        raise StatError(
            f"metrics={given!r}: {name} has no columns; name its values by one metric, e.g. metrics=['latency_ms']"
        )
    metric = metric_of(metrics[0])
    require_estimate(metric)
    if metric.kind == "per_time" or metric.name.startswith("share("):
        raise StatError(f"{metric.name}: {name} needs to be a DataFrame or an experiment, got {type(data).__name__}")
    column = metric.column
    if isinstance(rows, pd.Series):
        frame = rows.to_frame(column)
    else:
        values = np.asarray(rows)
        if values.ndim != 1:
            raise checks.wrong(name, data, "an experiment, DataFrame, Series, list or one-dimensional array", StatError)
        frame = pd.DataFrame({column: values})
    return Arm(name, data, frame, None, Spending(frame))


def _check_columns(frame: pd.DataFrame, name: str) -> None:
    if frame.columns.is_unique:
        return
    repeated = list(dict.fromkeys(map(str, frame.columns[frame.columns.duplicated()])))
    raise SchemaError(f"{name}: several columns are called {', '.join(map(repr, repeated))}; rename them")


def own_name(data: Any) -> str | None:
    """Condition or name of an experiment; None for other data."""
    if not is_experiment(data):
        return None
    name = getattr(data, "condition", None) or getattr(data, "name", None)
    return name if isinstance(name, str) else None


def number_clusters(control: Arm, treatment: Arm, cluster: str) -> tuple[Arm, Arm]:
    """Replace the values of a column of clusters by numbers that all metrics share, which is done once."""
    arms = control, treatment
    if not all(cluster in arm.frame.columns for arm in arms):
        return arms
    codes = np.concatenate(joint_codes([arm.frame[cluster] for arm in arms], cluster))
    alone = codes < 0
    codes[alone] = np.arange(int(alone.sum())) + codes.max(initial=-1) + 1  # a row without a value is a cluster
    parts = np.split(codes, [len(control.frame)])
    first, second = (
        arm._replace(frame=arm.frame.assign(**{cluster: part})) for arm, part in zip(arms, parts, strict=True)
    )
    return first, second


def read_arms(control: Any, treatment: Any, metrics: Sequence[str] | None, where: Where = None) -> tuple[Arm, Arm]:
    """Read control and treatment; name them "control" and "treatment" if their names are equal."""
    first, second = (
        read_arm(data, name, metrics, where) for data, name in ((control, "control"), (treatment, "treatment"))
    )
    if first.name == second.name:
        first, second = first._replace(name="control"), second._replace(name="treatment")
    return first, second
