"""`EffectiveSize`: the n at which an unweighted proportion is as precise as one of weighted or clustered rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import units_of
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of

_FEW = 5


class EffectiveSize(NamedTuple):
    """The number of independent rows whose proportion has the same standard error, r (1 - r) / SE^2.

    Attributes:
        size: Effective number of independent rows.
        df: Degrees of freedom of the standard error.
        rows: Number of rows.
        error: Standard error of the proportion.
    """

    size: float
    df: float
    rows: int
    error: float = math.nan

    def at(self, confidence: float) -> float:
        """The size, reduced for few degrees of freedom by (t quantile with rows - 1 df / with df)^2.

        References:
            Korn, Graubard: Confidence intervals for proportions with small expected number of positive counts
            estimated from survey data. Survey Methodology 24 (1998).
        """
        from scipy import special  # noqa: PLC0415  heavy; imported where used

        many = self.rows - 1
        if not self.df < many:
            return self.size
        tail = (1 + confidence) / 2
        return self.size * float(special.stdtrit(many, tail) / special.stdtrit(self.df, tail)) ** 2


def size_of_share(values: Values, share: float, of: Of = "process") -> EffectiveSize:
    """The effective size of a proportion of values 0 and 1.

    If fewer than five rows have the rarer outcome, the standard error depends on the weights that these few happen to
    have; the size is then at most the one that follows from all weights and the correlation within clusters. Weights
    that depend on the outcome alone are known from one row.

    Args:
        values: Values 0 and 1.
        share: Weighted proportion of 1.
        of: "process" or "run".
    """
    x, weight, rows = values.x, values.weight, len(values.x)
    if values.plain or rows < 2:
        error = math.sqrt(share * (1 - share) / (rows - 1)) if rows > 1 else math.nan
        return EffectiveSize(float(rows), rows - 1.0, rows, error)
    ones = int(np.count_nonzero(x))
    error, df = weighted.error_of(x - share, weight, of, values.cluster)
    size = weighted.share_size(share, error)
    few = min(ones, rows - ones) < _FEW and not _depend_on_outcome(values)
    if few or not 0 < size < math.inf:
        cap = (
            weighted.unit_size(weight, of, None) if of == "run" or values.cluster is None
            else units_of(x - share, weight, values.cluster).size
        )  # fmt: skip
        size = min(size, cap) if size > 0 else cap
    return EffectiveSize(size, df, rows, error)


def _depend_on_outcome(values: Values) -> bool:
    """Whether rows are independent, and those of one outcome have equal weights."""
    if values.cluster is not None:
        return False
    outcomes = (values.weight[values.x == outcome] for outcome in (0, 1))
    return all(len(weight) > 0 and bool((weight == weight[0]).all()) for weight in outcomes)


def size_of_quantile(values: Values, estimate: float, of: Of) -> EffectiveSize:
    """The effective size of the proportion of events below the estimate of a quantile."""
    x, weight, q, rows = values.x, values.weight, values.metric.q, len(values.x)
    if values.plain:
        return EffectiveSize(float(rows), rows - 1.0, rows)
    error, df = weighted.quantile_error(x, weight, estimate, q, of, values.cluster)
    size = weighted.share_size(q, error)
    return EffectiveSize(weighted.unit_size(weight, of, values.cluster) if math.isinf(size) else size, df, rows, error)
