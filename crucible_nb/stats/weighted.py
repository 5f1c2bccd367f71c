"""Estimates from rows with weights, and how far they may be off: linearised standard errors.

`of="process"`: what the system does in the long run; the rows vary, and so do the events they stand for.
`of="run"`: what the full log would have said; only the sampling varies, and nothing where no row was dropped.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.stats.samples.values import Values

Of = Literal["process", "run"]


def spread(weight: np.ndarray, of: Of) -> np.ndarray:
    """What a squared deviation counts: w^2 for the process, w (w - 1) for the run."""
    return np.asarray(weight * (weight if of == "process" else weight - 1))


def mean(x: np.ndarray, weight: np.ndarray) -> float:
    """Hajek's mean: sum(w x) / sum(w).

    Examples:
        >>> mean(np.array([1.0, 3.0]), np.array([3.0, 1.0]))
        1.5
    """
    return float(weight @ x / weight.sum())


def standard_error(x: np.ndarray, weight: np.ndarray, of: Of = "process", cluster: np.ndarray | None = None) -> float:
    """Of Hajek's mean: sqrt(n / (n - 1) sum(s (x - m)^2)) / sum(w), with s from `spread`; NaN below two rows.

    With weights of 1 and of="process" it is sd / sqrt(n). Rows in clusters are summed up within each before they are
    squared, and n counts clusters; what the coin of a sampler adds (of="run") knows no clusters.

    Examples:
        >>> round(standard_error(np.array([1.0, 2.0, 3.0]), np.ones(3)) * np.sqrt(3), 12)
        np.float64(1.0)

    References:
        Sarndal, Swensson, Wretman: Model Assisted Survey Sampling, section 5.7. Springer (1992).
    """
    return error_of(x - mean(x, weight), weight, of, cluster)


def error_of(deviation: np.ndarray, weight: np.ndarray, of: Of, cluster: np.ndarray | None) -> float:
    """Standard error of a mean of deviations whose weighted sum is about 0; see `standard_error`."""
    if cluster is not None and of == "process":
        totals = np.bincount(cluster, weight * deviation)
        n, squares = int(np.count_nonzero(np.bincount(cluster))), float(totals @ totals)
    else:
        n, squares = len(deviation), float(spread(weight, of) @ deviation**2)
    if n < 2:
        return float("nan")
    return float(np.sqrt(n / (n - 1) * squares) / weight.sum())


def units(n: int, cluster: np.ndarray | None) -> int:
    """Independent units: clusters where there are any, else rows."""
    return n if cluster is None else int(np.count_nonzero(np.bincount(cluster)))


def effective_size(weight: np.ndarray) -> float:
    """Kish's: (sum w)^2 / sum w^2. Shown, never used as n."""
    return float(weight.sum() ** 2 / (weight @ weight)) if len(weight) else 0.0


def unit_size(weight: np.ndarray, of: Of, cluster: np.ndarray | None) -> float:
    """Kish's n of the independent units: what is left to say how large a sample was when its values do not vary."""
    if cluster is not None and of == "process":
        weight = np.bincount(cluster, weight)
    squares = float(spread(weight, of).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else float("inf")


def share_size(share: float, error: float) -> float:
    """The n for which a plain share has this standard error: r (1 - r) / SE^2; infinite without error."""
    return share * (1 - share) / error**2 if error > 0 else float("inf")


def fewer(size: float, values: Values, of: Of, confidence: float) -> float:
    """An effective n, less what few clusters say about their own spread: times (t of n - 1 / t of clusters - 1)^2.

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
    """What each value adds to its estimate, up to a factor: itself, being below the quantile, or a - R b."""
    if values.metric.kind == "quantile":
        return np.asarray(values.x <= estimate, np.float64)
    if values.per is not None:
        return np.asarray((values.x - estimate * values.per) / mean(values.per, values.weight))
    return values.x


def error_at(
    x: np.ndarray, weight: np.ndarray, at: float, q: float, of: Of = "process", cluster: np.ndarray | None = None
) -> float:
    """Standard error of the share of events below the q-quantile `at`.

    Values tied with it are taken as if a coin had put them below or above, so that a share of q is below: rounded
    latencies are not known any better than exact ones.

    Examples:
        >>> x = np.arange(1.0, 101.0)
        >>> share_size(0.5, error_at(x, np.ones(100), 50.5, 0.5)).__round__(6)
        99.0
    """
    tied, total = x == at, float(weight.sum())
    below = (x < at).astype(np.float64)
    here = float(weight[tied].sum())
    share = min(max((q * total - float(weight @ below)) / here, 0.0), 1.0) if here > 0 else 0.0
    below[tied] = share
    coins = share * (1 - share) * float(spread(weight[tied], of).sum())
    return float(np.hypot(error_of(below - q, weight, of, cluster), np.sqrt(coins) / total))


def quantile(x: np.ndarray, weight: np.ndarray, q: float) -> float:
    """The weighted quantile; see `quantile_of_sorted`."""
    if (weight == 1).all() and len(x):
        below = int(q * (len(x) - 1))
        placed = np.partition(x, [below, min(below + 1, len(x) - 1)])  # all that is looked at is in its place
        return float(quantile_of_sorted(placed, q))
    order = np.argsort(x, kind="stable")
    return float(quantile_of_sorted(x[order], q, weight[order]))
