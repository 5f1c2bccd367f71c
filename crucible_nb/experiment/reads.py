"""Reads of an experiment: frames, windows, metrics, summary and snapshots of a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError
from crucible_nb.events.declared import declare
from crucible_nb.events.durations import Observed, set_observed
from crucible_nb.events.marks import set_marks
from crucible_nb.events.pauses import set_pauses
from crucible_nb.events.sampling_info import mark
from crucible_nb.events.scalars import plain
from crucible_nb.events.where import Where, select
from crucible_nb.experiment.live_metrics import group_metrics, lives_of, total_metrics, window_metrics
from crucible_nb.experiment.snapshot import Snapshot, incidents_of, numbers_of, slice_after
from crucible_nb.metrics import Metrics, NumericColumns
from crucible_nb.metrics.column_state import ColumnStates, merge_states
from crucible_nb.metrics.columns import Rows, is_own, states_of_frame, states_of_rows
from crucible_nb.metrics.frames import ActiveTime, EventTime, frame_metrics, groups_of_frame
from crucible_nb.pipeline.buffer import BufferSlice
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.store.log import EventLog, View
from crucible_nb.utils import checks
from crucible_nb.windows.query import edges_of

_MAX_CACHED = 16  # number of windows whose metrics are cached until the next event


class Reads:
    """Computes results from a view; the caller holds the lock under which the view was taken.

    Args:
        config: Arguments of the experiment.
        log: Log of the experiment, from which rows are read.
    """

    def __init__(self, config: ExperimentConfig, log: EventLog) -> None:
        self._config, self._log = config, log

    # -- rows ---------------------------------------------------------------------------------------------------------

    def frame(self, view: View) -> pd.DataFrame:
        """Return all kept rows; see `Experiment.frame`."""
        frame = declare(self._log.rows(view).iloc[:], self._config.unit, self._config.cluster)
        self._set_time(frame, view)
        set_marks(frame, view.marks)
        set_pauses(frame, view.experiment.pauses(view.now))
        if self._log.loses_evicted_rows and (evicted := _evicted(view)):
            frame.attrs["evicted_events"] = evicted
        facts = view.own.pipeline.sample.facts()
        return mark(frame, {**facts, "seen": _total(view), "kept": len(frame)}) if facts else frame

    def _set_time(self, frame: pd.DataFrame, view: View) -> None:
        """Store in which time the rows happened, unless they show it: all events, in event time, without a pause."""
        whole = self._config.clock == "events" and all(pipeline.complete for pipeline in view.pipelines)
        if _evicted(view) or (whole and not view.experiment.pauses(view.now)):
            return  # without the rows that left, the others have their own time
        life = self._life(view)
        if life.started is not None:
            set_observed(frame, Observed(life.started, view.now, life.active(life.started, view.now) / 1e9))

    def window_rows(self, view: View, form: Mapping[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
        """Rows from which `query_window` cuts a window, and their times in nanoseconds.

        Args:
            view: The experiment.
            form: Arguments last, last_n, start, end and sliding of `Experiment.query_window`.
        """
        frame = self._log.rows(view, edges_of(view.now, **form))
        times = frame.index.asi8  # type: ignore[attr-defined]
        rows = declare(frame.iloc[:], self._config.unit, self._config.cluster)
        set_marks(rows, view.marks)
        set_pauses(rows, view.experiment.pauses(view.now))
        return mark(rows, {**view.own.pipeline.sample.facts(), "windowed": True}), times

    # -- metrics ------------------------------------------------------------------------------------------------------

    def metrics(
        self,
        view: View,
        last: Any,
        by: str | Sequence[str] | None,
        at: Any,
        where: Where = None,
        start: Any = None,
    ) -> Metrics:
        """Compute metrics; see `Experiment.metrics`."""
        span = None if last is None else checks.duration("last", last)
        now = view.now if at is None else checks.instant("at", at)
        if start is not None:
            if last is not None:
                raise ConfigError(f"last={last!r}, start={start!r}: expected one of them, got both")
            span = max(now - checks.instant("start", start), 0)
        if isinstance(by, (list, tuple)) and len(by) == 1:
            [by] = by
        pipelines = view.pipelines
        if where is not None:
            return self._row_metrics(view, by, None if span is None else now - span, now, where)
        if by is None and at is None and span is None:
            return self._total(view, now)
        remote = self._log.rows_are_remote and all(pipeline.complete for pipeline in pipelines)
        if by is None and span is not None and not remote:
            return self._window_metrics(view, now - span, now)
        if isinstance(by, str) and span is None and at is None:
            groups = group_metrics(pipelines, self._life(view), by)
            if groups is not None:
                columns = self._columns_by(view, by)
                for key, metrics in groups.items():
                    metrics.columns = NumericColumns(lambda key=key: columns(key))  # type: ignore[misc]
                return self._total(view, now).grouped(groups, (by,))
        begin = self._life(view).started if span is None else now - span
        return self._row_metrics(view, by, begin, now, windowed=span is not None)

    def _life(self, view: View) -> ActiveTime:
        """Return the lifecycle; in event time it begins with the first start of an event."""
        if self._config.clock != "events" or view.experiment.started is None:
            return view.experiment
        began = min(int(pipeline.measure.state().total.table.span[2, 0]) for pipeline in view.pipelines)
        return EventTime(view.experiment, began)

    def _total(self, view: View, now: int) -> Metrics:
        metrics = total_metrics(lives_of(view.pipelines), self._life(view), now)
        metrics.columns = NumericColumns(self._columns(view))
        return metrics

    def _columns(self, view: View) -> Callable[[], ColumnStates]:
        """Return a function that computes the columns of all events; of kept rows if an old state has none."""
        if any(pipeline.own.missed for pipeline in view.pipelines):
            rows = self._log.rows(view)
            return lambda: states_of_frame(rows)
        reads = [pipeline.own.freeze() for pipeline in view.pipelines]
        return lambda: merge_states([read() for read in reads])

    def _columns_by(self, view: View, by: str) -> Callable[[Any], ColumnStates]:
        """Return a function that computes the columns of a group, of the rows that are kept now."""
        kinds = [pair for pipeline in view.pipelines for pair in pipeline.buffer.kinds()]
        if not any(is_own(name) and kind not in ("category", "string") for name, kind in kinds):
            return lambda _: ColumnStates()
        return groups_of_frame(self._log.rows(view), (by,))

    def last(self, view: View, name: str) -> Any:
        """Return the newest known value of a column; see `Experiment.last`."""
        pipelines = view.pipelines
        if any(pipeline.own.missed for pipeline in pipelines):
            rows = self._log.rows(view)
            known = rows[name].dropna() if name in rows.columns else pd.Series()
            return plain(known.iloc[-1]) if len(known) else None
        found = [newest for one in pipelines if (newest := one.own.newest(name)) is not None]
        if not found:
            return None
        value = max(reversed(found), key=lambda newest: newest.time).value  # of equal times that of the later writer
        kinds = {pipeline.columns.kinds.get(name) for pipeline in pipelines}
        return float(value) if "float" in kinds and isinstance(value, (int, float)) else value

    def _window_metrics(self, view: View, start: int, stop: int) -> Metrics:
        """Compute metrics of a window; the result is cached until the next event."""
        cached, pipelines = view.own.pipeline.cached_results, view.pipelines
        key = (start, stop, len(view.experiment.changes), *(pipeline.seq for pipeline in pipelines))
        if key not in cached:
            if len(cached) >= _MAX_CACHED:
                cached.clear()
            metrics = window_metrics(pipelines, lives_of(pipelines), self._life(view), start, stop)
            slices = [pipeline.buffer.slice(start, stop + 1) for pipeline in pipelines]
            metrics.columns = NumericColumns(lambda: states_of_rows(map(_rows_of, slices)))
            cached[key] = metrics
        found: Metrics = cached[key]
        return found

    def _row_metrics(
        self, view: View, by: str | Sequence[str] | None, start: int | None, now: int, where: Where = None, *,
        windowed: bool = True,
    ) -> Metrics:  # fmt: skip
        """Compute metrics of kept rows, over their own duration if there is no start."""
        kept = self._log.rows(view, (start, now + 1, None))
        first, stop = np.searchsorted(kept.index.asi8, [start or 0, now + 1])  # type: ignore[attr-defined]
        partial = not all(pipeline.complete for pipeline in view.pipelines)
        inside = kept.iloc[int(first) : int(stop)]
        set_marks(inside, view.marks)
        rows = select(inside, where)
        return frame_metrics(rows, by, self._life(view), (start, now), partial=partial, windowed=windowed)

    # -- summary and snapshot -----------------------------------------------------------------------------------------

    def summary(self, view: View, copied: Mapping[str, Any]) -> dict[str, Any]:
        """Return status, durations and counts; see `Experiment.summary`.

        Args:
            view: The experiment.
            copied: State of each copy elsewhere, by its address.
        """
        config, life, sample = self._config, view.lifecycle, view.own.pipeline.sample
        started = view.now if life.started is None else life.started
        paused = life.paused(started, view.now)
        total, store = _total(view), self._log.facts()
        effective = sample.effective_size()  # first: removes the rows whose removal the sampler has delayed
        return {
            "name": config.name,
            "status": view.status,
            "condition": config.condition,
            "hypothesis": config.hypothesis,
            "tags": list(config.tags),
            "metadata": dict(config.metadata),
            "started_at": timestamp(life.started),
            "stopped_at": timestamp(life.ended),
            "wall_clock_duration": (view.now - started) / 1e9,
            "active_duration": (view.now - started - paused) / 1e9,
            "paused_duration": paused / 1e9,
            "pause_count": life.count("pause"),
            "resume_count": life.count("resume"),
            "total_events": total,
            "kept_events": sum(len(pipeline.buffer) for pipeline in view.pipelines),
            "evicted_events": _evicted(view),
            "sampling": None if sample.policy is None else repr(sample.policy),
            "seed": sample.seed if sample.is_sampling else None,
            "effective_sample_size": effective,
            "strata": sample.strata(),
            "sample_size": config.sample_size,
            "progress": None if config.sample_size is None else total / config.sample_size,
            **{kind: view.counts[kind] for kind in ("errors", "misfits", "refused", "lost")},
            **{
                kind: view.counts[kind]
                for kind in ("twins", "dropped_spans", "dropped_attributes")
                if view.counts[kind]
            },
            "store": None if store is None else {**store, "archived": dict(copied)},
        }

    def snapshot(
        self,
        view: View,
        facts: dict[str, Any],
        seen: Mapping[int, int],
        limit: int,
        span: int | None,
        *,
        measured: bool,
    ) -> Snapshot:
        """Take a consistent snapshot for the dashboard; each event is read once.

        Args:
            view: The experiment.
            facts: Its summary.
            seen: Newest known sequence number by writer id; missing for writers without known events.
            limit: Maximum number of rows per writer; the oldest come first, unless events arrived late.
            span: Length in nanoseconds of the window for metrics; None for all events.
            measured: Whether to compute metrics.
        """
        total = window = None
        if measured:
            lives = lives_of(view.pipelines)
            total = window = total_metrics(lives, self._life(view), view.now)
            if span is not None:
                window = window_metrics(view.pipelines, lives, self._life(view), view.now - span, view.now)
        new = {
            writer: slice_after(stream.pipeline, seen.get(writer, -1), limit) for writer, stream in view.streams.items()
        }
        return Snapshot(
            facts=facts,
            rows={writer: numbers_of(rows) for writer, rows in new.items()},
            errors={writer: rows.texts("error") for writer, rows in new.items()},
            total=total,
            window=window,
            incidents=incidents_of(view),
            alerts=tuple(view.own.monitor.alerts.history),
            detects=bool(view.own.pipeline.detect.detectors),
            read_only=not self._log.records,
        )


def _rows_of(rows: BufferSlice) -> Rows:
    names = [name for name in rows.numeric_columns() if is_own(name)] if len(rows.times) else []
    return Rows({name: rows.numbers(name) for name in names}, rows.numbers("weight") if names else None, rows.times)


def timestamp(nanoseconds: int | None) -> pd.Timestamp | None:
    """Convert UTC nanoseconds to a Timestamp."""
    return None if nanoseconds is None else pd.Timestamp(nanoseconds, unit="ns", tz="UTC")


def _total(view: View) -> int:
    return sum(pipeline.seq for pipeline in view.pipelines)


def _evicted(view: View) -> int:
    return sum(pipeline.buffer.evicted for pipeline in view.pipelines)
