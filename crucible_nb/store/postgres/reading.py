"""Read an experiment from a database: its copied states at once, its rows when requested."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.events.batch import Batch, Categories
from crucible_nb.files.disk import MAX_BYTES, reason
from crucible_nb.pipeline.buffer import Buffer
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.attachment import Attachment, prices_of
from crucible_nb.store.checkpoint import unpack_state
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.lock import MAX_SILENCE
from crucible_nb.store.merge import merge_writers
from crucible_nb.store.postgres.connection import Connection
from crucible_nb.store.postgres.rows import RowQuery, decode_csv
from crucible_nb.utils.interrupts import let_pass


class RemoteBuffer(Buffer):
    """Buffer whose rows stay in the database until they are read.

    Args:
        dictionaries: Dictionary of each category column.
        count: Number of rows in the database.
        fetch: Callable that returns the rows as a batch.

    Attributes:
        is_remote: Whether the rows are still only in the database.
    """

    def __init__(self, dictionaries: dict[str, Categories], count: int, fetch: Callable[[], Batch | None]) -> None:
        super().__init__(dictionaries)
        self._count, self._fetch = count, fetch
        self.is_remote = count > 0

    def __len__(self) -> int:
        return self._count if self.is_remote else super().__len__()

    def prepare_read(self) -> None:
        """Fetch the rows, at the first read."""
        if self.is_remote:
            self.is_remote = False
            batch = self._fetch()
            if batch is not None:
                self.append(batch)
        super().prepare_read()


MAX_AGE = 0.2
"""Seconds for which states read from the database are used without asking again."""


class StateVersion(NamedTuple):
    """Version of a copied state: the sequence number it was made at, and the time of the copy."""

    seq: int
    copied: Any


class CopiedAttachment(Attachment):
    """A read-only experiment in a database.

    Args:
        connection: Connection to the database.
        identity: Id of the experiment.

    Raises:
        StoreError: The experiment does not exist, or cannot be read.
    """

    rows_are_remote = True

    def __init__(self, connection: Connection, identity: str) -> None:
        self.connection, self.identity = connection, identity
        rows = connection.rows("select facts, prices from crucible.experiments where id = %s", (identity,))
        if not rows:
            raise StoreError(f"cannot attach to {identity!r}: there is no such experiment in {connection.address!r}")
        self.facts, prices = rows[0]
        with self._reading():
            self._prices = prices_of(bytes(prices))
            super().__init__(ExperimentFolder(Path(identity)), self._config(self.facts))
        self._known: dict[int, StateVersion] = {}
        self._streams: dict[int, Stream] = {}
        self._until = 0.0
        self._owner = ("", 0, 0.0)
        self.catch_up()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Convert any exception of reading to a StoreError: a database is trusted no more than files."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            let_pass(error)
            where = f"{self.identity} in {self.connection.address!r}"
            raise StoreError(f"cannot read {where}: {type(error).__name__}: {reason(error)}") from error

    def _config(self, facts: dict[str, Any]) -> ExperimentConfig:
        policies = (facts["sampling"], *facts["detectors"])
        if any("strange" in (policy or ()) for policy in policies):  # user-defined classes
            facts = {**facts, "sampling": None, "detectors": []}
        return ExperimentConfig.from_dict(facts, self._prices).for_reader()

    def catch_up(self) -> None:
        """Read the states that were copied since."""
        if time.monotonic() < self._until:
            return
        owner = self.connection.rows(_OWNER, (self.identity,))
        if owner:
            self._owner = owner[0]
        for writer, seq, copied in self.connection.rows(_WRITERS, (self.identity,)):
            if self._known.get(writer) != StateVersion(seq, copied):
                *version, state = self.connection.rows(_STATE, (self.identity, writer))[0]
                self._streams[writer] = self._readable(writer, state)
                self._known[writer] = StateVersion(*version)
        if 0 not in self._streams:
            self._streams[0] = Stream(self.config, 0, self.facts["started"])
        self._until = time.monotonic() + MAX_AGE

    def _readable(self, writer: int, data: Any) -> Stream:
        """Return the state of a writer; that of a worker which cannot be read hides no other, and counts as lost."""
        try:
            with self._reading():
                return self._stream(writer, data)
        except StoreError as error:
            if writer == 0:
                raise
            lost = Stream(self.config, writer, self.facts["started"])
            lost.problems.report("lost", f"{error}; its events are missing here")
            return lost

    def _stream(self, writer: int, data: Any) -> Stream:
        state = _state(bytes(data))
        config = self.config.without_policies() if state["bare"] else self.config
        stream = Stream(config, writer, self.facts["started"])
        stream.restore(state)
        buffer = RemoteBuffer(
            stream.pipeline.columns.dictionaries, state["held"], lambda: self._rows(writer, RowQuery())
        )
        buffer.load([(name, kind) for name, kind in state["kinds"]], [], 0)
        buffer.sample = None  # the weights in the database are those of the state
        stream.pipeline.buffer = stream.pipeline.sample.buffer = buffer
        return stream

    def _rows(self, writer: int, query: RowQuery) -> Any:
        """Return rows of a writer as a batch, up to the sequence number of its state."""
        stream = self._streams[writer]
        kinds = stream.pipeline.buffer.kinds()
        sql, names = query.sql(kinds)
        data = self.connection.copy(sql, query.values(self.identity, writer, stream.pipeline.seq))
        with self._reading():
            return decode_csv(data, names, stream.pipeline.columns.dictionaries)

    def window(self, start: int | None, stop: int | None, newest: int | None) -> pd.DataFrame:
        """Return rows of all writers in a range of time, or the newest rows, selected by the database."""
        query, frames = RowQuery(start, stop, newest), []
        for writer, stream in sorted(self._streams.items()):
            kinds = stream.pipeline.buffer.kinds()
            buffer = RemoteBuffer(stream.pipeline.columns.dictionaries, 0, lambda: None)
            buffer.load(kinds, [self._rows(writer, query)], 0)
            frames.append((writer, buffer.frame()))
        return query.trim(merge_writers(frames))

    def main(self) -> Stream:
        """Return the state of the writer that started the experiment."""
        return self._streams[0]

    def streams(self) -> list[Stream]:
        """Return the states of all writers, in order of writer id."""
        return [self._streams[writer] for writer in sorted(self._streams)]

    def handle(self) -> str:
        """Raise StoreError: a copy cannot be joined."""
        raise StoreError(f"{self.config.name!r} is a read-only copy in {self.connection.address!r}")

    def evicted_rows(self, stream: Stream) -> list[pd.DataFrame]:  # noqa: ARG002
        """Return no rows: all are in the database."""
        return []

    def dead(self) -> bool:
        """Return whether the experiment has not ended, but its last heartbeat is too old."""
        return self.lifecycle.alive and self._owner[2] > MAX_SILENCE

    def owner(self) -> str:
        """Return the process that writes the experiment, as text."""
        return f"process {self._owner[1]} on {self._owner[0]}"


_OWNER = "select host, pid, extract(epoch from now() - beat)::float8 from crucible.experiments where id = %s"
_WRITERS = "select writer, state_seq, copied from crucible.writers where experiment = %s and state is not null"
_STATE = "select state_seq, copied, state from crucible.writers where experiment = %s and writer = %s"


def _state(data: bytes) -> dict[str, Any]:
    state = unpack_state(orjson.loads(zlib.decompressobj().decompress(data, MAX_BYTES)))
    if not isinstance(state, dict):
        raise ValueError(f"a state is {type(state).__name__}, expected a mapping")  # noqa: TRY004  damaged data
    return state
