"""The difference of one metric by a confidence sequence, which is valid at any look."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.comparison.difference import Difference, point_estimate
from crucible_nb.errors import StatError
from crucible_nb.events.sampling_info import not_whole
from crucible_nb.stats.samples.arms import Notes
from crucible_nb.stats.samples.metric_names import metric_of
from crucible_nb.stats.samples.pairs import pairs_of
from crucible_nb.stats.samples.values import values_of
from crucible_nb.stats.sequences import Difference as DifferenceSequence
from crucible_nb.stats.sequences import DifferenceResult, difference


def sequential_difference(
    control: Arm, treatment: Arm, metric: str, design: Design, alpha: float, bound: Any, *, asymptotic: bool
) -> Difference:
    """Compare one metric over all events so far.

    Raises:
        StatError: Rows that are not all events so far, or a mean without a bound.
    """
    paired = design.pair_by is not None and metric_of(metric, control.frame.columns).kind != "quantile"
    if paired:
        result = _compare_pairs(control, treatment, metric, design, alpha, bound, asymptotic=asymptotic)
    else:
        result = difference(control.source, treatment.source, metric, 1 - alpha, bound=bound, asymptotic=asymptotic)
    return Difference(
        metric=result.metric, values=_point_estimates(control, treatment, metric), estimate=result.estimate,
        limits=lambda _: result.confidence_interval, pvalue=result.pvalue, test="confidence sequence",
        why=result.method, n=result.n, effect=("evidence", result.evidence),
        notes=_notes(result, design, paired=paired), valid_at_every_n=not result.asymptotic,
    )  # fmt: skip


def _notes(result: DifferenceResult, design: Design, *, paired: bool) -> Notes:
    notes = Notes(warnings=result.warnings)
    if design.pair_by is not None and not paired:
        notes = notes.plus(["both arms have the same items; quantiles take them as independent, which is conservative"])
    if any(result.missing):
        control, treatment = result.missing
        notes = notes.plus(
            exclusions=[f"events without a value: {control:,} of the control, {treatment:,} of the treatment"]
        )
    return notes


def _compare_pairs(
    control: Arm, treatment: Arm, metric: str, design: Design, alpha: float, bound: Any, *, asymptotic: bool
) -> DifferenceResult:
    for arm in (control, treatment):
        reason = not_whole(arm.frame)
        if reason is not None:
            raise StatError(f"sequential=True: the rows of {arm.name} are not all events so far: {reason}")
    pairs = pairs_of(_sort_by_seq(control.frame), treatment.frame, metric, design.pair_by or "sample_id")
    sequence = DifferenceSequence(
        metric, 1 - alpha, bound=bound, asymptotic=asymptotic, paired=True, meaning=pairs.control.metric
    )
    return sequence.update(pairs.control.x, pairs.treatment.x).result()


def _point_estimates(control: Arm, treatment: Arm, metric: str) -> tuple[float, float]:
    """The metric of each arm; for totals the mean per event, since arms may differ in length."""
    first, second = (values_of(arm.frame, metric, arm.name) for arm in (control, treatment))
    return point_estimate(first, total=False), point_estimate(second, total=False)


def _sort_by_seq(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("seq", kind="stable") if "seq" in frame.columns else frame
