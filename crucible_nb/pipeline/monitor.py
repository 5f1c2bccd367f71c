"""Monitor of one writer: raises alerts for incidents, rules and budgets, with the actions to carry out."""

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
        fired: Whether an alert required a pause or a stop since the last resume.
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
        """Return alerts for incidents that have begun."""
        return [
            Alert(
                time=pd.Timestamp(incident.start, unit="ns", tz="UTC"),
                kind="anomaly",
                metric=incident.metrics[0],
                value=value,
                severity=incident.severity,
                reason=incident.reason,
                action=self.action,
            )
            for incident, value in incidents
        ]

    def check(self, now: int, metrics: Callable[[int | None], Metrics]) -> list[Alert]:
        """Return alerts for rules whose condition has begun to hold.

        Args:
            now: Time of the alerts, UTC nanoseconds.
            metrics: Callable (nanoseconds) -> metrics of that last window; None for all events.
        """
        raised = []
        for watched in self.rules:
            value = watched.rule.value(metrics(watched.rule.window))
            before, watched.met = watched.met, watched.rule.holds(value)
            if watched.met and not before:
                raised.append(
                    Alert(
                        time=pd.Timestamp(now, unit="ns", tz="UTC"),
                        kind=watched.kind,
                        metric=watched.rule.metric,
                        value=value,
                        severity="high",
                        reason=f"{watched.rule.text}: it is {value:,.4g}",
                        action=watched.action,
                    )
                )
        return raised

    def remember(self, alert: Alert, *, fired: bool) -> None:
        """Add an alert to the history; its rule fires again only after its condition did not hold."""
        self.alerts.remember(alert)
        self.fired = fired
        for watched in self.rules:
            watched.met |= alert.kind == watched.kind and alert.reason.startswith(watched.rule.text)

    def add(self, rule: Rule, kind: str, action: str) -> None:
        """Watch a rule from now on."""
        self.rules.append(WatchedRule(rule, kind, action))

    def listen(self, callback: Callable[[Any], Any]) -> Callable[[], None]:
        """Call a function for every alert; return a function that removes it."""
        self.alerts.callbacks.append(callback)

        def undo() -> None:
            if callback in self.alerts.callbacks:
                self.alerts.callbacks.remove(callback)

        return undo

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        rules = [[list(astuple(watched.rule)), watched.kind, watched.action, watched.met] for watched in self.rules]
        return {"rules": rules, "alerts": self.alerts.to_dict(), "fired": self.fired}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.rules = [
            WatchedRule(Rule.of(rule), str(kind), checks.one_of("action", action, ACTIONS), bool(met))
            for rule, kind, action, met in state["rules"]
        ]
        self.fired = state["fired"]
        self.alerts.load(state["alerts"])
