"""The decision of a plan in one sentence: ship, do not ship, or go on."""

from __future__ import annotations

from collections.abc import Sequence

from crucible_nb.comparison.preregistered import PlannedLook
from crucible_nb.comparison.result import MetricComparison

_GOOD = ("better", "equivalent", "not worse")


def plan_decision(planned: PlannedLook, metrics: Sequence[MetricComparison], mismatch: str | None) -> str:
    """Decide by a plan: ship if the primary metric succeeds and no guardrail is open.

    Args:
        planned: The plan at this look.
        metrics: All metrics of one treatment.
        mismatch: Sentence on the sample ratio if it does not fit.

    Returns:
        A sentence that begins with "ship:", "do not ship:" or "go on:".
    """
    plan, found = planned.plan, {metric.metric: metric for metric in metrics}
    needed = [plan.metric, *(name for name, _ in plan.guardrails)]
    missing = [name for name in needed if name not in found]
    if mismatch is not None:
        return f"do not ship: {mismatch}"
    if missing:
        return f"go on: {', '.join(missing)} of the plan {'is' if len(missing) == 1 else 'are'} not among the metrics"
    bad = [name for name in needed if found[name].verdict == "worse"]
    if bad:
        return f"do not ship: {_verdicts(found, bad)}"
    accepted = ("better",) if plan.margin is None else _GOOD
    open_ones = [name for name in needed if found[name].verdict not in (accepted if name == plan.metric else _GOOD)]
    if not open_ones:
        return f"ship: {_verdicts(found, needed)}"
    if planned.ended:
        return f"do not ship: the plan has ended, and {_verdicts(found, open_ones)}"
    return f"go on: {_verdicts(found, open_ones)}{planned.progress}"


def _verdicts(found: dict[str, MetricComparison], names: Sequence[str]) -> str:
    return "; ".join(f"{name} is {found[name].verdict}" for name in names)
