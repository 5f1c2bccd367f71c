"""Choice of the confidence sequence for a metric; means without a bound have no valid one."""

from __future__ import annotations

from typing import Any, NoReturn

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import Metric
from crucible_nb.stats.sequences.arm_states import ArmState, Bound, Bounded, Quantile, Rate, Unbounded
from crucible_nb.stats.sequences.two_arm_states import (
    BoundedPairs,
    TwoArmState,
    TwoMeans,
    TwoQuantiles,
    TwoRates,
    UnboundedPairs,
)
from crucible_nb.utils import checks


def check_bounds(bound: Any) -> Bound | None:
    """Return `bound` as two finite ascending numbers, or None; raise ConfigError otherwise."""
    if bound is None:
        return None
    try:
        low, high = bound
    except (TypeError, ValueError):
        raise checks.wrong("bound", bound, "(lowest, highest)") from None
    low, high = checks.number("bound", low), checks.number("bound", high)
    if not (low < high and abs(low) + abs(high) < float("inf")):
        raise checks.wrong("bound", bound, "two finite numbers (lowest, highest), the first below the second")
    return low, high


def new_arm_state(metric: Metric, bound: Bound | None, *, asymptotic: bool) -> ArmState:
    """Make an empty state for one arm; `asymptotic` is used only if there is no other sequence for the metric.

    Raises:
        StatError: There is no valid sequence for the metric.
    """
    if metric.kind == "rate":
        return Rate()
    if metric.kind == "quantile":
        return Quantile(metric.q)
    if metric.kind == "ratio":
        _raise_no_ratio(metric)
    if bound is not None:
        return Bounded(bound)
    return Unbounded() if asymptotic else _raise_no_mean(metric)


def new_two_arm_state(metric: Metric, bound: Bound | None, *, asymptotic: bool, paired: bool) -> TwoArmState:
    """Make an empty state for two arms.

    Raises:
        StatError: There is no valid sequence for the metric.
    """
    if metric.kind == "rate":
        return BoundedPairs((0.0, 1.0)) if paired else TwoRates()
    if metric.kind == "quantile":
        if paired:
            raise StatError(f"{metric.name}: quantiles have no paired sequence; use paired=False")
        return TwoQuantiles(metric.q)
    if metric.kind == "ratio":
        _raise_no_ratio(metric)
    if bound is not None:
        return BoundedPairs(bound)
    if not asymptotic:
        _raise_no_mean(metric)
    return UnboundedPairs() if paired else TwoMeans()


def _raise_no_mean(metric: Metric) -> NoReturn:
    raise StatError(
        f"{metric.name}: a mean without a bound has no interval that is valid at every look (Bahadur and Savage 1956); "
        f"use p50_{metric.column}, or bound=(lowest, highest) if both are known beforehand ((0, 1) for 0 and 1; "
        "booleans need none), or asymptotic=True for an interval that is valid only asymptotically"
    )


def _raise_no_ratio(metric: Metric) -> NoReturn:
    raise StatError(f"{metric.name}: a ratio of two totals has no valid sequence; use p50_{metric.column}")
