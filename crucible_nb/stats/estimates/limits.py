"""An estimate with its interval, and the two ways to make one of a standard error: t, and t on the log scale."""

from __future__ import annotations

import math
from typing import NamedTuple

from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.results import Interval
from crucible_nb.stats.samples.values import Values
from crucible_nb.stats.weighted import Of

CLUSTERS = 30
"""Clusters below which an interval comes with a warning."""
_LARGEST = 700.0  # exp of more is infinite


class Limits(NamedTuple):
    """An estimate with its interval, and how it was made."""

    estimate: float
    interval: Interval
    error: float
    method: str
    warnings: tuple[str, ...] = ()


def around(
    estimate: float, error: float, df: int, confidence: float, method: str, warnings: tuple[str, ...] = ()
) -> Limits:
    """The interval of an estimate with a standard error: by t, or by t on the log scale for method="log".

    Examples:
        >>> low, high = around(1.0, 0.1, 10**6, 0.95, "log").interval
        >>> round(low, 3), round(high, 3)
        (0.822, 1.217)
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    half = float(special.stdtrit(df, (1 + confidence) / 2)) * error
    if method != "log":
        return Limits(estimate, Interval(estimate - half, estimate + half), error, method, warnings)
    factor = math.exp(min(half / estimate, _LARGEST))
    return Limits(estimate, Interval(estimate / factor, estimate * factor), error, method, warnings)


def exactly(estimate: float) -> Limits:
    """A number of the run where no row was dropped."""
    return Limits(estimate, Interval(estimate, estimate), 0.0, "exact")


def enough(values: Values, least: int, of: Of = "process") -> int:
    """The independent units of the values, when they are enough.

    Raises:
        StatError: Fewer rows with a value than `least`; fewer than two clusters for an interval of the process.
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
            f"{values.metric.name}: expected at least 2 clusters, got {units}; rows of one cluster say nothing about "
            "how much clusters differ: leave out cluster= for an interval about this one alone"
        )
    return units
