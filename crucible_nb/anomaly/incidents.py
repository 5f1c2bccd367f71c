"""Incidents: flags that belong together, so that one outage is one alarm."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly.recursions import BELOW

LIMIT = 10_000
SEVERITIES = {"low": 1.0, "medium": 1.5, "high": 3.0, "critical": 6.0}
"""The smallest peak score of each severity; 1.0 is the threshold."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Flagged events with fewer than `cooldown` others between them.

    Attributes:
        start, end: Times of the first and the last flagged event, UTC nanoseconds.
        count: Flagged events.
        peak: Largest score.
        metrics: What was out of line, in order of appearance.
        reason: The sentence of the largest score.
        first_seq, last_seq: Numbers of the first and the last flagged event.
    """

    start: int
    end: int
    count: int
    peak: float
    metrics: tuple[str, ...]
    reason: str
    first_seq: int
    last_seq: int

    @property
    def severity(self) -> str:
        """Low from the threshold on, medium from 1.5 times it, high from 3, critical from 6.

        Examples:
            >>> Incident(0, 0, 1, 3.5, ("latency_ms",), "", 0, 0).severity
            'high'
        """
        return [name for name, least in SEVERITIES.items() if self.peak >= least][-1] if self.peak >= 1 else "low"


class Incidents:
    """Merges flags into incidents; the newest 10,000 are remembered.

    Args:
        cooldown: Events without a flag that end an incident.
    """

    def __init__(self, cooldown: int) -> None:
        self.cooldown = cooldown
        self.flags = 0
        self.by_metric: dict[str, int] = {}
        self.all: deque[Incident] = deque(maxlen=LIMIT)

    def add(self, seq: int, time: int, score: float, metric: str, reason: Callable[[], str]) -> bool:
        """Take a flagged event in; returns whether it begins an incident. The reason is asked for when it is needed."""
        self.flags += 1
        self.by_metric[metric] = self.by_metric.get(metric, 0) + 1
        last = self.all[-1] if self.all else None
        if last is None or seq - last.last_seq > self.cooldown:
            self.all.append(Incident(time, time, 1, score, (metric,), reason(), seq, seq))
            return True
        higher = score > last.peak
        metrics = last.metrics if metric in last.metrics else (*last.metrics, metric)
        self.all[-1] = replace(
            last, start=min(last.start, time), end=max(last.end, time), count=last.count + 1, last_seq=seq,
            metrics=metrics, peak=score if higher else last.peak, reason=reason() if higher else last.reason,
        )  # fmt: skip
        return False

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        by_metric = [[name, count] for name, count in self.by_metric.items()]
        return {"flags": self.flags, "by_metric": by_metric, "all": [list(astuple(one)) for one in self.all]}

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self.flags, self.by_metric = state["flags"], dict(state["by_metric"])
        self.all.clear()
        for start, end, count, peak, metrics, *rest in state["all"]:
            self.all.append(Incident(start, end, count, peak, tuple(metrics), *rest))


def incident_frame(incidents: Iterable[Incident]) -> pd.DataFrame:
    """One row an incident: start, end (UTC), count, peak (1.0 is the threshold), severity, metrics, reason."""
    rows = list(incidents)
    columns: dict[str, Any] = {
        "start": _times([one.start for one in rows]),
        "end": _times([one.end for one in rows]),
        "count": np.array([one.count for one in rows], np.int64),
        "peak": np.array([one.peak for one in rows], np.float64),
        "severity": pd.array([one.severity for one in rows], dtype="str"),
        "metrics": pd.array([", ".join(one.metrics) for one in rows], dtype="str"),
        "reason": pd.array([one.reason for one in rows], dtype="str"),
        "first_seq": np.array([one.first_seq for one in rows], np.int64),
        "last_seq": np.array([one.last_seq for one in rows], np.int64),
    }
    return pd.DataFrame(columns)


def incident_summary(writers: Sequence[Incidents], events: int) -> dict[str, Any]:
    """total_anomalies, anomaly_rate (of all events), anomalies_by_type, anomaly_periods; of all writers."""
    flags = sum(one.flags for one in writers)
    periods = [
        {
            "start": pd.Timestamp(one.start, unit="ns", tz="UTC"),
            "end": pd.Timestamp(one.end, unit="ns", tz="UTC"),
            "count": one.count,
            "severity": one.severity,
        }
        for one in sorted((one for found in writers for one in found.all), key=lambda one: one.start)
    ]
    return {
        "total_anomalies": flags,
        "anomaly_rate": flags / events if events else float("nan"),
        "anomalies_by_type": dict(sum((Counter(one.by_metric) for one in writers), Counter())),
        "anomaly_periods": periods,
    }


def _times(nanoseconds: list[int]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.array(nanoseconds, np.int64).view("M8[ns]"), tz="UTC")


def capped(score: np.ndarray, cooldown: int) -> np.ndarray:
    """Scores of which only the first of an incident is 1.0 or more; the others are just below.

    Examples:
        >>> capped(np.array([0.5, 2.0, 3.0, 0.1, 0.1, 1.5]), cooldown=1).round(3).tolist()
        [0.5, 2.0, 1.0, 0.1, 0.1, 1.5]
    """
    alarms = np.flatnonzero(score >= 1)
    again = alarms[1:][np.diff(alarms) <= cooldown]
    result = score.copy()
    result[again] = BELOW
    return result
