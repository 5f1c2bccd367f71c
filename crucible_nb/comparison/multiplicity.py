"""Correction of p-values over metrics and arms: Holm and its kin, or the order of a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from crucible_nb.comparison.measured_arms import MeasuredArms, MeasuredMetric
from crucible_nb.comparison.verdicts import PValues
from crucible_nb.stats.adjust import adjust
from crucible_nb.stats.planning.plan import Role


class Row(NamedTuple):
    """One metric of one treatment.

    Attributes:
        arms: The treatment and the control.
        metric: The measurement.
    """

    arms: MeasuredArms
    metric: MeasuredMetric

    @property
    def role(self) -> Role | None:
        """Role of the metric in the plan; None without a plan, or if the plan does not name it."""
        planned = self.arms.planned
        return None if planned is None else planned.plan.role(self.metric.difference.metric)


def correct_all(rows: Sequence[Row], correction: str | None) -> list[PValues]:
    """Correct the p-values of all metrics of all arms.

    Without a plan, the correction is over all tests. With one, the primary metric is corrected over the arms only;
    guardrails are not corrected, since all of them must hold; secondary metrics are corrected among themselves and are
    not below the p-value of the primary one, so they are decided only if that is. Metrics that are not in the plan are
    corrected over all tests. Metrics that could not be tested count in no correction.

    References:
        Schultzberg, Ankargren, Frånberg: Risk-aware product decisions in A/B tests with multiple metrics (2024).
        Dmitrienko, Tamhane: Gatekeeping procedures with applications in clinical trials. Pharmaceutical Statistics 6
        (2007).
    """
    if len({row.role for row in rows}) <= 1 and rows[0].role is None:
        return _corrected(rows, range(len(rows)), correction)
    result: dict[int, PValues] = {}
    by_role: dict[Role | None, list[int]] = {}
    for place, row in enumerate(rows):
        by_role.setdefault(row.role, []).append(place)
    for role, places in by_role.items():
        family = places if role is not None else range(len(rows))
        method = None if role == "guardrail" else correction
        found = dict(zip(family, _corrected(rows, family, method), strict=True))
        result |= {place: found[place] for place in places}
    for place in by_role.get("secondary", ()):
        result[place] = _after_primary(result[place], rows, place, result)
    return [result[place] for place in range(len(rows))]


def _corrected(rows: Sequence[Row], places: Sequence[int], correction: str | None) -> list[PValues]:
    """Correct each kind of p-value over one family."""
    family = [rows[place].metric for place in places]
    tested = sum(metric.difference.untested is None for metric in family)
    method = correction if tested > 1 else None
    text = None if method is None else f"{method}, {tested} tests"
    kinds: tuple[Callable[[MeasuredMetric], float], ...] = (
        lambda metric: metric.difference.pvalue,
        lambda metric: metric.equivalence_p,
        lambda metric: metric.noninferiority_p,
    )
    corrected = zip(*(_correct([kind(metric) for metric in family], method) for kind in kinds), strict=True)
    return [
        PValues(metric.difference.pvalue, difference, equivalence, noninferiority, text)
        for metric, (difference, equivalence, noninferiority) in zip(family, corrected, strict=True)
    ]


def _correct(pvalues: list[float], correction: str | None) -> list[float]:
    """Correct the known p-values; NaN stays NaN."""
    p = np.array(pvalues)
    known = ~np.isnan(p)
    if correction is not None and known.any() and p[known].min() < 1:
        p[known] = adjust(p[known], correction)
    return [float(value) for value in p]


def _after_primary(p: PValues, rows: Sequence[Row], place: int, result: dict[int, PValues]) -> PValues:
    """P-values of a secondary metric, not below that of the primary metric of the same arm."""
    primary = next((at for at in result if rows[at].role == "primary" and rows[at].arms is rows[place].arms), None)
    if primary is None:  # not compared: nothing may follow it
        return p._replace(difference=1.0, equivalence=1.0, noninferiority=1.0, correction="after the primary metric")
    gate = _planned_claim(rows[primary].metric, result[primary])
    floor = 1.0 if math.isnan(gate) else gate
    text = "after the primary metric" if p.correction is None else f"{p.correction}, after the primary metric"
    known = {name: max(getattr(p, name), floor) for name in ("difference", "equivalence", "noninferiority")
             if not math.isnan(getattr(p, name))}  # fmt: skip
    return p._replace(correction=text, **known)


def _planned_claim(metric: MeasuredMetric, p: PValues) -> float:
    """P-value of what was planned for the primary metric: a difference, or with a margin that it is not worse."""
    if metric.margin is None:
        return p.difference
    return p.equivalence if metric.direction is None else p.noninferiority
