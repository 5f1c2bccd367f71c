"""Columns of an event: kind, unit, and the stage that writes each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

Kind = Literal["category", "string", "float", "integer", "boolean", "flag", "count"]
Stage = Literal["record", "enrich", "detect", "sample"]

# Missing is NaN or NA in every kind but flag and count, which are never missing.
DTYPES: dict[Kind, object] = {
    "category": pd.CategoricalDtype(),
    "string": pd.StringDtype(na_value=float("nan")),
    "float": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "flag": "bool",
    "count": "int64",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the event frame.

    Attributes:
        name: The column's name, as in `exp.frame()`.
        kind: Kind of the column; `DTYPES` has the pandas dtype of each kind.
        unit: Physical unit, "" if it has none.
        stage: The only stage of the pipeline that writes it.
        doc: Description in one line.

    Examples:
        >>> from crucible_nb.events.schema import COLUMNS
        >>> COLUMNS["latency_ms"].unit
        'ms'
    """

    name: str
    kind: Kind
    unit: str
    stage: Stage
    doc: str


_EVERY = (
    Column("event", "category", "", "record", "what happened, e.g. 'llm.request'"),
    Column("model", "category", "", "record", "model used"),
    Column("provider", "category", "", "record", "company that serves the model"),
    Column("cohort", "category", "", "record", "arm or group of the experiment"),
    Column("sample_id", "string", "", "record", "item that was processed; pairs the arms of a comparison"),
    Column("session_id", "string", "", "record", "conversation or session; clusters events"),
    Column("user_id", "string", "", "record", "user who made the request"),
    Column("latency_ms", "float", "ms", "record", "duration"),
    Column("cost_usd", "float", "USD", "enrich", "recorded, else computed from tokens and the price table"),
    Column("prompt_tokens", "integer", "tokens", "record", "input tokens"),
    Column("completion_tokens", "integer", "tokens", "record", "output tokens"),
    Column("total_tokens", "integer", "tokens", "enrich", "recorded, else prompt + completion if both are known"),
    Column("success", "boolean", "", "record", "whether it worked; NA if unknown"),
    Column("error", "string", "", "record", "class of the exception, or a message"),
    Column("anomaly", "flag", "", "detect", "flagged by a detector"),
    Column("anomaly_score", "float", "", "detect", "1.0 is the threshold; NaN while warming up"),
    Column("anomaly_metric", "category", "", "detect", "metric with the largest anomaly score"),
    Column("weight", "float", "", "sample", "1 / probability of being kept in the sample"),
    Column("seq", "count", "", "record", "order of recording, from 0"),
)

_KNOWN = (
    Column("cache_read_tokens", "integer", "tokens", "record", "prompt tokens read from a cache"),
    Column("cache_write_tokens", "integer", "tokens", "record", "prompt tokens written to a cache"),
    Column("reasoning_tokens", "integer", "tokens", "record", "completion tokens spent on reasoning"),
    Column("ttft_ms", "float", "ms", "record", "time to the first chunk of a streamed answer"),
    Column("streamed", "boolean", "", "record", "whether the answer was streamed; NA if unknown"),
    Column("attempts", "integer", "", "record", "requests of a call, retries included; NA if unknown"),
    Column("trace_id", "string", "", "record", "trace that the event is part of"),
    Column("span_id", "string", "", "record", "span that the event is"),
    Column("parent_id", "string", "", "record", "span that this one is part of"),
    Column("twin_of", "string", "", "record", "span that counts for the same call"),
    Column("epoch", "integer", "", "record", "training epoch"),
    Column("epoch_progress", "float", "", "record", "epochs done, with fractions"),
    Column("batch", "integer", "", "record", "batch within the epoch"),
    Column("step", "integer", "", "record", "optimiser step"),
    Column("loss", "float", "", "record", "training loss"),
    Column("accuracy", "float", "", "record", "proportion of correct predictions"),
    Column("learning_rate", "float", "", "record", "learning rate"),
    Column("gradient_norm", "float", "", "record", "norm of the gradient"),
    Column("checkpoint_path", "string", "", "record", "path of the checkpoint"),
    Column("model_name", "category", "", "record", "served model"),
    Column("model_version", "category", "", "record", "version of the served model"),
    Column("input_size", "integer", "", "record", "size of the input, in the caller's unit"),
    Column("output_size", "integer", "", "record", "size of the output, in the caller's unit"),
    Column("batch_size", "integer", "", "record", "items in the batch"),
    Column("pipeline_id", "string", "", "record", "one run of a pipeline"),
    Column("stage_name", "category", "", "record", "stage of the pipeline"),
    Column("stage_index", "integer", "", "record", "index of the stage, from 0"),
    Column("metadata", "string", "JSON", "record", "values that fit no column, as a JSON object"),
)

EVERY = tuple(column.name for column in _EVERY)
"""Columns of every event frame, in order; the index is `time`, datetime64[ns, UTC]."""

COLUMNS = {column.name: column for column in (*_EVERY, *_KNOWN)}
"""Registered columns; any other column gets its kind from its first known value, see `kinds`."""

RESERVED = frozenset({"time", "event", "seq", "weight", "anomaly", "anomaly_score", "anomaly_metric"})
"""Names that are not columns of `record`: their values go to `metadata` (`time` and `event` are arguments)."""
