"""Number, cost and duration of the further items that a comparison needs, estimated from the items so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import Metric, unit_of
from crucible_nb.events.where import Where
from crucible_nb.stats.effects.sizes import match_pairs
from crucible_nb.stats.effects.standardized import differences
from crucible_nb.stats.estimates.binary import is_binary, share_of
from crucible_nb.stats.planning.designs import Design, make_design
from crucible_nb.stats.planning.item_costs import ItemCost, item_cost
from crucible_nb.stats.planning.power import check_power_and_alpha, required_n
from crucible_nb.stats.results import Result, number
from crucible_nb.stats.samples.arms import ARMS, arm_error, check_spread, linearize, two_arms
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Values, rows_where
from crucible_nb.utils import checks


@dataclass(frozen=True, repr=False)
class NextSample(Result):
    """Number, cost and duration of the further items that a comparison needs.

    Attributes:
        metric: Metric that is compared.
        difference: Difference to detect, in the unit of the metric (for rates, 0.02 is two points).
        n: Number of items so far, (control, treatment); of events, if rows were sampled.
        needed_per_arm: Number of items that each arm needs; of pairs, if arms are paired.
        more_per_arm: Number of further items of the arm that needs most; int() of the result gives it too.
        cost_usd: Cost of the further items of both arms in USD; NaN if the cost of an item is unknown.
        minutes: Time for the further items in minutes; NaN if the time of an item is unknown.
        power: Probability to detect the difference with the needed items.
        power_now: Probability to detect the difference with the items so far.
        alpha: Significance level.
        paired: Whether items are paired.
        sd: Standard deviation of an item (of the differences, if paired), including clusters and weights.
        text: One sentence with these numbers.
        method: One sentence on the method.
        warnings: Reasons to doubt the result.

    Examples:
        >>> from crucible_nb.stats.planning.economics import next_sample
        >>> int(next_sample([True] * 40 + [False] * 10, [True] * 40 + [False] * 10, difference=0.1))
        149
    """

    metric: str
    difference: float
    n: tuple[int, int]
    needed_per_arm: int
    more_per_arm: int
    cost_usd: float
    minutes: float
    power: float
    power_now: float
    alpha: float
    paired: bool
    sd: float
    text: str
    method: str
    warnings: tuple[str, ...] = ()

    def __int__(self) -> int:
        return self.more_per_arm


def next_sample(
    control: Any,
    treatment: Any,
    metric: str = "success_rate",
    difference: float = 0.02,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    paired: bool = False,
    cluster: str | None = None,
    pair_by: str = "sample_id",
    where: Where = None,
) -> NextSample:
    """Estimate how many more items are needed to detect a difference, what they cost and how long they take.

    The cost per item is the `cost_usd` of an arm so far divided by its items with a value. The time per item is the
    time from the first to the last row without pauses, otherwise the sum of `latency_ms`, divided by the items. Arms
    whose times overlap are assumed to run in parallel, other arms one after the other.

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays.
        metric: A mean, a rate or a ratio.
        difference: Difference to detect, in the unit of the metric; for rates, 0.02 is two points.
        power: Probability to detect the difference.
        alpha: Significance level, two-sided.
        paired: Both arms have the same items, matched by `pair_by`.
        cluster: Column of clusters of similar rows; further clusters are assumed to be as large as those so far.
        pair_by: Column of item ids.
        where: Condition on the rows, as for `query_window`; of all arms, before anything else.

    Returns:
        NextSample.

    Raises:
        ConfigError: An argument is not accepted.
        StatError: Too few values, constant values, a quantile or a total.

    Examples:
        >>> import pandas as pd
        >>> from crucible_nb.stats.planning.economics import next_sample
        >>> arm = pd.DataFrame({"success": [True] * 320 + [False] * 80, "cost_usd": 0.0024, "latency_ms": 500.0})
        >>> more = next_sample(arm, arm, "success_rate", difference=0.05)
        >>> print(more.text)
        To find a difference of 5 points in success_rate with 80% power (alpha 0.05) each arm needs 906 items: 506
        more per arm, about $2.43 and 8 min.

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. 2nd edition, Erlbaum (1988).
    """
    control, treatment = rows_where(where, control, treatment)
    power, alpha = check_power_and_alpha(power, alpha)
    difference = checks.number("difference", difference, gt=0)
    if paired:
        pairs = match_pairs(control, treatment, metric, pair_by, cluster, None)
        arms = pairs.control, pairs.treatment
        costs = [item_cost(side, arm.metric, pair_by) for side, arm in zip((control, treatment), arms, strict=True)]
        return _next_pairs(pairs, difference, costs, power, alpha)
    arms = two_arms(control, treatment, metric, cluster=cluster)
    costs = [item_cost(side, arm.metric) for side, arm in zip((control, treatment), arms, strict=True)]
    return _next_items(arms, difference, costs, power, alpha)


def _next_items(
    arms: Sequence[Values], difference: float, costs: Sequence[ItemCost], power: float = 0.8, alpha: float = 0.05
) -> NextSample:
    """Estimate the further items of two independent arms from their values; see `next_sample`.

    Raises:
        StatError: Constant values, a quantile or a total.
    """
    n = [float(arm.weight.sum()) for arm in arms]
    if all(is_binary(arm) and arm.plain for arm in arms):
        shares = [share_of(arm).share for arm in arms]
        other = shares[0] + difference if shares[0] + difference <= 1 else shares[0] - difference
        if other < 0:
            accepted = f"a number up to {max(shares[0], 1 - shares[0]):g}, as the share of the control is {shares[0]:g}"
            raise checks.wrong("difference", difference, accepted)
        design = make_design("proportions", p1=shares[0], p2=other, method="pooled")
        sd = math.sqrt(sum(share * (1 - share) for share in shares) / 2)
        how = f"two proportions of {number(shares[0])} and {number(other)}, pooled variance"
    else:
        check_spread(arms, ARMS)
        squares = [arm_error(arm, linearize(arm, "next_sample")[1]).error ** 2 * size
                   for arm, size in zip(arms, n, strict=True)]  # fmt: skip
        sd = math.sqrt(sum(squares) / 2)
        design = make_design("t", difference / sd)
        how = f"two-sample t-test, standard deviation {number(sd)}{unit_of(arms[0].metric)} of an item"
    power_now = replace(design, ratio=n[1] / n[0]).power(n[0], alpha)
    return _next_sample(
        design, n, costs, metric=arms[0].metric, difference=difference, power=power, power_now=power_now, alpha=alpha,
        sd=sd, how=how,
    )  # fmt: skip


def _next_pairs(
    pairs: Pairs, difference: float, costs: Sequence[ItemCost], power: float = 0.8, alpha: float = 0.05
) -> NextSample:
    """Estimate the further pairs of two paired arms; see `next_sample`.

    Raises:
        StatError: Constant differences, a quantile or a total.
    """
    arm = differences(pairs)
    away = [linearize(side, "next_sample")[1] for side in (pairs.control, pairs.treatment)]
    n = float(arm.weight.sum())
    sd = arm_error(arm, away[1] - away[0]).error * math.sqrt(n)
    if not sd > 0:
        raise StatError(
            f"{arm.metric.name}: all pairs differ by the same amount, so their variance cannot be estimated"
        )
    design = make_design("paired", difference / sd)
    how = f"paired t-test, standard deviation {number(sd)}{unit_of(arm.metric)} of the differences"
    return _next_sample(
        design, [n, n], costs, metric=pairs.control.metric, difference=difference, power=power,
        power_now=design.power(n, alpha), alpha=alpha, sd=sd, how=how,
    )  # fmt: skip


def _next_sample(
    design: Design, n: Sequence[float], costs: Sequence[ItemCost], *, metric: Metric, difference: float, power: float,
    power_now: float, alpha: float, sd: float, how: str,
) -> NextSample:  # fmt: skip
    needed, paired = math.ceil(required_n(design, power, alpha) - 1e-9), design.test == "paired"
    have = [math.floor(items + 1e-9) for items in n]
    more = [max(needed - items, 0) for items in have]
    usd, minutes = total_cost(more, costs)
    text = (
        f"To find a difference of {difference_text(metric, difference)} in {metric.name} with {100 * power:g}% power "
        f"(alpha {alpha:g}) {f'{needed:,} pairs are needed' if paired else f'each arm needs {needed:,} items'}"
        f"{more_text(more, usd, minutes, paired=paired)}."
    )
    return NextSample(
        metric=metric.name, difference=difference, n=(have[0], have[1]), needed_per_arm=needed, more_per_arm=max(more),
        cost_usd=usd, minutes=minutes, power=power, power_now=power_now, alpha=alpha, paired=paired, sd=sd, text=text,
        method=f"Sample size by {how}; money and time by what items have taken so far.",
        warnings=tuple(dict.fromkeys(warning for cost in costs for warning in cost.warnings)),
    )  # fmt: skip


def total_cost(more: Sequence[int], costs: Sequence[ItemCost]) -> tuple[float, float]:
    """Cost in USD and time in minutes of further items; NaN if those of an item are unknown.

    Args:
        more: Number of further items of (control, treatment).
        costs: Cost and time per item of (control, treatment).
    """
    usd = sum(items * cost.usd for items, cost in zip(more, costs, strict=True) if items)
    each = [items * cost.minutes if items else 0.0 for items, cost in zip(more, costs, strict=True)]
    minutes = math.nan if any(map(math.isnan, each)) else (max if _in_parallel(costs) else sum)(each)
    return float(usd), float(minutes)


def difference_text(metric: Metric, difference: float) -> str:
    """Format a difference with its unit; for rates, in points.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> difference_text(metric_of("success_rate"), 0.02), difference_text(metric_of("latency_ms"), 50.0)
        ('2 points', '50 ms')
    """
    points = number(100 * difference)
    if metric.kind == "rate":
        return f"{points} point" if points == "1" else f"{points} points"
    return f"{number(difference)}{unit_of(metric)}"


def more_text(more: Sequence[int], usd: float, minutes: float, *, paired: bool) -> str:
    """Describe the further items, their cost and time.

    Args:
        more: Number of further items of (control, treatment).
        usd, minutes: Cost and time of all further items; NaN if unknown.
        paired: Whether items are paired.

    Examples:
        >>> more_text((640, 640), 3.1, 7.2, paired=False)
        ': 640 more per arm, about $3.10 and 7 min'
    """
    if not any(more):
        return ": no more are needed"
    known = [f"${usd:,.2f}" if usd >= 0.01 else f"${number(usd)}"] if not math.isnan(usd) else []
    known += [_duration_text(minutes)] if not math.isnan(minutes) else []
    unknown = [name for name, amount in (("cost", usd), ("time", minutes)) if math.isnan(amount)]
    if paired:
        items = f"{more[0]:,} more"
    elif more[0] == more[1]:
        items = f"{more[0]:,} more per arm"
    else:
        items = f"{more[0]:,} more of the control and {more[1]:,} of the treatment"
    about = f", about {' and '.join(known)}" if known else ""
    return f": {items}{about}" + (f" ({' and '.join(unknown)} unknown)" if unknown else "")


def _duration_text(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 2880 else f"{minutes / 1440:.1f} days"


def _in_parallel(costs: Sequence[ItemCost]) -> bool:
    """Whether the arms ran at the same time."""
    spans = [cost.span for cost in costs if cost.span is not None]
    return len(spans) == 2 and max(start for start, _ in spans) <= min(end for _, end in spans)
