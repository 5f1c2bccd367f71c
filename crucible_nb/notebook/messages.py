"""Build the messages of a dashboard, keyframes and ticks, from the state of its experiments."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from crucible_nb.anomaly import Incident
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import wire
from crucible_nb.notebook.anytime import RunningComparison
from crucible_nb.notebook.bins import Bins
from crucible_nb.notebook.page_state import PageState, series_names
from crucible_nb.pipeline.alerts import Alert

CARD_INTERVAL = 0.9
"""Minimum seconds between two updates of the metrics on the cards: a reader needs no more. Counts, clocks and charts
are updated at every tick."""
_KEYFRAME_ITEMS = 40  # maximum of incidents and of alerts in a keyframe
_TICK_ITEMS = 3  # maximum of incidents and of alerts in a tick, and of bins besides the two newest


class Composer:
    """Numbers the messages of a dashboard and remembers what has been sent.

    Args:
        experiments: One, or two to compare.
        refresh: Seconds between two ticks, shown by the browser.
        note: A hint about the buttons for the user, "" for none.

    Attributes:
        states: The state of each experiment, updated at each tick.
        window: Name of the chosen window, a key of `wire.WINDOWS`.
        picked: Columns to draw; None draws the first ones until the user picks.
        lock: Must be held while updating or composing.
    """

    def __init__(self, experiments: Sequence[Experiment], refresh: float, note: str = "") -> None:
        self.states = [PageState(experiment) for experiment in experiments]
        self.refresh, self.note = refresh, note
        self._comparison = RunningComparison(*experiments) if len(experiments) > 1 else None
        self.window = "5min"
        self.picked: list[str] | None = None
        self.number = 0
        self._measured = ("", 0.0)  # window of the metrics on the cards, and when they were computed
        self.lock = threading.RLock()
        self._with_metrics = False
        self._drawn: list[str] = []
        self._sent: dict[tuple[int, int], int] = {}  # (arm, id) of an incident: its event count when sent
        self._alerts_sent = [0] * len(self.states)

    def update(self, *, with_metrics: bool = False) -> None:
        """Read new events.

        Args:
            with_metrics: Recompute the metrics of the window; otherwise only after `CARD_INTERVAL`.
        """
        window, measured_at = self._measured
        stale = window != self.window or time.monotonic() - measured_at >= CARD_INTERVAL
        self._with_metrics = with_metrics or stale
        for state in self.states:
            state.update(self.window, with_metrics=self._with_metrics)
        if self._with_metrics:
            self._measured = (self.window, time.monotonic())

    @property
    def has_backlog(self) -> bool:
        """Whether older rows have not been read yet."""
        return any(state.has_backlog for state in self.states)

    @property
    def all_ended(self) -> bool:
        """Whether no experiment runs or is paused; a dead one may still be resumed."""
        return all(state.facts["status"] not in ("running", "paused") for state in self.states)

    @property
    def any_dead(self) -> bool:
        """Whether a writing process has ended and another one may resume its experiment."""
        return any(state.facts["status"] == "dead" for state in self.states)

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for state in self.states for name in state.columns))

    def _columns_to_draw(self) -> list[str]:
        available = self._columns()
        if self.picked is None:
            return list(dict.fromkeys(name for state in self.states for name in state.default_columns))
        return [name for name in self.picked if name in available]

    def keyframe(self) -> tuple[wire.Keyframe, list[bytes]]:
        """Build a message with everything a browser needs to draw, and its buffers."""
        if not self._with_metrics or self._measured[0] != self.window:
            self.update(with_metrics=True)
        self.number += 1
        for state in self.states:
            state.update_all_bins()
        self._drawn = self._columns_to_draw()
        first = self.states[0]
        self._sent, self._alerts_sent = {}, [0] * len(self.states)
        incidents, alerts = self._new_incidents_and_alerts()
        self._mark_sent(incidents)
        for state, bins in zip(self.states, self._shown_bins(), strict=True):
            start = bins.oldest if state.start is None else min(bins.oldest, state.start // bins.width)
            bins.dirty = max(bins.base, start, bins.newest - self._window_bins(bins) + 1)
        arms, buffers = self._arms()
        message: wire.Keyframe = {
            "kind": "key",
            "version": wire.VERSION,
            "n": self.number,
            "refresh": self.refresh,
            "window": self.window,
            "status": self._status(),
            "arms": arms,
            "titles": [_title(state) for state in self.states],
            "cards": wire.CARDS,
            "series": series_names(self._drawn),
            "columns": self._columns(),
            "picked": self._drawn,
            "pauses": [[start / 1e6, end / 1e6] for start, end in first.pauses.tolist()],
            "incidents": incidents,
            "alerts": alerts[-_KEYFRAME_ITEMS:],
            "estimated": any(state.facts["sampling"] is not None for state in self.states),
            "note": self.note,
            "compare": [] if self._comparison is None else self._comparison.update(self._elapsed()),
        }
        return message, buffers

    def tick(self) -> tuple[wire.Keyframe | wire.Tick, list[bytes]]:
        """Build a message with the changes; a keyframe where they do not fit into a tick."""
        late = any(bins.newest - bins.dirty > 2 + _TICK_ITEMS for bins in self._shown_bins())
        before = list(self._alerts_sent)
        incidents, alerts = self._new_incidents_and_alerts()
        if late or self._columns_to_draw() != self._drawn or max(len(incidents), len(alerts)) > _TICK_ITEMS:
            self._alerts_sent = before
            return self.keyframe()
        self.number += 1
        arms, buffers = self._arms()
        message: wire.Tick = {"kind": "tick", "n": self.number, "status": self._status(), "arms": arms}
        if incidents:
            message["incidents"] = incidents
            self._mark_sent(incidents)
        if alerts:
            message["alerts"] = alerts
        return message, buffers

    def _elapsed(self) -> float:
        return max(float(state.facts["wall_clock_duration"]) for state in self.states)

    def _window_bins(self, bins: Bins) -> int:
        """Return the number of bins in the chosen window, which may be fewer than are stored."""
        seconds = wire.WINDOWS[self.window].seconds
        return bins.size if seconds is None else seconds * 10**9 // bins.width + 2

    def _shown_bins(self) -> list[Bins]:
        return [state.bins[wire.WINDOWS[self.window].bins] for state in self.states]

    def _status(self) -> list[str]:
        return [state.facts["status"] for state in self.states]

    def _arms(self) -> tuple[list[wire.Arm], list[bytes]]:
        arms: list[wire.Arm] = []
        buffers = []
        for state, bins in zip(self.states, self._shown_bins(), strict=True):
            first = max(bins.dirty, bins.base)
            oldest = max(bins.base, bins.newest - self._window_bins(bins) + 1)
            arms.append({"first": first, "base": oldest, "width": bins.width / 1e6})
            buffers.append(wire.buffer(state.cards(), state.series(bins, first, self._drawn)))
            bins.dirty = bins.newest
        return arms, buffers

    def _new_incidents_and_alerts(self) -> tuple[list[wire.Incident], list[wire.Alert]]:
        """Return incidents that started or grew since they were sent, and alerts since the previous call."""
        incidents: list[wire.Incident] = []
        new_alerts: list[wire.Alert] = []
        for arm, state in enumerate(self.states):
            numbered, alerts = state.incidents[-_KEYFRAME_ITEMS:], state.snapshot.alerts
            incidents += [
                _incident(arm, i, incident) for i, incident in numbered if self._sent.get((arm, i)) != incident.count
            ]
            new_alerts += [_alert(arm, alert) for alert in alerts[self._alerts_sent[arm] :] if _is_listed(alert)]
            self._alerts_sent[arm] = len(alerts)
        return incidents, new_alerts

    def _mark_sent(self, incidents: Sequence[wire.Incident]) -> None:
        self._sent |= {(incident["arm"], incident["id"]): incident["count"] for incident in incidents}


def _incident(arm: int, number: int, incident: Incident) -> wire.Incident:
    return {
        "arm": arm,
        "id": number,
        "start": incident.start / 1e6,
        "end": incident.end / 1e6,
        "count": incident.count,
        "severity": incident.severity,
        "metrics": list(incident.metrics),
        "reason": incident.reason,
    }


def _alert(arm: int, alert: Alert) -> wire.Alert:
    return {
        "arm": arm,
        "time": alert.time.value / 1e6,
        "kind": alert.kind,
        "severity": alert.severity,
        "reason": alert.reason,
        "action": alert.action,
    }


def _is_listed(alert: Alert) -> bool:
    """Whether an alert is listed by itself: its incident, if it has one, is in the table of anomalies."""
    return alert.kind != "anomaly" or alert.action == "pause"


def _title(state: PageState) -> wire.Title:
    experiment, snapshot = state.experiment, state.snapshot
    return {
        "name": experiment.name,
        "condition": experiment.condition,
        "hypothesis": experiment.hypothesis,
        "sample_size": experiment.sample_size,
        "detectors": snapshot.detects,
        "read": snapshot.read_only,
    }
