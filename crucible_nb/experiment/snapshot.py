"""A consistent snapshot of an experiment for the dashboard; no frame is made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.anomaly import Incident
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.pipeline.buffer import Buffer, BufferSlice
from crucible_nb.pipeline.pipeline import Pipeline
from crucible_nb.store.log import View

_ALWAYS = ("seq", "weight", "success", "latency_ms", "cost_usd")


class Snapshot(NamedTuple):
    """An experiment at one moment.

    Attributes:
        facts: `Experiment.summary()`.
        rows: New kept events by writer id, see `numbers_of`.
        errors: Index in `rows` and class of the events with an error, by writer id.
        total: Metrics of all events; None if not requested.
        window: Metrics of the window; None if not requested.
        incidents: Incidents of all writers, each with its writer id, the oldest first.
        alerts: All alerts so far.
        detects: Whether any detector is on.
        read_only: Whether this process only reads the experiment.
    """

    facts: dict[str, Any]
    rows: Mapping[int, dict[str, np.ndarray]]
    errors: Mapping[int, tuple[np.ndarray, list[str]]]
    total: Metrics | None
    window: Metrics | None
    incidents: Sequence[tuple[int, Incident]]
    alerts: Sequence[Alert]
    detects: bool
    read_only: bool


def slice_after(pipeline: Pipeline, seq: int, limit: int) -> BufferSlice:
    """Return the kept events of one writer after `seq`, in order of time.

    Args:
        pipeline: Pipeline of the writer.
        seq: Newest known sequence number; -1 for none.
        limit: Maximum number of events; the oldest come first, unless events arrived late.
    """
    return pipeline.buffer.slice_after(seq, pipeline.seq - seq - 1, limit)


def numbers_of(rows: BufferSlice) -> dict[str, np.ndarray]:
    """Return `time` and `seq` as int64, every numeric or boolean column as float64, NaN where missing."""
    numbers = {name: rows.numbers(name) for name in dict.fromkeys((*rows.numeric_columns(), *_ALWAYS))}
    floats = {name: np.asarray(values, np.float64) for name, values in numbers.items() if name != "seq"}
    return {"time": rows.times, "seq": numbers["seq"], **floats}


def incidents_of(view: View) -> list[tuple[int, Incident]]:
    """Return the incidents of all writers, each with its writer id, in order of start time."""
    streams = view.streams.items()
    pairs = [(writer, incident) for writer, stream in streams for incident in stream.pipeline.detect.incidents.all]
    return pairs if len(streams) < 2 else sorted(pairs, key=lambda pair: pair[1].start)


class Labelled(NamedTuple):
    """New kept events of one writer and their groups.

    Attributes:
        rows: See `numbers_of`.
        codes: Group of each event, an index in `labels`; -1 where the value is missing.
        labels: Values of the column, as text.
    """

    rows: dict[str, np.ndarray]
    codes: np.ndarray
    labels: list[str]


def labelled(pipeline: Pipeline, by: str, seq: int, limit: int) -> Labelled:
    """Return the kept events of one writer after `seq` with their groups."""
    rows = slice_after(pipeline, seq, limit)
    return Labelled(numbers_of(rows), *rows.codes(by))


_FACTS = ("event", "model", "error", "sample_id", "session_id", "user_id", "trace_id")


def facts_of_row(buffer: Buffer, seq: int) -> dict[str, Any]:
    """Return the known texts of one row, for a list of single events; {} if it was evicted."""
    numbers = buffer.numbers("seq")
    at = int(np.searchsorted(numbers, seq))
    if at == len(numbers) or numbers[at] != seq:
        found = np.flatnonzero(numbers == seq)  # rows that came late are not in order of their numbers
        if not len(found):
            return {}
        at = int(found[0])
    row = buffer.slice_at(at)
    return {name: labels[codes[0]] for name in _FACTS for codes, labels in [row.codes(name)] if codes[0] >= 0}
