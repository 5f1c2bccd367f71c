"""What there is to copy: an experiment as this process has it, and what is new in it."""

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
from crucible_nb.store.checkpoint import packed
from crucible_nb.store.segment import batch_of


@dataclass(frozen=True)
class Source:
    """What is copied: an experiment as this process has it.

    Attributes:
        identity: Its id.
        setup: What it was asked to be.
        lock: Held while its streams are looked at.
        streams: Gives the stages of all writers, up to date; call it with the lock held.
        older: Gives the rows of a writer that left memory.
        summary: Gives how it stands.
        prices: The prices of the time, as bytes.
        began: By ordinal, the number of the first event that this process may have written as that writer.
    """

    identity: str
    config: ExperimentConfig
    lock: AbstractContextManager[Any]
    streams: Callable[[], Sequence[Stream]]
    older: Callable[[Stream], Sequence[pd.DataFrame]]
    summary: Callable[[], dict[str, Any]]
    prices: bytes
    began: Mapping[int, int] = field(default_factory=dict)


class Mark(NamedTuple):
    """How far the copy of a writer is, as its row says.

    Attributes:
        seq: Number of the next event.
        sample: Rows from this number on are a sample that may still be revised; None: there is none.
        prices: Fingerprint of the price table that the rows were priced by.
    """

    seq: int = 0
    sample: int | None = None
    prices: str = ""


class Lot(NamedTuple):
    """Rows to be copied, as they were at one moment.

    Attributes:
        batch: In order of `seq`.
        dictionaries: Of its category columns.
        after: Where the copy is once they are there.
        redo: Rows from this number on have changed, and are replaced; None: none have.
        state: Of everything at that moment; None when it is not due.
    """

    batch: Batch
    dictionaries: Any
    after: Mark
    redo: int | None
    state: bytes | None


def take(source: Source, stream: Stream, mark: Mark, *, with_state: bool, valid: int | None = None) -> Lot | None:
    """What is new in a stream since a mark; None when nothing is. With the lock of the source held.

    Args:
        source: The experiment.
        stream: A writer.
        mark: How far its copy is.
        with_state: Whether the state is due.
        valid: Rows before this number are sure to be the same as here; None: all are. After a power loss the copy may
            know events that the journal has lost, and whose numbers are given again.
    """
    pipeline = stream.pipeline
    sample, buffer = pipeline.sample, pipeline.buffer
    revises = sample.sampler is not None and sample.sampler.revises
    after = Mark(pipeline.seq, sample.since if revises else None, _fingerprint(stream))
    lost = min(pipeline.seq, mark.seq if valid is None else valid)
    if after == mark and not with_state and lost >= mark.seq:
        return None
    redo = mark.sample if after != mark else None
    if after.prices != mark.prices and mark.seq:
        redo = 0
    if lost < mark.seq:
        redo = lost if redo is None else min(redo, lost)
    first = mark.seq if redo is None else min(redo, mark.seq)
    batch = buffer.rows_from(first)
    if buffer.evicted and (buffer.kept_from is None or first < buffer.kept_from):
        frames = [frame[frame["seq"] >= first] for frame in source.older(stream)]
        frames.append(buffer.everything().loc[lambda frame: frame["seq"] >= first])
        batch = batch_of(frames, buffer.kinds(), pipeline.columns.dictionaries)
    state = state_of(stream) if with_state or redo is not None or revises else None
    return Lot(batch, pipeline.columns.dictionaries, after, redo, state)


def state_of(stream: Stream) -> bytes:
    """Everything but the rows, for readers, who do not go on with it."""
    state = stream.state(bare=not stream.is_self_contained)
    buffer = stream.pipeline.buffer
    state["held"] = len(buffer) + buffer.evicted
    return zlib.compress(orjson.dumps(packed({**state, "bare": not stream.is_self_contained})), 1)


def _fingerprint(stream: Stream) -> str:
    if stream.pipeline.prices is stream.config.prices:
        return ""
    return sha256(orjson.dumps(price_facts(stream.pipeline.prices, stream.config.prices))).hexdigest()
