"""Correction of p-values over all metrics and arms, and the verdict of each metric."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from crucible_nb.comparison.difference import Difference
from crucible_nb.comparison.measured_arms import MeasuredArms, MeasuredMetric
from crucible_nb.comparison.next_sample import next_sample
from crucible_nb.comparison.result import Comparison, MetricComparison
from crucible_nb.comparison.verdicts import decide_fixed_n, decide_sequence, limit_decision
from crucible_nb.stats.adjust import adjust
from crucible_nb.stats.estimates.contrast import NO_CHANGE
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import Interval, number


class _PValues(NamedTuple):
    """P-values of one metric of no difference, equivalence and non-inferiority, corrected."""

    difference: float
    equivalence: float
    noninferiority: float


def decide_all(measured: Iterable[MeasuredArms], correction: str | None) -> list[Comparison]:
    """Correct the p-values of all arms together, and decide each; one comparison per treatment."""
    measured = list(measured)
    rows = [(arms, metric) for arms in measured for metric in arms.metrics.values()]
    method = correction if len(rows) > 1 else None
    families = (
        [metric.difference.pvalue for _, metric in rows],
        [metric.equivalence_p for _, metric in rows],
        [metric.noninferiority_p for _, metric in rows],
    )
    pvalues = zip(*(_correct(family, method) for family in families), strict=True)
    text = None if method is None else f"{method}, {len(rows)} tests"
    decided = iter([_decide(arms, metric, _PValues(*p), text) for (arms, metric), p in zip(rows, pvalues, strict=True)])
    return [_comparison(arms, [next(decided) for _ in arms.metrics]) for arms in measured]


def _correct(pvalues: list[float], correction: str | None) -> list[float]:
    if correction is None or min(pvalues) == 1.0:
        return pvalues
    return [float(p) for p in np.asarray(adjust(pvalues, correction))]


def _decide(arms: MeasuredArms, measured: MeasuredMetric, p: _PValues, correction: str | None) -> MetricComparison:
    difference, direction, margin = measured.difference, measured.direction, measured.margin
    interval = difference.limits(1 - arms.alpha)
    if difference.sequential:
        decision = decide_sequence(
            interval, difference.estimate, direction, margin, decided=p.difference <= arms.alpha,
            valid_at_every_n=bool(difference.valid_at_every_n),
        )  # fmt: skip
    else:
        decision = decide_fixed_n(
            difference.estimate, p.difference, arms.alpha, direction, margin, p.equivalence, p.noninferiority
        )
    decision = limit_decision(decision, difference.limited)
    change = NO_CHANGE if difference.contrast is None else difference.contrast.relative(1 - arms.alpha)
    more = None
    if decision.verdict == "inconclusive" and not difference.sequential:
        more = next_sample(arms.control, arms.treatment, difference, interval, arms.alpha, margin, arms.design.pair_by)
    effect, effect_size = difference.effect
    control, treatment = difference.values
    return MetricComparison(
        metric=difference.metric, verdict=decision.verdict, control=control, treatment=treatment,
        estimate=difference.estimate, confidence_interval=interval, confidence=1 - arms.alpha, pvalue=p.difference,
        raw_pvalue=difference.pvalue, test=difference.test, why=decision.why, design=difference.why, effect=effect,
        effect_size=effect_size, n=difference.n, direction=direction, margin=margin, correction=correction,
        planned=None if arms.planned is None else arms.planned.covers(difference.metric), next_sample=more,
        assumptions=difference.notes, method=_report(arms, difference, interval, p.difference, correction),
        relative_change=change.value, relative_interval=change.interval,
    )  # fmt: skip


def _report(
    arms: MeasuredArms, difference: Difference, interval: Interval, pvalue: float, correction: str | None
) -> str:
    """Report one metric in a sentence for a paper."""
    control, treatment = (
        f"{arm.name} {number(value)} (n = {n:,})"
        for arm, value, n in zip((arms.control, arms.treatment), difference.values, difference.n, strict=True)
    )
    corrected = "" if correction is None else f" (corrected: {correction})"
    low, high = map(number, interval)
    return (
        f"{difference.metric}: {treatment} against {control}, {difference.test}: difference "
        f"{number(difference.estimate)}, {1 - arms.alpha:.4g} interval [{low}, {high}], {p_text(pvalue)}{corrected}."
    )


def _comparison(arms: MeasuredArms, metrics: list[MetricComparison]) -> Comparison:
    plan = arms.planned
    return Comparison(
        arms.control.name, arms.treatment.name, {metric.metric: metric for metric in metrics}, arms.design.notes,
        None if plan is None else f"plan: {plan.plan}", () if plan is None else plan.deviations,
    )  # fmt: skip
