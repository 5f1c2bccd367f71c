"""Means that a few values carry."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats.samples.values import Values

_HEAVY, _TOP = 0.15, 0.01


def carried(x: np.ndarray, weight: np.ndarray) -> float:
    """Share of the total that the largest 1 % of events carry; NaN where values may be negative.

    Examples:
        >>> round(carried(np.r_[np.ones(99), 901.0], np.ones(100)), 3)
        0.901
    """
    if not len(x) or x.min() < 0 or x.max() <= 0:
        return float("nan")
    if (weight == weight[0]).all():
        top = int(_TOP * len(x) * (1 + 1e-12))
        return float(np.partition(x, len(x) - top)[len(x) - top :].sum() / x.sum()) if top else 0.0
    order = np.argsort(-x, kind="stable")
    x, weight = x[order], weight[order]
    top_rows = np.cumsum(weight) <= _TOP * weight.sum()
    return float((weight[top_rows] @ x[top_rows]) / (weight @ x))


def heavy(values: Values) -> tuple[str, ...]:
    """A sentence where a few rows carry the mean, so that no interval of it can be trusted."""
    share = carried(values.x, values.weight)
    if not share > _HEAVY:
        return ()
    column = values.metric.column
    return (
        f"the largest 1% of events carry {share:.0%} of the total: a mean this skewed may be further off than its "
        f"interval says; prefer p50_{column}, p95_{column}",
    )
