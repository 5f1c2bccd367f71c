"""What the plan of an experiment says about a look at it."""

from __future__ import annotations

from crucible_nb.comparison.arms import Arm
from crucible_nb.comparison.verdicts import Direction
from crucible_nb.errors import StatError
from crucible_nb.stats.planning.plan import Ledger, Plan
from crucible_nb.stats.sequences.spending import boundaries


class PlannedLook:
    """A plan at one look.

    Attributes:
        plan: As made.
        alpha: Level at this look; smaller than the plan's where several looks share it.
        said: Sentences on looks and metrics that were not planned.
    """

    def __init__(self, ledger: Ledger, alpha: float) -> None:
        self.ledger, self.plan, self.alpha = ledger, ledger.plan, alpha
        self.said: tuple[str, ...] = ()

    @property
    def direction(self) -> Direction | None:
        """Which way is better, where the plan says so."""
        return "up" if self.plan.direction == "up" else "down" if self.plan.direction == "down" else None

    def covers(self, metric: str) -> bool:
        """Whether the plan named this metric."""
        return metric in self.plan.metrics

    def look(self, control: Arm, treatment: Arm, metrics: tuple[str, ...]) -> None:
        """Note this look, and what about it was not planned."""
        n, said = len(control.frame) + len(treatment.frame), []
        look = self.ledger.take(n, metrics)
        if not look.planned:
            said.append(
                f"this look, at {n:,} events, was not planned: its p-values are not those of the plan; a look that may "
                "be taken at any time is sequential=True"
            )
        extra = [metric for metric in metrics if not self.covers(metric)]
        if extra:
            said.append(f"not in the plan: {', '.join(extra)}")
        self.said = tuple(said)


def planned_look(control: Arm, treatment: Arm, alpha: float | None, *, sequential: bool) -> PlannedLook | None:
    """The plan that holds for these arms; None without one.

    Raises:
        StatError: The arms have different plans, or the plan says another level or another kind of test.
    """
    ledgers = [arm.ledger for arm in (control, treatment) if arm.ledger is not None]
    if not ledgers:
        return None
    if len(ledgers) == 2 and not ledgers[0].agrees(ledgers[1].plan):
        raise StatError("the two experiments have different plans; compare them with the plan of one of them only")
    ledger = ledgers[0]
    plan = ledger.plan
    if alpha is not None and alpha != plan.alpha:
        raise StatError(f"alpha={alpha}: the plan says {plan.alpha}; leave alpha out")
    if plan.sequential and not sequential:
        raise StatError("the plan says sequential: compare with sequential=True")
    return PlannedLook(ledger, _level(ledger, len(control.frame) + len(treatment.frame), sequential=sequential))


def _level(ledger: Ledger, n: int, *, sequential: bool) -> float:
    """The level of this look: that of the plan, or its share of it where looks were planned."""
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
    ahead = [] if fractions[-1] == 1.0 else [1.0]  # what later looks spend changes nothing at this one
    limits = boundaries([*fractions, *ahead], plan.alpha)[: len(looks)]
    return [float(2 * special.ndtr(-limit)) for limit in limits]
