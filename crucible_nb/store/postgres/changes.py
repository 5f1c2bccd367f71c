"""Rows and states of an experiment that are not yet copied to the database."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import pandas as pd

from crucible_nb.events.batch import Batch
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.stream import Stream, price_facts
from crucible_nb.store.checkpoint import pack_state
from crucible_nb.store.segment import batch_of


@dataclass(frozen=True)
class Source:
    """An experiment to copy, as this process has it.

    Attributes:
        identity: Id of the experiment.
        config: Arguments of `cr.start`.
        lock: Lock to hold while reading the streams.
        streams: Callable that returns the up-to-date state of every writer; the caller holds the lock.
        evicted_rows: Callable that returns the rows of a writer that are no longer in memory.
        summary: Callable that returns `Experiment.summary()`.
        prices: Price table at the start, as a compressed file.
        began: Sequence number of the first event that this process may have written, by writer id.
    """

    identity: str
    config: ExperimentConfig
    lock: AbstractContextManager[Any]
    streams: Callable[[], Sequence[Stream]]
    evicted_rows: Callable[[Stream], Sequence[pd.DataFrame]]
    summary: Callable[[], dict[str, Any]]
    prices: bytes
    began: Mapping[int, int] = field(default_factory=dict)


class Watermark(NamedTuple):
    """Progress of the copy of one writer, as in its row of the database.

    Attributes:
        seq: Sequence number of the next event.
        sample: Sequence number from which rows are a sample that may still be revised; None without one.
        prices: Fingerprint of the price table of the rows.
        session: Session of the journal that was copied last; None if it is not known.
    """

    seq: int = 0
    sample: int | None = None
    prices: str = ""
    session: str | None = None


class Changes(NamedTuple):
    """Rows of one writer to copy, all of one moment.

    Attributes:
        batch: The rows in order of `seq`.
        dictionaries: Dictionary of each category column.
        after: Watermark after the copy.
        replace_from: Sequence number from which existing rows have changed and are replaced; None if none have.
        state: State of the writer at that moment; None if it is not due.
    """

    batch: Batch
    dictionaries: Any
    after: Watermark
    replace_from: int | None
    state: bytes | None


def changes_since(
    source: Source, stream: Stream, mark: Watermark, *, with_state: bool, valid: int | None = None
) -> Changes | None:
    """Return the changes of a writer since a watermark, None without any. The caller holds the lock of the source.

    Args:
        source: The experiment.
        stream: State of the writer.
        mark: Watermark of its copy.
        with_state: Whether the state is due.
        valid: Sequence number before which the copied rows are the same as the local ones; None if all are. After a
            power loss the copy may hold events that the journal has lost, and whose numbers are used again.
    """
    pipeline = stream.pipeline
    sample, buffer = pipeline.sample, pipeline.buffer
    revises = sample.sampler is not None and sample.sampler.revises
    session = stream.sessions[-1] if stream.sessions else None
    after = Watermark(pipeline.seq, sample.since if revises else None, _fingerprint(stream), session)
    lost = min(pipeline.seq, mark.seq if valid is None else valid)
    if after == mark and not with_state and lost >= mark.seq:
        return None
    replace_from = mark.sample if after != mark else None
    if after.prices != mark.prices and mark.seq:
        replace_from = 0
    if lost < mark.seq:
        replace_from = lost if replace_from is None else min(replace_from, lost)
    first = mark.seq if replace_from is None else min(replace_from, mark.seq)
    batch = buffer.rows_from(first)
    if buffer.evicted and (buffer.unsaved_from is None or first < buffer.unsaved_from):
        frames = [frame[frame["seq"] >= first] for frame in source.evicted_rows(stream)]
        frames.append(buffer.full_frame().loc[lambda frame: frame["seq"] >= first])
        batch = batch_of(frames, buffer.kinds(), pipeline.columns.dictionaries)
    state = state_bytes(stream) if with_state or replace_from is not None or revises else None
    return Changes(batch, pipeline.columns.dictionaries, after, replace_from, state)


def state_bytes(stream: Stream) -> bytes:
    """Return the compressed state of a writer without its rows, for read-only use."""
    state = stream.state(bare=not stream.is_self_contained)
    buffer = stream.pipeline.buffer
    state["held"] = len(buffer) + buffer.evicted
    return zlib.compress(orjson.dumps(pack_state({**state, "bare": not stream.is_self_contained})), 1)


def _fingerprint(stream: Stream) -> str:
    """Return a digest of the price table in use, "" if it is that of the start."""
    if stream.pipeline.prices is stream.config.prices:
        return ""
    return sha256(orjson.dumps(price_facts(stream.pipeline.prices, stream.config.prices))).hexdigest()
