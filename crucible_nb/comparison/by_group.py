"""Comparison of two arms in each group of rows, and the test whether the effect is the same in all groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from crucible_nb.comparison.arguments import CompareArguments
from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design, read_design
from crucible_nb.comparison.difference import Difference
from crucible_nb.comparison.measured_arms import Look, MeasuredArms, MeasuredMetric, measure_look
from crucible_nb.comparison.shared_units import Units, units_of_design, wald_of_groups
from crucible_nb.comparison.untested import untested_difference
from crucible_nb.comparison.verdicts import better_direction
from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import metric_of
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.hypotests.interaction import (
    InteractionTest,
    interaction_of,
    interaction_test,
    untested_interaction,
)
from crucible_nb.stats.planning.item_costs import Spending
from crucible_nb.stats.samples.groups import Group, groups_of

_FEWEST, _FEWEST_RUNS = 5, 2
_ONE_SIGMA = 0.682689492137086  # of a normal distribution within one standard error
_SHARED = 0.05


class MeasuredGroups(NamedTuple):
    """Two arms, measured in each group.

    Attributes:
        by: Column of the groups.
        labels: Names of the groups.
        groups: The measurements of each group.
        interactions: For each metric the test whether its difference is the same in all groups.
        notes: Sentences on rows that belong to no group, and on the plan.
    """

    by: str
    labels: tuple[str, ...]
    groups: tuple[MeasuredArms, ...]
    interactions: dict[str, InteractionTest]
    notes: tuple[str, ...]


def measure_groups(look: Look, arguments: CompareArguments, by: str) -> MeasuredGroups:
    """Measure every metric in each group, as if the group were compared alone.

    Args:
        look: The arms and metrics.
        arguments: Arguments of `cr.compare`.
        by: Column of the groups.

    Raises:
        SchemaError: An arm has no such column.
        StatError: No row has a value of the column, or there are more than 200.
    """
    arms = (look.control, look.treatment)
    groups, missing = groups_of([arm.frame for arm in arms], by)
    measured = tuple(_measure_group(look, arguments, group) for group in groups)
    labels = tuple(group.label for group in groups)
    try:
        design = read_design(*arms, arguments)
    except StatError:  # as each group says for itself
        design = Design()
    units = units_of_design(arms, groups, arguments.group_by if design.of_runs else design.cluster or design.pair_by)
    interactions = {metric: _interaction(metric, by, arms, groups, measured, units, design) for metric in look.metrics}
    notes = [f"{missing:,} rows without {by} are in no group"] if missing else []
    if look.planned is not None:
        notes.append(f"the plan has no groups of {by}: these comparisons are exploratory, and no look was counted")
    return MeasuredGroups(by, labels, measured, interactions, tuple(notes))


def _measure_group(look: Look, arguments: CompareArguments, group: Group) -> MeasuredArms:
    first, second = (
        arm._replace(frame=arm.frame[rows], ledger=None, spending=Spending(arm.frame[rows]))
        for arm, rows in zip((look.control, look.treatment), group.rows, strict=True)
    )
    try:
        measured = measure_look(Look(first, second, None, look.metrics), arguments)
    except StatError as error:
        metrics = {
            name: _untested(first, second, name, Design(), str(error), arguments) for name in look.metrics
        }  # fmt: skip
        alpha = 0.05 if arguments.alpha is None else arguments.alpha
        return MeasuredArms(first, second, Design(), alpha, None, metrics)
    fewest = _FEWEST if arguments.group_by is None else _FEWEST_RUNS
    metrics = {
        name: _untested(first, second, name, measured.design, _too_small(metric.difference.n, fewest), arguments)
        if metric.difference.untested is None and min(metric.difference.n) < fewest
        else metric
        for name, metric in measured.metrics.items()
    }
    return measured._replace(metrics=metrics)


def _too_small(n: tuple[int, int], fewest: int) -> str:
    return f"the group has {n[0]:,} and {n[1]:,} values, and fewer than {fewest} are not tested"


def _untested(
    first: Arm, second: Arm, metric: str, design: Design, reason: str, arguments: CompareArguments
) -> MeasuredMetric:
    difference = untested_difference(first, second, metric, design, reason)._replace(untested=reason, identical=False)
    return MeasuredMetric(difference, better_direction(metric, arguments.direction), None, math.nan, math.nan)


def _interaction(
    metric: str, by: str, arms: tuple[Arm, Arm], groups: Sequence[Group], measured: Sequence[MeasuredArms],
    units: Units | None, design: Design,
) -> InteractionTest:  # fmt: skip
    known = [
        (group, each.metrics[metric].difference, _error(each.metrics[metric].difference))
        for group, each in zip(groups, measured, strict=True)
    ]
    known = [(group, difference, error) for group, difference, error in known if error.error > 0]
    names = [group.label for group, _, _ in known]
    if len(known) < 2:
        return untested_interaction(metric, by, names, "fewer than two groups have a difference with a standard error")
    warnings = []
    if units is not None and units.shared:
        estimates = [difference.estimate for _, difference, _ in known]
        test = wald_of_groups(arms, metric, [group for group, _, _ in known], estimates, units, design)
        if test is not None:
            how = f"Wald test; {units.shared:.0%} of {units.name} lie in several groups, whose covariance is used"
            return interaction_of(metric, by, names, test, how)
        if units.shared > _SHARED:
            reason = f"{units.shared:.0%} of {units.name} lie in several groups, so the differences are not independent"
            return untested_interaction(metric, by, names, reason)
        warnings.append(f"{units.shared:.1%} of {units.name} lie in several groups, taken as independent")
    if measured and metric_of(metric, measured[0].control.frame.columns).kind == "per_time":
        warnings.append("groups that were recorded at the same time are taken as independent")
    if any(math.isnan(difference.error.error) for _, difference, _ in known):
        warnings.append("standard errors are half the widths of the 68% intervals of the differences")
    return interaction_test(
        metric, by, names, [difference.estimate for _, difference, _ in known], [error for _, _, error in known],
        warnings,
    )  # fmt: skip


def _error(difference: Difference) -> Error:
    """Standard error of a difference; recovered from its interval (Zou and Donner's idea) if the test has none."""
    if difference.untested is not None:
        return Error(math.nan, math.nan)
    if not math.isnan(difference.error.error):
        return difference.error
    low, high = difference.limits(_ONE_SIGMA)
    half = (high - low) / 2
    return Error(half if math.isfinite(half) else math.nan, math.inf)
