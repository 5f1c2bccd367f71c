"""Shares of true values, and how many independent values each is worth."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.mover import difference_limits
from crucible_nb.stats.estimates.shares import wilson
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import difference_error, own_error, two_arms
from crucible_nb.stats.samples.values import Values


class Share(NamedTuple):
    """A share of true values.

    Attributes:
        share: In [0, 1].
        n: Independent values it is worth; the number of values for plain rows.
        rows: Values used.
        units: Independent units: clusters where there are any, else rows.
        plain: Whether every row stands for itself alone.
    """

    share: float
    n: float
    rows: int
    units: int
    plain: bool = True

    @property
    def hits(self) -> float:
        """How many are true, out of n."""
        return float(round(self.share * self.n)) if self.plain else self.share * self.n

    def limits(self, confidence: float) -> Interval:
        """Wilson's interval, on the n that the share is worth; few clusters widen it as a t does."""
        return wilson(self.share, self.n if self.plain else self.n / widening(confidence, self.units - 1), confidence)


class Two(NamedTuple):
    """The shares of two arms.

    Attributes:
        control, treatment: Of each.
        correlation: Of the two, where clusters lie in both arms; else 0.
        df: Degrees of freedom of their difference; infinite for plain rows.
    """

    control: Share
    treatment: Share
    correlation: float = 0.0
    df: float = math.inf

    @property
    def difference(self) -> float:
        """Treatment - control."""
        return self.treatment.share - self.control.share

    @property
    def plain(self) -> bool:
        """Whether every row stands for itself alone."""
        return self.control.plain and self.treatment.plain


def counted(hits: float, n: float) -> Share:
    """The share of counts.

    Raises:
        StatError: Nothing was counted.
    """
    if not n > 0:
        raise StatError("table: expected counts in both rows, got a row of zeros")
    return Share(hits / n, float(n), int(n), int(n))


def binary_arms(control: Any, treatment: Any, metric: str, cluster: str | None = None) -> tuple[Values, Values]:
    """The values of two arms, which must be true or false.

    Raises:
        StatError: Fewer than two values or clusters in an arm, or other numbers than 0 and 1.
    """
    first, second = two_arms(control, treatment, metric, cluster=cluster)
    return check_binary(first, "control"), check_binary(second, "treatment")


def check_binary(values: Values, name: str) -> Values:
    """`values`, when they are true or false."""
    if not is_binary(values):
        raise StatError(
            f"{values.metric.name}: expected true or false in {name}, got other numbers; use t_test for means and "
            "repeats, mann_whitney_u for ranks"
        )
    return values


def is_binary(values: Values) -> bool:
    """Whether they are all true or false, and a share is what is asked for."""
    return values.metric.kind in {"rate", "mean"} and bool(((values.x == 0) | (values.x == 1)).all())


def share_of(values: Values) -> Share:
    """The share of true values, worth the n for which a plain share has the same standard error.

    Where all are alike there is no spread to tell it by: then what the weights say, with a cluster as one value.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> share_of(values_of([True, True, False], "success_rate"))
        Share(share=0.6666666666666666, n=3.0, rows=3, units=3, plain=True)
    """
    x, weight, rows = values.x, values.weight, len(values.x)
    if values.plain:
        return Share(float(x.sum()) / rows, float(rows), rows, rows)
    share, units = weighted.mean(x, weight), weighted.units(rows, values.cluster)
    if 0 < share < 1:
        n = weighted.share_size(share, own_error(values, x - share).error)
    else:
        n = weighted.effective_size(weight if values.cluster is None else np.bincount(values.cluster, weight))
    return Share(min(max(share, 0.0), 1.0), n if math.isfinite(n) else float(rows), rows, units, plain=False)


def two_of(control: Values, treatment: Values) -> Two:
    """The shares of two arms, and how they vary together."""
    first, second = share_of(control), share_of(treatment)
    if first.plain and second.plain:
        return Two(first, second)
    away = control.x - first.share, treatment.x - second.share
    own = [own_error(arm, apart).error for arm, apart in zip((control, treatment), away, strict=True)]
    both = difference_error(control, treatment, *away)
    df = both.df if math.isfinite(both.df) else first.units + second.units - 2.0
    if not own[0] * own[1] > 0:
        return Two(first, second, 0.0, df)
    correlation = (own[0] ** 2 + own[1] ** 2 - both.error**2) / (2 * own[0] * own[1])
    return Two(first, second, 0.0 if abs(correlation) < 1e-9 else min(max(correlation, -1.0), 1.0), df)


def widening(confidence: float, df: float) -> float:
    """The square of the ratio of t and normal quantile: what few degrees of freedom do to a variance.

    References:
        Korn, Graubard: Confidence intervals for proportions with small expected number of positive counts estimated
        from survey data. Survey Methodology 24 (1998).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if math.isinf(df):
        return 1.0
    tail = (1 + confidence) / 2
    return float((special.stdtrit(max(df, 1), tail) / special.ndtri(tail)) ** 2)


def newcombe(two: Two, confidence: float) -> Interval:
    """Of the difference of two shares, treatment - control.

    Examples:
        >>> low, high = newcombe(Two(counted(48, 80), counted(56, 70)), 0.95)
        >>> round(low, 4), round(high, 4)  # as in the paper
        (0.0524, 0.3339)

    References:
        Newcombe: Interval estimation for the difference between independent proportions. Statistics in Medicine 17
        (1998), method 10.
    """
    sides = [(side.share, side.limits(confidence)) for side in (two.control, two.treatment)]
    return difference_limits(sides[0], sides[1], two.correlation)


def z_of(two: Two) -> float:
    """The score statistic of control - treatment, with the variance of the pooled share; 0 where both are the same."""
    first, second = two.control, two.treatment
    if first.share == second.share:
        return 0.0
    pooled = (first.hits + second.hits) / (first.n + second.n)
    spread = 1 / first.n + 1 / second.n - 2 * two.correlation / math.sqrt(first.n * second.n)
    variance = pooled * (1 - pooled) * spread
    return -two.difference / math.sqrt(variance) if variance > 0 else -math.copysign(math.inf, two.difference)


def tail_of(z: float, alternative: str, df: float = math.inf) -> float:
    """The p-value of a statistic of treatment - control: normal, or t with few degrees of freedom.

    Examples:
        >>> round(tail_of(1.959964, "two-sided"), 4), round(tail_of(1.959964, "greater"), 4)
        (0.05, 0.025)
    """
    from scipy import special  # noqa: PLC0415

    at = -abs(z) if alternative == "two-sided" else -z if alternative == "greater" else z
    below = float(special.ndtr(at) if math.isinf(df) else special.stdtr(df, at))
    return min(1.0, 2 * below) if alternative == "two-sided" else below


def share_text(share: Share) -> str:
    """A share as papers print it.

    Examples:
        >>> share_text(counted(48, 80))
        '60.0% of 80'
    """
    return f"{100 * share.share:.1f}% of {share.rows:,}"
