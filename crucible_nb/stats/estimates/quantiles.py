"""Intervals of quantiles, by order statistics."""

from __future__ import annotations

import math

import numpy as np

from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.limits import Limits, enough, exactly
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of


def quantile_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of a quantile, by order statistics: beta limits on its share of the events, read off the values (Woodruff).

    Args:
        values: Any.
        confidence: Coverage; of plain rows discrete, so often a little more. Limits of rows that were sampled or lie in
            clusters, whose n is an estimate anyway, are interpolated.
        of: "process" or "run".
        method: Only "quantile".

    Raises:
        StatError: No values, fewer than two clusters.

    References:
        Woodruff: Confidence intervals for medians and other position measures. JASA 47 (1952).
        Hettmansperger, Sheather: Confidence intervals based on interpolated order statistics. Statistics and
        Probability Letters 4 (1986).
    """
    del method
    enough(values, 1, of)
    order = np.argsort(values.x, kind="stable")
    x, weight, q = values.x[order], values.weight[order], values.metric.q
    estimate = weighted.quantile(x, weight, q)
    if of == "run" and not values.sampled:
        return exactly(estimate)
    cluster = None if values.cluster is None else values.cluster[order]
    size = float(len(x))
    if not values.plain:
        size = weighted.fewer(share_worth(x, weight, cluster, estimate, q, of), values, of, confidence)
    ends = min(size, rows_at_the_ends(weight, q))
    ranks = rank_limits(q, size, confidence)
    low, high = _read_off(x, weight, ranks.low / size, ranks.high / size, plain=values.plain)
    tail = (1 - confidence) / 2
    interval = Interval(low if (1 - q) ** ends <= tail else -math.inf, high if q**ends <= tail else math.inf)
    said = () if np.isfinite(interval).all() else (_open(values, ends, q, confidence),)
    return Limits(estimate, interval, math.nan, "quantile", said)


def _read_off(x: np.ndarray, weight: np.ndarray, low: float, high: float, *, plain: bool) -> Interval:
    """The values at two shares of the events: of plain rows the next ones outside, of others between two rows."""
    filled = np.cumsum(weight) / weight.sum()
    # a share that lies on a step up to rounding belongs to that step
    low, high = low * (1 + 1e-12), high * (1 - 1e-12)
    below, above = int(np.searchsorted(filled, low, side="right")) - 1, int(np.searchsorted(filled, high))
    return Interval(
        -math.inf if below < 0 else float(x[below] if plain else np.interp(low, filled, x)),
        math.inf if above >= len(x) else float(x[above] if plain else np.interp(high, filled, x)),
    )


def share_worth(
    x: np.ndarray, weight: np.ndarray, cluster: np.ndarray | None, estimate: float, q: float, of: Of
) -> float:
    """Independent rows that the share of events below a quantile is worth."""
    size = weighted.share_size(q, weighted.error_at(x, weight, estimate, q, of, cluster))
    return weighted.unit_size(weight, of, cluster) if math.isinf(size) else size


def rows_at_the_ends(weight: np.ndarray, q: float) -> float:
    """How many rows as heavy as those near the nearer end all events are worth, by weights in order of the values.

    One of them beyond the quantile may have been missed, whatever the rows say that were not.
    """
    filled, rare = np.cumsum(weight) / weight.sum(), 4 * min(q, 1 - q)
    near = filled >= 1 - rare if q >= 0.5 else filled <= rare
    return float(weight.sum() / weight[near].max(initial=weight.min()))


def rank_limits(q: float, n: float, confidence: float) -> Interval:
    """Ranks between which the quantile lies: P(below the low one), P(above the high one) are half of the rest each.

    The distribution of the number of values below the quantile is binomial; its continuous form takes any n > 0.
    A rank below 1 or above n: no value is that far out.

    Examples:
        >>> low, high = rank_limits(0.5, 100, 0.95)  # the 40th and the 61st of 100 values
        >>> int(low), int(np.ceil(high))
        (40, 61)
    """
    from scipy import optimize, special  # noqa: PLC0415  heavy; imported where used

    tail = (1 - confidence) / 2

    def at(chance: float) -> float:
        """The rank u for which P(Bin(n, q) >= u) is `chance`."""
        if special.betainc(n, 1.0, q) > chance:
            return n + 1.0
        if special.betainc(1e-9, n + 1, q) < chance:
            return 0.0
        return float(optimize.brentq(lambda u: special.betainc(u, n - u + 1, q) - chance, 1e-9, n, xtol=1e-10))

    return Interval(min(at(1 - tail), n), at(tail))


def _open(values: Values, size: float, q: float, confidence: float) -> str:
    needed = math.ceil(math.log((1 - confidence) / 2) / math.log(max(q, 1 - q)))
    side = "upper" if q >= 0.5 else "lower"
    return f"{values.metric.name}: no finite {side} limit below {needed:,} effective rows, there are {size:,.0f}"
