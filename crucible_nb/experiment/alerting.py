"""Alerting of an experiment: rules, budgets, anomaly incidents and their callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from crucible_nb.experiment.intake import Intake
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.monitor import Monitor
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
        self._checking = False
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
        self.start_ticking()

    def listen(self, callback: Callable[[Any], Any]) -> Callable[[], None]:
        """Call a function for every alert; return a function that removes it."""
        undo = self.monitor.listen(callback)
        self.start_ticking()
        return undo

    def after_transition(self) -> None:
        """Continue checking after a resume, and raise alerts for events before a pause or the end."""
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
        intake = self._intake
        if not intake.log.records:
            with intake.lock:
                intake.view()
            return
        with intake.lock:
            if self._checking:  # called by an action or callback of this thread
                return
            self._checking = True
            try:
                with unbroken():  # incidents are taken once
                    self._raise_alerts()
            finally:
                self._checking = False
        self.monitor.alerts.deliver()

    def _raise_alerts(self) -> None:
        """Apply new alerts, then their actions. Called with the lock held."""
        intake, monitor = self._intake, self.monitor
        intake.process()
        stream = intake.log.stream
        raised = monitor.on_incidents(stream.pipeline.detect.take_new_incidents())
        if monitor.rules:
            now = intake.view().now
            raised += monitor.check(now, self._window_metrics, stream.pipeline.enrich.unpriced)
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

    def _window_metrics(self, nanoseconds: int | None) -> Metrics:
        return self._metrics(last=None if nanoseconds is None else pd.Timedelta(nanoseconds, unit="ns"))
