"""The difference of one metric by a sequence that may be looked at whenever one likes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.comparison.difference import Difference, value_of
from crucible_nb.errors import StatError
from crucible_nb.events.sampling_info import not_whole
from crucible_nb.stats.samples.pairs import pairs_of
from crucible_nb.stats.samples.values import metric_of, values_of
from crucible_nb.stats.sequences import Difference as Growing
from crucible_nb.stats.sequences import DifferenceResult, difference


def sequential_difference(
    control: Arm, treatment: Arm, metric: str, design: Design, alpha: float, bound: Any, *, asymptotic: bool
) -> Difference:
    """Compare one metric of everything so far.

    Raises:
        StatError: Rows that are not everything so far, or a mean without a bound.
    """
    paired = design.pair_by is not None and metric_of(metric, control.frame.columns).kind != "quantile"
    if paired:
        found = _of_pairs(control, treatment, metric, design, alpha, bound, asymptotic=asymptotic)
    else:
        found = difference(control.source, treatment.source, metric, 1 - alpha, bound=bound, asymptotic=asymptotic)
    said = list(found.warnings)
    if design.pair_by is not None and not paired:
        said.append("the same items are on both sides; quantiles take the arms as independent, which is careful")
    if design.cluster is not None:
        said.append(
            f"rows are taken as independent, but {design.cluster} has several each: decide on one row a cluster"
        )
    if any(found.missing):
        said.append(
            f"events without a value: {found.missing[0]:,} of the control, {found.missing[1]:,} of the treatment"
        )
    return Difference(
        found.metric, _values(control, treatment, metric), found.estimate, lambda _: found.confidence_interval,
        found.pvalue, "confidence sequence", found.method, found.n, ("evidence", found.evidence), tuple(said),
        not found.asymptotic,
    )  # fmt: skip


def _of_pairs(
    control: Arm, treatment: Arm, metric: str, design: Design, alpha: float, bound: Any, *, asymptotic: bool
) -> DifferenceResult:
    for arm in (control, treatment):
        reason = not_whole(arm.frame)
        if reason is not None:
            raise StatError(f"sequential: {arm.name} is not everything so far: {reason}")
    pairs = pairs_of(_in_order(control.frame), treatment.frame, metric, design.pair_by or "sample_id")
    growing = Growing(metric, 1 - alpha, bound=bound, asymptotic=asymptotic, paired=True, meaning=pairs.control.metric)
    return growing.update(pairs.control.x, pairs.treatment.x).result()


def _values(control: Arm, treatment: Arm, metric: str) -> tuple[float, float]:
    """The value of each arm; of totals that of an event, since arms need not be of one length."""
    first, second = (values_of(arm.frame, metric, arm.name) for arm in (control, treatment))
    return value_of(first, total=False), value_of(second, total=False)


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("seq", kind="stable") if "seq" in frame.columns else frame
