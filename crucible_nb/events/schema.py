"""The columns of an event: kind, unit, and the one stage that writes each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

Kind = Literal["category", "string", "float", "integer", "boolean", "flag", "count"]
Stage = Literal["record", "enrich", "judge", "sample"]

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
        kind: How it is kept; `DTYPES` gives the pandas dtype of each kind.
        unit: Physical unit, "" where there is none.
        stage: The only stage of the pipeline that writes it.
        doc: One line for people.

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
    Column("model", "category", "", "record", "model that did it"),
    Column("provider", "category", "", "record", "who serves the model"),
    Column("cohort", "category", "", "record", "arm or group of the experiment"),
    Column("sample_id", "string", "", "record", "item that was worked on; pairs the arms of a comparison"),
    Column("session_id", "string", "", "record", "conversation or session; clusters events"),
    Column("user_id", "string", "", "record", "who asked"),
    Column("latency_ms", "float", "ms", "record", "duration"),
    Column("cost_usd", "float", "USD", "enrich", "given by the provider, else from tokens and the price table"),
    Column("prompt_tokens", "integer", "tokens", "record", "tokens in"),
    Column("completion_tokens", "integer", "tokens", "record", "tokens out"),
    Column("total_tokens", "integer", "tokens", "enrich", "given, else prompt + completion where both are known"),
    Column("success", "boolean", "", "record", "did it work; NA when nobody knows"),
    Column("error", "string", "", "record", "class of the exception, or a message"),
    Column("anomaly", "flag", "", "judge", "flagged by a detector"),
    Column("anomaly_score", "float", "", "judge", "1.0 is the threshold; NaN while warming up"),
    Column("anomaly_metric", "category", "", "judge", "the metric that was out of line"),
    Column("weight", "float", "", "sample", "1 / probability of having been kept"),
    Column("seq", "count", "", "record", "order of recording, from 0"),
)

_KNOWN = (
    Column("cache_read_tokens", "integer", "tokens", "record", "tokens of the prompt that came from a cache"),
    Column("cache_write_tokens", "integer", "tokens", "record", "tokens of the prompt that went into a cache"),
    Column("epoch", "integer", "", "record", "training epoch"),
    Column("batch", "integer", "", "record", "batch within the epoch"),
    Column("step", "integer", "", "record", "optimiser step"),
    Column("loss", "float", "", "record", "training loss"),
    Column("accuracy", "float", "", "record", "share right"),
    Column("learning_rate", "float", "", "record", "learning rate"),
    Column("gradient_norm", "float", "", "record", "norm of the gradient"),
    Column("checkpoint_path", "string", "", "record", "where the checkpoint went"),
    Column("model_name", "category", "", "record", "served model"),
    Column("model_version", "category", "", "record", "its version"),
    Column("input_size", "integer", "", "record", "size of the input, in the caller's unit"),
    Column("output_size", "integer", "", "record", "size of the output, in the caller's unit"),
    Column("batch_size", "integer", "", "record", "items in the batch"),
    Column("pipeline_id", "string", "", "record", "one run of a pipeline"),
    Column("stage_name", "category", "", "record", "stage of the pipeline"),
    Column("stage_index", "integer", "", "record", "its position, from 0"),
    Column("metadata", "string", "JSON", "record", "what fits no column, as a JSON object"),
)

EVERY = tuple(column.name for column in _EVERY)
"""Columns every event frame has, in order; the index is `time`, datetime64[ns, UTC]."""

COLUMNS = {column.name: column for column in (*_EVERY, *_KNOWN)}
"""All columns with a fixed kind; any other scalar keyword takes the kind of its first value."""

RESERVED = frozenset({"time", "event", "seq", "weight", "anomaly", "anomaly_score", "anomaly_metric"})
"""Names a keyword of `record` cannot take (`time` and `event` have arguments of their own)."""
