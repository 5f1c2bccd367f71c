"""The data of an experiment as a figure needs it: rows, anomalies, pauses and counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.events.where import Where, select
from crucible_nb.experiment.experiment import Experiment, snapshot_of
from crucible_nb.notebook.figures.words import escape, number, plural, wrap
from crucible_nb.utils import checks


@dataclass(frozen=True)
class FigureData:
    """The data of an experiment at one moment.

    Attributes:
        name: Name of the experiment, not escaped.
        frame: Kept rows, in order of time.
        incidents: Result of `exp.anomalies()`.
        total_events: Number of events recorded, kept or not.
        pauses: Paused spans, UTC.
        has_detector: Whether a detector was on.
        start, end: Start and end of the experiment (or now), UTC nanoseconds.
        where: Condition by which the rows were selected.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("a < b") as exp:
        ...     _ = exp.record("llm.request", latency_ms=1.0)
        >>> data = FigureData.of(exp)
        >>> data.name, data.counts_text(1)
        ('a < b', '1 event')
    """

    name: str
    frame: pd.DataFrame
    incidents: pd.DataFrame
    total_events: int
    pauses: pd.IntervalIndex
    has_detector: bool
    start: int
    end: int
    where: Where = None

    @classmethod
    def of(cls, experiment: Experiment, where: Where = None) -> FigureData:
        """Read the data of an experiment: the rows for which a condition is true, and the incidents in them."""
        frame, facts = select(experiment.frame(), where), experiment.summary()
        start = 0 if facts["started_at"] is None else int(facts["started_at"].value)
        return cls(
            name=experiment.name,
            frame=frame,
            incidents=_incidents_in(frame, experiment.anomalies()) if where is not None else experiment.anomalies(),
            total_events=facts["total_events"],
            pauses=experiment.paused_spans,
            has_detector=snapshot_of(experiment, {}, 0, measured=False).detects,
            start=start,
            end=start + round(1e9 * facts["wall_clock_duration"]),
            where=where,
        )

    @property
    def times(self) -> np.ndarray:
        """Times of the rows, int64[n], UTC nanoseconds."""
        times: np.ndarray = self.frame.index.asi8  # type: ignore[attr-defined]
        return times

    @property
    def flagged(self) -> np.ndarray:
        """Whether a detector flagged each row, bool[n]."""
        return self.frame["anomaly"].to_numpy(np.bool_)

    def values(self, column: str) -> np.ndarray:
        """Return a column as float64[n], NaN where it is missing.

        Raises:
            SchemaError: No such column, or it is not numeric.
        """
        (column,) = checks.columns("column", column, self.frame.columns)
        if self.frame[column].dtype.kind not in "iufb":
            raise SchemaError(f"{column}: expected a column of numbers, got dtype {self.frame[column].dtype}")
        return self.frame[column].to_numpy(np.float64, na_value=np.nan)

    def incident_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the position of the incident of each flagged row, int64; -1 if it is no longer stored."""
        first, last = (self.incidents[name].to_numpy(np.int64) for name in ("first_seq", "last_seq"))
        seq = self.frame["seq"].to_numpy(np.int64)[rows]
        if not len(first):
            return np.full(len(rows), -1)
        at = np.searchsorted(first, seq, side="right") - 1
        return np.where((at >= 0) & (seq <= last[np.maximum(at, 0)]), at, -1)

    def reasons(self, rows: np.ndarray) -> list[str]:
        """Return the hover text of flagged rows: score, metric and the reason of the incident."""
        columns = self.frame[["anomaly_metric", "anomaly_score"]].iloc[rows].itertuples(index=False)
        texts = self.incidents["reason"].tolist()
        reasons = ["" if at < 0 else f"<br>anomaly {at + 1}: {wrap(texts[at], 60)}" for at in self.incident_of(rows)]
        flagged = zip(columns, reasons, strict=True)
        return [f"score {number(score)} of {escape(metric)}{reason}" for (metric, score), reason in flagged]

    def active_seconds(self, table: pd.DataFrame) -> np.ndarray:
        """Return the active seconds of each window; NaN where they are less than 30 % of the window."""
        starts = pd.DatetimeIndex(table.index).as_unit("ns").asi8
        stops = pd.DatetimeIndex(table["window_end"]).as_unit("ns").asi8
        first = min(self.start, int(self.times[0])) if len(self.frame) else self.start
        left, right = np.maximum(starts, first), np.minimum(stops, self.end + 1)
        active = right - left
        for span in self.pauses:
            inside = np.minimum(right, span.right.value) - np.maximum(left, span.left.value)
            active = active - np.clip(inside, 0, None)
        return np.where(active > 0.3 * (stops - starts), active, np.nan) / 1e9

    def counts_text(self, drawn: int | None = None) -> str:
        """Format the number of events, of kept rows, of drawn points and of anomalies.

        Args:
            drawn: Number of points drawn; None if all are drawn.
        """
        parts = [plural(self.total_events, "event")]
        if len(self.frame) != self.total_events:
            parts.append(f"{len(self.frame):,} {'kept' if self.where is None else f'where {_where_text(self.where)}'}")
        if drawn is not None and drawn != len(self.frame):
            parts.append(f"{drawn:,} drawn")
        if self.has_detector:
            count = len(self.incidents)
            parts.append(plural(count, "anomaly", "anomalies") if count else "no anomaly")
        return ", ".join(parts)


def _incidents_in(frame: pd.DataFrame, incidents: pd.DataFrame) -> pd.DataFrame:
    """The incidents of which at least one event is among the rows."""
    seq = np.sort(frame["seq"].to_numpy(np.int64))
    first, last = (incidents[name].to_numpy(np.int64) for name in ("first_seq", "last_seq"))
    return incidents[np.searchsorted(seq, first) < np.searchsorted(seq, last, side="right")]


def _where_text(where: Where) -> str:
    return escape(where, 60) if isinstance(where, str) else "a condition holds"
