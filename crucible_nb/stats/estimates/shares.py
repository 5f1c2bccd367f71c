"""Intervals of a proportion: Wilson, Clopper and Pearson, Agresti and Coull; weighted rows use the effective n."""

from __future__ import annotations

import math

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.effective_size import size_of_share
from crucible_nb.stats.estimates.limits import Limits, exact_limits, require_units
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of


def rate_limits(values: Values, confidence: float, of: Of, method: str | None = None) -> Limits:
    """Interval of a proportion: Wilson's score interval; beta limits on the effective n for sampled or clustered rows.

    Args:
        values: Values 0 and 1.
        confidence: Coverage.
        of: "process" or "run".
        method: "wilson", "wilson_cc", "agresti_coull" or "clopper_pearson"; None chooses.

    Raises:
        StatError: No values; a method other than "clopper_pearson" for rows that were sampled.

    References:
        Korn, Graubard: Confidence intervals for proportions with small expected number of positive counts
        estimated from survey data. Survey Methodology 24 (1998).
    """
    require_units(values, 1, of)
    share = weighted.mean(values.x, values.weight)
    if of == "run" and not values.sampled:
        return exact_limits(share)
    if method not in {None, "clopper_pearson"} and values.sampled:
        raise StatError(
            f"method={method!r} is for rows that were not sampled, and these were; use 'clopper_pearson' or method=None"
        )
    method = method or ("wilson" if values.plain else "clopper_pearson")
    size = size_of_share(values, share, of)
    return Limits(share, SHARES[method](share, size.at(confidence), confidence), size.error, method, (), size.df)


def wilson(share: float, n: float, confidence: float) -> Interval:
    """Wilson's score interval.

    Examples:
        >>> low, high = wilson(0.0, 20, 0.95)
        >>> low, round(high, 3)
        (0.0, 0.161)

    References:
        Wilson: Probable inference, the law of succession, and statistical inference. JASA 22 (1927).
    """
    z = _z(confidence)
    center, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = (center - half) / (1 + z * z / n), (center + half) / (1 + z * z / n)
    return Interval(0.0 if share == 0 else max(low, 0.0), 1.0 if share == 1 else min(high, 1.0))


def wilson_cc(share: float, n: float, confidence: float) -> Interval:
    """Wilson's interval with continuity correction, as in R's `prop.test`: coverage is never far below `confidence`.

    Examples:
        >>> [round(limit, 4) for limit in wilson_cc(81 / 263, 263, 0.95)]
        [0.2535, 0.3682]

    References:
        Newcombe: Two-sided confidence intervals for the single proportion. Statistics in Medicine 17 (1998), method 4.
    """
    z, other = _z(confidence), 1 - share
    middle, under = 2 * n * share + z * z, 2 * (n + z * z)
    below = math.sqrt(max(z * z - 2 - 1 / n + 4 * share * (n * other + 1), 0.0))
    above = math.sqrt(max(z * z + 2 - 1 / n + 4 * share * (n * other - 1), 0.0))
    return Interval(
        0.0 if share == 0 else max((middle - 1 - z * below) / under, 0.0),
        1.0 if share == 1 else min((middle + 1 + z * above) / under, 1.0),
    )


def agresti_coull(share: float, n: float, confidence: float) -> Interval:
    """Agresti and Coull's interval: Wald's interval after adding z^2 / 2 successes and as many failures.

    Examples:
        >>> [round(limit, 4) for limit in agresti_coull(0.02, 200, 0.95)]
        [0.006, 0.0521]

    References:
        Agresti, Coull: Approximate is better than "exact" for interval estimation of binomial proportions. The American
        Statistician 52 (1998).
    """
    z = _z(confidence)
    center = (share * n + z * z / 2) / (n + z * z)
    half = z * math.sqrt(center * (1 - center) / (n + z * z))
    return Interval(max(center - half, 0.0), min(center + half, 1.0))


def beta_limits(share: float, n: float, confidence: float) -> Interval:
    """Clopper and Pearson's limits, for any n > 0, integer or not.

    Examples:
        >>> [round(limit, 4) for limit in beta_limits(0.0, 20, 0.95)]
        [0.0, 0.1684]

    References:
        Clopper, Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial.
        Biometrika 26 (1934).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if math.isinf(n):
        return Interval(share, share)
    tail, hits, misses = (1 - confidence) / 2, n * share, n * (1 - share)
    low = float(special.betaincinv(hits, misses + 1, tail)) if hits > 0 else 0.0
    high = float(special.betaincinv(hits + 1, misses, 1 - tail)) if misses > 0 else 1.0
    return Interval(low, high)


def _z(confidence: float) -> float:
    from scipy import special  # noqa: PLC0415

    return float(special.ndtri((1 + confidence) / 2))


SHARES = {
    "wilson": wilson,
    "wilson_cc": wilson_cc,
    "clopper_pearson": beta_limits,
    "agresti_coull": agresti_coull,
}
"""Name of a method -> function of (share, n, confidence) that gives the interval of a proportion."""
