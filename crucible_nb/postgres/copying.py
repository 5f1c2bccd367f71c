"""One block of rows and how far they go, in one transaction: whatever is cut off, each row is there once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd

from crucible_nb.cells import Batch
from crucible_nb.folding import Folder as Worker
from crucible_nb.postgres.encoding import Encoded, encode
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
    key, seq = bytes.fromhex(identity), lot.batch.numbered()
    ahead = Ahead(_slices(lot.batch), lambda rows: encode(key, writer, rows, lot.dictionaries, plain=plain))
    starts = range(0, max(1, len(seq)), BLOCK)
    bounds = [(0, len(starts))] if whole else [(place, place + 1) for place in range(len(starts))]
    for first, beyond in bounds:
        times = lot.batch.time[first * BLOCK : beyond * BLOCK]
        last = beyond == len(starts)
        then = lot.after if last else mark._replace(seq=int(seq[beyond * BLOCK - 1]) + 1, prices=lot.after.prices)
        with connection.transaction():
            _move(connection, (identity, writer), mark, then, times, lot.state if last else None)
            if lot.redo is not None:
                connection.execute(_FORGET, (identity, writer, lot.redo))
            for _ in range(first, beyond):
                _copy(connection, ahead.next())
        yield then
        mark = then


def _slices(batch: Batch) -> list[Batch]:
    """Blocks of rows."""
    found = []
    for start in range(0, len(batch), BLOCK):
        cells = {name: cells.slice(start, start + BLOCK) for name, cells in batch.cells.items()}
        stop = start + BLOCK
        found.append(Batch(batch.time[start:stop], 0, cells, seq=batch.numbered()[start:stop]))
    return found


class Ahead:
    """Encodes a block while the server is at work on the one before.

    Args:
        blocks: What is to be encoded, in order.
        make: Encodes one.
    """

    def __init__(self, blocks: Sequence[Batch], make: Callable[[Batch], Encoded]) -> None:
        self._make, self._left = make, list(reversed(blocks))
        self._waiting: SimpleQueue[Encoded | BaseException] | None = None

    def next(self) -> Encoded | None:
        """The next block; None when there are no more."""
        if self._waiting is not None:
            found = self._waiting.get()
            self._waiting = None
        elif not self._left:
            return None
        else:
            found = self._make(self._left.pop())
        if isinstance(found, BaseException):
            raise found
        if self._left:
            self._ask(self._left.pop())
        return found

    def _ask(self, block: Batch) -> None:
        self._waiting = queue = SimpleQueue[Encoded | BaseException]()

        def work() -> None:
            try:
                encoded = self._make(block)
                queue.put(Encoded(encoded.names, iter(list(encoded.parts))))
            except BaseException as error:  # noqa: BLE001  it is raised where it was asked for
                queue.put(error)

        try:
            ENCODER.ask(work)
        except RuntimeError:  # the interpreter ends, and starts no more threads
            work()


ENCODER = Worker("crucible-encode")


_MOVE = """
update crucible.writers set next_seq = %(seq)s, sample_from = %(sample)s, prices = %(prices)s, copied = now(),
    first_time = least(first_time, to_timestamp(%(first)s)), last_time = greatest(last_time, to_timestamp(%(last)s)),
    state = coalesce(%(state)s, state), state_seq = case when %(state)s::bytea is null then state_seq else %(seq)s end
where experiment = %(id)s and writer = %(writer)s and next_seq = %(was)s and sample_from is not distinct from %(open)s
"""
_FORGET = "delete from crucible.events where experiment = %s and writer = %s and seq >= %s"


def _move(
    connection: Any, whose: tuple[str, int], was: Mark, then: Mark, times: np.ndarray, state: bytes | None
) -> None:
    """The watermark first: the row is locked from here to the end of the transaction."""
    first, last = (int(times.min()) // 10**9, int(times.max()) // 10**9 + 1) if len(times) else (None, None)
    values = {
        "seq": then.seq, "sample": then.sample, "prices": then.prices, "first": first, "last": last, "state": state,
        "id": whose[0], "writer": whose[1], "was": was.seq, "open": was.sample,
    }  # fmt: skip
    if connection.execute(_MOVE, values).rowcount != 1:
        raise MovedError


def _copy(connection: Any, rows: Encoded | None) -> None:
    if rows is None:
        return
    statement = f"copy crucible.events ({', '.join(rows.names)}) from stdin (format binary)"  # names of the schema
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for part in rows.parts:
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
