"""The stages that every event passes: enrich, detect, measure, sample, buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.anomaly import Detector
from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.kinds import Columns
from crucible_nb.events.rows import batch_of_rows
from crucible_nb.events.tables import batches_of_frame, index_times
from crucible_nb.metrics import NUMBERS, ColumnStage, Grouping, MetricsStage
from crucible_nb.pipeline.buffer import Buffer
from crucible_nb.pipeline.clock import SteadyClock
from crucible_nb.pipeline.detect import DetectionStage
from crucible_nb.pipeline.enrich import EnrichmentStage
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.sample import SamplingStage
from crucible_nb.utils.problems import Problems

ALWAYS = ("event", "model")
"""Columns whose groups are always counted live."""


class Pipeline:
    """The stages in their order; every result depends only on the events and their order.

    Args:
        clock: Clock that makes the recorded times non-decreasing.
        problems: Counter of problems.
        by: Columns whose groups are counted live, beside event and model.
        windows: Lengths of the live windows in nanoseconds.
        max_events: Maximum number of rows in memory; None for no limit.
        prices: Price table for events without a cost.
        seed: Seed of the sampling stage.
        detectors: Detectors of the detection stage.
        notify: Least severity of an incident that raises an alert.
        stream: Writer id; each writer has its own random numbers.
    """

    def __init__(
        self,
        clock: SteadyClock,
        problems: Problems,
        *,
        by: Sequence[str] = (),
        windows: Sequence[int] = (),
        max_events: int | None = None,
        prices: PriceTable,
        seed: int = 0,
        detectors: Sequence[Detector] = (),
        notify: str = "medium",
        stream: int = 0,
    ) -> None:
        self.clock, self.problems, self.prices = clock, problems, prices
        self.columns = Columns()
        self.seq = 0
        self.enrich = EnrichmentStage(self.columns.dictionaries, prices)
        self.detect = DetectionStage(detectors, self.columns.dictionaries, problems, notify)
        groupings = [Grouping(name, self.columns.dictionary(name)) for name in dict.fromkeys((*ALWAYS, *by))]
        self.measure = MetricsStage(groupings, windows)
        self.own = ColumnStage(self.columns.dictionaries)
        self.buffer = Buffer(self.columns.dictionaries, max_events)
        self.sample = SamplingStage(self.columns.dictionaries, self.buffer, problems, seed, stream)
        self.cached_results: dict[Any, Any] = {}  # results that are valid until the next event
        self.watch: Callable[[Batch], object] | None = None  # the rules, which see every event

    def rows(self, rows: list[Any]) -> None:
        """Process staged rows."""
        self.run(batch_of_rows(rows, self.seq, self.columns, self.problems))

    def frame(self, frame: pd.DataFrame, event: str | None = None, reading: int | None = None) -> int:
        """Process a table recorded at a clock reading; return the number of events."""
        begin = self.seq
        reading = self.clock.read() if reading is None else reading
        times = index_times(frame)
        latest = int(times.ns.max()) if times is not None and len(frame) and times.known.all() else None
        for batch in batches_of_frame(frame, self.seq, self.columns, self.problems):
            _name(batch, event, self.columns.dictionaries["event"])
            if batch.given is not None and not batch.given.all():
                batch.time = np.where(batch.given, batch.time, reading)
            self.run(batch, latest, more=begin + len(frame) - self.seq - len(batch))
        return self.seq - begin

    def run(self, batch: Batch, latest: int | None = None, more: int = 0) -> None:
        """Run a batch through all stages; where the events are cut into batches changes no result.

        Args:
            batch: Events in recording order.
            latest: Newest time of the table that the batch is part of, in UTC nanoseconds, if known.
            more: Number of events of that table that follow.
        """
        if not len(batch):
            return
        batch.time = self.clock.event_times(batch.time, batch.given)
        if undated := self.clock.take_undated():
            said = f"{undated:,} events without a time came before the first that has one; they are at 1970-01-01"
            self.problems.report("errors", said, undated)
        self.seq += len(batch)
        self.cached_results.clear()
        with _stage("enrich"):
            self.enrich(batch)
        if self.watch is not None:
            with _stage("watch"):
                self.watch(batch)
        with _stage("detect"):
            self.detect(batch)
        with _stage("measure"):
            self.measure.add(batch, latest)
            self.own.add(batch)
        with _stage("sample"):
            kept = self.sample(batch)
        with _stage("buffer"):
            self.buffer.append(kept, more if kept is batch else 0)

    @property
    def complete(self) -> bool:
        """Whether every event is in memory as a row."""
        return not (self.buffer.evicted or self.sample.is_sampling)

    def earlier(self, names: Sequence[str]) -> Iterator[Batch]:
        """Yield the kept events in recording order, with these columns."""
        frame = self.buffer.frame()
        order = np.argsort(frame["seq"].to_numpy(), kind="stable")
        rows = frame[[name for name in names if name in frame.columns]].iloc[order]
        yield from batches_of_frame(rows, 0, self.columns, self.problems)

    def use_prices(self, table: PriceTable) -> None:
        """Use another price table for later events."""
        unpriced = self.enrich.to_dict()
        self.prices, self.enrich = table, EnrichmentStage(self.columns.dictionaries, table)
        self.enrich.load(unpriced)

    def reprice(self, table: PriceTable) -> None:
        """Recompute the costs and metrics of all events with another price table."""
        buffer, measure = self.buffer, self.measure
        frame = buffer.frame()
        order = np.argsort(frame["seq"].to_numpy(), kind="stable")
        used = dict.fromkeys((*_PRICED_BY, *(grouping.name for grouping in measure.groupings)))
        rows = frame[[name for name in used if name in frame.columns]].iloc[order]
        priced = buffer.numbers("_priced")[order] if buffer.has("_priced") else np.zeros(len(rows), bool)
        rows["cost_usd"] = rows["cost_usd"].mask(priced)
        self.prices, self.enrich = table, EnrichmentStage(self.columns.dictionaries, table)
        self.measure = MetricsStage([grouping.empty_copy() for grouping in measure.groupings], measure.windows)
        cost, flags = np.full(len(rows), np.nan), np.zeros(len(rows), np.bool_)
        for batch in batches_of_frame(rows, 0, self.columns, self.problems):
            self.enrich(batch)
            self.measure.add(batch)
            at = order[batch.first_seq : batch.first_seq + len(batch)]
            for name, column in (("cost_usd", cost), ("_priced", flags)):
                if name in batch.cells:
                    column[at] = batch.cells[name].values
        buffer.overwrite("cost_usd", Column("float", cost))
        buffer.overwrite("_priced", Column("flag", flags))
        self.cached_results.clear()


_PRICED_BY = (*NUMBERS, "success", "weight", "model", "provider", "cache_read_tokens", "cache_write_tokens")


@contextmanager
def _stage(name: str) -> Iterator[None]:
    """Have an error name the stage that it came from."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(f"stage {name!r}: {type(error).__name__}: {error}") from error


def _name(batch: Batch, event: str | None, events: Categories) -> None:
    """Fill in the event name where a table has none."""
    if event is not None:
        cells = batch.cells.get("event")
        codes = np.full(len(batch), -1, np.int32) if cells is None else cells.values
        if (codes < 0).any():
            batch.cells["event"] = Column("category", np.where(codes < 0, events.code(event), codes))
