"""What a face shows of an experiment, all of one moment; no frame is made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from crucible_nb.anomaly import Incident
from crucible_nb.metrics import Metrics
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.pipeline.pipeline import Pipeline

_ALWAYS = ("seq", "weight", "success", "latency_ms", "cost_usd")


class Snapshot(NamedTuple):
    """One look.

    Attributes:
        facts: `Experiment.summary()`.
        rows: Kept events that are new, by ordinal of their writer, see `rows_after`.
        total: Metrics of every event, None where nobody asked.
        window: Those of a window, likewise.
        incidents: Of all writers, each with the ordinal of its writer, oldest first.
        alerts: So far.
    """

    facts: dict[str, Any]
    rows: Mapping[int, dict[str, np.ndarray]]
    total: Metrics | None
    window: Metrics | None
    incidents: Sequence[tuple[int, Incident]]
    alerts: Sequence[Alert]


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
