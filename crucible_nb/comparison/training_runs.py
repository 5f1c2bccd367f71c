"""Arms that are one training run each: the steps of a run are not repeats of it, so no test of runs is possible."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.errors import SchemaError, StatError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.metric_names import metric_of
from crucible_nb.events.names import info, standard

_STEPS = ("step", "epoch")
_FEWEST = 3
_REASON = (
    "each arm is one training run, whose steps are not repeats of it: another seed may give another result; compare "
    "several runs, with group_by="
)


def one_run_reason(control: Arm, treatment: Arm, metric: str, design: Design) -> str | None:
    """Return why a comparison of two training curves proves nothing; None if an arm is not the curve of one run.

    The rows of one run have each step (or epoch) once. Runs, pairs, clusters and time blocks that the design names are
    taken as the user's own answer to the question what is independent.

    Args:
        control, treatment: The arms.
        metric: Metric that is compared; rows without a value of it do not count.
        design: Design of the comparison.

    Examples:
        >>> from crucible_nb.comparison.arms import read_arm
        >>> curve = read_arm(pd.DataFrame({"epoch": range(9), "loss": np.linspace(1, 0, 9)}), "a", None)
        >>> one_run_reason(curve, curve, "loss", Design())[:28]
        'each arm is one training run'
        >>> one_run_reason(curve, curve._replace(frame=curve.frame.drop(columns="epoch")), "loss", Design()) is None
        True

    References:
        Bouthillier et al.: Accounting for variance in machine learning benchmarks. MLSys 3 (2021).
    """
    if design.of_runs or design.pair_by is not None or design.cluster is not None or design.resample is not None:
        return None
    return _REASON if all(_is_one_run(arm.frame, metric) for arm in (control, treatment)) else None


def _is_one_run(frame: pd.DataFrame, metric: str) -> bool:
    steps = [step for step in _STEPS if step in frame.columns]
    columns = metric_of(metric, frame.columns).columns
    if not steps or not (set(columns) <= set(frame.columns) and frame.columns.is_unique):
        return False
    needed = [*steps, *(["event"] if "event" in frame.columns else [])]
    rows = frame.loc[frame[list(columns)].notna().all(axis=1).to_numpy(), needed]
    return any(_is_counted_once(rows, step) for step in steps) and not _is_other_work(rows)


def _is_counted_once(rows: pd.DataFrame, step: str) -> bool:
    """Whether each step occurs in one row, in ascending order."""
    if step not in rows.columns:
        return False
    try:
        at = numbers_of(rows[step], step)
    except (SchemaError, StatError):
        return False
    return len(at) >= _FEWEST and bool((np.diff(at) > 0).all())


def _is_other_work(rows: pd.DataFrame) -> bool:
    """Whether the events are standard ones of another category than training, such as llm.request."""
    if "event" not in rows.columns:
        return False
    known = [info(str(name)).category for name in rows["event"].dropna().unique() if str(name) in standard()]
    return bool(known) and "training" not in known
