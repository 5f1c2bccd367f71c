"""A difference of two arms, and how to judge it against any value, as tests with a margin need it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from crucible_nb.errors import StatError
from crucible_nb.stats.effects.risks import Size, g_of, h_of
from crucible_nb.stats.effects.standardized import UNKNOWN, d_of, differences, one_d_of, standardized_mean
from crucible_nb.stats.estimates.binary import is_binary, two_of
from crucible_nb.stats.hypotests.score import Variance, paired_variance, score_limits, two_variance, z_at
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import (
    ARMS,
    Error,
    Notes,
    check_spread,
    difference_error,
    linear,
    moments_of,
    notes_of,
    own_error,
    tails,
)
from crucible_nb.stats.samples.counts import discordant_of
from crucible_nb.stats.samples.pairs import Pairs
from crucible_nb.stats.samples.values import Metric, Values


class Gap(NamedTuple):
    """A difference, treatment - control, and how to judge it.

    Attributes:
        estimate: The difference.
        base: The control's number, which relative margins are taken of.
        limits: Its interval at a confidence.
        statistic: Of the difference against a value.
        df: Degrees of freedom of the statistic; infinite for a normal one.
        effect: Name of the effect size.
        size: The effect size with its interval, at a confidence.
        how: The test, in words.
        metric: What was compared.
        n: Values used.
        notes: What was checked and left out.
    """

    estimate: float
    base: float
    limits: Callable[[float], Interval]
    statistic: Callable[[float], float]
    df: float
    effect: str
    size: Callable[[float], Size]
    how: str
    metric: Metric
    n: int | tuple[int, ...]
    notes: Notes


def gap_of(control: Values, treatment: Values) -> Gap:
    """The difference of two independent arms.

    Raises:
        StatError: No spread, a quantile or a total.
    """
    arms, n = (control, treatment), (len(control.x), len(treatment.x))
    notes = notes_of(arms, ARMS)
    if is_binary(control) and is_binary(treatment):
        two = two_of(control, treatment)
        how = "score test of two shares" if two.plain else "score test of two shares with linearised standard errors"
        return _of_shares(
            two.difference, two.control.share, two_variance(two), two.df, "Cohen's h", lambda level: h_of(two, level),
            how, control.metric, n, notes,
        )  # fmt: skip
    check_spread(arms, ARMS)
    (first, left), (second, right) = linear(control, "equivalence"), linear(treatment, "equivalence")
    error = difference_error(control, treatment, left, right)
    how = "Welch's t-test" + ("" if control.plain and treatment.plain else " with linearised standard errors")
    effect, size = "", _unknown
    if standardized_mean(control):
        effect, size = "Cohen's d", lambda level: Size(*d_of(control, treatment, level)[:2])
        notes = notes.plus(*tails(arms, ARMS, [moments_of(arm) for arm in arms]))
    return _of_means(second - first, first, error, effect, size, how, control.metric, n, notes)


def gap_of_pairs(pairs: Pairs) -> Gap:
    """The difference of two arms of the same items.

    Raises:
        StatError: No spread, a quantile or a total.
    """
    control, treatment = pairs.control, pairs.treatment
    arm, n = differences(pairs), len(control.x)
    notes = notes_of((arm,), ("pairs",)).plus(exclusions=pairs.exclusions)
    if is_binary(control) and is_binary(treatment) and control.plain and treatment.plain:
        lost, won = discordant_of(pairs)
        return _of_shares(
            (won - lost) / n, float(control.x.mean()), paired_variance(lost, won, n), math.inf, "Cohen's g",
            lambda level: g_of(lost, won, level), "score test of paired shares", control.metric, n, notes,
        )  # fmt: skip
    (first, left), (second, right) = linear(control, "equivalence"), linear(treatment, "equivalence")
    error = own_error(arm, right - left)
    how = "paired t-test" + ("" if arm.plain else " with linearised standard errors")
    effect, size = "", _unknown
    if standardized_mean(control) and error.error > 0:
        effect, size = "Cohen's d_z", lambda level: Size(*one_d_of(arm, 0.0, level)[:2])
        notes = notes.plus(*tails((arm,), ("differences",), [moments_of(arm)]))
    return _of_means(second - first, first, error, effect, size, how, control.metric, n, notes)


def _unknown(level: float) -> Size:
    del level
    return Size(math.nan, UNKNOWN)


def _of_shares(
    estimate: float, base: float, variance: Variance, df: float, effect: str, size: Callable[[float], Size], how: str,
    metric: Metric, n: int | tuple[int, ...], notes: Notes,
) -> Gap:  # fmt: skip
    return Gap(
        estimate, base, lambda level: score_limits(estimate, variance, level, df),
        lambda at: z_at(estimate, variance, at), df, effect, size, how, metric, n, notes,
    )  # fmt: skip


def _of_means(
    estimate: float, base: float, error: Error, effect: str, size: Callable[[float], Size], how: str, metric: Metric,
    n: int | tuple[int, ...], notes: Notes,
) -> Gap:  # fmt: skip
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if not error.error > 0:
        raise StatError(
            f"{metric.name}: every pair or cluster differs by exactly {estimate:g}, so there is no spread to test "
            "against; compare the numbers as they are"
        )

    def limits(level: float) -> Interval:
        half = float(special.stdtrit(error.df, (1 + level) / 2)) * error.error
        return Interval(estimate - half, estimate + half)

    return Gap(
        estimate, base, limits, lambda at: (estimate - at) / error.error, error.df, effect, size, how, metric, n, notes
    )
