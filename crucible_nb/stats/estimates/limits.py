"""`Limits`, an estimate with its interval; intervals from a standard error by t or by t on the log scale."""

from __future__ import annotations

import math
from typing import NamedTuple

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of

_LOG_DF = 4.0
_LARGEST = 700.0  # exp of more is infinite


class Limits(NamedTuple):
    """An estimate with its interval.

    Attributes:
        estimate: The estimate, in the unit of the metric.
        interval: Confidence interval of the estimate.
        error: Standard error of the estimate; NaN if the method has none.
        method: Name of the method of the interval.
        warnings: Reasons to doubt the interval.
        df: Degrees of freedom of the standard error; infinite for an estimate that is exact.
    """

    estimate: float
    interval: Interval
    error: float
    method: str
    warnings: tuple[str, ...] = ()
    df: float = math.inf


def symmetric_limits(
    estimate: float, error: Error, confidence: float, method: str, warnings: tuple[str, ...] = ()
) -> Limits:
    """The interval of an estimate from its standard error: by t, or by t on the log scale for method="log".

    Examples:
        >>> low, high = symmetric_limits(1.0, Error(0.1, 10**6), 0.95, "log").interval
        >>> round(low, 3), round(high, 3)
        (0.822, 1.217)
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    half = float(special.stdtrit(error.df, (1 + confidence) / 2)) * error.error
    if method == "log":
        factor = math.exp(min(half / estimate, _LARGEST))
        interval = Interval(estimate / factor, estimate * factor)
    else:
        interval = Interval(estimate - half, estimate + half)
    return Limits(estimate, interval, error.error, method, warnings, error.df)


def choose_scale(values: Values, df: float, *, positive: bool) -> str:
    """Choose the scale on which an interval is symmetric: "log" for positive values, otherwise "t".

    Unequal clusters or weights may leave so few degrees of freedom that an upper limit on the log scale says nothing.
    """
    return "log" if positive and (values.plain or df >= _LOG_DF) else "t"


def exact_limits(estimate: float) -> Limits:
    """The interval of an estimate that is exact, because no row of the run was dropped: a point."""
    return Limits(estimate, Interval(estimate, estimate), 0.0, "exact")


def require_units(values: Values, least: int, of: Of = "process") -> int:
    """Count the independent units of the values, and require that there are enough.

    Raises:
        StatError: Fewer than `least` values; fewer than two clusters for an interval of the process.
    """
    if len(values.x) < least or not values.weight.sum() > 0:
        rows = "row" if least == 1 else "rows"
        raise StatError(
            f"{values.metric.name}: expected at least {least} {rows} with a value, got {len(values.x)}"
            f"{f' ({values.missing} missing)' if values.missing else ''}"
        )
    units = weighted.units(len(values.x), values.cluster if of == "process" else None)
    if values.cluster is not None and of == "process" and units < 2:
        raise StatError(
            f"{values.metric.name}: expected at least 2 clusters, got {units}; one cluster does not show how much "
            "clusters differ. Leave out cluster= for an interval about this cluster only."
        )
    return units
