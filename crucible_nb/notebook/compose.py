"""From readers to messages: what a tick says, what a keyframe says."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from crucible_nb.alerts import Alert
from crucible_nb.anomaly import Incident
from crucible_nb.experiment import Experiment
from crucible_nb.notebook import wire
from crucible_nb.notebook.bins import Bins
from crucible_nb.notebook.reader import Reader, series_of

_LISTED = 40  # incidents and alerts of a keyframe
_AT_ONCE = 3  # incidents and alerts of a tick, bins of a tick beside the two newest
_PICKED = 2  # columns drawn before anybody picks
_COUNTERS = ("step", "epoch", "batch")  # numbers that only say how far it is


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
        self.window = "5min"
        self.picked: list[str] | None = None
        self.n = 0
        self.lock = threading.RLock()
        self._drawn: list[str] = []
        self._told: dict[int, wire.Incident] = {}
        self._alerts = 0

    def look(self) -> None:
        """Take in what is new."""
        for reader in self.readers:
            reader.look()

    @property
    def behind(self) -> bool:
        """Whether old rows are still to be taken in."""
        return any(reader.behind for reader in self.readers)

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more."""
        return all(reader.facts["status"] not in ("running", "paused") for reader in self.readers)

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for reader in self.readers for name in reader.columns))

    def _choose(self) -> list[str]:
        there = self._columns()
        if self.picked is None:
            return [name for name in there if not name.endswith("_tokens") and name not in _COUNTERS][:_PICKED]
        return [name for name in self.picked if name in there]

    def key(self) -> tuple[wire.Key, list[bytes]]:
        """All a browser has to know to draw."""
        self.n += 1
        self._drawn = self._choose()
        first = self.readers[0]
        incidents, alerts = first.experiment._noticed()
        listed = [_incident(i + 1, one) for i, one in enumerate(incidents)][-_LISTED:]
        self._told = {one["id"]: one for one in listed}
        self._alerts = len(alerts)
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
            "titles": [_title(reader.experiment) for reader in self.readers],
            "cards": wire.CARDS,
            "series": series_of(self._drawn),
            "columns": self._columns(),
            "picked": self._drawn,
            "pauses": [[start / 1e6, end / 1e6] for start, end in first.pauses.tolist()],
            "incidents": listed,
            "alerts": [_alert(one) for one in alerts if _own(one)][-_LISTED:],
            "estimated": any(reader.facts["sampling"] is not None for reader in self.readers),
            "note": self.note,
            "compare": [],
        }
        return message, buffers

    def tick(self) -> tuple[wire.Key | wire.Tick, list[bytes]]:
        """What changed; a keyframe where that is more than a tick can say."""
        late = any(bins.newest - bins.dirty > 2 + _AT_ONCE for bins in self._shown())
        incidents, alerts = self.readers[0].experiment._noticed()
        fresh = self._fresh(incidents)
        new = [_alert(one) for one in list(alerts)[self._alerts :] if _own(one)]
        if late or self._choose() != self._drawn or len(fresh) > _AT_ONCE or len(new) > _AT_ONCE:
            return self.key()
        self.n += 1
        arms, buffers = self._arms()
        message: wire.Tick = {"kind": "tick", "n": self.n, "status": self._status(), "arms": arms}
        if fresh:
            message["incidents"] = fresh
            self._told |= {one["id"]: one for one in fresh}
        if new:
            message["alerts"] = new
        self._alerts = len(alerts)
        return message, buffers

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
            cards = reader.cards(self.window)
            buffers.append(wire.buffer(cards, reader.series(bins, first, self._drawn)))
            bins.dirty = bins.newest
        return arms, buffers

    def _fresh(self, incidents: Sequence[Incident]) -> list[wire.Incident]:
        """Incidents that began or grew since they were told; only the newest can have."""
        found = []
        for number in range(max(len(incidents) - _LISTED, 0), len(incidents)):
            told = self._told.get(number + 1)
            if told is None or told["count"] != incidents[number].count:
                found.append(_incident(number + 1, incidents[number]))
        return found


def _incident(number: int, one: Incident) -> wire.Incident:
    return {
        "id": number,
        "start": one.start / 1e6,
        "end": one.end / 1e6,
        "count": one.count,
        "severity": one.severity,
        "metrics": list(one.metrics),
        "reason": one.reason,
    }


def _alert(one: Alert) -> wire.Alert:
    time = one.time.value / 1e6
    return {"time": time, "kind": one.kind, "severity": one.severity, "reason": one.reason, "action": one.action}


def _own(one: Alert) -> bool:
    """Whether an alert says more than the incident it is about."""
    return one.kind != "anomaly" or one.action == "pause"


def _title(experiment: Experiment) -> wire.Title:
    return {
        "name": experiment.name,
        "condition": experiment.condition,
        "hypothesis": experiment.hypothesis,
        "sample_size": experiment.sample_size,
        "detectors": experiment._judged,
    }
