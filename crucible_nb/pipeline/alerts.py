"""Alerts: what was noticed, who is told, and how often."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from crucible_nb.utils.problems import Problems

_MINUTE = 60 * 10**9
_HISTORY = 10_000


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that was noticed.

    Attributes:
        time: When, UTC.
        kind: "anomaly", "rule" or "budget".
        metric: What was out of line.
        value: Its value.
        severity: "low", "medium", "high" or "critical".
        reason: A sentence for people.
        action: What was done about it.
        told: Whether callbacks were called; False where there were none, and beyond the rate limit.
    """

    time: pd.Timestamp
    kind: str
    metric: str
    value: float
    severity: str
    reason: str
    action: str
    told: bool = True


class Alerts:
    """Takes alerts in, calls back, remembers.

    Alerts are taken in anywhere and delivered by `deliver`, outside of every lock, so that a callback may call
    any method of the experiment. An exception in a callback is counted, never raised; nor does a callback that wants
    to leave (SystemExit) end the thread it happens to run in. Ctrl-C (KeyboardInterrupt) does what it always does.

    Args:
        notes: Where trouble is counted.
        per_minute: Alerts a minute, by their own times, that callbacks are called for; the others are remembered.
    """

    def __init__(self, problems: Problems, per_minute: int = 60) -> None:
        self.problems, self.per_minute = problems, per_minute
        self.history: deque[Alert] = deque(maxlen=_HISTORY)
        self.callbacks: list[Callable[[Alert], Any]] = []
        self._waiting: deque[Alert] = deque()
        self._recent: deque[int] = deque()
        self._new: deque[Alert] = deque(maxlen=_HISTORY)

    def take(self, alert: Alert) -> None:
        """Remember an alert, and put it in line for the callbacks, if there are any that were not called too often."""
        if not self.callbacks:
            self._keep(_untold(alert))
            return
        now = alert.time.value
        while self._recent and self._recent[0] <= now - _MINUTE:
            self._recent.popleft()
        if len(self._recent) >= self.per_minute:
            self._keep(_untold(alert))
            return
        self._recent.append(now)
        self._keep(alert)
        self._waiting.append(alert)

    def _keep(self, alert: Alert) -> None:
        self.history.append(alert)
        self._new.append(alert)

    def to_dict(self) -> list[list[Any]]:
        """The history as plain data."""
        return [said(alert) for alert in self.history]

    def unwritten(self) -> list[list[Any]]:
        """Alerts since the last time, as plain data."""
        new = [said(alert) for alert in self._new]
        self._new.clear()
        return new

    def remember(self, cells: list[Any]) -> None:
        """An alert of an earlier process; nobody is called for it."""
        time, kind, metric, value, severity, reason, action, told = cells
        severity, reason, action = map(str, (severity, reason, action))
        when = pd.Timestamp(time, unit="ns", tz="UTC")
        self.history.append(Alert(when, str(kind), str(metric), float(value), severity, reason, action, bool(told)))

    def deliver(self) -> None:
        """Call back for what waits; several threads may do so at once, and each alert is told by one of them."""
        while True:
            try:
                alert = self._waiting.popleft()
            except IndexError:  # asking first whether there is one would leave room for another thread to take it
                return
            for callback in tuple(self.callbacks):
                try:
                    callback(alert)
                except (Exception, SystemExit) as error:  # noqa: BLE001  telemetry never breaks the code it measures
                    self.problems.report("errors", f"a callback failed: {type(error).__name__}: {error}")

    def frame(self) -> pd.DataFrame:
        """The history, one row an alert."""
        rows = [asdict(alert) for alert in self.history]
        index = pd.DatetimeIndex([row.pop("time") for row in rows], name="time").as_unit("ns")
        index = index.tz_localize("UTC") if index.tz is None else index
        frame = pd.DataFrame(rows, index=index, columns=list(Alert.__slots__)[1:])
        texts = dict.fromkeys(("kind", "metric", "severity", "reason", "action"), "str")
        return frame.astype({**texts, "value": "float64", "told": "bool"})


def said(alert: Alert) -> list[Any]:
    """An alert as plain data."""
    return [alert.time.value, *list(asdict(alert).values())[1:]]


def _untold(alert: Alert) -> Alert:
    return Alert(**{**asdict(alert), "told": False})
