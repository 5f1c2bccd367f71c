"""Proportions of true values: effective n, difference of two, score statistic."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Error, difference_of_errors
from crucible_nb.stats.estimates.contrast import Contrast, mover_contrast
from crucible_nb.stats.estimates.effective_size import size_of_share
from crucible_nb.stats.estimates.shares import beta_limits, wilson
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.arms import difference_error, shared_clusters, two_arms
from crucible_nb.stats.samples.values import Values, is_zero_one

RARE = 10
"""Count of a cell below which proportions are tested against a margin by exact limits."""


class Share(NamedTuple):
    """A proportion of true values.

    Attributes:
        share: The proportion, in [0, 1].
        n: Effective number of independent values; the number of values for unweighted, independent rows.
        rows: Number of values used.
        df: Degrees of freedom of its standard error.
        plain: Whether rows are neither weighted nor clustered.
        error: Standard error of the proportion.
    """

    share: float
    n: float
    rows: int
    df: float
    plain: bool = True
    error: float = math.nan

    @property
    def hits(self) -> float:
        """Number of true values out of n."""
        return float(round(self.share * self.n)) if self.plain else self.share * self.n

    def limits(self, confidence: float) -> Interval:
        """Wilson's interval on the effective n, widened for few clusters by the ratio of t and normal quantiles."""
        return wilson(self.share, self._size(confidence), confidence)

    def exact_limits(self, confidence: float) -> Interval:
        """Clopper and Pearson's interval on the same n: it covers at least `confidence`, however rare the outcome."""
        return beta_limits(self.share, self._size(confidence), confidence)

    def _size(self, confidence: float) -> float:
        return self.n if self.plain else self.n / variance_inflation(confidence, self.df)


class TwoShares(NamedTuple):
    """Proportions of true values in two arms.

    Attributes:
        control, treatment: Proportion of each arm.
        correlation: Correlation of both if clusters occur in both arms; otherwise 0.
        df: Degrees of freedom of their difference; infinite for unweighted, independent rows.
    """

    control: Share
    treatment: Share
    correlation: float = 0.0
    df: float = math.inf

    @property
    def difference(self) -> float:
        """Difference of the proportions, treatment - control."""
        return self.treatment.share - self.control.share

    @property
    def plain(self) -> bool:
        """Whether rows are neither weighted nor clustered."""
        return self.control.plain and self.treatment.plain

    @property
    def error(self) -> float:
        """Standard error of the difference; each proportion has its own variance."""
        first, second = self.control.error, self.treatment.error
        return math.sqrt(max(first * first + second * second - 2 * self.correlation * first * second, 0.0))


def share_of_counts(hits: float, n: float) -> Share:
    """The proportion of `hits` in `n`.

    Raises:
        StatError: `n` is 0.
    """
    if not n > 0:
        raise StatError("table: expected counts in both rows, got a row of zeros")
    return Share(hits / n, float(n), int(n), n - 1.0)


def binary_arms(control: Any, treatment: Any, metric: str, cluster: str | None = None) -> tuple[Values, Values]:
    """Read the values of two arms, which must be true or false.

    Raises:
        StatError: Fewer than two values or clusters in an arm, or numbers other than 0 and 1.
    """
    first, second = two_arms(control, treatment, metric, cluster=cluster)
    return check_binary(first, "control"), check_binary(second, "treatment")


def check_binary(values: Values, name: str) -> Values:
    """Return `values` if they are all true or false; raise StatError otherwise."""
    if not is_binary(values):
        raise StatError(
            f"{values.metric.name}: expected true or false in {name}, got other numbers; use t_test for means (also of "
            "repeated items), mann_whitney_u for ranks"
        )
    return values


def is_binary(values: Values) -> bool:
    """Whether all values are true or false, and the metric is a rate or a mean."""
    return values.metric.kind in {"rate", "mean"} and is_zero_one(values.x)


def share_of(values: Values) -> Share:
    """The proportion of true values, with the n at which an unweighted proportion has the same standard error.

    See `size_of_share`.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> share_of(values_of([True, True, False], "success_rate"))
        Share(share=0.6666666666666666, n=3.0, rows=3, df=2.0, plain=True, error=0.33333333333333337)
    """
    share = weighted.mean(values.x, values.weight)
    size = size_of_share(values, share)
    return Share(share, size.size, size.rows, size.df, values.plain, size.error)


def two_shares(control: Values, treatment: Values) -> TwoShares:
    """The proportions of two arms, with their correlation."""
    first, second = share_of(control), share_of(treatment)
    if first.plain and second.plain:
        return TwoShares(first, second)
    own = [Error(side.error, side.df) for side in (first, second)]
    shared = shared_clusters((control, treatment)) > 0
    both = difference_of_errors(*own)
    if shared:
        both = difference_error(control, treatment, control.x - first.share, treatment.x - second.share)
    df = both.df if math.isfinite(both.df) else first.df + second.df
    if not (shared and first.error * second.error > 0):
        return TwoShares(first, second, 0.0, df)
    correlation = (first.error**2 + second.error**2 - both.error**2) / (2 * first.error * second.error)
    return TwoShares(first, second, min(max(correlation, -1.0), 1.0), df)


def variance_inflation(confidence: float, df: float) -> float:
    """Factor of a variance with few degrees of freedom: squared ratio of the t and the normal quantile.

    References:
        Korn, Graubard: Confidence intervals for proportions with small expected number of positive counts estimated
        from survey data. Survey Methodology 24 (1998).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if math.isinf(df):
        return 1.0
    tail = (1 + confidence) / 2
    return float((special.stdtrit(max(df, 1), tail) / special.ndtri(tail)) ** 2)


def newcombe(shares: TwoShares, confidence: float) -> Interval:
    """Newcombe's interval of the difference of two proportions, treatment - control.

    Examples:
        >>> low, high = newcombe(TwoShares(share_of_counts(48, 80), share_of_counts(56, 70)), 0.95)
        >>> round(low, 4), round(high, 4)  # published values
        (0.0524, 0.3339)

    References:
        Newcombe: Interval estimation for the difference between independent proportions. Statistics in Medicine 17
        (1998), method 10.
    """
    return newcombe_contrast(shares).difference(confidence)


def newcombe_contrast(shares: TwoShares) -> Contrast:
    """Contrast of two proportions by Wilson's limits of each; see `newcombe`."""
    first, second = shares.control, shares.treatment
    return mover_contrast((first.share, first.limits), (second.share, second.limits), shares.correlation)


def exact_contrast(shares: TwoShares) -> Contrast:
    """Contrast of two proportions by Clopper and Pearson's limits of each, for rare outcomes.

    Examples:
        >>> low, high = exact_contrast(TwoShares(share_of_counts(0, 100), share_of_counts(0, 100))).difference(0.9)
        >>> round(high, 4)  # no failure in 100: fewer than 2.95%, by the rule of three
        0.0295
    """
    first, second = shares.control, shares.treatment
    return mover_contrast((first.share, first.exact_limits), (second.share, second.exact_limits), shares.correlation)


def margin_contrast(shares: TwoShares) -> Contrast:
    """Contrast of two proportions for a test against a margin: exact limits below 10 observed or expected in a cell.

    At a margin, Wilson's limits of so rare an outcome err in up to 7.9% at alpha 0.05, those of Clopper and Pearson in
    at most 4.6% (by enumeration).
    """
    return exact_contrast(shares) if rarest_count(shares) < RARE else newcombe_contrast(shares)


def rarest_count(shares: TwoShares) -> float:
    """Smallest count of true or false in an arm, observed or expected if both arms have the same proportion."""
    sides = (shares.control, shares.treatment)
    observed = [cell for side in sides for cell in (side.hits, side.n - side.hits)]
    pooled = sum(side.hits for side in sides) / sum(side.n for side in sides)
    expected = min(side.n for side in sides) * min(pooled, 1 - pooled)
    return float(min(*observed, expected))


def pooled_z(shares: TwoShares) -> float:
    """Score statistic of control - treatment, with the variance of the pooled proportion; 0 if both are equal."""
    first, second = shares.control, shares.treatment
    if first.share == second.share:
        return 0.0
    pooled = (first.hits + second.hits) / (first.n + second.n)
    spread = 1 / first.n + 1 / second.n - 2 * shares.correlation / math.sqrt(first.n * second.n)
    variance = pooled * (1 - pooled) * spread
    return -shares.difference / math.sqrt(variance) if variance > 0 else -math.copysign(math.inf, shares.difference)


def tail_probability(z: float, alternative: str, df: float = math.inf) -> float:
    """P-value of a statistic of treatment - control, by the normal distribution or by t if `df` is finite.

    Examples:
        >>> round(tail_probability(1.959964, "two-sided"), 4), round(tail_probability(1.959964, "greater"), 4)
        (0.05, 0.025)
    """
    from scipy import special  # noqa: PLC0415

    at = -abs(z) if alternative == "two-sided" else -z if alternative == "greater" else z
    below = float(special.ndtr(at) if math.isinf(df) else special.stdtr(df, at))
    return min(1.0, 2 * below) if alternative == "two-sided" else below


def share_text(share: Share) -> str:
    """Format a proportion as in a paper.

    Examples:
        >>> share_text(share_of_counts(48, 80))
        '60.0% of 80'
    """
    return f"{100 * share.share:.1f}% of {share.rows:,}"
