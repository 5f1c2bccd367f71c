"""Preregistration: the plan of a comparison, and the ledger of the interim analyses (looks) that were made."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from crucible_nb.errors import StatError
from crucible_nb.utils import checks


@dataclass(frozen=True, slots=True)
class Look:
    """One interim or final analysis of a comparison.

    Attributes:
        n: Number of events of both arms at the time.
        metrics: Metrics that were compared.
        planned: Whether the plan includes this look.
        information: Number of values of the primary metric since the plan was made, in the smaller arm; None in looks
            of release 0.1, which counted n.
    """

    n: int
    metrics: tuple[str, ...]
    planned: bool
    information: int | None = None


@dataclass(frozen=True)
class Plan:
    """The preregistered plan of a comparison.

    Attributes:
        metric: Primary metric, which decides.
        hypothesis: Hypothesis as text.
        margin: Smallest difference that matters, in the unit of the metric; None if there is none.
        alpha: Significance level.
        direction: "up" if more is better, "down" if less is better; None uses the name of the metric.
        secondary: Secondary metrics.
        sample_size: Number of events of both arms at the final look, half of them in each; None for a sequential test.
        looks: Number of looks up to the final one, equally spaced.
        sequential: Whether the test is valid at any look.
        events: Number of events that had been recorded when the plan was made.
    """

    metric: str
    hypothesis: str | None = None
    margin: float | None = None
    alpha: float = 0.05
    direction: str | None = None
    secondary: tuple[str, ...] = ()
    sample_size: int | None = None
    looks: int = 1
    sequential: bool = False
    events: int = 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """Primary and secondary metrics."""
        return (self.metric, *self.secondary)

    @property
    def sha256(self) -> str:
        """SHA-256 of all fields as hex; published beforehand, it proves that the plan was not changed.

        Examples:
            >>> from crucible_nb.stats.planning.plan import Plan
            >>> Plan("score").sha256 == Plan("score").sha256 != Plan("score", alpha=0.01).sha256
            True
        """
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def __str__(self) -> str:
        rule = (
            "at any look"
            if self.sequential
            else f"after {self.sample_size:,} events"
            if self.sample_size is not None and self.looks == 1
            else f"at {self.looks} looks up to {self.sample_size:,} events"
            if self.sample_size is not None
            else "at no fixed n"
        )
        margin = "" if self.margin is None else f", margin {self.margin:g}"
        late = f"; made after {self.events:,} events" if self.events else ""
        return f"{self.metric} decides at alpha {self.alpha:g}{margin}, {rule}{late} [{self.sha256[:12]}]"


def plan_of(
    metric: str,
    margin: float | None = None,
    alpha: float = 0.05,
    *,
    hypothesis: str | None = None,
    direction: str | None = None,
    secondary: Sequence[str] = (),
    sample_size: int | None = None,
    looks: int = 1,
    sequential: bool = False,
    events: int = 0,
) -> Plan:
    """Make a plan from checked arguments, which are those of `Plan`.

    Raises:
        ConfigError: An argument is not accepted.
        StatError: Several looks without a sample size, or with sequential=True.
    """
    checks.text("metric", metric)
    checks.text("hypothesis", hypothesis, optional=True)
    checks.one_of("direction", direction, (None, "up", "down"))
    if margin is not None:
        margin = checks.number("margin", margin, gt=0)
    looks = checks.whole("looks", looks, ge=1)
    size = checks.whole("sample_size", sample_size, ge=2, optional=True)
    if looks > 1 and (size is None or sequential):
        raise StatError(
            f"looks={looks}: several looks need a sample_size; leave out looks with sequential=True (valid at any look)"
        )
    return Plan(
        metric=metric, hypothesis=hypothesis, margin=margin, alpha=checks.number("alpha", alpha, gt=0, lt=1),
        direction=direction, secondary=checks.texts("secondary", secondary), sample_size=size, looks=looks,
        sequential=bool(sequential), events=checks.whole("events", events),
    )  # fmt: skip


class Ledger:
    """The plan of an experiment and the looks that were made.

    Attributes:
        plan: The plan.
        looks: Looks in order of time.
        append: Adds a look; an experiment replaces it by a function that also writes the look to its store.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.looks = plan, list[Look]()
        self.append: Callable[[Look], None] = self.looks.append

    def __repr__(self) -> str:
        early = sum(not look.planned for look in self.looks)
        return f"{self.plan}: {len(self.looks)} looks, {early} of them not planned"

    def fraction(self, information: int) -> float:
        """Fraction of the planned sample size, of which the smaller arm has its half when the plan ends.

        Examples:
            >>> Ledger(plan_of("score", sample_size=1000)).fraction(250)
            0.5
        """
        return 2 * information / float(self.plan.sample_size or math.inf)

    @property
    def fractions(self) -> list[float]:
        """Fractions of the planned sample size at the looks so far."""
        return [self.fraction(look.n // 2 if look.information is None else look.information) for look in self.looks]

    @property
    def ended(self) -> bool:
        """Whether the last planned look was made."""
        return max(self.fractions, default=0.0) >= 1

    def due(self, n: int) -> int | None:
        """Number of the planned look that is due at `n` events, half of them in each arm, from 1; None if none is."""
        return self._due((n + 1) // 2)

    def _due(self, information: int) -> int | None:
        plan, done = self.plan, sum(look.planned for look in self.looks)
        if plan.sequential:
            return done + 1
        if self.ended or plan.sample_size is None or 2 * information * plan.looks < plan.sample_size * (done + 1):
            return None
        return done + 1

    def take(self, n: int, metrics: Sequence[str], information: int | None = None) -> Look:
        """Record a look; a second one at the same number of events is the same look.

        Args:
            n: Number of events of both arms.
            metrics: Metrics that are compared.
            information: As in `Look`; None for half of the events.
        """
        information = (n + 1) // 2 if information is None else information
        if self.looks and (self.looks[-1].n, self.looks[-1].information) in ((n, information), (n, None)):
            return self.looks[-1]
        look = Look(n, tuple(metrics), self._due(information) is not None, information)
        self.append(look)
        return look

    def agrees(self, other: Plan) -> bool:
        """Whether another plan is equal, apart from the number of events at which it was made."""
        return replace(other, events=self.plan.events) == self.plan
