"""Incidents: consecutive flags merged, so that one outage raises one alarm."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly.tellings import Tellings, severity_of

LIMIT = 10_000
"""Maximum number of retained incidents."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A run of flagged events, each at most `cooldown` events after the one before.

    Attributes:
        start, end: Times of the first and the last flagged event, UTC nanoseconds.
        count: Number of flagged events.
        peak: Largest score.
        metrics: Anomalous metrics, in order of appearance.
        reason: Sentence that explains the largest score.
        first_seq, last_seq: Sequence numbers of the first and the last flagged event.
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
        """Severity by the peak score, "low" from 1, "medium" from 1.5, "high" from 3, "critical" from 6.

        Examples:
            >>> Incident(0, 0, 1, 3.5, ("latency_ms",), "", 0, 0).severity
            'high'
        """
        return severity_of(self.peak)

    @classmethod
    def from_list(cls, values: Sequence[Any]) -> Incident:
        """Rebuild an incident from the list of its fields.

        Examples:
            >>> Incident.from_list([0, 0, 1, 3.5, ["latency_ms"], "", 0, 0]).metrics
            ('latency_ms',)
        """
        names = [field.name for field in fields(cls)]
        facts = dict(zip(names, values, strict=True))
        return cls(**{**facts, "metrics": tuple(facts["metrics"])})


class Incidents:
    """Merges flags into incidents and retains the newest 10,000.

    Args:
        cooldown: Number of events without a flag that end an incident.

    Attributes:
        flags: Number of flagged events.
        by_metric: Number of flagged events by metric.
        all: Retained incidents, oldest first.
    """

    def __init__(self, cooldown: int) -> None:
        self.flags = 0
        self.by_metric: dict[str, int] = {}
        self.all: deque[Incident] = deque(maxlen=LIMIT)
        self._tellings = Tellings(cooldown)

    def add(self, seq: int, time: int, score: float, metric: str, reason: Callable[[], str]) -> str:
        """Add a flagged event; return whether it is told. `reason` is called only if its text is needed.

        Returns:
            "begin" if it begins an incident, "worse" if it is clearly worse than what was told of it, else "".
        """
        self.flags += 1
        self.by_metric[metric] = self.by_metric.get(metric, 0) + 1
        told = self._tellings.add(seq, score)
        if told == "begin":
            self.all.append(Incident(time, time, 1, score, (metric,), reason(), seq, seq))
            return told
        last = self.all[-1]
        higher = score > last.peak
        metrics = last.metrics if metric in last.metrics else (*last.metrics, metric)
        self.all[-1] = replace(
            last, start=min(last.start, time), end=max(last.end, time), count=last.count + 1, last_seq=seq,
            metrics=metrics, peak=score if higher else last.peak, reason=reason() if higher else last.reason,
        )  # fmt: skip
        return told

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        by_metric = [[name, count] for name, count in self.by_metric.items()]
        incidents = [list(astuple(incident)) for incident in self.all]
        return {"flags": self.flags, "by_metric": by_metric, "all": incidents, **self._tellings.to_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        self.flags, self.by_metric = state["flags"], dict(state["by_metric"])
        self.all.clear()
        self.all.extend(map(Incident.from_list, state["all"]))
        newest = self.all[-1] if self.all else None  # states of release 0.1 do not say what was told
        peak, last = (0.0, None) if newest is None else (newest.peak, newest.last_seq)
        self._tellings.load(
            {"told": peak, "last": last, **{key: state[key] for key in ("told", "last") if key in state}}
        )


def incident_frame(incidents: Iterable[Incident]) -> pd.DataFrame:
    """Return a table with one row per incident: its fields (times in UTC) and its severity."""
    rows = list(incidents)
    columns: dict[str, Any] = {
        "start": _times([incident.start for incident in rows]),
        "end": _times([incident.end for incident in rows]),
        "count": np.array([incident.count for incident in rows], np.int64),
        "peak": np.array([incident.peak for incident in rows], np.float64),
        "severity": pd.array([incident.severity for incident in rows], dtype="str"),
        "metrics": pd.array([", ".join(incident.metrics) for incident in rows], dtype="str"),
        "reason": pd.array([incident.reason for incident in rows], dtype="str"),
        "first_seq": np.array([incident.first_seq for incident in rows], np.int64),
        "last_seq": np.array([incident.last_seq for incident in rows], np.int64),
    }
    return pd.DataFrame(columns)


def incident_summary(writers: Sequence[Incidents], events: int) -> dict[str, Any]:
    """Summarise all writers: total_anomalies, anomaly_rate (of all events), anomalies_by_type, anomaly_periods."""
    flags = sum(writer.flags for writer in writers)
    periods = [
        {
            "start": pd.Timestamp(incident.start, unit="ns", tz="UTC"),
            "end": pd.Timestamp(incident.end, unit="ns", tz="UTC"),
            "count": incident.count,
            "severity": incident.severity,
        }
        for incident in sorted((each for writer in writers for each in writer.all), key=lambda each: each.start)
    ]
    return {
        "total_anomalies": flags,
        "anomaly_rate": flags / events if events else float("nan"),
        "anomalies_by_type": dict(sum((Counter(writer.by_metric) for writer in writers), Counter())),
        "anomaly_periods": periods,
    }


def _times(nanoseconds: list[int]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.array(nanoseconds, np.int64).view("M8[ns]"), tz="UTC")
