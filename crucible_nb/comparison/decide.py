"""Verdicts: p-values of all metrics and arms corrected together, then one word each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from crucible_nb.comparison.measured_arms import MeasuredArms, MeasuredMetric
from crucible_nb.comparison.next_sample import next_sample
from crucible_nb.comparison.result import Comparison, MetricComparison
from crucible_nb.comparison.verdicts import Decision, decide, decide_sequence
from crucible_nb.stats.adjust import adjust
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import number


def conclude(cases: Iterable[MeasuredArms], correction: str | None) -> list[Comparison]:
    """One comparison a case."""
    cases = list(cases)
    rows = [(case, one) for case in cases for one in case.metrics.values()]
    name = correction if len(rows) > 1 else None
    families = (
        [one.found.pvalue for _, one in rows],
        *zip(*((one.equivalent, one.harmless) for _, one in rows), strict=True),
    )
    pvalues, equivalent, harmless = (_corrected(list(family), name) for family in families)
    found = iter([
        _one(case, one, p, same, safe, None if name is None else f"{name}, {len(rows)} tests")
        for (case, one), p, same, safe in zip(rows, pvalues, equivalent, harmless, strict=True)
    ])  # fmt: skip
    return [_comparison(case, [next(found) for _ in case.metrics]) for case in cases]


def _corrected(pvalues: list[float], correction: str | None) -> list[float]:
    if correction is None or min(pvalues) == 1.0:
        return pvalues
    return [float(p) for p in np.asarray(adjust(pvalues, correction))]


def _one(
    case: MeasuredArms, one: MeasuredMetric, p: float, same: float, safe: float, correction: str | None
) -> MetricComparison:
    found, alpha = one.found, case.alpha
    interval = found.limits(1 - alpha)
    judged: Decision
    if found.firm is not None:
        judged = decide_sequence(
            interval, found.estimate, one.direction, one.margin, decided=p <= alpha, firm=found.firm
        )
    else:
        judged = decide(found.estimate, p, alpha, one.direction, one.margin, same, safe)
    more = None
    if judged.verdict == "inconclusive" and found.firm is None:
        more = next_sample(case.control, case.treatment, found, interval, alpha, one.margin, case.design.pair_by)
    corrected = "" if correction is None else f" (corrected: {correction})"
    low, high = map(number, interval)
    return MetricComparison(
        found.metric, judged.verdict, *found.values, found.estimate, interval, 1 - alpha, p, found.pvalue, found.test,
        judged.why, found.why, *found.effect, found.n, one.direction, one.margin, correction,
        None if case.planned is None else case.planned.covers(found.metric), more, found.said,
        f"{found.metric}: {case.treatment.name} {number(found.values[1])} (n = {found.n[1]:,}) against "
        f"{case.control.name} {number(found.values[0])} (n = {found.n[0]:,}), {found.test}: difference "
        f"{number(found.estimate)}, {1 - alpha:.4g} interval [{low}, {high}], {p_text(p)}{corrected}.",
    )  # fmt: skip


def _comparison(case: MeasuredArms, metrics: list[MetricComparison]) -> Comparison:
    plan = case.planned
    return Comparison(
        case.control.name, case.treatment.name, {one.metric: one for one in metrics}, case.design.said,
        None if plan is None else f"plan: {plan.plan}", () if plan is None else plan.said,
    )  # fmt: skip
