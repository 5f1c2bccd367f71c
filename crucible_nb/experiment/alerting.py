"""The watchful side of an experiment: incidents, rules and budgets, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pandas as pd

from crucible_nb.anomaly.incidents import Incident, incident_frame, incident_summary
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.monitor import ACTIONS, Monitor
from crucible_nb.pipeline.rules import Rule
from crucible_nb.store.lines import encode_exact
from crucible_nb.store.log import Durable
from crucible_nb.store.merge import WRITER
from crucible_nb.utils import checks
from crucible_nb.utils.threads import TICKER


class Alerting(Durable):
    """What an experiment does while somebody listens."""

    _monitor: Monitor
    _life: Lifecycle
    _attending: bool
    _now: Callable[[], int]
    _move: Callable[[str], None]
    metrics: Callable[..., Metrics]

    def _listen(self) -> None:
        """Have what is recorded looked at soon, when somebody would notice."""
        if self._monitor.listening:
            TICKER.add(self._tick)

    def _tick(self) -> bool:
        """What happens 25 times a second while somebody listens; says whether to go on."""
        if self._running and self._monitor.listening:
            self._attend()
            return True
        return False

    def _attend(self) -> None:
        """Look at what was recorded, act, and call back; callbacks run outside of the lock.

        Who only reads it sees what was noticed by who writes it.
        """
        if self._looks_on:
            with self._lock:
                self._pipelines()
            return
        with self._lock:
            if self._attending:  # an action or a callback of this very thread
                return
            self._attending = True
            try:
                self._fold()
                actions = list(self._monitor.on_incidents(self._pipeline.detect.take_new_incidents()))
                if self._monitor.rules:
                    actions += self._monitor.check(self._now(), self._of_last)
                self._note_alerts()
                for action in actions:
                    if self._life.status == "running" or (action == "stop" and self._life.alive):
                        self._move(action)
            finally:
                self._attending = False
        self._monitor.alerts.deliver()

    def _note_alerts(self) -> None:
        """What was noticed is not noticed again by whoever resumes the experiment."""
        for alert in self._monitor.alerts.take_unwritten():
            if self._writer is not None and self._running:
                time, kind, metric, value, *rest = alert
                cells = [time, kind, metric, encode_exact(value), *rest]
                self._writer.journal.control("alert", {"alert": cells, "fired": self._monitor.fired})

    def _of_last(self, window: int | None) -> Metrics:
        return self.metrics(last=None if window is None else pd.Timedelta(window, unit="ns"))

    def on_anomaly(self, callback: Callable[[Alert], Any]) -> Callable[[], None]:
        """Be called back when an incident begins, a rule is met or a budget is spent; within 100 ms of `record`.

        Callbacks run outside of every lock and may call any method. They run in the thread that is first to notice: a
        background one, or the one that asks `should_stop` or `alerts()`, pauses, resumes or stops. Their exceptions
        are counted, not raised. At most 60 alerts a minute are called back, the others are in `alerts()`.

        Args:
            callback: Callable (Alert) -> anything; an Alert has time, kind, metric, value, severity, reason, action.

        Returns:
            A callable that undoes it.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo", anomaly="z_score", clock="events")
            >>> said = []
            >>> undo = exp.on_anomaly(said.append)
            >>> for i in range(101):
            ...     _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.stop()
            >>> len(said), said[0].reason
            (1, 'latency_ms 900 is 791.2 sd above the mean 101')
        """
        undo = self._monitor.listen(checks.function("callback", callback))  # type: ignore[arg-type]
        self._listen()
        return undo

    def watch(self, rule: str, action: str = "alert", min_events: int | None = None) -> None:
        """Watch the live metrics.

        Args:
            rule: A metric, a comparison, a number, and maybe a window: "error_rate > 0.1 over 5min". Metrics are
                error_rate, success_rate, mean_, max_, p50_, p90_, p95_ and p99_latency_ms, total_ and mean_cost_usd,
                cost_per_hour, total_tokens, event_count, failure_count, events_per_second.
            action: "alert", "pause" or "stop".
            min_events: Events there must be. None: 10 for rates, means and quantiles; 1 for counts and totals; 0 for
                event_count and events_per_second below a limit over a window, so that "event_count < 1 over 5min"
                notices silence, once the experiment has run for all of the window. Windows end now; with
                clock="events", where now is the newest event, time stands still in silence.

        Raises:
            ConfigError: The rule cannot be read, or there is no such action.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.watch("error_rate > 0.1 over 5min", action="stop")
            >>> for i in range(30):
            ...     if exp.should_stop:
            ...         break
            ...     _ = exp.record("call", success=i % 4 > 0)
            >>> i, exp.status
            (10, 'stopped')
        """
        read = Rule.parse(rule, checks.whole("min_events", min_events, ge=1, optional=True))
        self._add_rule(read, "rule", checks.one_of("action", action, ACTIONS))
        self._listen()

    def _add_rule(self, rule: Rule, kind: str, action: str) -> None:
        with self._noting("watch", lambda: {"rule": list(astuple(rule)), "kind": kind, "action": action}):
            self._monitor.add(rule, kind, action)

    def budget(self, usd: float, action: str = "pause") -> None:
        """Act when the events have cost so much. Events without a price are not counted; see `unpriced()`.

        Args:
            usd: USD.
            action: "alert", "pause" or "stop".

        Raises:
            ConfigError: `usd` is not above 0, or there is no such action.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.budget(usd=5)
            >>> for i in range(10):
            ...     if exp.should_stop:
            ...         break
            ...     _ = exp.record("call", cost_usd=1.5)
            >>> i, exp.status, exp.metrics().cost.total
            (4, 'paused', 6.0)
            >>> exp.stop()
        """
        limit = checks.number("usd", usd, gt=0)
        rule = Rule(f"budget of {limit:g} USD", "total_cost_usd", ">=", limit, None, 1)
        self._add_rule(rule, "budget", checks.one_of("action", action, ACTIONS))
        self._listen()

    @property
    def should_stop(self) -> bool:
        """Whether to leave the loop: the experiment has ended, or a rule, a budget or an anomaly paused it."""
        self._attend()
        return not self._life.alive or self._monitor.fired

    def alerts(self) -> pd.DataFrame:
        """All alerts so far, indexed by time (UTC): kind, metric, value, severity, reason, action, told.

        `told` is whether callbacks were called: not where there were none at the time, nor beyond 60 a minute.

        Examples:
            >>> import crucible_nb as cr
            >>> exp = cr.start("demo")
            >>> exp.watch("event_count >= 2")
            >>> _ = exp.record("a"), exp.record("b")
            >>> exp.alerts().reason.tolist()
            ['event_count >= 2: it is 2']
            >>> exp.stop()
        """
        self._attend()
        with self._lock:
            return self._monitor.alerts.frame()

    def anomalies(self) -> pd.DataFrame:
        """Incidents found by the detectors of `cr.start(anomaly=...)`.

        Returns:
            One row an incident, oldest first: start, end (UTC), count (flagged events), peak (largest score; 1.0 is
            the threshold), severity (low, medium from 1.5, high from 3, critical from 6), metrics, reason, first_seq,
            last_seq, and `writer` where several processes had some. The flags themselves are columns of `frame()`.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="z_score", clock="events") as exp:
            ...     for i in range(101):
            ...         _ = exp.record("call", latency_ms=100.0 + i % 3 if i < 100 else 900.0, time=i)
            >>> exp.anomalies()[["count", "severity", "metrics"]].values.tolist()
            [[1, 'critical', 'latency_ms']]
        """
        with self._lock:
            self._fold()
            found = self._incidents()
        frame = incident_frame([one for _, one in found])
        writers = [writer for writer, _ in found]
        return frame if len(set(writers)) < 2 else frame.assign(**{WRITER: writers})

    def _incidents(self) -> list[tuple[int, Incident]]:
        """Of all writers, each with the ordinal of its writer, in order of their beginning; with the lock held."""
        writers = self._writers().items()
        found = [(writer_id, one) for writer_id, stages in writers for one in stages.detect.incidents.all]
        return found if len(writers) < 2 else sorted(found, key=lambda one: one[1].start)

    def anomaly_metrics(self) -> dict[str, Any]:
        """total_anomalies (flagged events), anomaly_rate (of all events), anomalies_by_type, anomaly_periods.

        Examples:
            >>> import crucible_nb as cr
            >>> with cr.start("demo", anomaly="auto") as exp:
            ...     _ = exp.record("call", latency_ms=1.0)
            >>> exp.anomaly_metrics()
            {'total_anomalies': 0, 'anomaly_rate': 0.0, 'anomalies_by_type': {}, 'anomaly_periods': []}
        """
        with self._lock:
            self._fold()
            pipelines = self._pipelines()
            found = [one.detect.incidents for one in pipelines]
            return incident_summary(found, sum(one.seq for one in pipelines))
