"""What it would take to settle a difference that is not settled."""

from __future__ import annotations

import math

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.difference import Difference
from crucible_nb.stats.planning.economics import difference_text, more_text, together
from crucible_nb.stats.planning.item_costs import item_cost
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import metric_of

_POWER = 0.8
_POINTS, _SHARE = 0.02, 0.05


def next_sample(
    control: Arm, treatment: Arm, found: Difference, interval: Interval, alpha: float, margin: float | None,
    pair_by: str | None,
) -> str | None:  # fmt: skip
    """How many more items, what they cost and how long they take; None where nothing says so.

    The standard error is that of the comparison itself, so pairs, clusters and weights count; it shrinks with the root
    of n. The difference to be found is the margin, else two points of a rate, or 5% of the control.

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. 2nd edition, Erlbaum (1988).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    metric = metric_of(found.metric, control.frame.columns)
    wanted = margin or (_POINTS if metric.kind == "rate" else _SHARE * abs(found.values[0]))
    z = float(special.ndtri(1 - alpha / 2))
    error = (interval.high - interval.low) / (2 * z)
    if not (math.isfinite(error) and wanted > 0):
        return None
    times = ((z + float(special.ndtri(_POWER))) * error / wanted) ** 2
    more = [max(math.ceil(n * times) - n, 0) for n in found.n]
    spent = [item_cost(arm.frame, metric, pair_by) for arm in (control, treatment)]
    usd = sum(lack * one.usd for lack, one in zip(more, spent, strict=True) if lack)
    each = [lack * one.minutes if lack else 0.0 for lack, one in zip(more, spent, strict=True)]
    minutes = math.nan if any(map(math.isnan, each)) else (max if together(spent) else sum)(each)
    lacking = more_text(more, usd, minutes, paired=pair_by is not None)
    return f"to find a difference of {difference_text(metric, wanted)} with {_POWER:.0%} power{lacking}"
