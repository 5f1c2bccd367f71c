"""One block of rows and how far they go, in one transaction: whatever is cut off, each row is there once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch
from crucible_nb.store.postgres.changes import Lot, Mark
from crucible_nb.store.postgres.encoding import Encoded, encode
from crucible_nb.utils.threads import BackgroundWorker as Worker

BLOCK = 10_000
"""Rows of a transaction."""


class MovedError(Exception):
    """Somebody else has copied meanwhile, or we did and never heard of it."""


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
                queue.put(Encoded(encoded.names, iter((b"".join(encoded.parts),))))
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


def enter_writer(connection: Any, identity: str, writer: int) -> None:
    """Have a row for a writer."""
    connection.execute(
        "insert into crucible.writers (experiment, writer) values (%s, %s) on conflict do nothing", (identity, writer)
    )
