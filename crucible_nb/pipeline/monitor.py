"""Monitor of one writer: raises alerts for incidents, rules and budgets, with the actions to carry out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import pandas as pd

from crucible_nb.anomaly import Incident
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert, Alerts
from crucible_nb.pipeline.rules import COSTS, Rule
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

    def check(self, now: int, metrics: Callable[[int | None], Metrics], unpriced: Mapping[str, int]) -> list[Alert]:
        """Return alerts for rules whose condition has begun to hold, and for costs that they cannot know.

        Args:
            now: Time of the alerts, UTC nanoseconds.
            metrics: Callable (nanoseconds) -> metrics of that last window; None for all events.
            unpriced: Model -> number of its events whose cost is unknown.
        """
        raised = self._check_prices(now, unpriced)
        for watched in self.rules:
            value = watched.rule.value(metrics(watched.rule.window))
            before, watched.met = watched.met, watched.rule.holds(value)
            if watched.met and not before:
                reason = watched.rule.reason(value) + _missing_costs(watched.rule, unpriced)
                raised.append(_alert(now, watched, value, "high", reason, watched.action))
        return raised

    def _check_prices(self, now: int, unpriced: Mapping[str, int]) -> list[Alert]:
        """Return an alert, once, for each model whose events a rule on costs cannot count."""
        rules = [watched for watched in self.rules if watched.rule.metric in COSTS] if unpriced else []
        told = {alert.reason for alert in self.alerts.history} if rules else set()
        found = [(watched, model, _unpriced(watched.rule, model)) for watched in rules for model in unpriced]
        return [
            _alert(now, watched, unpriced[model], "medium", reason, "alert")
            for watched, model, reason in found
            if reason not in told
        ]

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


def _alert(now: int, watched: WatchedRule, value: float, severity: str, reason: str, action: str) -> Alert:
    time = pd.Timestamp(now, unit="ns", tz="UTC")
    return Alert(time, watched.kind, watched.rule.metric, float(value), severity, reason, action)


def _unpriced(rule: Rule, model: str) -> str:
    return f"events of {model} cannot be priced, so {rule.text!r} does not count them; see exp.unpriced()"


def _missing_costs(rule: Rule, unpriced: Mapping[str, int]) -> str:
    if rule.metric not in COSTS or not unpriced:
        return ""
    return f", without {sum(unpriced.values()):,} events that cannot be priced ({', '.join(unpriced)})"
