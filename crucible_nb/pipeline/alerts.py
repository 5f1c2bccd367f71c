"""Alerts: their history, and callbacks with a rate limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.utils.interrupts import let_pass
from crucible_nb.utils.problems import Problems

_MINUTE = 60 * 10**9
_TEXT = pd.StringDtype(na_value=np.nan)
_DTYPES: dict[str, Any] = {"value": "float64", "told": "bool"}  # of columns that are no text
HISTORY = 10_000
"""Number of alerts that are kept."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert raised by a detector, a rule or a budget.

    Attributes:
        time: Time of the alert, UTC.
        kind: "anomaly", "rule" or "budget".
        metric: Name of the metric.
        value: Value of the metric.
        severity: "low", "medium", "high" or "critical".
        reason: Sentence that explains the alert.
        action: Action taken, such as "alert", "pause" or "stop".
        told: Whether callbacks were called; False without callbacks, and above the rate limit.
        group: Group of the events, of a rule with `by`; None for all events.
    """

    time: pd.Timestamp
    kind: str
    metric: str
    value: float
    severity: str
    reason: str
    action: str
    told: bool = True
    group: str | None = None


class Alerts:
    """The history of alerts, and the queue of those for which callbacks are still to be called.

    Alerts are queued under the lock of the experiment and delivered by `deliver` outside of every lock, so that a
    callback may call any method of the experiment. An exception in a callback is counted, never raised; a callback that
    raises SystemExit does not end the thread it runs in. Ctrl-C (KeyboardInterrupt) passes through.

    Args:
        problems: Counts failing callbacks.
        per_minute: Maximum number of alerts per minute, by their own times, for which callbacks are called.

    Attributes:
        history: The newest 10,000 alerts.
        callbacks: Functions to call with each new alert.
    """

    def __init__(self, problems: Problems, per_minute: int = 60) -> None:
        self.problems, self.per_minute = problems, per_minute
        self.history: deque[Alert] = deque(maxlen=HISTORY)
        self.callbacks: list[Callable[[Alert], Any]] = []
        self._waiting: deque[Alert] = deque()
        self._recent: deque[int] = deque()

    def queue(self, alert: Alert) -> Alert:
        """Queue an alert for the callbacks, within the rate limit; return it with `told` set."""
        now = alert.time.value
        while self._recent and self._recent[0] <= now - _MINUTE:
            self._recent.popleft()
        if not self.callbacks or len(self._recent) >= self.per_minute:
            return replace(alert, told=False)
        self._recent.append(now)
        self._waiting.append(alert)
        return alert

    def remember(self, alert: Alert) -> None:
        """Add an alert to the history."""
        self.history.append(alert)

    def to_dict(self) -> list[list[Any]]:
        """Return the history as plain data."""
        return [alert_cells(alert) for alert in self.history]

    def load(self, cells: list[list[Any]]) -> None:
        """Load the history; no callback is called."""
        self.history.extend(map(alert_of, cells))

    def deliver(self) -> None:
        """Call the callbacks for all queued alerts; if several threads do so at once, each alert is delivered once."""
        while True:
            try:
                alert = self._waiting.popleft()
            except IndexError:  # testing first would allow another thread to take the alert in between
                return
            for callback in tuple(self.callbacks):
                try:
                    callback(alert)
                except (Exception, SystemExit) as error:  # noqa: BLE001  telemetry never breaks the code it measures
                    let_pass(error)
                    self.problems.report("errors", f"a callback failed: {type(error).__name__}: {error}")

    def frame(self) -> pd.DataFrame:
        """Return the history as a table with one row per alert."""
        history = tuple(self.history)
        time = np.array([alert.time.value for alert in history], "datetime64[ns]")
        # column by column: a table of dictionaries whose types are then changed takes 30 times as long
        columns = {
            name: pd.array([getattr(alert, name) for alert in history], dtype=_DTYPES.get(name, _TEXT))
            for name in Alert.__slots__[1:]
        }
        return pd.DataFrame(columns, index=pd.DatetimeIndex(time, tz="UTC", name="time"))


def alert_cells(alert: Alert) -> list[Any]:
    """Return an alert as plain data; release 0.1 reads those without a group."""
    *cells, group = asdict(alert).values()
    return [alert.time.value, *cells[1:]] if group is None else [alert.time.value, *cells[1:], group]


def alert_of(cells: list[Any]) -> Alert:
    """Rebuild an alert from `alert_cells`."""
    time, kind, metric, value, severity, reason, action, told, *group = cells
    return Alert(
        time=pd.Timestamp(time, unit="ns", tz="UTC"),
        kind=str(kind),
        metric=str(metric),
        value=float(value),
        severity=str(severity),
        reason=str(reason),
        action=str(action),
        told=bool(told),
        group=str(group[0]) if group else None,
    )
