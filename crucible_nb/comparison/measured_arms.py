"""Measurement of one treatment against the control: the difference of each metric, before correction and verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crucible_nb.comparison.arguments import CompareArguments, Direction
from crucible_nb.comparison.arms import Arm, ArmPair, number_clusters, read_arms
from crucible_nb.comparison.design import Design, read_design
from crucible_nb.comparison.difference import Difference, measure_difference
from crucible_nb.comparison.preregistered import PlannedLook, find_plan
from crucible_nb.comparison.repeated_runs import compare_runs
from crucible_nb.comparison.sequential import sequential_difference
from crucible_nb.comparison.training_runs import one_run_reason
from crucible_nb.comparison.untested import untested_difference
from crucible_nb.comparison.verdicts import (
    better_direction,
    equivalence_pvalue,
    noninferiority_pvalue,
    read_margin,
)
from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import metric_of
from crucible_nb.events.metric_values import has_columns
from crucible_nb.utils import checks

_DEFAULTS = ("success_rate", "p95_latency_ms", "mean_cost_usd")
_SEQUENTIAL = ("success_rate", "p50_latency_ms", "p95_latency_ms")


class MeasuredMetric(NamedTuple):
    """One metric of two arms.

    Attributes:
        difference: The difference, by a test for a fixed n or by a confidence sequence.
        direction: Direction that is better; None if unknown.
        margin: Margin in the unit of the metric; None without one.
        equivalence_p: P-value of equivalence; 1 without a margin, NaN without a test.
        noninferiority_p: P-value of non-inferiority; 1 without a margin or a direction, NaN without a test.
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


class Look(NamedTuple):
    """Two arms, before any metric is measured; `metrics` is empty if the arms share none of the default ones."""

    control: Arm
    treatment: Arm
    planned: PlannedLook | None
    metrics: tuple[str, ...]


def read_looks(pairs: Sequence[ArmPair], arguments: CompareArguments) -> list[Look]:
    """Read each pair of arms, and the metrics to compare.

    Args:
        pairs: Control and treatment of each comparison.
        arguments: Arguments of `cr.compare`.

    Raises:
        ConfigError, SchemaError, StatError: As for `cr.compare`.
    """
    looks = [_read_look(pair, arguments) for pair in pairs]
    metrics = tuple(dict.fromkeys(metric for look in looks for metric in look.metrics))
    if not metrics:
        raise StatError(
            f"metrics: none of {', '.join(_candidates(looks[0].planned, arguments))} has values in both arms; name the "
            "metrics to compare, e.g. metrics=['score']"
        )
    arguments.check_metrics(metrics, looks[0].control.frame.columns)
    return [look if look.metrics else look._replace(metrics=metrics) for look in looks]


def _read_look(pair: ArmPair, arguments: CompareArguments) -> Look:
    first, second = read_arms(pair.control, pair.treatment, arguments.metrics, arguments.where)
    if pair.control_name is not None:
        first = first._replace(name=pair.control_name)
    if pair.treatment_name is not None:
        second = second._replace(name=pair.treatment_name)
    plan = find_plan(first, second, arguments.alpha, sequential=arguments.sequential)
    candidates = _candidates(plan, arguments)
    shared = tuple(metric for metric in candidates if _is_shared(first, second, metric))
    return Look(first, second, plan, arguments.metrics or shared)


def _candidates(plan: PlannedLook | None, arguments: CompareArguments) -> list[str]:
    """The planned metrics, those with a direction, and the default ones."""
    planned = plan.plan.metrics if plan is not None else ()
    return list(dict.fromkeys([*planned, *arguments.direction, *(_SEQUENTIAL if arguments.sequential else _DEFAULTS)]))


def default_metrics(arms: Sequence[Arm], direction: Mapping[str, str]) -> tuple[str, ...]:
    """The default metrics, and those with a direction, of which all arms have values.

    Raises:
        StatError: None of them.
    """
    candidates = dict.fromkeys([*direction, *_DEFAULTS])
    found = tuple(metric for metric in candidates if all(_is_shared(arm, arm, metric) for arm in arms))
    if not found:
        raise StatError(
            f"metrics: not all arms have values of {' or '.join(candidates)}; name the metrics, e.g. metrics=['score']"
        )
    return found


def _is_shared(first: Arm, second: Arm, metric: str) -> bool:
    """Return whether both arms have the column of a metric, and at least one of them values."""
    found = [metric_of(metric, arm.frame.columns) for arm in (first, second)]
    if not all(has_columns(arm.frame, one) for arm, one in zip((first, second), found, strict=True)):
        return False
    return any(all(bool(arm.frame[name].notna().any()) for name in found[0].columns) for arm in (first, second))


def measure_look(look: Look, arguments: CompareArguments) -> MeasuredArms:
    """Measure every metric of two arms.

    Args:
        look: The arms and metrics.
        arguments: Arguments of `cr.compare`.

    Raises:
        ConfigError, SchemaError, StatError: As for `cr.compare`.
    """
    first, second, plan, metrics = look
    alpha = plan.alpha if plan is not None else 0.05 if arguments.alpha is None else arguments.alpha
    checks.number("alpha", alpha, gt=0, lt=1)
    empty = not arguments.sequential and not (len(first.frame) and len(second.frame))
    design = Design() if empty else read_design(first, second, arguments)
    if plan is not None:
        plan.record_look(first, second, metrics)
    if design.cluster is not None and design.pair_by is None and not arguments.sequential:
        first, second = number_clusters(first, second, design.cluster)
    measured = {metric: _measure(first, second, metric, design, arguments, plan, alpha) for metric in metrics}
    reasons = [metric.difference.untested for metric in measured.values()]
    if arguments.sequential and all(reasons):
        raise StatError(str(reasons[0]))
    return MeasuredArms(first, second, design, alpha, plan, measured)


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
    if plan is not None:
        margin = plan.margin(metric, margin)
        direction = (plan.direction if metric == plan.plan.metric else None) or direction
    difference = _difference(first, second, metric, design, arguments, alpha)
    difference = difference._replace(limited=difference.limited or one_run_reason(first, second, metric, design))
    read = read_margin(metric, margin, difference.values[0])
    width = None if read is None else read.width
    if read is not None and read.share is not None and difference.sequential:
        raise checks.wrong("margin", margin, f"a number in the unit of {metric} with sequential=True, known beforehand")
    if difference.untested is not None:
        return MeasuredMetric(difference, direction, width, math.nan, math.nan)
    contrast = difference.margin_contrast or difference.contrast
    if read is None or contrast is None:
        return MeasuredMetric(difference, direction, width)
    equivalence_p, noninferiority_p = equivalence_pvalue(contrast, read), 1.0
    if direction is not None:
        noninferiority_p = noninferiority_pvalue(contrast, read, direction)
    return MeasuredMetric(difference, direction, width, equivalence_p, noninferiority_p)


def _difference(
    first: Arm, second: Arm, metric: str, design: Design, arguments: CompareArguments, alpha: float
) -> Difference:
    """Compare one metric; one that cannot be tested costs only itself."""
    bound = arguments.bound.get(metric) if isinstance(arguments.bound, Mapping) else arguments.bound
    empty = next((arm.name for arm in (first, second) if not len(arm.frame)), None)
    if empty is not None and not arguments.sequential:
        return untested_difference(first, second, metric, design, f"{empty} has no rows")
    try:
        if arguments.sequential:
            return sequential_difference(first, second, metric, design, alpha, bound, asymptotic=arguments.asymptotic)
        if arguments.group_by is not None:
            return compare_runs(first, second, metric, arguments.group_by)
        return measure_difference(first, second, metric, design)
    except StatError as error:
        difference = untested_difference(first, second, metric, design, str(error))
        # identical so far is no result at any later look
        return difference._replace(untested=str(error), identical=False) if arguments.sequential else difference
