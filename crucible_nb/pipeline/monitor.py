"""Monitor of one writer: raises alerts for incidents, rules and budgets, with the actions to carry out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from crucible_nb.anomaly.tellings import severity_of
from crucible_nb.events.batch import Batch, Categories
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import HISTORY, Alert, Alerts, alert_cells, alert_of
from crucible_nb.pipeline.detect import Telling
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.rule_events import NEVER, Past, RuleEvents
from crucible_nb.pipeline.rule_state import Begun, RuleState
from crucible_nb.pipeline.rule_windows import Running
from crucible_nb.pipeline.rules import Rule, counts_costs
from crucible_nb.utils import checks
from crucible_nb.utils.problems import Problems

ACTIONS = ("alert", "pause", "stop")
"""Actions of a rule."""


@dataclass
class WatchedRule:
    """A rule, its action and its state: it fires once, and again only after its condition did not hold."""

    rule: Rule
    kind: str
    action: str
    state: RuleState = field(init=False)

    def __post_init__(self) -> None:
        self.state = RuleState(self.rule)

    def alert(self, time: int, value: float, group: str | None = None) -> Alert:
        """Return an alert of this rule, for a group of its events."""
        moment, reason = pd.Timestamp(time, unit="ns", tz="UTC"), self.rule.reason(value, group)
        return Alert(moment, self.kind, self.rule.metric, value, "high", reason, self.action, group=group)

    def warning(self, time: int, model: str, events: int) -> Alert:
        """Return an alert of low rank: this rule on costs cannot count events of a model."""
        moment = pd.Timestamp(time, unit="ns", tz="UTC")
        reason = f"events of {model} cannot be priced, so {self.rule.text!r} does not count them; see exp.unpriced()"
        return Alert(moment, self.kind, self.rule.metric, float(events), "medium", reason, "alert")

    def raised(self, alert: Alert) -> bool:
        """Return whether an alert is of this rule."""
        return alert.kind == self.kind and alert.reason.startswith(f"{self.rule.text}: ")


class Monitor:
    """Raises alerts; the experiment carries out their actions.

    Args:
        problems: Counts failing callbacks.
        action: Action of an anomaly: "flag", "alert", "sample_more" or "pause". The adaptive sampler reads the flags
            themselves, so "sample_more" needs nothing here.
        in_event_time: Whether time begins with the first start of an event, not at the start of the experiment.

    Attributes:
        alerts: History and callbacks.
        rules: Rules and budgets.
        begun: Alerts of rules that began to hold, oldest first, until they are remembered.
        goals: Condition and target of each objective, in order.
        fired: Whether an alert required a pause or a stop since the last resume.
    """

    def __init__(self, problems: Problems, action: str, *, in_event_time: bool = False) -> None:
        self.alerts = Alerts(problems)
        self.action, self.in_event_time = action, in_event_time
        self.rules: list[WatchedRule] = []
        self.begun: list[Alert] = []
        self.goals: list[tuple[str, float]] = []
        self.fired = False
        self.dictionaries: Mapping[str, Categories] = {}
        self.past = Past()  # of the events before now; kept up to date while there are rules

    @property
    def listening(self) -> bool:
        """Whether an alert has an effect: a callback, a rule, or an action of anomalies."""
        return bool(self.alerts.callbacks or self.rules) or self.action in ("alert", "pause")

    @property
    def acts(self) -> bool:
        """Whether an alert may pause or stop the experiment."""
        return self.action == "pause" or any(watched.action in ("pause", "stop") for watched in self.rules)

    def judge(self, batch: Batch, life: Lifecycle) -> None:
        """Check the rules among the events of a batch.

        Args:
            batch: Events in recording order, at least one.
            life: Lifecycle of the experiment.
        """
        if not self.rules:
            return
        events, running = self._events(batch, self.past), self.running(life)
        self.past = events.after
        found = [(begun, watched) for watched in self.rules for begun in watched.state.judge(events, running)]
        self._begin(sorted(found, key=lambda pair: (pair[0].row, pair[0].time)))

    def running(self, life: Lifecycle) -> Running:
        """Return the time in which the experiment ran up to now."""
        return Running(life, self.past.began if self.in_event_time else None)

    def _events(self, batch: Batch, past: Past) -> RuleEvents:
        return RuleEvents(
            batch, self.dictionaries, past, lambda said: self.alerts.problems.report("errors", said, len(batch))
        )

    def catch_up(self, watched: WatchedRule, batches: Iterable[Batch], life: Lifecycle) -> None:
        """Show a new rule the events before it, in recording order."""
        past, running = Past(), self.running(life)
        for batch in batches:
            events = self._events(batch, past)
            watched.state.judge(events, running)
            past = events.after
        watched.state.begin_anew()

    def acting(self) -> list[RuleState]:
        """Return copies of the states of all rules that pause or stop."""
        return [deepcopy(watched.state) for watched in self.rules if watched.action in ("pause", "stop")]

    def pass_time(self, now: int, life: Lifecycle) -> None:
        """Check the rules over windows at the ends of panes that time has passed without an event."""
        running = self.running(life)
        self._begin((begun, watched) for watched in self.rules for begun in watched.state.pass_time(now, running))

    def _begin(self, found: Iterable[tuple[Begun, WatchedRule]]) -> None:
        self.begun += [watched.alert(begun.time, begun.value, begun.group) for begun, watched in found]
        del self.begun[:-HISTORY]

    def on_incidents(self, tellings: Iterable[Telling]) -> list[Alert]:
        """Return alerts for incidents that have begun or become clearly worse."""
        return [
            Alert(
                time=pd.Timestamp(one.time, unit="ns", tz="UTC"),
                kind="anomaly",
                metric=one.metric,
                value=one.value,
                severity=severity_of(one.score),
                reason=one.reason,
                action=self.action,
            )
            for one in tellings
        ]

    def look(
        self,
        now: int,
        life: Lifecycle,
        metrics: Callable[[int | None], Metrics],
        rules: Iterable[WatchedRule],
        *,
        again: bool,
    ) -> list[Alert]:
        """Return alerts for rules that begin to hold at a moment between events.

        Args:
            now: That moment, UTC nanoseconds.
            life: Lifecycle of the experiment.
            metrics: Callable (nanoseconds) -> metrics of that last window; None for all events. Rules that need more
                see the events of this process.
            rules: Rules to check.
            again: As for `RuleState.look`.
        """
        raised = []
        for watched in rules:
            if not watched.rule.is_plain:
                begun = watched.state.look(now, self.running(life), again=again)
                raised += [watched.alert(now, one.value, one.group) for one in begun]
                continue
            value = watched.rule.value(metrics(watched.rule.window))
            if watched.state.groups[None].look(watched.rule.holds(value), again=again):
                raised.append(watched.alert(now, value))
        return raised

    def check_prices(self, now: int, unpriced: Mapping[str, int]) -> list[Alert]:
        """Return an alert, once, for each model whose events a rule on costs cannot count.

        Args:
            now: Time of the alerts, UTC nanoseconds.
            unpriced: Model -> number of its events whose cost is unknown.
        """
        rules = [watched for watched in self.rules if watched.rule.terms.counts_costs] if unpriced else []
        told = {alert.reason for alert in self.alerts.history} if rules else set()
        found = [watched.warning(now, model, count) for watched in rules for model, count in unpriced.items()]
        return [alert for alert in found if alert.reason not in told]

    def remember(self, alert: Alert, *, fired: bool) -> None:
        """Add an alert to the history; if the events alone did not decide it, its rule holds from its time on."""
        self.alerts.remember(alert)
        self.fired = fired
        same = [
            one
            for one in self.begun
            if (one.kind, one.time) == (alert.kind, alert.time) and alert.reason.startswith(one.reason)
        ]
        for watched in self.rules if not same else ():
            if watched.raised(alert):
                watched.state.told(alert.time.value, alert.group)
        if same:
            self.begun.remove(same[0])

    def add(self, rule: Rule, kind: str, action: str) -> WatchedRule:
        """Watch a rule from now on."""
        self.rules.append(WatchedRule(rule, kind, action))
        return self.rules[-1]

    def listen(self, callback: Callable[[Any], Any]) -> Callable[[], None]:
        """Call a function for every alert; return a function that removes it."""
        self.alerts.callbacks.append(callback)

        def undo() -> None:
            if callback in self.alerts.callbacks:
                self.alerts.callbacks.remove(callback)

        return undo

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        rules = [[one.rule.cells(), one.kind, one.action, one.state.holds] for one in self.rules]
        return {
            "rules": rules,
            "alerts": self.alerts.to_dict(),
            "fired": self.fired,
            "states": [watched.state.to_dict() for watched in self.rules],
            "begun": list(map(alert_cells, self.begun)),
            "first": None if self.past.began == NEVER else self.past.began,
            "clock": self.past.newest,
            "goals": [list(goal) for goal in self.goals],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.rules = [
            WatchedRule(Rule.of(rule), str(kind), checks.one_of("action", action, ACTIONS))
            for rule, kind, action, _ in state["rules"]
        ]
        for watched, (*_, met) in zip(self.rules, state["rules"], strict=True):
            for group in watched.state.groups.values():
                group.met = bool(met)
        for watched, saved in zip(self.rules, state.get("states", ()), strict=False):  # release 0.1 had none
            watched.state.load(saved)
        self.begun = [alert_of(cells) for cells in state.get("begun", ())]
        first = state.get("first")
        self.past = Past(state.get("clock"), NEVER if first is None else first)
        self.goals = [(str(condition), float(target)) for condition, target in state.get("goals", ())]
        self.fired = state["fired"]
        self.alerts.load(state["alerts"])


def with_missing_costs(alert: Alert, unpriced: Mapping[str, int]) -> Alert:
    """Return an alert that says which events its costs lack."""
    if not unpriced or alert.kind == "anomaly" or not counts_costs(alert.metric):
        return alert
    missing = f", without {sum(unpriced.values()):,} events that cannot be priced ({', '.join(unpriced)})"
    return replace(alert, reason=alert.reason + missing)
