"""Monitor of one writer: turns incidents, rules and budgets into alerts, and says which actions they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from typing import Any

import pandas as pd

from crucible_nb.anomaly import Incident
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert, Alerts
from crucible_nb.pipeline.rules import Rule
from crucible_nb.utils import checks
from crucible_nb.utils.problems import Problems

ACTIONS = ("alert", "pause", "stop")
"""Actions of a rule."""


@dataclass
class WatchedRule:
    """A rule, its action, and whether its condition holds now: it fires once, and again only after it did not hold."""

    rule: Rule
    kind: str
    action: str
    met: bool = False


class Monitor:
    """Raises alerts; the experiment carries out their actions.

    Args:
        problems: Counts failing callbacks.
        action: Action of an anomaly: "flag", "alert", "sample_more" or "pause". The adaptive sampler reads the flags
            themselves, so "sample_more" needs nothing here.

    Attributes:
        alerts: History and callbacks.
        rules: Rules and budgets.
        fired: Whether an alert has asked for a pause or a stop since the last resume.
    """

    def __init__(self, problems: Problems, action: str) -> None:
        self.alerts = Alerts(problems)
        self.action = action
        self.rules: list[WatchedRule] = []
        self.fired = False

    @property
    def listening(self) -> bool:
        """Whether an alert has an effect: a callback, a rule, or an action of anomalies."""
        return bool(self.alerts.callbacks or self.rules) or self.action in ("alert", "pause")

    def on_incidents(self, incidents: Iterable[tuple[Incident, float]]) -> list[Alert]:
        """Alerts for incidents that have begun."""
        return [
            Alert(
                time=pd.Timestamp(one.start, unit="ns", tz="UTC"),
                kind="anomaly",
                metric=one.metrics[0],
                value=value,
                severity=one.severity,
                reason=one.reason,
                action=self.action,
            )
            for one, value in incidents
        ]

    def check(self, now: int, metrics: Callable[[int | None], Metrics]) -> list[Alert]:
        """Alerts for rules whose condition has begun to hold.

        Args:
            now: Time of the alerts, UTC nanoseconds.
            metrics: Gives the metrics of the last nanoseconds; None: of all events.
        """
        raised = []
        for one in self.rules:
            value = one.rule.value(metrics(one.rule.window))
            before, one.met = one.met, one.rule.holds(value)
            if one.met and not before:
                raised.append(
                    Alert(
                        time=pd.Timestamp(now, unit="ns", tz="UTC"),
                        kind=one.kind,
                        metric=one.rule.metric,
                        value=value,
                        severity="high",
                        reason=f"{one.rule.text}: it is {value:,.4g}",
                        action=one.action,
                    )
                )
        return raised

    def remember(self, alert: Alert, *, fired: bool) -> None:
        """Add an alert to the history; its rule holds, and fires again only after it did not hold."""
        self.alerts.remember(alert)
        self.fired = fired
        for one in self.rules:
            one.met |= alert.kind == one.kind and alert.reason.startswith(one.rule.text)

    def add(self, rule: Rule, kind: str, action: str) -> None:
        """Watch a rule from now on."""
        self.rules.append(WatchedRule(rule, kind, action))

    def listen(self, callback: Callable[[Any], Any]) -> Callable[[], None]:
        """Call back for every alert; returns a function that undoes it."""
        self.alerts.callbacks.append(callback)

        def undo() -> None:
            if callback in self.alerts.callbacks:
                self.alerts.callbacks.remove(callback)

        return undo

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        rules = [[list(astuple(one.rule)), one.kind, one.action, one.met] for one in self.rules]
        return {"rules": rules, "alerts": self.alerts.to_dict(), "fired": self.fired}

    def load(self, state: dict[str, Any]) -> None:
        """Load a state."""
        self.rules = [
            WatchedRule(Rule.of(rule), str(kind), checks.one_of("action", action, ACTIONS), bool(met))
            for rule, kind, action, met in state["rules"]
        ]
        self.fired = state["fired"]
        self.alerts.load(state["alerts"])
