"""Reads one experiment again and again, each event once: bins for the charts, numbers for the cards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly import Incident
from crucible_nb.experiment.experiment import Experiment, snapshot_of
from crucible_nb.metrics import Metrics
from crucible_nb.notebook import anytime, wire
from crucible_nb.notebook.bins import Bins, Rows, joined

_CHUNK = 500_000  # rows taken in at a time; a look at 1e7 old ones must not last
_WATCHED = 24  # numeric columns that are remembered
_APART = ("time", "weight", "success", "latency_ms", "cost_usd")  # drawn otherwise
_HIDDEN = ("seq", "anomaly", "anomaly_score")
_PICKED = 2  # columns drawn before anybody picks
_COUNTERS = ("step", "epoch", "batch")  # numbers that only say how far it is
_SECOND = 10**9
_SLIVER = _SECOND // 50  # active time of a bin that tells no rate
_HOUR = 3600.0


class Reader:
    """What a dashboard knows of one experiment; it looks and changes nothing.

    Args:
        experiment: Any, also one that has ended.

    Attributes:
        bins: By the names in `wire.WINDOWS`.
        behind: Whether there are rows that were not taken in yet.
        glance: The last look.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.bins = {
            "second": Bins(_SECOND, 302),
            "minute": Bins(20 * _SECOND, 182),
            "all": Bins(_SECOND // 2, 240, growing=True),
        }
        self.behind = False
        self.glance = snapshot_of(experiment, {}, 0, measured=False)
        self._success = (math.nan, math.nan)
        self._cards: dict[str, float] = {}
        self._seen: dict[int, int] = {}
        self._ids: dict[tuple[int, int], int] = {}
        self._numbers: dict[str, None] = {}
        self._waiting: dict[str, list[Rows]] = {name: [] for name in self.bins}

    def look(self, window: str = "all", *, anew: bool = True) -> None:
        """Take in what is new.

        Args:
            window: Of `wire.WINDOWS`; bins of others take it in when they are settled.
            anew: Whether the numbers of the window are wanted; else they stay those of a look before.
        """
        seconds, shown = wire.WINDOWS[window]
        span = None if seconds is None else seconds * _SECOND
        self.glance = snapshot_of(self.experiment, self._seen, _CHUNK, span, measured=anew)
        if self.glance.window is not None:
            self._cards = _cards_of(self.glance.window)
        rows = self._fresh()
        for name, bins in self.bins.items():
            self._waiting[name] += rows
            if name == shown or self.behind:
                self._take(name, bins)

    @property
    def facts(self) -> dict[str, Any]:
        """`experiment.summary()` at the last look."""
        return self.glance.facts

    @property
    def incidents(self) -> list[tuple[int, Incident]]:
        """Those so far, numbered from 1 as they were met."""
        ids = self._ids
        return [(ids.setdefault((who, one.first_seq), len(ids) + 1), one) for who, one in self.glance.incidents]

    def settle(self) -> None:
        """What is dearer than a tick: all bins up to date, and bounds that hold at every look."""
        for name, bins in self.bins.items():
            self._take(name, bins)
        if self.glance.total is not None:
            self._success = anytime.success(self.glance.total)

    def _take(self, name: str, bins: Bins) -> None:
        waiting, self._waiting[name] = self._waiting[name], []
        if waiting:
            bins.advance(max(int(rows.time[-1]) for rows in waiting))
        for rows in joined(waiting):
            bins.add(rows)
        bins.advance(self.now)

    def _fresh(self) -> list[Rows]:
        """What was recorded since the last look, by each writer."""
        found = {writer: rows for writer, rows in self.glance.rows.items() if len(rows["seq"])}
        self.behind = any(len(rows["seq"]) == _CHUNK for rows in found.values())
        self._seen |= {writer: int(rows["seq"].max()) for writer, rows in found.items()}
        return [self._rows(rows) for rows in found.values()]

    def _rows(self, found: dict[str, np.ndarray]) -> Rows:
        others = {name: values for name, values in found.items() if name not in (*_APART, *_HIDDEN)}
        known = {name: values for name, values in others.items() if self._drawable(name, values)}
        time, weight, success, latency, cost = (found[name] for name in _APART)
        return Rows(time, weight, success, latency, cost, known)

    def _drawable(self, name: str, values: np.ndarray) -> bool:
        """Whether a column has anything to draw and is among those remembered."""
        if name in self._numbers:
            return True
        if len(self._numbers) >= _WATCHED or np.isnan(values).all():
            return False
        self._numbers[name] = None
        return True

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
        """int64[n, 2]: spans that were paused or without a process, UTC nanoseconds."""
        if not self.facts["paused_duration"]:
            return np.zeros((0, 2), np.int64)
        spans = self.experiment.paused_spans
        edges = (pd.DatetimeIndex(side).as_unit("ns").asi8 for side in (spans.left, spans.right))
        return np.stack(list(edges), axis=1)

    def cards(self) -> list[float]:
        """The numbers of `wire.CARDS`; those of the window are of the last look that wanted them."""
        facts, progress = self.facts, self.facts["progress"]
        low, high = self._success
        values = self._cards | {
            "now": self.now / 1e6,
            "wall": facts["wall_clock_duration"],
            "active": facts["active_duration"],
            "paused": facts["paused_duration"],
            "total": facts["total_events"],
            "progress": math.nan if progress is None else progress,
            "flagged": sum(one.count for _, one in self.glance.incidents),
            "incidents": len(self.glance.incidents),
            "alerts": len(self.glance.alerts),
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
        """Seconds of each bin that count; 0 where they are too few to tell a rate."""
        numbers = np.arange(max(first, bins.base), bins.newest + 1)
        left, right = numbers * bins.width, (numbers + 1) * bins.width
        begin, now = self.start or 0, self.now
        active = np.minimum(right, now) - np.maximum(left, begin)
        for start, end in self.pauses.tolist():
            active -= np.clip(np.minimum(right, end) - np.maximum(left, start), 0, None)
        least = np.full(len(active), _SLIVER)
        if self.facts["status"] == "running":
            least[-1:] = 0.3 * min(bins.width, _SECOND)
        active[active < least] = 0
        return active / _SECOND

    @property
    def columns(self) -> list[str]:
        """Numeric columns of the run that can be drawn."""
        return list(self._numbers)

    @property
    def telling(self) -> list[str]:
        """Those worth a chart before anybody picks."""
        return [name for name in self.columns if not name.endswith("_tokens") and name not in _COUNTERS][:_PICKED]


def _cards_of(metrics: Metrics) -> dict[str, float]:
    latency, cost, rates, known = metrics.latency, metrics.cost, metrics.summary, metrics.reliability
    return {
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
        "tokens": metrics.tokens.total,
        "tokens_per_second": rates.tokens_per_second,
    }


def series_of(picked: Sequence[str]) -> list[str]:
    """Names of the series on the wire: `wire.SERIES`, then mean, least and largest of each picked column.

    Examples:
        >>> series_of(["loss"])[-3:]
        ['mean:loss', 'low:loss', 'high:loss']
    """
    return [*wire.SERIES, *(f"{part}:{name}" for name in picked for part in ("mean", "low", "high"))]
