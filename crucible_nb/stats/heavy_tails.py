"""Heavy tails: the share of a total that the largest values carry, and a warning where it is too large."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats.samples.values import Values

_HEAVY, _TOP = 0.15, 0.01


def top_share(x: np.ndarray, weight: np.ndarray) -> float:
    """Share of the total that the largest 1 % of events carry; NaN if a value is negative.

    Examples:
        >>> round(top_share(np.r_[np.ones(99), 901.0], np.ones(100)), 3)
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


def heavy_tail_warnings(values: Values) -> tuple[str, ...]:
    """Warn if the largest 1 % of events carry more than 15 % of the total, so that intervals are unreliable."""
    share = top_share(values.x, values.weight)
    if not share > _HEAVY:
        return ()
    column = values.metric.column
    return (
        f"the largest 1% of events carry {share:.0%} of the total: the interval of so skewed a mean may be too narrow; "
        f"prefer p50_{column}, p95_{column}",
    )
