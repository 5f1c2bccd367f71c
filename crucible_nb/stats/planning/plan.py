"""Preregistration: the plan of a comparison, and the ledger of the interim analyses (looks) that were made."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from crucible_nb.errors import StatError
from crucible_nb.utils import checks

Role = Literal["primary", "secondary", "guardrail"]


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
        margin: Smallest difference that matters, in the unit of the metric or as "5%" of the control; None if there is
            none.
        alpha: Significance level.
        direction: "up" if more is better, "down" if less is better; None uses the name of the metric.
        secondary: Secondary metrics, which are tested after the primary one.
        sample_size: Number of events of both arms at the final look, half of them in each; None for a sequential test.
        looks: Number of looks up to the final one, equally spaced.
        sequential: Whether the test is valid at any look.
        events: Number of events that had been recorded when the plan was made.
        guardrails: Metrics that must not get worse, each with its margin: (name, number or "5%").
    """

    metric: str
    hypothesis: str | None = None
    margin: float | str | None = None
    alpha: float = 0.05
    direction: str | None = None
    secondary: tuple[str, ...] = ()
    sample_size: int | None = None
    looks: int = 1
    sequential: bool = False
    events: int = 0
    guardrails: tuple[tuple[str, float | str], ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Primary metric, guardrails and secondary metrics."""
        return (self.metric, *(name for name, _ in self.guardrails), *self.secondary)

    def role(self, metric: str) -> Role | None:
        """Role of a metric; None if it is not in the plan.

        Examples:
            >>> plan = plan_of("score", guardrails={"p95_latency_ms": "5%"})
            >>> plan.role("score"), plan.role("p95_latency_ms"), plan.role("cost_usd")
            ('primary', 'guardrail', None)
        """
        if metric == self.metric:
            return "primary"
        if metric in dict(self.guardrails):
            return "guardrail"
        return "secondary" if metric in self.secondary else None

    def margin_of(self, metric: str) -> float | str | None:
        """Margin of a metric by the plan; None without one."""
        return self.margin if metric == self.metric else dict(self.guardrails).get(metric)

    @property
    def sha256(self) -> str:
        """SHA-256 of all fields as hex; published beforehand, it proves that the plan was not changed.

        Examples:
            >>> from crucible_nb.stats.planning.plan import Plan
            >>> Plan("score").sha256 == Plan("score").sha256 != Plan("score", alpha=0.01).sha256
            True
        """
        fields = asdict(self)
        if not self.guardrails:  # plans of release 0.1 have none, and keep their fingerprint
            del fields["guardrails"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

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
        margin = "" if self.margin is None else f", margin {_margin_text(self.margin)}"
        guarded = ", ".join(f"{name} (margin {_margin_text(limit)})" for name, limit in self.guardrails)
        guardrails = f", if not worse: {guarded}" if guarded else ""
        late = f"; made after {self.events:,} events" if self.events else ""
        return f"{self.metric} decides at alpha {self.alpha:g}{margin}{guardrails}, {rule}{late} [{self.sha256[:12]}]"


def _margin_text(margin: float | str) -> str:
    return margin if isinstance(margin, str) else f"{margin:g}"


def plan_of(
    metric: str,
    margin: float | str | None = None,
    alpha: float = 0.05,
    *,
    hypothesis: str | None = None,
    direction: str | None = None,
    secondary: Sequence[str] = (),
    sample_size: int | None = None,
    looks: int = 1,
    sequential: bool = False,
    events: int = 0,
    guardrails: Mapping[str, float | str] | Sequence[Sequence[float | str]] | None = None,
) -> Plan:
    """Make a plan from checked arguments, which are those of `Plan`.

    Args:
        guardrails: Mapping from metric to margin, or its pairs as they are read from a journal.

    Raises:
        ConfigError: An argument is not accepted.
        StatError: Several looks without a sample size, or with sequential=True.
    """
    checks.text("metric", metric)
    checks.text("hypothesis", hypothesis, optional=True)
    checks.one_of("direction", direction, (None, "up", "down"))
    margin = None if margin is None else _checked_margin("margin", margin)
    guarded = {} if guardrails is None else dict(guardrails)  # type: ignore[arg-type]  # pairs of a journal are lists
    limits = tuple((name, _checked_margin(f"guardrails[{name!r}]", limit)) for name, limit in guarded.items())
    others = checks.texts("secondary", secondary)
    names = (metric, *checks.texts("guardrails", list(guarded)), *others)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise StatError(f"plan: {twice} has several roles; name it once as the metric, a guardrail or secondary")
    if sequential and any(isinstance(limit, str) for limit in (margin, *(limit for _, limit in limits))):
        raise StatError("margin in percent: a sequential plan needs numbers in the unit of the metric")
    looks = checks.whole("looks", looks, ge=1)
    size = checks.whole("sample_size", sample_size, ge=2, optional=True)
    if looks > 1 and (size is None or sequential):
        raise StatError(
            f"looks={looks}: several looks need a sample_size; leave out looks with sequential=True (valid at any look)"
        )
    return Plan(
        metric=metric, hypothesis=hypothesis, margin=margin, alpha=checks.number("alpha", alpha, gt=0, lt=1),
        direction=direction, secondary=others, sample_size=size, looks=looks,
        sequential=bool(sequential), events=checks.whole("events", events), guardrails=limits,
    )  # fmt: skip


def _checked_margin(name: str, margin: float | str) -> float | str:
    """Check a margin: a number > 0, or text such as "5%"."""
    if not isinstance(margin, str):
        return checks.number(name, margin, gt=0)
    number, percent, rest = margin.strip().partition("%")
    try:
        valid = percent == "%" and not rest and float(number) > 0 and math.isfinite(float(number))
    except ValueError:
        valid = False
    if not valid:
        raise checks.wrong(name, margin, "a number > 0, or text such as '5%'")
    return margin.strip()


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
