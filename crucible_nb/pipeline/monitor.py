"""Watching: incidents, rules and budgets turn into alerts and actions."""

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
"""What a rule can do."""


@dataclass
class WatchedRule:
    """A rule, what it does, and whether it is met now: it fires once, and again only after it was not met."""

    rule: Rule
    kind: str
    action: str
    met: bool = False


class Monitor:
    """Takes what happened, says what is to be done.

    Args:
        notes: Where trouble is counted.
        action: What an anomaly does: "flag", "alert", "sample_more" or "pause"; the adaptive sampler needs no word
            from here, it sees the flags themselves.

    Attributes:
        fired: Whether something asked for an end or a pause.
    """

    def __init__(self, problems: Problems, action: str) -> None:
        self.alerts = Alerts(problems)
        self.action = action
        self.rules: list[WatchedRule] = []
        self.fired = False

    @property
    def listening(self) -> bool:
        """Whether anybody would notice an alert soon."""
        return bool(self.alerts.callbacks or self.rules) or self.action in ("alert", "pause")

    def on_incidents(self, incidents: Iterable[tuple[Incident, float]]) -> Iterable[str]:
        """Incidents that begin; gives the actions to take."""
        for one, value in incidents:
            time = pd.Timestamp(one.start, unit="ns", tz="UTC")
            self.alerts.add(Alert(time, "anomaly", one.metrics[0], value, one.severity, one.reason, self.action))
            if self.action == "pause":
                self.fired = True
                yield "pause"

    def check(self, now: int, metrics: Callable[[int | None], Metrics]) -> Iterable[str]:
        """The rules at this moment; gives the actions to take."""
        for one in self.rules:
            value = one.rule.value(metrics(one.rule.window))
            met, before = one.rule.holds(value), one.met
            one.met = met
            if met and not before:
                time, metric = pd.Timestamp(now, unit="ns", tz="UTC"), one.rule.metric
                said = f"{one.rule.text}: it is {value:,.4g}"
                self.alerts.add(Alert(time, one.kind, metric, value, "high", said, one.action))
                if one.action != "alert":
                    self.fired = True
                    yield one.action

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        rules = [[list(astuple(one.rule)), one.kind, one.action, one.met] for one in self.rules]
        return {"rules": rules, "alerts": self.alerts.to_dict(), "fired": self.fired}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self.rules = [
            WatchedRule(Rule.of(rule), str(kind), checks.one_of("action", action, ACTIONS), bool(met))
            for rule, kind, action, met in state["rules"]
        ]
        self.fired = state["fired"]
        for alert in state["alerts"]:
            self.alerts.restore(alert)

    def remember(self, alert: list[Any], *, fired: bool) -> None:
        """An alert of an earlier process: its rule is met, and does not fire again before it was not."""
        self.alerts.restore(alert)
        self.fired = fired
        for one in self.rules:
            one.met |= alert[1] == one.kind and alert[5].startswith(one.rule.text)

    def add(self, rule: Rule, kind: str, action: str) -> None:
        """Watch a rule from now on."""
        self.rules.append(WatchedRule(rule, kind, action))

    def listen(self, callback: Callable[[Any], Any]) -> Callable[[], None]:
        """Call back for every alert; returns what undoes it."""
        self.alerts.callbacks.append(callback)

        def undo() -> None:
            if callback in self.alerts.callbacks:
                self.alerts.callbacks.remove(callback)

        return undo
