"""Preregistered plans in a comparison: the level of a look, and deviations from the plan."""

from __future__ import annotations

from crucible_nb.comparison.arguments import Direction
from crucible_nb.comparison.arms import Arm
from crucible_nb.errors import StatError
from crucible_nb.stats.planning.plan import Ledger, Plan
from crucible_nb.stats.sequences.spending import boundaries


class PlannedLook:
    """A plan at one look.

    Attributes:
        ledger: The plan with the looks so far.
        plan: The plan.
        alpha: Significance level of this look; below that of the plan if several looks share it.
        deviations: Sentences on looks and metrics that are not in the plan.
    """

    def __init__(self, ledger: Ledger, alpha: float) -> None:
        self.ledger, self.plan, self.alpha = ledger, ledger.plan, alpha
        self.deviations: tuple[str, ...] = ()

    @property
    def direction(self) -> Direction | None:
        """Direction that is better by the plan; None if it does not tell."""
        return "up" if self.plan.direction == "up" else "down" if self.plan.direction == "down" else None

    def covers(self, metric: str) -> bool:
        """Whether the metric is in the plan."""
        return metric in self.plan.metrics

    def record_look(self, control: Arm, treatment: Arm, metrics: tuple[str, ...]) -> None:
        """Record this look in the ledger, and its deviations from the plan."""
        n, deviations = len(control.frame) + len(treatment.frame), []
        look = self.ledger.take(n, metrics)
        if not look.planned:
            deviations.append(
                f"this look, at {n:,} events, was not planned, so its p-values are not covered by the plan; use "
                "sequential=True to look at any time"
            )
        extra = [metric for metric in metrics if not self.covers(metric)]
        if extra:
            deviations.append(f"not in the plan: {', '.join(extra)}")
        self.deviations = tuple(deviations)


def find_plan(control: Arm, treatment: Arm, alpha: float | None, *, sequential: bool) -> PlannedLook | None:
    """Find the plan of these arms; None without one.

    Raises:
        StatError: The arms have different plans, or level or kind of test differ from the plan.
    """
    ledgers = [arm.ledger for arm in (control, treatment) if arm.ledger is not None]
    if not ledgers:
        return None
    if len(ledgers) == 2 and not ledgers[0].agrees(ledgers[1].plan):
        raise StatError(
            f"the two experiments have different plans ({ledgers[0].plan}; {ledgers[1].plan}). Compare "
            "experiments with the same plan, or pass one of them as exp.frame(), which has no plan."
        )
    ledger = ledgers[0]
    plan = ledger.plan
    if alpha is not None and alpha != plan.alpha:
        raise StatError(f"alpha={alpha}: the plan has alpha={plan.alpha}; leave out alpha")
    if plan.sequential and not sequential:
        raise StatError("sequential=False: the plan is sequential; use sequential=True")
    return PlannedLook(ledger, _level(ledger, len(control.frame) + len(treatment.frame), sequential=sequential))


def _level(ledger: Ledger, n: int, *, sequential: bool) -> float:
    """Significance level of this look: that of the plan, or its part if the plan has several looks."""
    plan: Plan = ledger.plan
    if plan.looks == 1 or sequential or plan.sample_size is None:
        return plan.alpha
    due = ledger.due(n)
    done = [look.n for look in ledger.looks if look.planned]
    if due is None:
        return _levels(plan, done)[-1] if done and n == done[-1] else plan.alpha
    return _levels(plan, [*done, n])[-1]


def _levels(plan: Plan, looks: list[int]) -> list[float]:
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    fractions = [min(n / float(plan.sample_size or 1), 1.0) for n in looks]
    final = [] if fractions[-1] == 1.0 else [1.0]  # later looks do not change the level of this one
    limits = boundaries([*fractions, *final], plan.alpha)[: len(looks)]
    return [float(2 * special.ndtr(-limit)) for limit in limits]
