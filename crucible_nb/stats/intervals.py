"""Confidence intervals of means, totals, rates and quantiles from rows with weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.results import Interval
from crucible_nb.stats.values import Values
from crucible_nb.stats.weighted import Of

_HEAVY, _TOP = 0.15, 0.01


class Limits(NamedTuple):
    """An estimate with its interval, and how it was made."""

    estimate: float
    interval: Interval
    error: float
    method: str
    warnings: tuple[str, ...] = ()


def mean_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of a mean: on the log scale where all values are positive, else t.

    Args:
        values: At least two, or one that stands for itself alone with of="run".
        confidence: Coverage, e.g. 0.95.
        of: "process" or "run".
        method: "t" or "log"; None chooses.

    Raises:
        StatError: Too few values; method="log" with values that are not positive.

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.7. Springer (1992).
    """
    _enough(values, 1 if of == "run" else 2)
    x, weight = values.x, values.weight
    estimate = weighted.mean(x, weight)
    if of == "run" and not values.sampled:
        return Limits(estimate, Interval(estimate, estimate), 0.0, "exact")
    _enough(values, 2)
    error = weighted.standard_error(x, weight, of, values.cluster)
    return _around(estimate, error, values, confidence, method)


def total_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of a total: events seen times the mean, or Horvitz-Thompson for the column that the sampler was sized by.

    Args:
        values: As for `mean_limits`; a missing value adds nothing.
        confidence: Coverage.
        of: "run" (what the full log adds up to) or "process" (what so many events cost in the long run).
        method: "t" or "log"; None chooses.

    Raises:
        StatError: Too few values; method="log" with values that are not positive.
    """
    _enough(values, 1 if of == "run" else 2)
    x, weight = values.x, values.weight
    if values.seen is None or values.sized:
        estimate, scale = float(weight @ x), 1.0
        squares = weighted.spread(weight, of) @ (x if of == "run" else x - weighted.mean(x, weight)) ** 2
    else:
        # rows without a value count as 0, so that the weights of all rows stand for all events
        scale = values.seen / values.rows_weight
        estimate = scale * float(weight @ x)
        center = float(weight @ x) / values.rows_weight
        squares = weighted.spread(weight, of) @ (x - center) ** 2
        squares += _absent(values, of) * center**2
    if of == "run" and not values.sampled:
        return Limits(estimate, Interval(estimate, estimate), 0.0, "exact")
    _enough(values, 2)
    n = len(x) + values.missing
    return _around(estimate, scale * float(np.sqrt(n / (n - 1) * squares)), values, confidence, method)


def _absent(values: Values, of: Of) -> float:
    """What the rows without a value add to the squares; their weights are taken as alike."""
    if not values.missing:
        return 0.0
    weight = (values.rows_weight - values.weight.sum()) / values.missing
    return float(values.missing * weighted.spread(np.array([weight]), of)[0])


def _around(estimate: float, error: float, values: Values, confidence: float, method: str | None) -> Limits:
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    positive = bool((values.x > 0).all())
    if method == "log" and not positive:
        raise StatError(f"method='log' needs positive values, {values.metric.name} has {values.x.min():g}; use 't'")
    method = method or ("log" if positive else "t")
    t = float(special.stdtrit(len(values.x) - 1, (1 + confidence) / 2))
    if method == "log":
        factor = math.exp(t * error / estimate)
        interval = Interval(estimate / factor, estimate * factor)
    else:
        interval = Interval(estimate - t * error, estimate + t * error)
    return Limits(estimate, interval, error, method, heavy(values))


def heavy(values: Values) -> tuple[str, ...]:
    """A sentence where a few rows carry the mean, so that no interval of it can be trusted."""
    order = np.argsort(-values.x, kind="stable")
    x, weight = values.x[order], values.weight[order]
    if not len(x) or x[-1] < 0 or x[0] <= 0:
        return ()
    top = np.cumsum(weight) <= _TOP * weight.sum()
    share = float((weight[top] @ x[top]) / (weight @ x))
    if share <= _HEAVY:
        return ()
    column = values.metric.column
    return (
        f"the largest 1% of events carry {share:.0%} of the total: a mean this skewed may be further off than its "
        f"interval says; prefer p50_{column}, p95_{column}",
    )


def rate_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of a share: Wilson's score interval for plain rows, beta limits on the effective n for weighted ones.

    Args:
        values: 0 and 1.
        confidence: Coverage.
        of: "process" or "run".
        method: "wilson" or "clopper_pearson"; None chooses.

    Raises:
        StatError: No values; method="wilson" for rows that were sampled.

    References:
        Wilson: Probable inference, the law of succession, and statistical inference. JASA 22 (1927).
        Korn, Graubard: Confidence intervals for proportions with small expected number of positive counts
        estimated from survey data. Survey Methodology 24 (1998).
    """
    _enough(values, 1)
    share = weighted.mean(values.x, values.weight)
    if of == "run" and not values.sampled:
        return Limits(share, Interval(share, share), 0.0, "exact")
    if method == "wilson" and values.sampled:
        raise StatError("method='wilson' is for rows that were not sampled; use 'clopper_pearson', or none to choose")
    error = weighted.standard_error(values.x, values.weight, of, values.cluster)
    if not values.sampled and method != "clopper_pearson":
        return Limits(share, wilson(share, len(values.x), confidence), error, "wilson")
    return Limits(
        share, beta_limits(share, _share_size(values, share, error, of), confidence), error, "clopper_pearson"
    )


def _share_size(values: Values, share: float, error: float, of: Of) -> float:
    """The effective n of a share; without any spread among the values the weights alone say it."""
    if not values.sampled:
        return float(len(values.x))
    if 0 < share < 1 and error > 0:
        return weighted.share_size(share, error)
    squares = float(weighted.spread(values.weight, of).sum())
    return float(values.weight.sum()) ** 2 / squares if squares else math.inf


def wilson(share: float, n: float, confidence: float) -> Interval:
    """Wilson's score interval.

    Examples:
        >>> low, high = wilson(0.0, 20, 0.95)
        >>> low, round(high, 3)
        (0.0, 0.161)
    """
    from scipy import special  # noqa: PLC0415

    z = float(special.ndtri((1 + confidence) / 2))
    center, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = (center - half) / (1 + z * z / n), (center + half) / (1 + z * z / n)
    return Interval(0.0 if share == 0 else low, 1.0 if share == 1 else high)


def beta_limits(share: float, n: float, confidence: float) -> Interval:
    """Clopper and Pearson's limits, for any n > 0, whole or not.

    References:
        Clopper, Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial.
        Biometrika 26 (1934).
    """
    from scipy import special  # noqa: PLC0415

    if math.isinf(n):
        return Interval(share, share)
    tail, hits, misses = (1 - confidence) / 2, n * share, n * (1 - share)
    low = float(special.betaincinv(hits, misses + 1, tail)) if hits > 0 else 0.0
    high = float(special.betaincinv(hits + 1, misses, 1 - tail)) if misses > 0 else 1.0
    return Interval(low, high)


def quantile_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Of a quantile, by order statistics: beta limits on its share of the events, read off the values (Woodruff).

    Args:
        values: Any.
        confidence: Coverage; discrete, so often a little more.
        of: "process" or "run".
        method: Only "quantile".

    Raises:
        StatError: No values.

    References:
        Woodruff: Confidence intervals for medians and other position measures. JASA 47 (1952).
    """
    del method
    _enough(values, 1)
    order = np.argsort(values.x, kind="stable")
    x, weight, q = values.x[order], values.weight[order], values.metric.q
    estimate = weighted.quantile(x, weight, q)
    if of == "run" and not values.sampled:
        return Limits(estimate, Interval(estimate, estimate), 0.0, "exact")
    below = (x <= estimate).astype(np.float64)
    size = float(len(x)) if not values.sampled else weighted.share_size(q, _error_at(below, weight, of, q))
    if math.isinf(size):
        size = _share_size(values, 1.0, 0.0, of)
    ends = min(size, _rows_at_the_ends(weight, q))
    ranks = rank_limits(q, size, confidence)
    filled = np.cumsum(weight) / weight.sum()
    # a rank that lies on a step up to rounding belongs to that step
    low = int(np.searchsorted(filled, ranks.low / size * (1 + 1e-12), side="right")) - 1
    high = int(np.searchsorted(filled, ranks.high / size * (1 - 1e-12)))
    tail = (1 - confidence) / 2
    interval = Interval(
        float(x[low]) if low >= 0 and (1 - q) ** ends <= tail else -math.inf,
        float(x[high]) if high < len(x) and q**ends <= tail else math.inf,
    )
    said = () if np.isfinite(interval).all() else (_open(values, ends, q, confidence),)
    return Limits(estimate, interval, math.nan, "quantile", said)


def _error_at(below: np.ndarray, weight: np.ndarray, of: Of, q: float) -> float:
    """Standard error of the share of events below the quantile, about q itself."""
    n = len(below)
    squares = weighted.spread(weight, of) @ (below - q) ** 2
    return float(np.sqrt(n / max(n - 1, 1) * squares) / weight.sum())


def _rows_at_the_ends(weight: np.ndarray, q: float) -> float:
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
    from scipy import optimize, special  # noqa: PLC0415

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


def _enough(values: Values, least: int) -> None:
    if len(values.x) < least or not values.weight.sum() > 0:
        rows = "row" if least == 1 else "rows"
        raise StatError(
            f"{values.metric.name}: expected at least {least} {rows} with a value, got {len(values.x)}"
            f"{f' ({values.missing} missing)' if values.missing else ''}"
        )


LIMITS = {"mean": mean_limits, "total": total_limits, "rate": rate_limits, "quantile": quantile_limits}
"""How the interval of each kind of metric is made."""
