"""Measurement of one treatment against the control: the difference of each metric, before correction and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from crucible_nb.comparison.arms import Arm, read_arms
from crucible_nb.comparison.design import Design, read_design
from crucible_nb.comparison.difference import Difference, measure_difference
from crucible_nb.comparison.preregistered import PlannedLook, find_plan
from crucible_nb.comparison.repeated_runs import compare_runs
from crucible_nb.comparison.sequential import sequential_difference
from crucible_nb.comparison.verdicts import (
    Direction,
    better_direction,
    equivalence_pvalue,
    noninferiority_pvalue,
    read_margin,
)
from crucible_nb.errors import StatError
from crucible_nb.stats.samples.metric_names import metric_of
from crucible_nb.utils import checks

_DEFAULTS = ("success_rate", "p95_latency_ms", "mean_cost_usd")
_SEQUENTIAL = ("success_rate", "p50_latency_ms", "p95_latency_ms")


@dataclass(frozen=True)
class CompareArguments:
    """The checked arguments of `cr.compare`, other than the arms and the correction."""

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
    """One metric of two arms.

    Attributes:
        difference: The difference, by a test for a fixed n or by a confidence sequence.
        direction: Direction that is better; None if unknown.
        margin: Margin in the unit of the metric; None without one.
        equivalence_p: P-value of equivalence; 1 without a margin.
        noninferiority_p: P-value of non-inferiority; 1 without a margin or a direction.
    """

    difference: Difference
    direction: Direction | None
    margin: float | None
    equivalence_p: float = 1.0
    noninferiority_p: float = 1.0


class MeasuredArms(NamedTuple):
    """A treatment and the control, with all metrics measured.

    Attributes:
        control, treatment: The arms.
        design: Pairs, clusters, weights and blocks of the rows.
        alpha: Significance level of this look.
        planned: The plan at this look; None without a plan.
        metrics: Name of a metric -> its measurement.
    """

    control: Arm
    treatment: Arm
    design: Design
    alpha: float
    planned: PlannedLook | None
    metrics: dict[str, MeasuredMetric]


def measure_arms(control: Any, treatment: Any, arguments: CompareArguments, name: str | None = None) -> MeasuredArms:
    """Measure every metric of two arms; `name` replaces the name of the treatment."""
    first, second = read_arms(control, treatment, arguments.metrics)
    if name is not None:
        second = second._replace(name=name)
    plan = find_plan(first, second, arguments.alpha, sequential=arguments.sequential)
    alpha = plan.alpha if plan is not None else 0.05 if arguments.alpha is None else arguments.alpha
    checks.number("alpha", alpha, gt=0, lt=1)
    metrics = arguments.metrics or _shared_metrics(first, second, arguments, plan)
    pair_by = None if arguments.group_by is not None else arguments.pair_by
    design = read_design(first, second, pair_by, arguments.cluster, arguments.resample, paired=arguments.paired)
    if plan is not None:
        plan.record_look(first, second, metrics)
    measured = {metric: _measure(first, second, metric, design, arguments, plan, alpha) for metric in metrics}
    return MeasuredArms(first, second, design, alpha, plan, measured)


def _shared_metrics(first: Arm, second: Arm, arguments: CompareArguments, plan: PlannedLook | None) -> tuple[str, ...]:
    """The planned and default metrics of which both arms have values."""
    candidates = [*(plan.plan.metrics if plan is not None else ()), *arguments.direction]
    candidates += _SEQUENTIAL if arguments.sequential else _DEFAULTS
    names = list(dict.fromkeys(candidates))
    shared = [metric for metric in names if _has_values(first, metric) and _has_values(second, metric)]
    if not shared:
        raise StatError(
            f"metrics: none of {', '.join(names)} has values in both arms; name the metrics to compare, e.g. "
            "metrics=['score']"
        )
    return tuple(shared)


def _has_values(arm: Arm, metric: str) -> bool:
    column = metric_of(metric, arm.frame.columns).column
    return column in arm.frame.columns and bool(arm.frame[column].notna().any())


def _measure(
    first: Arm,
    second: Arm,
    metric: str,
    design: Design,
    arguments: CompareArguments,
    plan: PlannedLook | None,
    alpha: float,
) -> MeasuredMetric:
    direction, margin = better_direction(metric, arguments.direction), arguments.margin
    if plan is not None and metric == plan.plan.metric:
        direction = plan.direction or direction
        margin = plan.plan.margin if margin is None else margin
    if arguments.sequential:
        bound = arguments.bound.get(metric) if isinstance(arguments.bound, Mapping) else arguments.bound
        difference = sequential_difference(first, second, metric, design, alpha, bound, asymptotic=arguments.asymptotic)
    elif arguments.group_by is not None:
        difference = compare_runs(first, second, metric, arguments.group_by)
    else:
        difference = measure_difference(first, second, metric, design)
    read = read_margin(metric, margin, difference.values[0])
    contrast = difference.margin_contrast or difference.contrast
    if read is None or contrast is None:
        return MeasuredMetric(difference, direction, None if read is None else read.width)
    equivalence_p, noninferiority_p = equivalence_pvalue(contrast, read), 1.0
    if direction is not None:
        noninferiority_p = noninferiority_pvalue(contrast, read, direction)
    return MeasuredMetric(difference, direction, read.width, equivalence_p, noninferiority_p)
