"""Which sequence fits a metric; means of anything have none."""

from __future__ import annotations

from typing import Any, NoReturn

from crucible_nb.errors import StatError
from crucible_nb.stats.samples.values import Metric
from crucible_nb.stats.sequences.arm_states import Arm, Bound, Bounded, Quantile, Rate, Unbounded
from crucible_nb.stats.sequences.two_arm_states import (
    BoundedPairs,
    TwoArmState,
    TwoMeans,
    TwoQuantiles,
    TwoRates,
    UnboundedPairs,
)
from crucible_nb.utils import checks


def bound_of(bound: Any) -> Bound | None:
    """`bound` as two finite ascending numbers, or None."""
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


def state_for_arm(metric: Metric, bound: Bound | None, *, asymptotic: bool) -> Arm:
    """The fresh state for one arm; `asymptotic` counts only where nothing better is to be had.

    Raises:
        StatError: There is no valid sequence for the metric.
    """
    if metric.kind == "rate":
        return Rate()
    if metric.kind == "quantile":
        return Quantile(_inside(metric))
    if metric.kind == "ratio":
        _no_ratio(metric)
    if bound is not None:
        return Bounded(bound)
    return Unbounded() if asymptotic else _no_mean(metric)


def state_for_arms(metric: Metric, bound: Bound | None, *, asymptotic: bool, paired: bool) -> TwoArmState:
    """The fresh state for two arms.

    Raises:
        StatError: There is no valid sequence for the metric.
    """
    if metric.kind == "rate":
        return BoundedPairs((0.0, 1.0)) if paired else TwoRates()
    if metric.kind == "quantile":
        if paired:
            raise StatError(f"{metric.name}: quantiles are compared between independent arms; use paired=False")
        return TwoQuantiles(_inside(metric))
    if metric.kind == "ratio":
        _no_ratio(metric)
    if bound is not None:
        return BoundedPairs(bound)
    if not asymptotic:
        _no_mean(metric)
    return UnboundedPairs() if paired else TwoMeans()


def _inside(metric: Metric) -> float:
    if not 0 < metric.q < 1:
        raise StatError(f"{metric.name}: expected a quantile between p0 and p100, both left out")
    return metric.q


def _no_mean(metric: Metric) -> NoReturn:
    raise StatError(
        f"{metric.name}: a mean without a bound has no interval that stays right when it is looked at again and again "
        f"(Bahadur and Savage 1956); use p50_{metric.column}, or bound=(lowest, highest) where both are known "
        "beforehand, or asymptotic=True for one that is right in the long run only"
    )


def _no_ratio(metric: Metric) -> NoReturn:
    raise StatError(f"{metric.name}: a ratio of two totals has no valid sequence; use p50_{metric.column}")
