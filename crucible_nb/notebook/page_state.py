"""The state a dashboard holds of one experiment: bins for the charts, numbers for the cards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly import Incident
from crucible_nb.anomaly.tellings import SEVERITIES
from crucible_nb.experiment.experiment import Experiment, snapshot_of
from crucible_nb.metrics import Metrics
from crucible_nb.notebook import anytime, wire
from crucible_nb.notebook.bins import Bins, Rows, join_rows
from crucible_nb.notebook.group_bins import PARTS, GroupBins
from crucible_nb.notebook.page_tables import PageTables

_CHUNK_ROWS = 500_000  # maximum of rows read at a time, so that 1e7 old rows do not block a tick
_MAX_COLUMNS = 24  # numeric columns held
_STANDARD = ("time", "weight", "success", "latency_ms", "cost_usd")  # in charts of their own
_HIDDEN = ("seq", "anomaly", "anomaly_score")
_DEFAULT_COLUMNS = 2  # columns drawn before the user picks
_TRAINING_COLUMNS = 4  # of a training run
_MAX_STEP = 2.0**53
_COUNTERS = ("step", "epoch", "batch")  # they only count up: not drawn by default
_SECOND = 10**9
_MIN_ACTIVE = _SECOND // 50  # active nanoseconds below which a bin has no rate
_HOUR = 3600.0


class PageState:
    """Reads an experiment repeatedly, each event once, without changing it.

    Args:
        experiment: A running or ended experiment.

    Attributes:
        bins: Bins for the charts, by the names in `wire.WINDOWS`.
        steps: Bins over the column `step`.
        tables: Rows of the tables.
        groups: Bins of the groups that are shown; None without.
        has_backlog: Whether older rows have not been read yet.
        snapshot: The newest snapshot of the experiment.
        has_latency: Whether any event has a latency.
        severity: Least severity of an incident that is shown.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.bins = {
            "second": Bins(_SECOND, 302),
            "minute": Bins(20 * _SECOND, 182),
            "all": Bins(_SECOND // 2, 240, growing=True),
        }
        self.steps = Bins(1, 240, growing=True)  # a bin of it holds a range of `step` in place of time
        self.tables = PageTables(experiment)
        self.groups: GroupBins | None = None
        self.has_backlog, self.severity = False, "low"
        self.snapshot = snapshot_of(experiment, {}, 0, measured=False)
        self._success = (math.nan, math.nan)
        self._cards: dict[str, float] = {}
        self._last_seq: dict[int, int] = {}  # by writer id
        self._ids: dict[tuple[int, int], int] = {}
        self._numbers: dict[str, None] = {}
        self._newest: dict[str, tuple[int, float]] = {}  # time and value of the newest known one, by column
        self.has_latency = False
        self._pending: dict[str, list[Rows]] = {name: [] for name in self.bins}

    def update(self, window: str = "all", *, with_metrics: bool = True) -> None:
        """Read new events.

        Args:
            window: Name of a window in `wire.WINDOWS`; bins of other windows wait for `update_all_bins`.
            with_metrics: Compute the metrics of the window; otherwise the previous ones stay.
        """
        seconds, shown = wire.WINDOWS[window]
        span = None if seconds is None else seconds * _SECOND
        self.snapshot = snapshot_of(self.experiment, self._last_seq, _CHUNK_ROWS, span, measured=with_metrics)
        if self.snapshot.window is not None:
            self._cards = _cards_of(self.snapshot.window)
        rows = self._new_rows()
        for name, bins in self.bins.items():
            self._pending[name] += rows
            if name == shown or self.has_backlog:
                self._update_bins(name, bins)
        if self.groups is not None:
            self.has_backlog |= self.groups.update(self.bins)

    def measure_span(self, start: int, stop: int) -> None:
        """Compute the cards of a span that a user has selected, in UTC nanoseconds."""
        metrics = self.experiment.metrics(start=start, at=stop)
        self._cards = _cards_of(metrics)

    def break_down(self, by: str, names: list[str]) -> None:
        """Show the groups of a column, or none for ""; all arms have one list of their names."""
        self.groups = GroupBins(self.experiment, by, _CHUNK_ROWS, names) if by else None

    @property
    def facts(self) -> dict[str, Any]:
        """`experiment.summary()` at the newest snapshot."""
        return self.snapshot.facts

    @property
    def incidents(self) -> list[tuple[int, Incident]]:
        """The incidents that are shown, numbered from 1 among all in the order they were first read."""
        ids, least = self._ids, SEVERITIES[self.severity]
        numbered = [
            (ids.setdefault((writer, incident.first_seq), len(ids) + 1), incident)
            for writer, incident in self.snapshot.incidents
        ]
        return [pair for pair in numbered if least == 1 or pair[1].peak >= least]

    def update_all_bins(self) -> None:
        """Update the bins of all windows and the anytime-valid bounds, which takes longer than a tick may."""
        for name, bins in self.bins.items():
            self._update_bins(name, bins)
        if self.snapshot.total is not None:
            self._success = anytime.success_interval(self.snapshot.total)

    def _update_bins(self, name: str, bins: Bins) -> None:
        pending, self._pending[name] = self._pending[name], []
        if pending:
            bins.advance(max(int(rows.time[-1]) for rows in pending))
        for rows in join_rows(pending):
            bins.add(rows)
        bins.advance(self.now)

    def _new_rows(self) -> list[Rows]:
        """Return the rows recorded since the previous snapshot, one entry per writer."""
        new = {writer: rows for writer, rows in self.snapshot.rows.items() if len(rows["seq"])}
        self.has_backlog = any(len(rows["seq"]) == _CHUNK_ROWS for rows in new.values())
        self._last_seq |= {writer: int(rows["seq"].max()) for writer, rows in new.items()}
        for writer, columns in new.items():
            self.tables.add(writer, columns, self.snapshot.errors[writer])
        found = [self._rows(columns) for columns in new.values()]
        for rows in found:
            self._add_steps(rows)
        return found

    def _add_steps(self, rows: Rows) -> None:
        """Add rows with a known step to the bins over steps, in order of step."""
        step = rows.columns.get("step")
        if step is None:
            return
        known = np.flatnonzero(np.isfinite(step) & (np.abs(step) < _MAX_STEP))
        if len(known):
            order = known[np.argsort(step[known], kind="stable")]
            columns = {name: values[order] for name, values in rows.columns.items()}
            numbers = rows.weight[order], rows.success[order], rows.latency[order], rows.cost[order]
            self.steps.add(Rows(np.floor(step[order]).astype(np.int64), *numbers, columns))

    def _rows(self, columns: dict[str, np.ndarray]) -> Rows:
        others = {name: values for name, values in columns.items() if name not in (*_STANDARD, *_HIDDEN)}
        drawable = {name: values for name, values in others.items() if self._is_drawable(name, values)}
        time, weight, success, latency, cost = (columns[name] for name in _STANDARD)
        self.has_latency = self.has_latency or not bool(np.isnan(latency).all())
        for name, values in drawable.items():
            known = np.flatnonzero(~np.isnan(values))
            if len(known) and int(time[known[-1]]) >= self._newest.get(name, (0, 0.0))[0]:
                self._newest[name] = int(time[known[-1]]), float(values[known[-1]])
        return Rows(time, weight, success, latency, cost, drawable)

    def _is_drawable(self, name: str, values: np.ndarray) -> bool:
        """Whether a column has values and is among the first `_MAX_COLUMNS` that have."""
        if name in self._numbers:
            return True
        if len(self._numbers) >= _MAX_COLUMNS or np.isnan(values).all():
            return False
        self._numbers[name] = None
        return True

    # -- results --------------------------------------------------------------------------------------------------

    @property
    def start(self) -> int | None:
        """Start of the experiment, UTC nanoseconds; None in event time before the first event."""
        started = self.facts["started_at"]
        return None if started is None else int(pd.Timestamp(started).value)

    @property
    def now(self) -> int:
        """The experiment's now, UTC nanoseconds."""
        wall = int(1e9 * self.facts["wall_clock_duration"])
        return wall if self.start is None else self.start + wall

    @property
    def pauses(self) -> np.ndarray:
        """int64[n, 2]: start and end of spans that were paused or without a process, UTC nanoseconds."""
        if not self.facts["paused_duration"]:
            return np.zeros((0, 2), np.int64)
        spans = self.experiment.paused_spans
        edges = (pd.DatetimeIndex(side).as_unit("ns").asi8 for side in (spans.left, spans.right))
        return np.stack(list(edges), axis=1)

    def cards(self, picked: Sequence[str] = ()) -> list[float]:
        """Return the numbers of `wire.CARDS`, then the newest value of each picked column.

        Metrics of the window are as old as their last computation.
        """
        facts, progress = self.facts, self.facts["progress"]
        (low, high), shown = self._success, self.incidents
        values = self._cards | {
            "now": self.now / 1e6,
            "wall": facts["wall_clock_duration"],
            "active": facts["active_duration"],
            "paused": facts["paused_duration"],
            "total": facts["total_events"],
            "progress": math.nan if progress is None else progress,
            "flagged": sum(incident.count for _, incident in shown),
            "incidents": len(shown),
            "alerts": len(self.snapshot.alerts),
            "success_low": low,
            "success_high": high,
        }
        newest = [self._newest.get(name, (0, math.nan))[1] for name in picked]
        return [float(values[name]) for name in wire.CARDS] + newest

    def series(self, bins: Bins, first: int, picked: Sequence[str], key: str = "") -> np.ndarray:
        """float64[bins, series]: the series of `bins` from bin `first` on, in the order of `series_names`.

        Args:
            bins: Bins over time, or `steps`.
            first: Number of the first bin.
            picked: Columns.
            key: Name of the bins, for those of the groups; "" without groups.
        """
        active = np.zeros(bins.newest + 1 - max(first, bins.base)) if bins is self.steps else self._active(bins, first)
        spans = np.where(active > 0, active, math.nan)
        rate, cost = bins.weight(first) / spans, bins.cost(first) / spans * _HOUR
        parts = [bins.quantiles(first), rate[:, None], bins.success(first)[:, None], cost[:, None]]
        parts += [bins.column(name, first) for name in picked]
        if self.groups is not None and key:
            parts.append(self.groups.series(key, bins, first, active))
        return np.concatenate(parts, axis=1)

    def _active(self, bins: Bins, first: int) -> np.ndarray:
        """Return the active seconds of each bin; 0 where they are too few for a rate."""
        numbers = np.arange(max(first, bins.base), bins.newest + 1)
        left, right = numbers * bins.width, (numbers + 1) * bins.width
        begin, now = self.start or 0, self.now
        active = np.minimum(right, now) - np.maximum(left, begin)
        for start, end in self.pauses.tolist():
            active -= np.clip(np.minimum(right, end) - np.maximum(left, start), 0, None)
        minimum = np.full(len(active), _MIN_ACTIVE)
        if self.facts["status"] == "running":
            minimum[-1:] = 0.3 * min(bins.width, _SECOND)
        active[active < minimum] = 0
        return active / _SECOND

    @property
    def columns(self) -> list[str]:
        """Numeric columns of the experiment that can be drawn."""
        return list(self._numbers)

    @property
    def default_columns(self) -> list[str]:
        """Columns drawn before the user picks: no token counts, no counters."""
        own = [name for name in self.columns if not name.endswith("_tokens") and name not in _COUNTERS]
        return own[: _TRAINING_COLUMNS if self.is_training else _DEFAULT_COLUMNS]

    @property
    def is_training(self) -> bool:
        """Whether the events look like steps of a training: they have steps and numbers, and no latency."""
        return "step" in self._numbers and len(self._numbers) > 1 and not self.has_latency


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


def series_names(picked: Sequence[str], groups: int = 0) -> list[str]:
    """Return the names of the series on the wire: `wire.SERIES`, mean, minimum and maximum of picked columns, groups.

    Examples:
        >>> series_names(["loss"])[-3:]
        ['mean:loss', 'low:loss', 'high:loss']
    """
    columns = (f"{part}:{name}" for name in picked for part in ("mean", "low", "high"))
    return [*wire.SERIES, *columns, *(f"{part}|{group}" for group in range(groups) for part in PARTS)]
