"""One treatment against the control: what is measured, before anything is concluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from crucible_nb.comparison.arms import Arm, arms_of
from crucible_nb.comparison.design import Design, design_of
from crucible_nb.comparison.difference import Difference, difference_of
from crucible_nb.comparison.preregistered import PlannedLook, planned_look
from crucible_nb.comparison.repeated_runs import compare_runs
from crucible_nb.comparison.sequential import sequential_difference
from crucible_nb.comparison.verdicts import (
    Direction,
    direction_of,
    equivalence_pvalue,
    margin_of,
    noninferiority_pvalue,
)
from crucible_nb.errors import StatError
from crucible_nb.stats.samples.values import metric_of
from crucible_nb.utils import checks

_DEFAULTS = ("success_rate", "p95_latency_ms", "mean_cost_usd")
_SEQUENTIAL = ("success_rate", "p50_latency_ms", "p95_latency_ms")


@dataclass(frozen=True)
class CompareArguments:
    """The arguments of `cr.compare`."""

    metrics: tuple[str, ...] | None
    direction: dict[str, Direction]
    margin: Any
    pair_by: str | None
    paired: bool | None
    cluster: str | None
    resample: Any
    group_by: str | None
    alpha: float | None
    sequential: bool
    bound: Any
    asymptotic: bool


class MeasuredMetric(NamedTuple):
    """One metric of a case.

    Attributes:
        found: The difference, by a planned test or by a sequence.
        direction, margin: For this metric.
        equivalent, harmless: p-values of equivalence and of non-inferiority; 1 without a margin.
    """

    found: Difference
    direction: Direction | None
    margin: float | None
    equivalent: float = 1.0
    harmless: float = 1.0


class MeasuredArms(NamedTuple):
    """A treatment against the control."""

    control: Arm
    treatment: Arm
    design: Design
    alpha: float
    planned: PlannedLook | None
    metrics: dict[str, MeasuredMetric]


def measure_arms(control: Any, treatment: Any, asked: CompareArguments, name: str | None = None) -> MeasuredArms:
    """Measure every metric."""
    first, second = arms_of(control, treatment, asked.metrics)
    if name is not None:
        second = second._replace(name=name)
    plan = planned_look(first, second, asked.alpha, sequential=asked.sequential)
    alpha = plan.alpha if plan is not None else 0.05 if asked.alpha is None else asked.alpha
    checks.number("alpha", alpha, gt=0, lt=1)
    metrics = asked.metrics or _there(first, second, asked, plan)
    pair_by = None if asked.group_by is not None else asked.pair_by
    design = design_of(first, second, pair_by, asked.cluster, asked.resample, paired=asked.paired)
    if plan is not None:
        plan.look(first, second, metrics)
    measured = {metric: _measure(first, second, metric, design, asked, plan, alpha) for metric in metrics}
    return MeasuredArms(first, second, design, alpha, plan, measured)


def _there(first: Arm, second: Arm, asked: CompareArguments, plan: PlannedLook | None) -> tuple[str, ...]:
    """The metrics that both arms have values of."""
    wanted = [*(plan.plan.metrics if plan is not None else ()), *asked.direction]
    wanted += _SEQUENTIAL if asked.sequential else _DEFAULTS
    found = [metric for metric in dict.fromkeys(wanted) if _has(first, metric) and _has(second, metric)]
    if not found:
        raise StatError(
            f"metrics: neither of {', '.join(dict.fromkeys(wanted))} has values in both arms; name what to compare"
        )
    return tuple(found)


def _has(arm: Arm, metric: str) -> bool:
    column = metric_of(metric, arm.frame.columns).column
    return column in arm.frame.columns and bool(arm.frame[column].notna().any())


def _measure(
    first: Arm,
    second: Arm,
    metric: str,
    design: Design,
    asked: CompareArguments,
    plan: PlannedLook | None,
    alpha: float,
) -> MeasuredMetric:
    direction = direction_of(metric, asked.direction)
    margin = asked.margin
    if plan is not None and metric == plan.plan.metric:
        direction = plan.direction or direction
        margin = plan.plan.margin if margin is None else margin
    if asked.sequential:
        bound = asked.bound.get(metric) if isinstance(asked.bound, Mapping) else asked.bound
        found = sequential_difference(first, second, metric, design, alpha, bound, asymptotic=asked.asymptotic)
    elif asked.group_by is not None:
        found = compare_runs(first, second, metric, asked.group_by)
    else:
        found = difference_of(first, second, metric, design)
    width = margin_of(metric, margin, found.values[0])
    if width is None or found.firm is not None:
        return MeasuredMetric(found, direction, width)
    equivalent = equivalence_pvalue(found.estimate, found.limits, width)
    harmless = 1.0 if direction is None else noninferiority_pvalue(found.estimate, found.limits, width, direction)
    return MeasuredMetric(found, direction, width, equivalent, harmless)
