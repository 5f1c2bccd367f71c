"""From readers to messages: what a tick says, what a keyframe says."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from crucible_nb.anomaly import Incident
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook import wire
from crucible_nb.notebook.anytime import Running
from crucible_nb.notebook.bins import Bins
from crucible_nb.notebook.page_state import Reader, series_of
from crucible_nb.pipeline.alerts import Alert

CALM = 0.9
"""Seconds that the metrics on the cards stand still at least: nobody reads faster; counts, clocks and charts go on."""
_LISTED = 40  # incidents and alerts of a keyframe
_AT_ONCE = 3  # incidents and alerts of a tick, bins of a tick beside the two newest


class Composer:
    """Numbers the messages and remembers what was said already.

    Args:
        experiments: One, or two to compare.
        refresh: Seconds between two ticks, to tell the browser.
        note: What a person should know about the buttons here, "" if nothing.

    Attributes:
        window: Of `wire.WINDOWS`.
        picked: Columns to draw; None until somebody picks: the first ones.
        lock: Held by whoever looks or composes.
    """

    def __init__(self, experiments: Sequence[Experiment], refresh: float, note: str = "") -> None:
        self.readers = [Reader(experiment) for experiment in experiments]
        self.refresh, self.note = refresh, note
        self._running = Running(*experiments) if len(experiments) > 1 else None
        self.window = "5min"
        self.picked: list[str] | None = None
        self.n = 0
        self._read = ("", 0.0)  # which window the numbers of the cards are of, and since when
        self.lock = threading.RLock()
        self._anew = False
        self._drawn: list[str] = []
        self._told: dict[tuple[int, int], int] = {}  # arm and id of an incident: its events when it was told
        self._alerts = [0] * len(self.readers)

    def look(self, *, anew: bool = False) -> None:
        """Take in what is new; the numbers of the cards only when they are wanted or have stood for long enough."""
        window, read_at = self._read
        self._anew = anew or window != self.window or time.monotonic() - read_at >= CALM
        for reader in self.readers:
            reader.look(self.window, anew=self._anew)
        if self._anew:
            self._read = (self.window, time.monotonic())

    @property
    def behind(self) -> bool:
        """Whether old rows are still to be taken in."""
        return any(reader.behind for reader in self.readers)

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more, unless somebody goes on with one that is dead."""
        return all(reader.facts["status"] not in ("running", "paused") for reader in self.readers)

    @property
    def dead(self) -> bool:
        """Whether a process is gone that another may take the place of."""
        return any(reader.facts["status"] == "dead" for reader in self.readers)

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for reader in self.readers for name in reader.columns))

    def _choose(self) -> list[str]:
        there = self._columns()
        if self.picked is None:
            return list(dict.fromkeys(name for reader in self.readers for name in reader.telling))
        return [name for name in self.picked if name in there]

    def key(self) -> tuple[wire.Key, list[bytes]]:
        """All a browser has to know to draw."""
        if not self._anew or self._read[0] != self.window:
            self.look(anew=True)
        self.n += 1
        for reader in self.readers:
            reader.settle()
        self._drawn = self._choose()
        first = self.readers[0]
        self._told, self._alerts = {}, [0] * len(self.readers)
        incidents, alerts = self._news()
        self._tell(incidents)
        for reader, bins in zip(self.readers, self._shown(), strict=True):
            began = bins.oldest if reader.start is None else min(bins.oldest, reader.start // bins.width)
            bins.dirty = max(bins.base, began, bins.newest - self._most(bins) + 1)
        arms, buffers = self._arms()
        message: wire.Key = {
            "kind": "key",
            "version": wire.VERSION,
            "n": self.n,
            "refresh": self.refresh,
            "window": self.window,
            "status": self._status(),
            "arms": arms,
            "titles": [_title(reader) for reader in self.readers],
            "cards": wire.CARDS,
            "series": series_of(self._drawn),
            "columns": self._columns(),
            "picked": self._drawn,
            "pauses": [[start / 1e6, end / 1e6] for start, end in first.pauses.tolist()],
            "incidents": incidents,
            "alerts": alerts[-_LISTED:],
            "estimated": any(reader.facts["sampling"] is not None for reader in self.readers),
            "note": self.note,
            "compare": [] if self._running is None else self._running.look(self._elapsed()),
        }
        return message, buffers

    def tick(self) -> tuple[wire.Key | wire.Tick, list[bytes]]:
        """What changed; a keyframe where that is more than a tick can say."""
        late = any(bins.newest - bins.dirty > 2 + _AT_ONCE for bins in self._shown())
        before = list(self._alerts)
        incidents, alerts = self._news()
        if late or self._choose() != self._drawn or max(len(incidents), len(alerts)) > _AT_ONCE:
            self._alerts = before
            return self.key()
        self.n += 1
        arms, buffers = self._arms()
        message: wire.Tick = {"kind": "tick", "n": self.n, "status": self._status(), "arms": arms}
        if incidents:
            message["incidents"] = incidents
            self._tell(incidents)
        if alerts:
            message["alerts"] = alerts
        return message, buffers

    def _elapsed(self) -> float:
        return max(float(reader.facts["wall_clock_duration"]) for reader in self.readers)

    def _most(self, bins: Bins) -> int:
        """Bins of the chosen window, which may be less than are held."""
        seconds = wire.WINDOWS[self.window].seconds
        return bins.size if seconds is None else seconds * 10**9 // bins.width + 2

    def _shown(self) -> list[Bins]:
        return [reader.bins[wire.WINDOWS[self.window].bins] for reader in self.readers]

    def _status(self) -> list[str]:
        return [reader.facts["status"] for reader in self.readers]

    def _arms(self) -> tuple[list[wire.Arm], list[bytes]]:
        arms: list[wire.Arm] = []
        buffers = []
        for reader, bins in zip(self.readers, self._shown(), strict=True):
            first = max(bins.dirty, bins.base)
            oldest = max(bins.base, bins.newest - self._most(bins) + 1)
            arms.append({"first": first, "base": oldest, "width": bins.width / 1e6})
            buffers.append(wire.buffer(reader.cards(), reader.series(bins, first, self._drawn)))
            bins.dirty = bins.newest
        return arms, buffers

    def _news(self) -> tuple[list[wire.Incident], list[wire.Alert]]:
        """Incidents that began or grew since they were told, and alerts since the last time."""
        fresh: list[wire.Incident] = []
        new: list[wire.Alert] = []
        for arm, reader in enumerate(self.readers):
            numbered, alerts = reader.incidents[-_LISTED:], reader.glance.alerts
            fresh += [_incident(arm, i, one) for i, one in numbered if self._told.get((arm, i)) != one.count]
            new += [_alert(arm, one) for one in alerts[self._alerts[arm] :] if _own(one)]
            self._alerts[arm] = len(alerts)
        return fresh, new

    def _tell(self, incidents: Sequence[wire.Incident]) -> None:
        self._told |= {(one["arm"], one["id"]): one["count"] for one in incidents}


def _incident(arm: int, number: int, one: Incident) -> wire.Incident:
    return {
        "arm": arm,
        "id": number,
        "start": one.start / 1e6,
        "end": one.end / 1e6,
        "count": one.count,
        "severity": one.severity,
        "metrics": list(one.metrics),
        "reason": one.reason,
    }


def _alert(arm: int, one: Alert) -> wire.Alert:
    return {
        "arm": arm,
        "time": one.time.value / 1e6,
        "kind": one.kind,
        "severity": one.severity,
        "reason": one.reason,
        "action": one.action,
    }


def _own(one: Alert) -> bool:
    """Whether an alert says more than the incident it is about."""
    return one.kind != "anomaly" or one.action == "pause"


def _title(reader: Reader) -> wire.Title:
    experiment, snapshot = reader.experiment, reader.glance
    return {
        "name": experiment.name,
        "condition": experiment.condition,
        "hypothesis": experiment.hypothesis,
        "sample_size": experiment.sample_size,
        "detectors": snapshot.detects,
        "read": snapshot.read_only,
    }
