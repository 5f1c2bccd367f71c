"""Alerting of an experiment: rules, budgets, anomaly incidents and their callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from crucible_nb.anomaly.silence import Silence
from crucible_nb.events.tables import frame_of
from crucible_nb.experiment.intake import Intake
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.pipeline.monitor import Monitor, with_missing_costs
from crucible_nb.pipeline.rules import Rule
from crucible_nb.utils.interrupts import unbroken
from crucible_nb.utils.threads import TICKER


class Alerting:
    """Checks rules and incidents, carries out their actions, and calls callbacks outside of every lock.

    Args:
        intake: Intake of the experiment, through which actions are applied.
        metrics: `Experiment.metrics`.
    """

    def __init__(self, intake: Intake, metrics: Callable[..., Metrics]) -> None:
        self._intake, self._metrics = intake, metrics
        self._checking = self._shown = False
        intake.before_event = self.check
        self.start_ticking()

    @property
    def monitor(self) -> Monitor:
        """Rules and alerts of the stream that this process records into or reads."""
        return self._intake.log.stream.monitor

    @property
    def should_stop(self) -> bool:
        """Whether the experiment has ended, or an alert has asked for a pause or a stop."""
        self.check()
        return not self._intake.log.stream.lifecycle.alive or self.monitor.fired

    def watch(self, rule: Rule, kind: str, action: str) -> None:
        """Watch a rule from now on."""
        self._intake.apply("watch", {"rule": rule, "kind": kind, "action": action})
        if self._intake.running:
            self._intake.open()  # where a rule acts, each event is checked at once
        self._decide(at_rest=True)  # it may hold already
        self.start_ticking()

    def declare(self, condition: str, target: float) -> None:
        """Remember an objective, unless it is the newest already."""
        if (condition, target) not in self.monitor.goals[-1:]:
            self._intake.apply("objective", {"condition": condition, "target": target})

    def listen(self, callback: Callable[[Any], Any]) -> Callable[[], None]:
        """Call a function for every alert; return a function that removes it."""
        undo = self.monitor.listen(callback)
        self.start_ticking()
        return undo

    def extend(self, table: Any, event: str | None) -> int:
        """Record a table; where a rule pauses or stops the experiment, no event after that one is taken."""
        if not self.monitor.acts:
            return self._intake.extend(table, event)
        taken, stream = 0, self._intake.log.stream
        while self._intake.running:
            self.check()
            try:
                table = table if isinstance(table, list) else frame_of(table, event)
                size = stream.first_action(table, event)
            except Exception:  # noqa: BLE001  extend reports what is wrong with it
                return taken + self._intake.extend(table, event)
            taken += self._intake.extend(table[:size], event)
            self.check()
            table = table[size:]
            if not len(table):
                break
        return taken

    def apply(self, verb: str) -> None:
        """Check all rules up to now, then make a transition; do nothing if its status holds already."""
        with self._intake.lock, unbroken():  # a handler of a signal may make the same transition
            self._decide(at_rest=True)
            if not (self._intake.log.records and self._intake.log.stream.lifecycle.is_done(verb)):
                self._intake.apply(verb)
        self.start_ticking()
        self.check()

    def frame(self) -> pd.DataFrame:
        """Return all alerts so far; see `Experiment.alerts`."""
        self.check()
        with self._intake.lock:
            return self.monitor.alerts.frame()

    def start_ticking(self) -> None:
        """Check the experiment regularly from now on, if an alert would have an effect."""
        if self._intake.running and self.monitor.listening:
            TICKER.add(self.tick)

    def tick(self) -> bool:
        """Check the experiment; return whether to be called again."""
        if not self._intake.running or not self.monitor.listening:
            return False
        self.check()
        return True

    def check(self) -> None:
        """Raise alerts for new events, carry out their actions and call callbacks.

        A read-only process shows the alerts raised by the writer; it raises none itself.
        """
        self._decide()
        self.monitor.alerts.deliver()

    def attend(self) -> bool:
        """Raise alerts for silences that last, for who looks at the experiment; return whether there was any.

        Called with the lock held, when staged events are processed.
        """
        if not self._intake.log.records or self._checking or not self._silences():
            return False
        self._shown = True
        try:
            self._decide()
        finally:
            self._shown = False
        return True

    def _decide(self, *, at_rest: bool = False) -> None:
        """Raise alerts.

        Args:
            at_rest: Whether no events follow for now: rules are checked at this moment also in event time.
        """
        intake = self._intake
        with intake.lock:
            if not intake.log.records:
                intake.view()
            elif not self._checking:  # else called by an action or callback of this thread
                self._checking = True
                try:
                    with unbroken():  # incidents are taken once
                        self._raise_alerts(at_rest=at_rest)
                finally:
                    self._checking = False

    def _raise_alerts(self, *, at_rest: bool) -> None:
        """Apply new alerts, then their actions. Called with the lock held."""
        intake, monitor = self._intake, self.monitor
        intake.process()
        stream = intake.log.stream
        if monitor.listening or self._shown:
            for time, silence in self._silences():
                intake.apply("silence", {"time": time, **silence._asdict()})
        raised = monitor.on_incidents(stream.pipeline.detect.take_tellings())
        if monitor.rules:
            unpriced = stream.pipeline.enrich.unpriced
            looks = at_rest or stream.config.clock != "events"
            found = [*(self._look(at_rest=at_rest) if looks else ()), *monitor.begun]
            raised += monitor.check_prices(intake.view().now, unpriced) if unpriced else []
            raised += [with_missing_costs(alert, unpriced) for alert in found]
        actions = [alert.action for alert in raised if alert.action in ("pause", "stop")]
        fired = monitor.fired or bool(actions)
        for alert in raised:
            facts = {"alert": monitor.alerts.queue(alert), "fired": fired}
            if stream.lifecycle.alive:
                intake.apply("alert", facts)
            else:
                stream.apply("alert", facts)  # the journal is closed
        for action in actions:
            status = stream.lifecycle.status
            if status == "running" or (action == "stop" and stream.lifecycle.alive):
                intake.apply(action)

    def _silences(self) -> list[tuple[int, Silence]]:
        """Return the silences to tell of now, with the time. In event time none lasts: time stands still in it."""
        stream = self._intake.log.stream
        if stream.config.clock == "events" or stream.lifecycle.status != "running":
            return []
        now = stream.clock.peek()
        found = stream.silences(now)
        if found:
            others = [one for one in self._intake.view().streams.values() if one is not stream and one.pipeline.seq]
            newest = [int(one.pipeline.measure.state().total.table.span[1, 0]) for one in others]
            quiet = (now - max(newest)) / 1e9 if newest else math.inf  # since other writers recorded anything
            found = [one for one in found if quiet >= one.gap / one.score]
        return [(now, one) for one in found]

    def _look(self, *, at_rest: bool) -> list[Alert]:
        """Check the rules at this moment. Those over all events need it only where events do not pass this process."""
        view, monitor = self._intake.view(), self.monitor
        if view.lifecycle.status == "running":
            monitor.pass_time(view.now, view.experiment)
        everything = at_rest or len(view.streams) > 1
        rules = [one for one in monitor.rules if everything or one.rule.windows]
        in_events = self._intake.log.stream.config.clock == "events"
        return monitor.look(view.now, view.experiment, self._window_metrics, rules, again=not in_events)

    def _window_metrics(self, nanoseconds: int | None) -> Metrics:
        return self._metrics(last=None if nanoseconds is None else pd.Timedelta(nanoseconds, unit="ns"))
