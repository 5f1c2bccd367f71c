"""Intervals of quantiles, by order statistics."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.effective_size import size_of_quantile
from crucible_nb.stats.estimates.limits import Limits, exact_limits, require_units
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of


def quantile_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Interval of a quantile by order statistics: beta limits of its rank, converted to values (Woodruff).

    Args:
        values: Values of a quantile metric.
        confidence: Coverage. Unweighted, independent rows give order statistics, which cover a little more; for sampled
            or clustered rows, whose n is an estimate, limits are interpolated between values.
        of: "process" or "run".
        method: None or "quantile", the only method.

    Raises:
        StatError: No values, fewer than two clusters.

    References:
        Woodruff: Confidence intervals for medians and other position measures. JASA 47 (1952).
        Hettmansperger, Sheather: Confidence intervals based on interpolated order statistics. Statistics and
        Probability Letters 4 (1986).
    """
    del method
    require_units(values, 1, of)
    order = np.argsort(values.x, kind="stable")
    x, weight, q = values.x[order], values.weight[order], values.metric.q
    estimate = weighted.sorted_quantile(x, weight, q)
    if of == "run" and not values.sampled:
        return exact_limits(estimate)
    effective = size_of_quantile(values, estimate, of)
    size = effective.at(confidence)
    ends = min(size, rows_at_nearer_end(weight, q))
    ranks = rank_limits(q, size, confidence)
    low, high = _values_at(x, weight, ranks.low / size, ranks.high / size, plain=values.plain)
    interval, warnings = open_ends(Interval(low, high), values, ends, confidence)
    return Limits(estimate, interval, math.nan, "quantile", warnings, effective.df)


def open_ends(interval: Interval, values: Values, ends: float, confidence: float) -> tuple[Interval, tuple[str, ...]]:
    """Open the sides of an interval on which the quantile may lie beyond all values; warn if there is one.

    Args:
        interval: Limits of the quantile.
        values: Values of a quantile metric.
        ends: Effective number of rows at the nearer end; see `rows_at_nearer_end`.
        confidence: Coverage.
    """
    q, tail = values.metric.q, (1 - confidence) / 2
    interval = Interval(
        interval.low if (1 - q) ** ends <= tail else -math.inf, interval.high if q**ends <= tail else math.inf
    )
    closed = math.isfinite(interval.low) and math.isfinite(interval.high)
    return interval, () if closed else (_open_interval_text(values, ends, q, confidence),)


def _values_at(x: np.ndarray, weight: np.ndarray, low: float, high: float, *, plain: bool) -> Interval:
    """Values at two cumulative proportions: rounded outwards to a value if `plain`, otherwise interpolated."""
    cumulated = np.cumsum(weight) / weight.sum()
    # a proportion that equals a step up to rounding errors belongs to that step
    low, high = low * (1 + 1e-12), high * (1 - 1e-12)
    below, above = int(np.searchsorted(cumulated, low, side="right")) - 1, int(np.searchsorted(cumulated, high))
    return Interval(
        -math.inf if below < 0 else float(x[below] if plain else np.interp(low, cumulated, x)),
        math.inf if above >= len(x) else float(x[above] if plain else np.interp(high, cumulated, x)),
    )


def rows_at_nearer_end(weight: np.ndarray, q: float) -> float:
    """Total weight divided by the largest weight near the end of the sample that is closer to the quantile.

    It bounds the number of rows for an open limit: a heavy row beyond the quantile may have been missed by sampling.

    Args:
        weight: Weights in ascending order of the values.
        q: The quantile, in (0, 1).
    """
    cumulated, rare = np.cumsum(weight) / weight.sum(), 4 * min(q, 1 - q)
    near = cumulated >= 1 - rare if q >= 0.5 else cumulated <= rare
    return float(weight.sum() / weight[near].max(initial=weight.min()))


@lru_cache(maxsize=4096)  # the p-value of a difference asks for many levels, and both arms often have one size
def rank_limits(q: float, n: float, confidence: float) -> Interval:
    """Ranks between which the quantile lies with this confidence, with equal tails.

    The number of values below the quantile is binomial; its continuous form accepts any n > 0. A rank below 1 or above
    n means that no value is a limit.

    Examples:
        >>> low, high = rank_limits(0.5, 100, 0.95)  # the 40th and the 61st of 100 values
        >>> int(low), int(np.ceil(high))
        (40, 61)
    """
    from scipy import optimize, special  # noqa: PLC0415  heavy; imported where used

    tail = (1 - confidence) / 2

    def at(chance: float) -> float:
        """The rank u with P(Bin(n, q) >= u) = `chance`."""
        if special.betainc(n, 1.0, q) > chance:
            return n + 1.0
        if special.betainc(1e-9, n + 1, q) < chance:
            return 0.0
        return float(optimize.brentq(lambda u: special.betainc(u, n - u + 1, q) - chance, 1e-9, n, xtol=1e-10))

    return Interval(min(at(1 - tail), n), at(tail))


def _open_interval_text(values: Values, size: float, q: float, confidence: float) -> str:
    needed = math.ceil(math.log((1 - confidence) / 2) / math.log(max(q, 1 - q)))
    side = "upper" if q >= 0.5 else "lower"
    return f"{values.metric.name}: a finite {side} limit needs {needed:,} effective rows, there are {size:,.0f}"
