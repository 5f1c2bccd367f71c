"""Warnings of few effective clusters or rows: intervals are then wide, and depend on the few."""

from __future__ import annotations

import numpy as np

from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import effective_units, rows_per_cluster
from crucible_nb.stats.samples.values import Values

CLUSTERS, ROWS = 30, 10
"""Effective numbers of clusters and of weighted rows below which a result has a warning."""


def few_units_warnings(values: Values) -> tuple[str, ...]:
    """Warn if the effective number (sum w)^2 / sum w^2 of clusters is below 30, or that of weighted rows below 10.

    Examples:
        >>> from crucible_nb.stats.samples.values import values_of
        >>> import pandas as pd
        >>> few_units_warnings(values_of(pd.DataFrame({"loss": range(20), "weight": [100.0] + [1.0] * 19}), "loss"))
        ('20 weighted rows are worth 1.4 of equal weight: fewer than 10 give a wide interval',)
    """
    warnings = []
    if values.cluster is not None:
        size = np.bincount(values.cluster, values.weight) if values.sampled else rows_per_cluster(values.cluster) * 1.0
        what = "blocks" if values.blocks else "clusters"
        warnings.append(_warning(int(np.count_nonzero(size)), effective_units(size), what, "size", CLUSTERS))
    if values.sampled:
        rows = weighted.effective_size(values.weight)
        warnings.append(_warning(len(values.x), rows, "weighted rows", "weight", ROWS))
    return tuple(warning for warning in warnings if warning)


def _warning(count: int, effective: float, what: str, part: str, enough: int) -> str:
    if effective >= enough:
        return ""
    if count - effective < 0.05:
        return f"only {count:,} {what}: fewer than {enough} give a wide interval"
    return f"{count:,} {what} are worth {effective:.1f} of equal {part}: fewer than {enough} give a wide interval"
