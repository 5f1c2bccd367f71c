"""What it takes to settle a difference: more items, money and minutes, from what the arms have shown so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.sizes import match_pairs
from crucible_nb.stats.effects.standardized import differences
from crucible_nb.stats.estimates.binary import is_binary, share_of
from crucible_nb.stats.planning.designs import Design, design_of
from crucible_nb.stats.planning.item_costs import ItemCost, item_cost
from crucible_nb.stats.planning.power import chances, needed
from crucible_nb.stats.results import Result, number
from crucible_nb.stats.samples.arms import ARMS, arm_error, check_spread, linearize, two_arms
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Metric, Values
from crucible_nb.stats.wording import unit_of
from crucible_nb.utils import checks


@dataclass(frozen=True, repr=False)
class NextSample(Result):
    """What it takes to settle a difference.

    Attributes:
        metric: What is compared.
        difference: That is to be found, in the unit of the metric (of rates 0.02 for two points).
        n: Items so far, (control, treatment); events, where rows were sampled.
        needed_per_arm: Items that each arm needs, pairs of items where arms are paired.
        more_per_arm: Items still to be made by the arm that lacks most; int() of the result gives it too.
        cost_usd: Of the missing items of both arms; NaN when nobody knows what an item costs.
        minutes: To make them; NaN when nobody knows how long an item takes.
        power: Chance to find the difference.
        power_now: That chance with the items so far.
        alpha: Chance of a false alarm.
        paired: Whether items are paired.
        sd: Standard deviation of an item ("paired": of the differences), clusters and weights included.
        text: All of it in a sentence.
        method: How it was made.
        warnings: What a reader should know.

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
) -> NextSample:
    """How many more items settle a difference, what they cost and how long they take.

    Money is what an arm has spent so far for each item with a value (`cost_usd`). Time is what it took for each so far:
    from the first row to the last without pauses, else the sum of `latency_ms`, one after the other. Arms whose times
    overlap are taken to run side by side, others one after the other.

    Args:
        control, treatment: Experiments, DataFrames, Series, lists or arrays.
        metric: A mean, a rate or a ratio.
        difference: That is to be found, in the unit of the metric; for rates two points are 0.02.
        power: Chance to find it.
        alpha: Chance of a false alarm, two-sided.
        paired: The same items on both sides, brought together by `pair_by`.
        cluster: Column of what groups rows that are alike: clusters as large as the ones so far.
        pair_by: Column that names the item.

    Returns:
        NextSample.

    Raises:
        ConfigError: An argument is not what is accepted.
        StatError: Too few values, no spread, a quantile or a total.

    Examples:
        >>> import pandas as pd
        >>> from crucible_nb.stats.planning.economics import next_sample
        >>> arm = pd.DataFrame({"success": [True] * 320 + [False] * 80, "cost_usd": 0.0024, "latency_ms": 500.0})
        >>> found = next_sample(arm, arm, "success_rate", difference=0.05)
        >>> print(found.text)
        To find a difference of 5 points in success_rate with 80% power (alpha 0.05) each arm needs 906 items: 506
        more per arm, about $2.43 and 8 min.

    References:
        Cohen: Statistical Power Analysis for the Behavioral Sciences. 2nd edition, Erlbaum (1988).
    """
    power, alpha = chances(power, alpha)
    difference = checks.number("difference", difference, gt=0)
    if paired:
        pairs = match_pairs(control, treatment, metric, pair_by, cluster, None)
        arms = pairs.control, pairs.treatment
        spent = [item_cost(side, arm.metric, pair_by) for side, arm in zip((control, treatment), arms, strict=True)]
        return next_pairs(pairs, difference, spent, power, alpha)
    arms = two_arms(control, treatment, metric, cluster=cluster)
    spent = [item_cost(side, arm.metric) for side, arm in zip((control, treatment), arms, strict=True)]
    return next_items(arms, difference, spent, power, alpha)


def next_items(
    arms: Sequence[Values], difference: float, spent: Sequence[ItemCost], power: float = 0.8, alpha: float = 0.05
) -> NextSample:
    """`next_sample` of two independent arms whose values are at hand.

    Raises:
        StatError: No spread, a quantile or a total.
    """
    n = [float(arm.weight.sum()) for arm in arms]
    if all(is_binary(arm) and arm.plain for arm in arms):
        shares = [share_of(arm).share for arm in arms]
        other = shares[0] + difference if shares[0] + difference <= 1 else shares[0] - difference
        if other < 0:
            raise checks.wrong("difference", difference, f"a difference of shares that {shares[0]:g} can have")
        design = design_of("proportions", None, "two-sided", 1.0, None, None, shares[0], other, "pooled")
        sd = math.sqrt(sum(share * (1 - share) for share in shares) / 2)
        how = f"two proportions of {number(shares[0])} and {number(other)}, pooled variance"
    else:
        check_spread(arms, ARMS)
        squares = [arm_error(arm, linearize(arm, "next_sample")[1]).error ** 2 * size
                   for arm, size in zip(arms, n, strict=True)]  # fmt: skip
        sd = math.sqrt(sum(squares) / 2)
        design = design_of("t", difference / sd, "two-sided", 1.0, None, None, None, None, None)
        how = f"two-sample t-test, standard deviation {number(sd)}{unit_of(arms[0].metric)} of an item"
    now = replace(design, ratio=n[1] / n[0]).power(n[0], alpha)
    return _priced(arms[0].metric, design, difference, n, spent, power, now, alpha, sd, how)


def next_pairs(
    pairs: Pairs, difference: float, spent: Sequence[ItemCost], power: float = 0.8, alpha: float = 0.05
) -> NextSample:
    """`next_sample` of two arms of the same items.

    Raises:
        StatError: No spread, a quantile or a total.
    """
    arm = differences(pairs)
    away = [linearize(side, "next_sample")[1] for side in (pairs.control, pairs.treatment)]
    n = float(arm.weight.sum())
    sd = arm_error(arm, away[1] - away[0]).error * math.sqrt(n)
    if not sd > 0:
        raise StatError(f"{arm.metric.name}: all pairs differ alike, so nothing says how far the next ones will vary")
    design = design_of("paired", difference / sd, "two-sided", 1.0, None, None, None, None, None)
    how = f"paired t-test, standard deviation {number(sd)}{unit_of(arm.metric)} of the differences"
    now = design.power(n, alpha)
    return _priced(pairs.control.metric, design, difference, [n, n], spent, power, now, alpha, sd, how)


def _priced(
    metric: Metric, design: Design, difference: float, n: Sequence[float], spent: Sequence[ItemCost], power: float,
    now: float, alpha: float, sd: float, how: str,
) -> NextSample:  # fmt: skip
    wanted, paired = math.ceil(needed(design, power, alpha) - 1e-9), design.test == "paired"
    have = [math.floor(one + 1e-9) for one in n]
    more = [max(wanted - one, 0) for one in have]
    usd = sum(lack * one.usd for lack, one in zip(more, spent, strict=True) if lack)
    each = [lack * one.minutes if lack else 0.0 for lack, one in zip(more, spent, strict=True)]
    minutes = (max if together(spent) else sum)(each) if not any(map(math.isnan, each)) else math.nan
    what = difference_text(metric, difference)
    text = (
        f"To find a difference of {what} in {metric.name} with {100 * power:g}% power (alpha {alpha:g}) "
        f"{f'{wanted:,} pairs are needed' if paired else f'each arm needs {wanted:,} items'}"
        f"{more_text(more, usd, minutes, paired=paired)}."
    )
    return NextSample(
        metric.name, difference, (have[0], have[1]), wanted, max(more), float(usd), float(minutes), power, now, alpha,
        paired, sd, text, f"Sample size by {how}; money and time by what items have taken so far.",
        tuple(dict.fromkeys(said for one in spent for said in one.said)),
    )  # fmt: skip


def difference_text(metric: Metric, difference: float) -> str:
    """A difference with its unit; of rates in points.

    Examples:
        >>> from crucible_nb.stats.samples.values import metric_of
        >>> difference_text(metric_of("success_rate"), 0.02), difference_text(metric_of("latency_ms"), 50.0)
        ('2 points', '50 ms')
    """
    points = number(100 * difference)
    if metric.kind == "rate":
        return f"{points} point" if points == "1" else f"{points} points"
    return f"{number(difference)}{unit_of(metric)}"


def more_text(more: Sequence[int], usd: float, minutes: float, *, paired: bool) -> str:
    """What is missing, in words.

    Args:
        more: Items that (control, treatment) lack.
        usd, minutes: What they take in all; NaN for unknown.
        paired: Whether the items of both arms are the same.

    Examples:
        >>> more_text((640, 640), 3.1, 7.2, paired=False)
        ': 640 more per arm, about $3.10 and 7 min'
    """
    if not any(more):
        return ", and they are there"
    known = [f"${usd:,.2f}" if usd >= 0.01 else f"${number(usd)}"] if not math.isnan(usd) else []
    known += [_time(minutes)] if not math.isnan(minutes) else []
    unknown = [what for what, one in (("cost", usd), ("time", minutes)) if math.isnan(one)]
    if paired:
        lacking = f"{more[0]:,} more"
    elif more[0] == more[1]:
        lacking = f"{more[0]:,} more per arm"
    else:
        lacking = f"{more[0]:,} more of the control and {more[1]:,} of the treatment"
    about = f", about {' and '.join(known)}" if known else ""
    return f": {lacking}{about}" + (f" ({' and '.join(unknown)} unknown)" if unknown else "")


def _time(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 2880 else f"{minutes / 1440:.1f} days"


def together(spent: Sequence[ItemCost]) -> bool:
    """Whether the times of the arms overlap."""
    spans = [one.span for one in spent if one.span is not None]
    return len(spans) == 2 and max(one[0] for one in spans) <= min(one[1] for one in spans)
