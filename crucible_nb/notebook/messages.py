"""Build the messages of a dashboard, keyframes and ticks, from the state of its experiments."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from crucible_nb.anomaly import Incident
from crucible_nb.anomaly.silence import METRIC as SILENCE
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import wire
from crucible_nb.notebook.anytime import RunningComparison
from crucible_nb.notebook.bins import Bins
from crucible_nb.notebook.choices import Choices
from crucible_nb.notebook.page_state import PageState, series_names
from crucible_nb.notebook.page_tables import fitting
from crucible_nb.pipeline.alerts import Alert

CARD_INTERVAL = 0.9
"""Minimum seconds between two updates of the metrics on the cards: a reader needs no more. Counts, clocks and charts
are updated at every tick."""
_TABLES_INTERVAL = 1.0  # seconds between two messages with tables
_KEYFRAME_ITEMS = 40  # maximum of incidents and of alerts in a keyframe
_TICK_ITEMS = 3  # maximum of incidents and of alerts in a tick, and of bins besides the two newest


class Composer:
    """Numbers the messages of a dashboard and remembers what has been sent.

    Args:
        experiments: One, or several to compare with the first.
        refresh: Seconds between two ticks, shown by the browser.
        note: A hint about the buttons for the user, "" for none.

    Attributes:
        states: The state of each experiment, updated at each tick.
        choices: What the users of the page have chosen.
        lock: Must be held while updating or composing.
    """

    def __init__(self, experiments: Sequence[Experiment], refresh: float, note: str = "") -> None:
        self.states = [PageState(experiment) for experiment in experiments]
        self.refresh, self.note = refresh, note
        control, *others = experiments
        self._comparisons = [RunningComparison(control, other, i) for i, other in enumerate(others, 1)]
        self.choices = Choices(self.states)
        self.number = 0
        self._measured: tuple[object, float] = ("", 0.0)  # choice of the metrics on the cards, and when computed
        self.lock = threading.RLock()
        self._with_metrics = False
        self._drawn: tuple[object, ...] = ()
        self._sent: dict[tuple[int, int], int] = {}  # (arm, id) of an incident: its event count when sent
        self._alerts_sent = [0] * len(self.states)
        empty: wire.ArmTables = {"errors": [], "slowest": [], "dearest": []}
        self._tables_sent: tuple[list[wire.ArmTables], float] = ([empty] * len(self.states), 0.0)

    def update(self, *, with_metrics: bool = False) -> None:
        """Read new events.

        Args:
            with_metrics: Recompute the metrics of the window; otherwise only after `CARD_INTERVAL`.
        """
        choices = self.choices
        measured, measured_at = self._measured
        stale = measured != choices.of_cards or time.monotonic() - measured_at >= CARD_INTERVAL
        self._with_metrics = with_metrics or stale
        for state in self.states:
            state.update(choices.window, with_metrics=self._with_metrics and choices.span is None)
        if choices.span is not None and measured != choices.of_cards:  # what has passed does not change
            for state, (start, stop) in zip(self.states, choices.span, strict=True):
                state.measure_span(start, stop)
        if self._with_metrics:
            self._measured = (choices.of_cards, time.monotonic())

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

    def keyframe(self) -> tuple[wire.Keyframe, list[bytes]]:
        """Build a message with everything a browser needs to draw, and its buffers."""
        choices = self.choices
        if not self._with_metrics or self._measured[0] != choices.of_cards:
            self.update(with_metrics=True)
        self.number += 1
        for state in self.states:
            state.update_all_bins()
        self._drawn = choices.drawn
        first = self.states[0]
        self._sent, self._alerts_sent = {}, [0] * len(self.states)
        incidents, alerts = self._new_incidents_and_alerts()
        self._mark_sent(incidents)
        for state, bins in zip(self.states, self._shown_bins(), strict=True):
            start = bins.oldest
            if state.start is not None and bins is not state.steps:
                start = min(start, state.start // bins.width)
            bins.dirty = max(bins.base, start, bins.newest - self._window_bins(bins) + 1)
        arms, buffers = self._arms()
        picked, groups = choices.columns_to_draw, choices.groups
        message: wire.Keyframe = {
            "kind": "key",
            "version": wire.VERSION,
            "n": self.number,
            "refresh": self.refresh,
            "window": choices.window,
            "span": None if choices.span is None else [[start / 1e6, stop / 1e6] for start, stop in choices.span],
            "axis": choices.axis,
            "has_steps": choices.has_steps,
            "by": choices.by,
            "groupings": choices.groupings,
            "groups": groups,
            "status": self._status(),
            "arms": arms,
            "titles": [_title(state) for state in self.states],
            "cards": (*wire.CARDS, *(f"last:{name}" for name in picked)),
            "series": series_names(picked, len(groups)),
            "columns": choices.columns,
            "picked": picked,
            "pauses": [[start / 1e6, end / 1e6] for start, end in first.pauses.tolist()],
            "incidents": incidents,
            "alerts": alerts[-_KEYFRAME_ITEMS:],
            "estimated": any(state.facts["sampling"] is not None for state in self.states),
            "note": self.note,
            "compare": self.compared,
        }
        return message, buffers

    def tick(self) -> tuple[wire.Keyframe | wire.Tick, list[bytes]]:
        """Build a message with the changes; a keyframe where they do not fit into a tick."""
        late = any(bins.newest - bins.dirty > 2 + _TICK_ITEMS for bins in self._shown_bins())
        before = list(self._alerts_sent)
        incidents, alerts = self._new_incidents_and_alerts()
        if late or self.choices.drawn != self._drawn or max(len(incidents), len(alerts)) > _TICK_ITEMS:
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

    def tables(self, *, always: bool = False) -> wire.Tables | None:
        """Build a message with the tables if they have changed since it was sent, at most once a second.

        Args:
            always: Whether a page needs them that has none.
        """
        sent, sent_at = self._tables_sent
        now = time.monotonic()
        if not always and now - sent_at < _TABLES_INTERVAL:
            return None
        choices = self.choices
        if choices.span is not None:
            arms = choices.tables_of_span
        else:
            arms = [state.tables.read(*self._edges(state)) for state in self.states]
        arms = fitting(arms)
        self._tables_sent = (arms, now)
        news = arms != sent or (always and any(any(one.values()) for one in arms))
        return {"kind": "tables", "arms": arms} if news else None

    def _edges(self, state: PageState) -> tuple[str, int, int]:
        """Return the buckets and the ends of the window for the tables of one arm."""
        window = wire.WINDOWS[self.choices.window]
        return window.bins, state.now - (window.seconds or 0) * 10**9, state.now

    @property
    def compared(self) -> list[wire.Difference]:
        """The newest lines of the running comparison."""
        return [line for one in self._comparisons for line in one.update(self._elapsed())]

    def _elapsed(self) -> float:
        return max(float(state.facts["wall_clock_duration"]) for state in self.states)

    def _window_bins(self, bins: Bins) -> int:
        """Return the number of bins in the chosen window, which may be fewer than are stored."""
        seconds = None if self.choices.axis == "step" else wire.WINDOWS[self.choices.window].seconds
        return bins.size if seconds is None else seconds * 10**9 // bins.width + 2

    def _shown_bins(self) -> list[Bins]:
        if self.choices.axis == "step":
            return [state.steps for state in self.states]
        return [state.bins[wire.WINDOWS[self.choices.window].bins] for state in self.states]

    def _status(self) -> list[str]:
        return [state.facts["status"] for state in self.states]

    def _arms(self) -> tuple[list[wire.Arm], list[bytes]]:
        arms: list[wire.Arm] = []
        buffers = []
        choices = self.choices
        picked, steps = choices.columns_to_draw, choices.axis == "step"
        key = wire.WINDOWS[choices.window].bins if choices.groups else ""
        for state, bins in zip(self.states, self._shown_bins(), strict=True):
            first = max(bins.dirty, bins.base)
            oldest = max(bins.base, bins.newest - self._window_bins(bins) + 1)
            arms.append({"first": first, "base": oldest, "width": float(bins.width) if steps else bins.width / 1e6})
            buffers.append(wire.buffer(state.cards(picked), state.series(bins, first, picked, key)))
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
    """Whether an alert is listed by itself: its incident is in the table of anomalies, but of a silence only later."""
    return alert.kind != "anomaly" or alert.action == "pause" or alert.metric == SILENCE


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
