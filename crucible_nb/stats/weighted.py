"""Estimates from weighted rows with linearised standard errors.

`of="process"`: the population is the process that makes the events; both events and sampling vary.
`of="run"`: the population is the full log of this run; only sampling varies, and nothing if no row was dropped.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.stats.samples.values import Values

Of = Literal["process", "run"]


def variance_factor(weight: np.ndarray, of: Of) -> np.ndarray:
    """Factor of each squared deviation in a variance: w^2 for the process, w (w - 1) for the run."""
    return np.asarray(weight * (weight if of == "process" else weight - 1))


def mean(x: np.ndarray, weight: np.ndarray) -> float:
    """Hajek's mean: sum(w x) / sum(w).

    Examples:
        >>> mean(np.array([1.0, 3.0]), np.array([3.0, 1.0]))
        1.5
    """
    return float(weight @ x / weight.sum())


def standard_error(x: np.ndarray, weight: np.ndarray, of: Of = "process", cluster: np.ndarray | None = None) -> float:
    """Standard error of Hajek's mean: sqrt(n / (n - 1) sum(s (x - m)^2)) / sum(w), s = `variance_factor`.

    NaN for less than two rows. With weights of 1 and of="process" it is sd / sqrt(n). Clustered rows are summed within
    their cluster before squaring, and n counts clusters; the sampling variance (of="run") ignores clusters.

    Examples:
        >>> round(standard_error(np.array([1.0, 2.0, 3.0]), np.ones(3)) * np.sqrt(3), 12)
        np.float64(1.0)

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.7. Springer (1992).
    """
    return error_of(x - mean(x, weight), weight, of, cluster)


def error_of(deviation: np.ndarray, weight: np.ndarray, of: Of, cluster: np.ndarray | None) -> float:
    """Standard error of a mean, from deviations whose weighted sum is about 0; see `standard_error`."""
    if cluster is not None and of == "process":
        totals = np.bincount(cluster, weight * deviation)
        n, squares = int(np.count_nonzero(np.bincount(cluster))), float(totals @ totals)
    else:
        n, squares = len(deviation), float(variance_factor(weight, of) @ deviation**2)
    if n < 2:
        return float("nan")
    return float(np.sqrt(n / (n - 1) * squares) / weight.sum())


def units(n: int, cluster: np.ndarray | None) -> int:
    """Number of independent units: clusters if rows are clustered, otherwise rows."""
    return n if cluster is None else int(np.count_nonzero(np.bincount(cluster)))


def effective_size(weight: np.ndarray) -> float:
    """Kish's effective sample size (sum w)^2 / sum w^2; shown to the reader, never used as n."""
    return float(weight.sum() ** 2 / (weight @ weight)) if len(weight) else 0.0


def unit_size(weight: np.ndarray, of: Of, cluster: np.ndarray | None) -> float:
    """Kish's effective number of independent units, used as n if the values do not vary."""
    if cluster is not None and of == "process":
        weight = np.bincount(cluster, weight)
    squares = float(variance_factor(weight, of).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else float("inf")


def share_size(share: float, error: float) -> float:
    """The n at which an unweighted proportion r has this standard error: r (1 - r) / SE^2; infinite if SE is 0."""
    return share * (1 - share) / error**2 if error > 0 else float("inf")


def reduce_for_clusters(size: float, values: Values, of: Of, confidence: float) -> float:
    """Reduce an effective n for few clusters, by the factor (t quantile with n - 1 df / with clusters - 1 df)^2.

    References:
        Korn, Graubard: Confidence intervals for proportions with small expected number of positive counts
        estimated from survey data. Survey Methodology 24 (1998).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    if values.cluster is None or of == "run":
        return size
    tail, n = (1 + confidence) / 2, len(values.x)
    many, few = (float(special.stdtrit(units(n, code) - 1, tail)) for code in (None, values.cluster))
    return size * (many / few) ** 2


def influence(values: Values, estimate: float) -> np.ndarray:
    """Influence of each value on the estimate, up to a factor: the value, x <= quantile, or (a - R b) / mean(b)."""
    if values.metric.kind == "quantile":
        return np.asarray(values.x <= estimate, np.float64)
    if values.per is not None:
        return np.asarray((values.x - estimate * values.per) / mean(values.per, values.weight))
    return values.x


def quantile_error(
    x: np.ndarray, weight: np.ndarray, at: float, q: float, of: Of = "process", cluster: np.ndarray | None = None
) -> float:
    """Standard error of the proportion of events below the q-quantile `at`.

    Values equal to `at` count as randomly split below and above so that a proportion q lies below: rounding latencies
    does not make the quantile more precise.

    Examples:
        >>> x = np.arange(1.0, 101.0)
        >>> share_size(0.5, quantile_error(x, np.ones(100), 50.5, 0.5)).__round__(6)
        99.0
    """
    tied, total = x == at, float(weight.sum())
    below = (x < at).astype(np.float64)
    tied_weight = float(weight[tied].sum())
    share = min(max((q * total - float(weight @ below)) / tied_weight, 0.0), 1.0) if tied_weight > 0 else 0.0
    below[tied] = share
    split_variance = share * (1 - share) * float(variance_factor(weight[tied], of).sum())
    return float(np.hypot(error_of(below - q, weight, of, cluster), np.sqrt(split_variance) / total))


def quantile(x: np.ndarray, weight: np.ndarray, q: float) -> float:
    """The weighted quantile; see `quantile_of_sorted`."""
    if (weight == 1).all() and len(x):
        below = int(q * (len(x) - 1))
        partitioned = np.partition(x, [below, min(below + 1, len(x) - 1)])  # the two values read are in place
        return float(quantile_of_sorted(partitioned, q))
    order = np.argsort(x, kind="stable")
    return float(quantile_of_sorted(x[order], q, weight[order]))
