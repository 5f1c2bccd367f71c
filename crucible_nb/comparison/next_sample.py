"""Further items needed to detect a difference on which a comparison was inconclusive."""

from __future__ import annotations

import math

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.design import Design
from crucible_nb.comparison.difference import Difference
from crucible_nb.events.metric_names import metric_of
from crucible_nb.stats.planning.economics import difference_text, more_text, total_cost
from crucible_nb.stats.planning.item_costs import item_cost
from crucible_nb.stats.results import Interval

_POWER = 0.8
_POINTS, _SHARE = 0.02, 0.05
_FEWEST = 5  # the standard error of fewer values is too rough to plan by


def next_sample(
    control: Arm, treatment: Arm, measured: Difference, interval: Interval, alpha: float, margin: float | None,
    design: Design,
) -> str | None:  # fmt: skip
    """Estimate the number, cost and duration of further items, as text; None if that is impossible.

    An arm of fewer than five values gives none: their standard error is too rough to plan by.

    The standard error is that of the comparison, which includes pairs, clusters and weights; it decreases with the
    square root of n. The difference to detect is the margin, otherwise two points of a rate, or 5% of the control.

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. 2nd edition, Erlbaum (1988).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if min(measured.n) < _FEWEST:
        return None
    metric = metric_of(measured.metric, control.frame.columns)
    if metric.kind == "per_time":
        return None
    if metric.kind == "mean":
        metric = metric._replace(kind=measured.kind)
    target = margin or (_POINTS if metric.kind == "rate" else _SHARE * abs(measured.values[0]))
    z = float(special.ndtri(1 - alpha / 2))
    error = (interval.high - interval.low) / (2 * z)
    if not (math.isfinite(error) and target > 0):
        return None
    factor = ((z + float(special.ndtri(_POWER))) * error / target) ** 2
    more = [max(math.ceil(n * factor) - n, 0) for n in measured.n]
    counted = measured.unit if design.resample is None else f"blocks of {design.resample}"
    if counted not in {"", "items"}:
        needed = f"{more_text(more, math.nan, math.nan, paired=False)}, counted in {counted}"
    else:
        costs = [item_cost(arm.frame, metric, design.pair_by, spending=arm.spending) for arm in (control, treatment)]
        usd, minutes = total_cost(more, costs)
        needed = more_text(more, usd, minutes, paired=design.pair_by is not None)
    return f"to find a difference of {difference_text(metric, target)} with {_POWER:.0%} power{needed}"
