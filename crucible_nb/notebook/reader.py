"""Reads one experiment again and again, each event once: bins for the charts, numbers for the cards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from crucible_nb.experiment import Experiment
from crucible_nb.notebook import safe, wire
from crucible_nb.notebook.bins import Bins, Rows

_CHUNK = 500_000  # rows taken in at a time; a look at 1e7 old ones must not last
_WATCHED = 24  # numeric columns that are remembered
_APART = ("latency_ms", "cost_usd", "anomaly_score", "weight", "seq")  # drawn otherwise, or not of the run
_PICKED = 2  # columns drawn before anybody picks
_COUNTERS = ("step", "epoch", "batch")  # numbers that only say how far it is
_SECOND = 10**9
_HOUR = 3600.0


class Reader:
    """What a dashboard knows of one experiment; it looks and changes nothing.

    Args:
        experiment: Any, also one that has ended.

    Attributes:
        bins: By the names in `wire.WINDOWS`.
        behind: Whether there are rows that were not taken in yet.
        facts: `experiment.summary()` at the last look.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.bins = {
            "second": Bins(_SECOND, 302),
            "minute": Bins(20 * _SECOND, 182),
            "all": Bins(_SECOND // 2, 240, growing=True),
        }
        self.behind = False
        self.facts = experiment.summary()
        self._success = (math.nan, math.nan)
        self._seq = -1
        self._width = 0
        self._numbers: list[str] = []

    def look(self) -> None:
        """Take in what is new."""
        self.facts = self.experiment.summary()
        frame = self.experiment.frame()
        fresh = self._fresh(frame)
        if len(fresh):
            newest = int(frame.index.asi8[-1])  # type: ignore[attr-defined]
            rows = self._rows(fresh)
            for bins in self.bins.values():
                bins.advance(max(newest, self.now))
                bins.add(rows)
        for bins in self.bins.values():
            bins.advance(self.now)

    def settle(self) -> None:
        """What is dearer than a tick: bounds that hold at every look."""
        self._success = safe.success(self.experiment)

    def _fresh(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows that were not there at the last look, in order of time."""
        seq = frame["seq"].to_numpy()
        due = self.facts["total_events"] - self._seq - 1
        at = int(np.searchsorted(seq, self._seq, side="right"))
        if self.facts["sampling"] is None and len(seq) - at == min(due, len(seq)):
            fresh = frame.iloc[at : at + _CHUNK]
        else:  # some came late, or are only a sample
            fresh = frame.iloc[np.flatnonzero(seq > self._seq)]
        self.behind = len(fresh) == _CHUNK
        if len(fresh):
            self._seq = int(fresh["seq"].to_numpy().max())
        return fresh

    def _rows(self, frame: pd.DataFrame) -> Rows:
        if len(frame.columns) != self._width:
            self._width = len(frame.columns)
            kinds = {name: dtype.kind for name, dtype in frame.dtypes.items() if isinstance(name, str)}
            numbers = [name for name, kind in kinds.items() if kind in "fiu" and name not in _APART]
            self._numbers = list(dict.fromkeys((*self._numbers, *numbers)))[:_WATCHED]

        def floats(name: str) -> np.ndarray:
            return frame[name].to_numpy(np.float64, na_value=math.nan)

        columns = {name: floats(name) for name in self._numbers}
        known = {name: values for name, values in columns.items() if not np.isnan(values).all()}
        time = frame.index.asi8  # type: ignore[attr-defined]
        return Rows(time, floats("weight"), floats("success"), floats("latency_ms"), floats("cost_usd"), known)

    # -- what it amounts to ---------------------------------------------------------------------------------------

    @property
    def start(self) -> int | None:
        """When the experiment began, UTC nanoseconds; None in event time before the first event."""
        began = self.facts["started_at"]
        return None if began is None else int(pd.Timestamp(began).value)

    @property
    def now(self) -> int:
        """The experiment's now, UTC nanoseconds."""
        wall = int(1e9 * self.facts["wall_clock_duration"])
        return wall if self.start is None else self.start + wall

    @property
    def pauses(self) -> np.ndarray:
        """int64[n, 2]: spans that were paused, UTC nanoseconds."""
        if not self.facts["pause_count"]:
            return np.zeros((0, 2), np.int64)
        spans = self.experiment.paused_spans
        edges = (pd.DatetimeIndex(side).as_unit("ns").asi8 for side in (spans.left, spans.right))
        return np.stack(list(edges), axis=1)

    def cards(self, window: str) -> list[float]:
        """The numbers of `wire.CARDS`."""
        seconds, facts = wire.WINDOWS[window].seconds, self.facts
        last = None if seconds is None else pd.Timedelta(seconds, unit="s")
        metrics = self.experiment.metrics(last=last)
        latency, cost, tokens = metrics.latency, metrics.cost, metrics.tokens
        known, rates = metrics.reliability, metrics.summary
        incidents, alerts = self.experiment._noticed()
        low, high = self._success
        values = {
            "now": self.now / 1e6,
            "wall": facts["wall_clock_duration"],
            "active": facts["active_duration"],
            "paused": facts["paused_duration"],
            "total": facts["total_events"],
            "progress": math.nan if facts["progress"] is None else facts["progress"],
            "flagged": sum(one.count for one in incidents),
            "incidents": len(incidents),
            "alerts": len(alerts),
            "events": metrics.events,
            "rate": rates.events_per_second,
            "success_rate": known.success_rate,
            "successes": known.successful,
            "outcomes": known.total_requests,
            "p50": latency.p50,
            "p95": latency.p95,
            "p99": latency.p99,
            "error_bound": latency.error_bound,
            "cost": cost.total,
            "cost_per_hour": rates.cost_per_hour,
            "tokens": tokens.total,
            "tokens_per_second": rates.tokens_per_second,
            "success_low": low,
            "success_high": high,
        }
        return [float(values[name]) for name in wire.CARDS]

    def series(self, bins: Bins, first: int, picked: Sequence[str]) -> np.ndarray:
        """float64[bins, series] of one of `bins` from bin `first` on, in the order of `series_of(picked)`."""
        active = self._active(bins, first)
        spans = np.where(active > 0, active, math.nan)
        rate, cost = bins.weight(first) / spans, bins.cost(first) / spans * _HOUR
        parts = [bins.quantiles(first), rate[:, None], bins.success(first)[:, None], cost[:, None]]
        return np.concatenate(parts + [bins.column(name, first) for name in picked], axis=1)

    def _active(self, bins: Bins, first: int) -> np.ndarray:
        """Seconds of each bin that count; 0 for a newest bin too young to tell a rate."""
        numbers = np.arange(max(first, bins.base), bins.newest + 1)
        left, right = numbers * bins.width, (numbers + 1) * bins.width
        begin, now = self.start or 0, self.now
        active = np.minimum(right, now) - np.maximum(left, begin)
        for start, end in self.pauses.tolist():
            active -= np.clip(np.minimum(right, end) - np.maximum(left, start), 0, None)
        active[active < 0.3 * min(bins.width, _SECOND)] = 0
        return active / _SECOND

    @property
    def columns(self) -> list[str]:
        """Numeric columns of the run that can be drawn."""
        return self.bins["all"].columns

    @property
    def telling(self) -> list[str]:
        """Those worth a chart before anybody picks."""
        return [name for name in self.columns if not name.endswith("_tokens") and name not in _COUNTERS][:_PICKED]


def series_of(picked: Sequence[str]) -> list[str]:
    """Names of the series on the wire: `wire.SERIES`, then mean, least and largest of each picked column.

    Examples:
        >>> series_of(["loss"])[-3:]
        ['mean:loss', 'low:loss', 'high:loss']
    """
    return [*wire.SERIES, *(f"{part}:{name}" for name in picked for part in ("mean", "low", "high"))]
