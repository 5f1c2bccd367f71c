"""One block of rows and how far they go, in one transaction: whatever is cut off, each row is there once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import pandas as pd

from crucible_nb.cells import Batch
from crucible_nb.postgres.encoding import encode
from crucible_nb.setup import Setup
from crucible_nb.stores.segment import batch_of
from crucible_nb.stores.state import packed
from crucible_nb.stream import Stream

BLOCK = 10_000
"""Rows of a transaction."""


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
    """

    identity: str
    setup: Setup
    lock: AbstractContextManager[Any]
    streams: Callable[[], Sequence[Stream]]
    older: Callable[[Stream], Sequence[pd.DataFrame]]
    summary: Callable[[], dict[str, Any]]
    prices: bytes


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


class MovedError(Exception):
    """Somebody else has copied meanwhile, or we did and never heard of it."""


def take(source: Source, stream: Stream, mark: Mark, *, with_state: bool) -> Lot | None:
    """What is new in a stream since a mark; None when nothing is. With the lock of the source held."""
    pipeline = stream.pipeline
    keeping, buffer = pipeline.keeping, pipeline.buffer
    revises = keeping.sampler is not None and keeping.sampler.revises
    after = Mark(pipeline.seq, keeping.since if revises else None, _fingerprint(stream))
    if after == mark and not with_state:
        return None
    redo = mark.sample if after != mark else None
    if after.prices != mark.prices and mark.seq:
        redo = 0
    first = mark.seq if redo is None else min(redo, mark.seq)
    batch = buffer.after(first)
    if buffer.evicted and (buffer.kept_from is None or first < buffer.kept_from):
        frames = [frame[frame["seq"] >= first] for frame in source.older(stream)]
        frames.append(buffer.everything().loc[lambda frame: frame["seq"] >= first])
        batch = batch_of(frames, buffer.kinds(), pipeline.columns.dictionaries)
    state = state_of(stream) if with_state or redo is not None or revises else None
    return Lot(batch, pipeline.columns.dictionaries, after, redo, state)


def state_of(stream: Stream) -> bytes:
    """Everything but the rows, for readers, who do not go on with it."""
    state = stream.to_dict(bare=not stream.portable)
    buffer = stream.pipeline.buffer
    state["held"] = len(buffer) + buffer.evicted
    return zlib.compress(orjson.dumps(packed({**state, "bare": not stream.portable})), 1)


def _fingerprint(stream: Stream) -> str:
    if stream.pipeline.prices is stream.setup.prices:
        return ""
    return sha256(orjson.dumps(stream.price_facts(stream.pipeline.prices))).hexdigest()


def put(connection: Any, identity: str, writer: int, mark: Mark, lot: Lot, *, plain: bool = False) -> Iterator[Mark]:
    """Copy a lot block by block; gives the mark after each transaction.

    Rows that change what is there, or that may still change, go in one transaction together.

    Raises:
        MovedError: The copy is not where `mark` says.
    """
    whole = lot.redo is not None or lot.after.sample is not None
    seq = lot.batch.numbered()
    size = max(1, len(lot.batch)) if whole else BLOCK
    starts = range(0, max(1, len(lot.batch)), size)
    for start in starts:
        last = start == starts[-1]
        rows = Batch(lot.batch.time[start : start + size], 0, seq=seq[start : start + size])
        rows.cells = {name: cells.slice(start, start + size) for name, cells in lot.batch.cells.items()}
        then = lot.after if last else replace_seq(mark, int(rows.numbered()[-1]) + 1, lot.after.prices)
        with connection.transaction():
            _move(connection, identity, writer, mark, then, rows, lot.state if last else None)
            if lot.redo is not None:
                connection.execute(_FORGET, (identity, writer, lot.redo))
            for begin in range(0, len(rows), BLOCK):
                _copy(connection, identity, writer, _cut(rows, begin), lot.dictionaries, plain=plain)
        yield then
        mark = then


def replace_seq(mark: Mark, seq: int, prices: str) -> Mark:
    """A mark further on, in the middle of a lot."""
    return mark._replace(seq=max(seq, mark.seq), prices=prices)


def _cut(rows: Batch, start: int) -> Batch:
    if len(rows) <= BLOCK:
        return rows
    cells = {name: cell.slice(start, start + BLOCK) for name, cell in rows.cells.items()}
    return replace(rows, time=rows.time[start : start + BLOCK], cells=cells, seq=rows.numbered()[start : start + BLOCK])


_MOVE = """
update crucible.writers set next_seq = %(seq)s, sample_from = %(sample)s, prices = %(prices)s, copied = now(),
    first_time = least(first_time, to_timestamp(%(first)s)), last_time = greatest(last_time, to_timestamp(%(last)s)),
    state = coalesce(%(state)s, state), state_seq = case when %(state)s::bytea is null then state_seq else %(seq)s end
where experiment = %(id)s and writer = %(writer)s and next_seq = %(was)s and sample_from is not distinct from %(open)s
"""
_FORGET = "delete from crucible.events where experiment = %s and writer = %s and seq >= %s"


def _move(connection: Any, identity: str, writer: int, was: Mark, then: Mark, rows: Batch, state: bytes | None) -> None:
    """The watermark first: the row is locked from here to the end of the transaction."""
    first, last = (int(rows.time.min()) // 10**9, int(rows.time.max()) // 10**9 + 1) if len(rows) else (None, None)
    values = {
        "seq": then.seq, "sample": then.sample, "prices": then.prices, "first": first, "last": last, "state": state,
        "id": identity, "writer": writer, "was": was.seq, "open": was.sample,
    }  # fmt: skip
    if connection.execute(_MOVE, values).rowcount != 1:
        raise MovedError


def _copy(connection: Any, identity: str, writer: int, rows: Batch, dictionaries: Any, *, plain: bool) -> None:
    if not len(rows):
        return
    names, parts = encode(bytes.fromhex(identity), writer, rows, dictionaries, plain=plain)
    statement = f"copy crucible.events ({', '.join(names)}) from stdin (format binary)"  # names of the schema only
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for part in parts:
            copy.write(part)


def marks(connection: Any, identity: str) -> dict[int, Mark]:
    """How far the copies of all writers are."""
    said = "select writer, next_seq, sample_from, prices from crucible.writers where experiment = %s"
    return {writer: Mark(*rest) for writer, *rest in connection.execute(said, (identity,)).fetchall()}


def enter(connection: Any, identity: str, writer: int) -> None:
    """Have a row for a writer."""
    connection.execute(
        "insert into crucible.writers (experiment, writer) values (%s, %s) on conflict do nothing", (identity, writer)
    )
