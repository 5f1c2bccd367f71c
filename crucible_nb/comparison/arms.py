"""What is compared: two sets of rows, their names, and what they remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.stats.planning.plan import Ledger
from crucible_nb.stats.samples.values import frame_of, metric_of
from crucible_nb.utils import checks


class Arm(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: For people.
        source: As handed in.
        frame: Its rows.
        ledger: The plan of the experiment, where it made one.
    """

    name: str
    source: Any
    frame: pd.DataFrame
    ledger: Ledger | None


def arm_of(data: Any, name: str, metrics: Sequence[str] | None) -> Arm:
    """Read one side.

    Args:
        data: Experiment, DataFrame, Series, list or array; bare values need exactly one metric, which says what they
            are.
        name: What the argument is called.
        metrics: As asked for.

    Raises:
        StatError: Bare values without a metric.
    """
    rows = frame_of(data)
    if isinstance(rows, pd.DataFrame):
        said = getattr(data, "condition", None) or getattr(data, "name", None)
        return Arm(said if isinstance(said, str) else name, data, rows, getattr(data, "planned", None))
    if metrics is None or len(metrics) != 1:
        raise StatError(f"metrics: {name} has bare values; say what they are, e.g. metrics=['latency_ms']")
    column = metric_of(metrics[0]).column
    if isinstance(rows, pd.Series):
        return Arm(name, data, rows.to_frame(column), None)
    values = np.asarray(rows)
    if values.ndim != 1:
        raise checks.wrong(name, data, "an experiment, DataFrame, Series, list or array in one dimension", StatError)
    return Arm(name, data, pd.DataFrame({column: values}), None)


def arms_of(control: Any, treatment: Any, metrics: Sequence[str] | None) -> tuple[Arm, Arm]:
    """Both sides, told apart by name."""
    first, second = arm_of(control, "control", metrics), arm_of(treatment, "treatment", metrics)
    if first.name == second.name:
        first, second = first._replace(name="control"), second._replace(name="treatment")
    return first, second
