"""The difference of one metric by a confidence sequence, which is valid at any look."""

from __future__ import annotations

from typing import Any

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.comparison.difference import Difference, point_estimate
from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import Metric
from crucible_nb.events.sampling_info import not_whole
from crucible_nb.stats.samples.arms import Notes
from crucible_nb.stats.samples.first_rows import first_rows
from crucible_nb.stats.samples.pairs import pairs_of
from crucible_nb.stats.samples.values import values_of
from crucible_nb.stats.sequences import Difference as DifferenceSequence
from crucible_nb.stats.sequences import DifferenceResult, difference
from crucible_nb.stats.sequences.arrivals import metric_in, sort_by_seq


def sequential_difference(
    control: Arm, treatment: Arm, metric: str, design: Design, alpha: float, bound: Any, *, asymptotic: bool
) -> Difference:
    """Compare one metric over all events so far; an item with several rows counts once, with its first one.

    Raises:
        StatError: Rows that are not all events so far, or a mean without a bound.
    """
    meaning = metric_in(metric, control.frame, treatment.frame)
    first, second = (_count_once(arm, meaning, design.once) for arm in (control, treatment))
    if design.pair_by is not None and meaning.kind != "quantile":
        sequence = DifferenceSequence(
            metric, 1 - alpha, bound=bound, asymptotic=asymptotic, paired=True, meaning=meaning
        )
        result = _compare_pairs(first, second, sequence, design.pair_by)
    else:
        result = difference(first.source, second.source, metric, 1 - alpha, bound=bound, asymptotic=asymptotic)
    repeats = [len(control.frame) - len(first.frame), len(treatment.frame) - len(second.frame)]
    return Difference(
        metric=result.metric, values=_point_estimates(first, second, metric), estimate=result.estimate,
        limits=lambda _: result.confidence_interval, pvalue=result.pvalue, test="confidence sequence",
        why=result.method, n=result.n, effect=("evidence", result.evidence),
        notes=_notes(result, design, repeats), valid_at_every_n=not result.asymptotic,
        unit="first rows of items" if any(repeats) else "events" if meaning.kind == "total" else "",
        of_events=_point_estimates(control, treatment, metric) if any(repeats) else None,
    )  # fmt: skip


def _count_once(arm: Arm, metric: Metric, by: str | None) -> Arm:
    """Leave out later rows of the same item; an arm without any stays as it is."""
    rows = arm.frame if by is None else first_rows(sort_by_seq(arm.frame), metric, by)
    return arm if len(rows) == len(arm.frame) else arm._replace(frame=rows, source=rows)


def _notes(result: DifferenceResult, design: Design, repeats: list[int]) -> Notes:
    exclusions = [
        f"{count:,} rows of the {name} are repeats of items ({design.once}) and do not count: an item has the "
        "value of its first row, which later ones do not change; to use all repeats, pass their mean as one row"
        for name, count in zip(("control", "treatment"), repeats, strict=True)
        if count
    ]
    if any(result.missing):
        control, treatment = result.missing
        exclusions.append(f"events without a value: {control:,} of the control, {treatment:,} of the treatment")
    return Notes(exclusions=tuple(exclusions), warnings=result.warnings)


def _compare_pairs(control: Arm, treatment: Arm, sequence: DifferenceSequence, by: str) -> DifferenceResult:
    for arm in (control, treatment):
        reason = not_whole(arm.frame)
        if reason is not None:
            raise StatError(f"sequential=True: the rows of {arm.name} are not all events so far: {reason}")
    pairs = pairs_of(sort_by_seq(control.frame), treatment.frame, sequence.metric, by)
    return sequence.update(pairs.control.x, pairs.treatment.x).result()


def _point_estimates(control: Arm, treatment: Arm, metric: str) -> tuple[float, float]:
    """The metric of each arm; for totals the mean per event, since arms may differ in length."""
    first, second = (values_of(arm.frame, metric, arm.name) for arm in (control, treatment))
    return point_estimate(first, total=False), point_estimate(second, total=False)
