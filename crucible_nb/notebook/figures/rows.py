"""What an experiment gives to a figure: its rows, what was out of line, when it was paused, how much is not there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.experiment.experiment import Experiment, snapshot_of
from crucible_nb.notebook.figures.words import number, plural, safe, wrapped
from crucible_nb.utils import checks


@dataclass(frozen=True)
class Rows:
    """A look at an experiment.

    Attributes:
        name: As given; to be made harmless where it is shown.
        frame: Its kept rows, in order of time.
        incidents: As `exp.anomalies()`.
        seen: Events recorded, kept or not.
        pauses: Paused spans, UTC.
        watched: Whether a detector was on.
        began, ended: When the experiment began and when it ended (or now), UTC nanoseconds.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("a < b") as exp:
        ...     _ = exp.record("llm.request", latency_ms=1.0)
        >>> rows = Rows.of(exp)
        >>> rows.name, rows.said(1)
        ('a < b', '1 event')
    """

    name: str
    frame: pd.DataFrame
    incidents: pd.DataFrame
    seen: int
    pauses: pd.IntervalIndex
    watched: bool
    began: int
    ended: int

    @classmethod
    def of(cls, experiment: Experiment) -> Rows:
        """Look now."""
        frame, facts = experiment.frame(), experiment.summary()
        detects = snapshot_of(experiment, {}, 0, measured=False).detects
        began = 0 if facts["started_at"] is None else int(facts["started_at"].value)
        return cls(
            experiment.name, frame, experiment.anomalies(), facts["total_events"], experiment.paused_spans,
            detects, began, began + round(1e9 * facts["wall_clock_duration"]),
        )  # fmt: skip

    @property
    def times(self) -> np.ndarray:
        """int64[n], UTC nanoseconds."""
        times: np.ndarray = self.frame.index.asi8  # type: ignore[attr-defined]
        return times

    @property
    def flagged(self) -> np.ndarray:
        """bool[n], rows that a detector flagged."""
        return self.frame["anomaly"].to_numpy(np.bool_)

    def values(self, column: str) -> np.ndarray:
        """float64[n] of a column, NaN where it is missing.

        Raises:
            SchemaError: No such column, or it holds no numbers.
        """
        (column,) = checks.columns("column", column, self.frame.columns)
        if self.frame[column].dtype.kind not in "iufb":
            raise SchemaError(f"{column}: expected a column of numbers, got dtype {self.frame[column].dtype}")
        return self.frame[column].to_numpy(np.float64, na_value=np.nan)

    def incident_of(self, rows: np.ndarray) -> np.ndarray:
        """int64: position of the incident of each flagged row, -1 where it is forgotten."""
        first, last = (self.incidents[name].to_numpy(np.int64) for name in ("first_seq", "last_seq"))
        seq = self.frame["seq"].to_numpy(np.int64)[rows]
        if not len(first):
            return np.full(len(rows), -1)
        at = np.searchsorted(first, seq, side="right") - 1
        return np.where((at >= 0) & (seq <= last[np.maximum(at, 0)]), at, -1)

    def reasons(self, rows: np.ndarray) -> list[str]:
        """Why each flagged row was flagged, for people who point at it."""
        columns = self.frame[["anomaly_metric", "anomaly_score"]].iloc[rows].itertuples(index=False)
        told = self.incidents["reason"].tolist()
        why = ["" if at < 0 else f"<br>anomaly {at + 1}: {wrapped(told[at], 60)}" for at in self.incident_of(rows)]
        found = zip(columns, why, strict=True)
        return [f"score {number(score)} of {safe(metric)}{reason}" for (metric, score), reason in found]

    def active(self, table: pd.DataFrame) -> np.ndarray:
        """Seconds of each window that count: of the run, and not paused; NaN for less than a third of a window."""
        starts = pd.DatetimeIndex(table.index).as_unit("ns").asi8
        stops = pd.DatetimeIndex(table["window_end"]).as_unit("ns").asi8
        begun = min(self.began, int(self.times[0])) if len(self.frame) else self.began
        left, right = np.maximum(starts, begun), np.minimum(stops, self.ended + 1)
        active = right - left
        for span in self.pauses:
            inside = np.minimum(right, span.right.value) - np.maximum(left, span.left.value)
            active = active - np.clip(inside, 0, None)
        return np.where(active > 0.3 * (stops - starts), active, np.nan) / 1e9

    def said(self, drawn: int | None = None) -> str:
        """How many events there were, how many are drawn, how many anomalies were found.

        Args:
            drawn: Points drawn; None where everything recorded is in the figure.
        """
        parts = [plural(self.seen, "event")]
        if len(self.frame) != self.seen:
            parts.append(f"{len(self.frame):,} kept")
        if drawn is not None and drawn != len(self.frame):
            parts.append(f"{drawn:,} drawn")
        if self.watched:
            found = len(self.incidents)
            parts.append(plural(found, "anomaly", "anomalies") if found else "no anomaly")
        return ", ".join(parts)
