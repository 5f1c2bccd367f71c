"""Estimates from rows with weights, and how far they may be off: linearised standard errors.

`of="process"`: what the system does in the long run; the rows vary, and so do the events they stand for.
`of="run"`: what the full log would have said; only the sampling varies, and nothing where no row was dropped.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted

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


def share_size(share: float, error: float) -> float:
    """The n for which a plain share has this standard error: r (1 - r) / SE^2; infinite without error."""
    return share * (1 - share) / error**2 if error > 0 else float("inf")


def quantile(x: np.ndarray, weight: np.ndarray, q: float) -> float:
    """The weighted quantile; see `quantile_of_sorted`."""
    order = np.argsort(x, kind="stable")
    ones = bool((weight == 1).all())
    return float(quantile_of_sorted(x[order], q, None if ones else weight[order]))
