"""Correction of p-values over all metrics and arms, and the verdict of each metric."""

from __future__ import annotations

import math
from collections.abc import Iterable

from crucible_nb.comparison.difference import Difference
from crucible_nb.comparison.measured_arms import MeasuredArms, MeasuredMetric
from crucible_nb.comparison.multiplicity import Row, correct_all
from crucible_nb.comparison.next_sample import next_sample
from crucible_nb.comparison.plan_decision import plan_decision
from crucible_nb.comparison.result import Comparison, MetricComparison
from crucible_nb.comparison.sample_ratio import ratio_mismatch
from crucible_nb.comparison.untested import IDENTICAL
from crucible_nb.comparison.verdicts import (
    Decision,
    PValues,
    decide_fixed_n,
    decide_sequence,
    decide_untested,
    limit_decision,
)
from crucible_nb.stats.estimates.contrast import NO_CHANGE
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import Interval, number
from crucible_nb.stats.samples.values import is_experiment


def decide_all(measured: Iterable[MeasuredArms], correction: str | None) -> list[Comparison]:
    """Correct the p-values of all arms together, and decide each; one comparison per treatment."""
    measured = list(measured)
    rows = [Row(arms, metric) for arms in measured for metric in arms.metrics.values()]
    pvalues = correct_all(rows, correction)
    decided = iter([_decide(row, p) for row, p in zip(rows, pvalues, strict=True)])
    return [_comparison(arms, [next(decided) for _ in arms.metrics]) for arms in measured]


def _decide(row: Row, p: PValues) -> MetricComparison:
    arms, measured = row
    difference, direction, margin = measured.difference, measured.direction, measured.margin
    interval = difference.limits(1 - arms.alpha)
    decision = limit_decision(_decision(arms, measured, interval, p), difference.limited)
    change = NO_CHANGE if difference.contrast is None else difference.contrast.relative(1 - arms.alpha)
    more = None
    if decision.verdict == "inconclusive" and not difference.sequential and difference.untested is None:
        more = next_sample(arms.control, arms.treatment, difference, interval, arms.alpha, margin, arms.design)
    effect, effect_size = difference.effect
    control, treatment = difference.values
    of_events = difference.of_events or (math.nan, math.nan)
    return MetricComparison(
        metric=difference.metric, verdict=decision.verdict, control=control, treatment=treatment,
        estimate=difference.estimate, confidence_interval=interval, confidence=1 - arms.alpha, pvalue=p.difference,
        raw_pvalue=difference.pvalue, test=difference.test, why=decision.why, design=difference.why, effect=effect,
        effect_size=effect_size, n=difference.n, direction=direction, margin=margin, correction=p.correction,
        planned=None if arms.planned is None else arms.planned.covers(difference.metric), next_sample=more,
        assumptions=difference.notes.assumptions, method=_report(arms, difference, interval, p),
        estimand=difference.estimand, control_over_events=of_events[0], treatment_over_events=of_events[1],
        exclusions=difference.notes.exclusions, warnings=difference.notes.warnings,
        relative_change=change.value, relative_interval=change.interval, standard_error=difference.error.error,
        correlation=difference.correlation,
        role=row.role,
    )  # fmt: skip


def _decision(arms: MeasuredArms, measured: MeasuredMetric, interval: Interval, p: PValues) -> Decision:
    difference, direction, margin = measured.difference, measured.direction, measured.margin
    if difference.untested is not None:
        return decide_untested(difference.untested, margin, identical=difference.identical)
    if difference.sequential:
        return decide_sequence(
            interval, difference.estimate, direction, margin, decided=p.difference <= arms.alpha,
            valid_at_every_n=bool(difference.valid_at_every_n),
        )  # fmt: skip
    decision = decide_fixed_n(difference.estimate, interval, p, arms.alpha, direction, margin)
    if difference.identical and decision.verdict == "inconclusive":
        return decision._replace(why=f"{IDENTICAL}; the interval shows how far they may differ")
    return decision


def _report(arms: MeasuredArms, difference: Difference, interval: Interval, p: PValues) -> str:
    """Report one metric in a sentence for a paper."""
    control, treatment = (
        f"{arm.name} {number(value)} (n = {n:,})"
        for arm, value, n in zip((arms.control, arms.treatment), difference.values, difference.n, strict=True)
    )
    values = f"{difference.estimand}: {treatment} against {control}"
    if difference.untested is not None:
        return f"{values}, not tested: {difference.untested}."
    corrected = "" if p.correction is None else f" (corrected: {p.correction})"
    low, high = map(number, interval)
    return (
        f"{values}, {difference.test}: difference {number(difference.estimate)}, {1 - arms.alpha:.4g} interval "
        f"[{low}, {high}], {p_text(p.difference)}{corrected}."
    )


def _unit(arms: MeasuredArms) -> str | None:
    """Column of what was assigned to the arms, as an experiment declares it."""
    sources = [arm.source for arm in (arms.control, arms.treatment) if is_experiment(arm.source)]
    return next((source.unit for source in sources if source.unit is not None), None)


def _comparison(arms: MeasuredArms, metrics: list[MetricComparison]) -> Comparison:
    plan, decision = arms.planned, None
    if plan is not None:
        mismatch = ratio_mismatch(arms.control, arms.treatment, _unit(arms)) if arms.design.pair_by is None else None
        decision = plan_decision(plan, metrics, mismatch)
    return Comparison(
        arms.control.name, arms.treatment.name, {metric.metric: metric for metric in metrics}, arms.design.notes,
        None if plan is None else f"plan: {plan.plan}", () if plan is None else plan.deviations,
        arms.design.warnings, decision,
    )  # fmt: skip
