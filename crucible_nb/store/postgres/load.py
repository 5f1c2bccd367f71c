"""Copy blocks of rows, each in one transaction with its watermark, so that every row is there exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from crucible_nb.events.batch import Batch
from crucible_nb.store.postgres.changes import Changes, Watermark
from crucible_nb.store.postgres.encoding import Encoded, encode
from crucible_nb.utils.threads import BackgroundWorker

BLOCK = 10_000
"""Rows per transaction."""


class MovedError(Exception):
    """The watermark has moved: another process has copied, or a commit succeeded whose reply was lost."""


def copy_changes(
    connection: Any, key: tuple[str, int], mark: Watermark, changes: Changes, *, plain: bool = False
) -> Iterator[Watermark]:
    """Copy changes block by block, and yield the watermark after each transaction.

    If they replace rows, or are rows of a sample that may be revised, all go in one transaction.

    Args:
        connection: Connection to the database.
        key: Id of the experiment and writer id.
        mark: Watermark before the copy.
        changes: Rows and state to copy.
        plain: Quote JSON as a JSON string, see `encode`.

    Raises:
        MovedError: `mark` is not the watermark in the database.
    """
    identity, writer_id = key
    experiment, seq = bytes.fromhex(identity), changes.batch.numbered()
    ahead = EncodeAhead(
        _blocks(changes.batch), lambda rows: encode(experiment, writer_id, rows, changes.dictionaries, plain=plain)
    )
    starts = range(0, max(1, len(seq)), BLOCK)
    together = changes.replace_from is not None or changes.after.sample is not None
    bounds = [(0, len(starts))] if together else [(index, index + 1) for index in range(len(starts))]
    for first, stop in bounds:
        times = changes.batch.time[first * BLOCK : stop * BLOCK]
        last = stop == len(starts)
        after = changes.after
        if not last:
            after = after._replace(seq=int(seq[stop * BLOCK - 1]) + 1, sample=mark.sample)
        with connection.transaction():
            _advance(connection, key, mark, after, times, changes.state if last else None)
            if changes.replace_from is not None:
                connection.execute(_DELETE, (*key, changes.replace_from))
            for _ in range(first, stop):
                _copy(connection, ahead.next())
        yield after
        mark = after


def _blocks(batch: Batch) -> list[Batch]:
    """Return the rows in blocks of BLOCK rows."""
    blocks = []
    for start in range(0, len(batch), BLOCK):
        cells = {name: cells.slice(start, start + BLOCK) for name, cells in batch.cells.items()}
        stop = start + BLOCK
        blocks.append(Batch(batch.time[start:stop], 0, cells, seq=batch.numbered()[start:stop]))
    return blocks


class EncodeAhead:
    """Encodes each block while the server reads the previous one.

    Args:
        blocks: Blocks of rows, in order.
        encode: Callable that encodes a block.
    """

    def __init__(self, blocks: Sequence[Batch], encode: Callable[[Batch], Encoded]) -> None:
        self._encode, self._left = encode, list(reversed(blocks))
        self._encoding: SimpleQueue[Encoded | BaseException] | None = None

    def next(self) -> Encoded | None:
        """Return the next block, None after the last."""
        if self._encoding is not None:
            block = self._encoding.get()
            self._encoding = None
        elif not self._left:
            return None
        else:
            block = self._encode(self._left.pop())
        if isinstance(block, BaseException):
            raise block
        if self._left:
            self._start(self._left.pop())
        return block

    def _start(self, block: Batch) -> None:
        self._encoding = queue = SimpleQueue[Encoded | BaseException]()

        def work() -> None:
            try:
                encoded = self._encode(block)
                queue.put(Encoded(encoded.names, iter((b"".join(encoded.chunks),))))
            except BaseException as error:  # noqa: BLE001  raised by `next`
                queue.put(error)

        try:
            ENCODER.submit(work)
        except RuntimeError:  # no more threads: the interpreter is shutting down
            work()


ENCODER = BackgroundWorker("crucible-encode")


_ADVANCE = """
update crucible.writers set next_seq = %(seq)s, sample_from = %(sample)s, prices = %(prices)s, copied = now(),
    session = %(session)s,
    first_time = least(first_time, to_timestamp(%(first)s)), last_time = greatest(last_time, to_timestamp(%(last)s)),
    state = coalesce(%(state)s, state), state_seq = case when %(state)s::bytea is null then state_seq else %(seq)s end
where experiment = %(id)s and writer = %(writer)s and next_seq = %(was)s and sample_from is not distinct from %(open)s
    and session is not distinct from %(other)s
"""
_DELETE = "delete from crucible.events where experiment = %s and writer = %s and seq >= %s"


def _advance(
    connection: Any, key: tuple[str, int], before: Watermark, after: Watermark, times: np.ndarray, state: bytes | None
) -> None:
    """Update the watermark first, which locks its row until the end of the transaction."""
    first, last = (int(times.min()) // 10**9, int(times.max()) // 10**9 + 1) if len(times) else (None, None)
    values = {
        "seq": after.seq, "sample": after.sample, "prices": after.prices, "first": first, "last": last,
        "state": state, "id": key[0], "writer": key[1], "was": before.seq, "open": before.sample,
        "session": after.session, "other": before.session,
    }  # fmt: skip
    if connection.execute(_ADVANCE, values).rowcount != 1:
        raise MovedError


def _copy(connection: Any, rows: Encoded | None) -> None:
    if rows is None:
        return
    statement = f"copy crucible.events ({', '.join(rows.names)}) from stdin (format binary)"  # names of the schema
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in rows.chunks:
            copy.write(chunk)


def watermarks(connection: Any, identity: str) -> dict[int, Watermark]:
    """Return the watermark of each writer by writer id."""
    query = "select writer, next_seq, sample_from, prices, session from crucible.writers where experiment = %s"
    return {writer: Watermark(*rest) for writer, *rest in connection.execute(query, (identity,)).fetchall()}


def register_writer(connection: Any, identity: str, writer: int) -> None:
    """Insert the row of a writer, if it is not there."""
    connection.execute(
        "insert into crucible.writers (experiment, writer) values (%s, %s) on conflict do nothing", (identity, writer)
    )
