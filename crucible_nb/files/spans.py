"""Files of OpenTelemetry spans: bodies of OTLP, and lists of the Python SDK, mapped to events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from crucible_nb.events.json_text import to_json
from crucible_nb.events.schema import COLUMNS
from crucible_nb.files.columns import TEXT
from crucible_nb.files.disk import too_large
from crucible_nb.files.guess import guess, kind_of_values
from crucible_nb.files.layout import Layout
from crucible_nb.files.source import Source
from crucible_nb.otel import events_of, spans_of_body

_TYPES = {"float": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_()}
_NAMES = (
    "time", "event", "name", "model", "response_model", "provider", "session_id", "user_id", "latency_ms", "ttft_ms",
    "cost_usd", "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "streamed", "attempts", "success", "error", "error_class", "trace_id", "span_id", "parent_id", "twin_of",
    "metadata",
)  # fmt: skip
_WRITE: dict[str, Callable[[Any], Any]] = {"metadata": to_json}


def source(path: Path, max_bytes: int) -> Source:
    """Open a file of spans; all of it is mapped at once, since a call is counted by the spans around it."""
    if path.stat().st_size > max_bytes:
        raise ValueError(too_large(max_bytes))
    rows = events_of(spans_of_body(path.read_bytes(), limit=max_bytes)).events
    if not rows:
        raise ValueError("it has no spans")
    return Source(partial(_chunks, rows), _guess, index="time", names=_NAMES)


def _guess(tables: Iterable[pa.Table], ours: Collection[str], _columns: Collection[str] | None = None) -> Layout:
    return guess(tables, ours, kind_of_values)


def _chunks(rows: list[dict[str, Any]], size: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    names = _NAMES if columns is None else [name for name in _NAMES if name in columns]
    for begin in range(0, len(rows), size):
        chunk = rows[begin : begin + size]
        yield pa.Table.from_arrays([_array(name, chunk) for name in names], names=list(names))


def _array(name: str, rows: list[dict[str, Any]]) -> pa.Array:
    write = _WRITE.get(name, lambda value: value)
    values = [None if row.get(name) is None else write(row[name]) for row in rows]
    if name == "time":
        return pa.array(values, pa.int64()).cast(pa.timestamp("ns", "UTC"))
    return pa.array(values, _TYPES.get(COLUMNS[name].kind, TEXT) if name in COLUMNS else TEXT)
