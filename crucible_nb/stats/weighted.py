"""Estimates from weighted rows with linearised standard errors.

`of="process"`: the population is the process that makes the events; both events and sampling vary.
`of="run"`: the population is the full log of this run; only sampling varies, and nothing if no row was dropped.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.stats.cluster_robust import Error, adjust, effective_units, extreme_scale, rows_per_cluster, units_of
from crucible_nb.stats.products import dot
from crucible_nb.stats.samples.values import Values

Of = Literal["process", "run"]
_ROUNDING = 1e-9


def variance_factor(weight: np.ndarray, of: Of) -> np.ndarray:
    """Factor of each squared deviation in a variance: w^2 for the process, w (w - 1) for the run.

    Weights below 1 are not inverse probabilities, so the run is unknown: its variance is then that of the process.
    """
    run = of == "run" and are_inverse_probabilities(weight)
    return np.asarray(weight * np.maximum(weight - run, 0.0))


def are_inverse_probabilities(weight: np.ndarray) -> bool:
    """Whether no weight is below 1, as the inverse of a probability cannot be."""
    return bool(weight.min(initial=1.0) >= 1 - _ROUNDING)


def mean(x: np.ndarray, weight: np.ndarray) -> float:
    """Hajek's mean, sum(w x) / sum(w); never outside of the values by rounding.

    Examples:
        >>> mean(np.array([1.0, 3.0]), np.array([3.0, 1.0])), mean(np.ones(3), np.array([0.1, 0.2, 0.7]))
        (1.5, 1.0)
    """
    return min(max(dot(weight, x) / float(weight.sum()), float(x.min())), float(x.max()))


def standard_error(x: np.ndarray, weight: np.ndarray, of: Of = "process", cluster: np.ndarray | None = None) -> float:
    """Standard error of Hajek's mean: the root of sum(s (x - m)^2) / sum(w)^2, s = `variance_factor`.

    Corrected for weights and clusters of unequal size (CR2, see `cluster_robust`). NaN for less than two rows. With
    weights of 1 and of="process" it is sd / sqrt(n). Clustered rows are summed within their cluster before squaring;
    the sampling variance (of="run") ignores clusters.

    Examples:
        >>> round(standard_error(np.array([1.0, 2.0, 3.0]), np.ones(3)) * np.sqrt(3), 12)
        np.float64(1.0)

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.7. Springer (1992).
    """
    return error_of(x - mean(x, weight), weight, of, cluster).error


def error_of(deviation: np.ndarray, weight: np.ndarray, of: Of, cluster: np.ndarray | None) -> Error:
    """Standard error and its df of a mean, from deviations whose weighted sum is about 0; see `standard_error`."""
    if len(deviation) < 2:
        return Error(math.nan, math.nan)
    scale = extreme_scale(deviation)
    parts = units_of(deviation if scale == 1 else deviation / scale, weight, cluster if of == "process" else None)
    if np.count_nonzero(parts.share) < 2:
        return Error(math.nan, math.nan)
    each, df = adjust(parts)
    if of == "run":
        each = each * np.sqrt(variance_factor(weight, of)) / weight
    return Error(scale * math.sqrt(dot(each, each)), df)


def units(n: int, cluster: np.ndarray | None) -> int:
    """Number of independent units: clusters if rows are clustered, otherwise rows."""
    return n if cluster is None else int(np.count_nonzero(rows_per_cluster(cluster)))


def effective_size(weight: np.ndarray) -> float:
    """Kish's effective sample size (sum w)^2 / sum w^2; shown to the reader, never used as n."""
    return effective_units(weight / weight.max()) if len(weight) else 0.0


def unit_size(weight: np.ndarray, of: Of, cluster: np.ndarray | None) -> float:
    """Kish's effective number of independent units, used as n if the values do not vary."""
    if cluster is not None and of == "process":
        weight = np.bincount(cluster, weight)
    squares = float(variance_factor(weight, of).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else float("inf")


def share_size(share: float, error: float) -> float:
    """The n at which an unweighted proportion r has this standard error: r (1 - r) / SE^2; infinite if SE is 0."""
    return share * (1 - share) / error**2 if error > 0 else float("inf")


def influence(values: Values, estimate: float) -> np.ndarray:
    """Influence of each value on the estimate, up to a factor: the value, x <= quantile, or (a - R b) / mean(b)."""
    if values.metric.kind == "quantile":
        return np.asarray(values.x <= estimate, np.float64)
    if values.per is not None:
        return np.asarray((values.x - estimate * values.per) / mean(values.per, values.weight))
    return values.x


def quantile_error(
    x: np.ndarray, weight: np.ndarray, at: float, q: float, of: Of = "process", cluster: np.ndarray | None = None
) -> Error:
    """Standard error and its df of the proportion of events below the q-quantile `at`.

    Values equal to `at` count as randomly split below and above so that a proportion q lies below: rounding latencies
    does not make the quantile more precise.

    Examples:
        >>> x = np.arange(1.0, 101.0)
        >>> share_size(0.5, quantile_error(x, np.ones(100), 50.5, 0.5).error).__round__(6)
        99.0
    """
    tied, total = x == at, float(weight.sum())
    below = (x < at).astype(np.float64)
    tied_weight = float(weight[tied].sum())
    share = min(max((q * total - dot(weight, below)) / tied_weight, 0.0), 1.0) if tied_weight > 0 else 0.0
    below[tied] = share
    split_variance = share * (1 - share) * float(variance_factor(weight[tied], of).sum())
    error, df = error_of(below - q, weight, of, cluster)
    return Error(float(np.hypot(error, np.sqrt(split_variance) / total)), df)


def quantile(x: np.ndarray, weight: np.ndarray, q: float) -> float:
    """The weighted quantile; see `quantile_of_sorted`."""
    if (weight == 1).all() and len(x):
        below = int(q * (len(x) - 1))
        partitioned = np.partition(x, below)  # half the time of two places
        if below + 1 < len(x):
            partitioned[below + 1] = partitioned[below + 1 :].min()
        return float(quantile_of_sorted(partitioned, q))
    order = np.argsort(x, kind="stable")
    return sorted_quantile(x[order], weight[order], q)


def sorted_quantile(x: np.ndarray, weight: np.ndarray, q: float) -> float:
    """The quantile of sorted values; weights below 1 are scaled up, because a row stands for at least one event."""
    return float(quantile_of_sorted(x, q, weight / min(float(weight.min(initial=1.0)), 1.0)))
