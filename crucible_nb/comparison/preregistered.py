"""Preregistered plans in a comparison: the level of a look, and deviations from the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crucible_nb.comparison.arguments import Direction
from crucible_nb.comparison.arms import Arm
from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import metric_of
from crucible_nb.events.metric_values import has_columns, known_rows
from crucible_nb.stats.planning.plan import Ledger, Plan
from crucible_nb.stats.sequences.spending import boundaries_at

_LEAST = 1e-12
"""Smallest level of a look: below, 1 - level is 1 in float64."""


class PlannedLook:
    """A plan at one look.

    Attributes:
        ledger: The plan with the looks so far.
        plan: The plan.
        information: Number of values of the primary metric since the plan was made, in the smaller arm.
        alpha: Significance level of this look; below that of the plan if several looks share it.
        deviations: Sentences on looks and metrics that are not in the plan.
    """

    def __init__(self, ledger: Ledger, information: int, *, sequential: bool) -> None:
        self.ledger, self.plan, self.information = ledger, ledger.plan, information
        self.alpha = ledger.plan.alpha if sequential else look_level(ledger, information)
        self.deviations: tuple[str, ...] = ()

    @property
    def direction(self) -> Direction | None:
        """Direction that is better by the plan; None if it does not tell."""
        return "up" if self.plan.direction == "up" else "down" if self.plan.direction == "down" else None

    def covers(self, metric: str) -> bool:
        """Whether the metric is in the plan."""
        return metric in self.plan.metrics

    @property
    def ended(self) -> bool:
        """Whether no look is left: the planned number of events is in, or the plan is for one look at any number."""
        return not self.plan.sequential and (self.plan.sample_size is None or self.ledger.ended)

    @property
    def progress(self) -> str:
        """Share of the planned events that are in, as the end of a sentence."""
        if self.plan.sample_size is None:
            return "; look again at any time"
        return f"; {min(1.0, self.ledger.fraction(self.information)):.0%} of the planned events are in"

    def margin(self, metric: str, given: Any) -> Any:
        """Margin of a metric: that of the plan, otherwise as given.

        Raises:
            StatError: The margin given is another one.
        """
        planned, own = self.plan.margin_of(metric), given.get(metric) if isinstance(given, Mapping) else given
        if planned is None or own is None:
            return given if planned is None else planned
        if own != planned:
            raise StatError(f"margin={given!r}: the plan has margin={planned!r} for {metric}; leave out margin")
        return planned

    def record_look(self, control: Arm, treatment: Arm, metrics: tuple[str, ...]) -> None:
        """Record this look in the ledger, and its deviations from the plan."""
        n, deviations = len(control.frame) + len(treatment.frame), []
        ended = self.ledger.ended
        if not self.ledger.take(n, metrics, self.information).planned:
            deviations.append(self._unplanned_text(ended=ended))
        extra = [metric for metric in metrics if not self.covers(metric)]
        if extra:
            deviations.append(f"not in the plan: {', '.join(extra)}")
        self.deviations = tuple(deviations)

    def _unplanned_text(self, *, ended: bool) -> str:
        look = (
            f"this look, at {self.information:,} new values of {self.plan.metric} in the smaller arm, was not planned"
        )
        if self.plan.sample_size is None or ended:
            return f"{look}, so its p-values are not covered by the plan; use sequential=True to look at any time"
        return f"{look}: it is tested at the level {self.alpha:.2g}, which is spent and missing at later looks"


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
    information = min(_new_values(arm, plan) for arm in (control, treatment))
    return PlannedLook(ledger, information, sequential=sequential)


def _new_values(arm: Arm, plan: Plan) -> int:
    """Count the rows with a value of the primary metric; of the arm with the plan, those recorded after it."""
    metric, frame = metric_of(plan.metric, arm.frame.columns), arm.frame
    if not has_columns(frame, metric):
        return 0
    known = known_rows(frame, metric)
    if arm.ledger is not None and "seq" in frame.columns:
        known = known & (frame["seq"].to_numpy() >= arm.ledger.plan.events)
    return int(np.count_nonzero(known))


def look_level(ledger: Ledger, information: int) -> float:
    """Significance level of a look at a plan with a sample size.

    Every look up to the end, planned or not, spends alpha by its information, so that all of them together err in at
    most alpha. Looks after the end have the level of the plan, which they do not keep.

    References:
        Lan and DeMets: Discrete sequential boundaries for clinical trials. Biometrika 70 (1983).
    """
    from scipy import special  # noqa: PLC0415  heavy; imported where used

    plan, now = ledger.plan, ledger.fraction(information)
    before = sorted({fraction for fraction in ledger.fractions if 0 < fraction < now})
    if plan.sequential or plan.sample_size is None or max(before, default=0.0) >= 1:
        return plan.alpha
    if not now > 0:
        return _LEAST
    return max(float(2 * special.ndtr(-boundaries_at([*before, now], plan.alpha)[-1])), _LEAST)
