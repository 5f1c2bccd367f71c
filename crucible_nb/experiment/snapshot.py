"""A consistent snapshot of an experiment for the dashboard; no frame is made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.anomaly import Incident
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.pipeline.pipeline import Pipeline
from crucible_nb.store.log import View

_ALWAYS = ("seq", "weight", "success", "latency_ms", "cost_usd")


class Snapshot(NamedTuple):
    """An experiment at one moment.

    Attributes:
        facts: `Experiment.summary()`.
        rows: New kept events by writer id, see `rows_after`.
        total: Metrics of all events; None where none were wanted.
        window: Metrics of the window; None where none were wanted.
        incidents: Incidents of all writers, each with its writer id, the oldest first.
        alerts: All alerts so far.
        detects: Whether any detector is on.
        read_only: Whether this process only reads the experiment.
    """

    facts: dict[str, Any]
    rows: Mapping[int, dict[str, np.ndarray]]
    total: Metrics | None
    window: Metrics | None
    incidents: Sequence[tuple[int, Incident]]
    alerts: Sequence[Alert]
    detects: bool
    read_only: bool


def rows_after(pipeline: Pipeline, seq: int, most: int) -> dict[str, np.ndarray]:
    """Numbers of the kept events of one writer after `seq`, in order of time.

    Args:
        pipeline: Of the writer.
        seq: Newest sequence number that is known, -1 for none.
        most: Events to give at a time; the oldest come first, unless some came late.

    Returns:
        `time` and `seq` as int64, every column of numbers or outcomes as float64, NaN where missing.
    """
    rows = pipeline.buffer.slice_after(seq, pipeline.seq - seq - 1, most)
    numbers = {name: rows.numbers(name) for name in dict.fromkeys((*rows.numeric_columns(), *_ALWAYS))}
    floats = {name: np.asarray(values, np.float64) for name, values in numbers.items() if name != "seq"}
    return {"time": rows.times, "seq": numbers["seq"], **floats}


def incidents_of(view: View) -> list[tuple[int, Incident]]:
    """Incidents of all writers, each with its writer id, in order of their beginning."""
    streams = view.streams.items()
    found = [(writer, one) for writer, stream in streams for one in stream.pipeline.detect.incidents.all]
    return found if len(streams) < 2 else sorted(found, key=lambda one: one[1].start)
