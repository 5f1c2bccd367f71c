"""An experiment as the database has it: states as they were copied, rows when they are asked for."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.events.batch import Batch, Categories
from crucible_nb.files.disk import MAX_BYTES
from crucible_nb.pipeline.buffer import Buffer
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.attachment import Attachment, prices_of
from crucible_nb.store.checkpoint import unpacked
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.lock import STALE
from crucible_nb.store.merge import merged
from crucible_nb.store.postgres.connection import Connection
from crucible_nb.store.postgres.rows import Wanted, batch_from


class RemoteBuffer(Buffer):
    """Rows that stay in the database until somebody wants them all.

    Args:
        dictionaries: Of the category columns.
        held: How many there are.
        fetch: Gives them as a batch.
    """

    def __init__(self, dictionaries: dict[str, Categories], held: int, fetch: Callable[[], Batch | None]) -> None:
        super().__init__(dictionaries)
        self._held, self._fetch = held, fetch
        self._away = held > 0

    def __len__(self) -> int:
        return self._held if self._away else super().__len__()

    def prepare_read(self) -> None:
        if self._away:
            self._away = False
            batch = self._fetch()
            if batch is not None:
                self.append(batch)
        super().prepare_read()


FRESH = 0.2
"""Seconds for which what was read is taken for what there is."""


class Known(NamedTuple):
    """Which state of a writer is at hand."""

    seq: int
    copied: Any


class CopiedAttachment(Attachment):
    """An experiment in a database, to look at.

    Args:
        link: To the database.
        identity: Of the experiment.

    Raises:
        StoreError: It is not there, or cannot be read.
    """

    distant = True

    def __init__(self, link: Connection, identity: str) -> None:
        self.link, self.identity = link, identity
        found = link.rows("select facts, prices from crucible.experiments where id = %s", (identity,))
        if not found:
            raise StoreError(f"cannot attach to {identity!r}: there is no such experiment in {link.address!r}")
        self.facts, prices = found[0]
        self._prices = prices_of(bytes(prices))
        super().__init__(ExperimentFolder(Path(identity)), self._config(self.facts))
        self._known: dict[int, Known] = {}
        self._streams: dict[int, Stream] = {}
        self._until = 0.0
        self._owner = ("", 0, 0.0)
        self.catch_up()

    def _config(self, facts: dict[str, Any]) -> ExperimentConfig:
        strange = [one for one in (facts["sampling"], *facts["detectors"]) if "strange" in (one or ())]
        if strange:
            facts = {**facts, "sampling": None, "detectors": []}
        return ExperimentConfig.from_dict(facts, self._prices).reading()

    def catch_up(self) -> None:
        """Take over the states that were copied since."""
        if time.monotonic() < self._until:
            return
        owner = self.link.rows(_OWNER, (self.identity,))
        if owner:
            self._owner = owner[0]
        for writer, seq, copied in self.link.rows(_WRITERS, (self.identity,)):
            if self._known.get(writer) != Known(seq, copied):
                *known, state = self.link.rows(_STATE, (self.identity, writer))[0]
                self._streams[writer] = self._stream(writer, state)
                self._known[writer] = Known(*known)
        if 0 not in self._streams:
            self._streams[0] = Stream(self.config, 0, self.facts["started"])
        self._until = time.monotonic() + FRESH

    def _stream(self, writer: int, data: Any) -> Stream:
        state = _state(bytes(data))
        config = self.config.bare() if state["bare"] else self.config
        stream = Stream(config, writer, self.facts["started"])
        stream.restore(state)
        buffer = RemoteBuffer(stream.pipeline.columns.dictionaries, state["held"], lambda: self._rows(writer, Wanted()))
        buffer.load([(name, kind) for name, kind in state["kinds"]], [], 0)
        buffer.sample = None  # the weights in the database are those of the state
        stream.pipeline.buffer = stream.pipeline.sample.buffer = buffer
        return stream

    def _rows(self, writer: int, wanted: Wanted) -> Any:
        """Rows of a writer as a batch, as far as its state knows of them."""
        stream = self._streams[writer]
        kinds = stream.pipeline.buffer.kinds()
        query, names = wanted.query(kinds)
        data = self.link.copy(query, wanted.values(self.identity, writer, stream.pipeline.seq))
        return batch_from(data, names, stream.pipeline.columns.dictionaries)

    def window(self, start: int | None, stop: int | None, newest: int | None) -> pd.DataFrame:
        """Rows from start to before stop, or the newest ones, of all writers: the database finds them."""
        wanted, frames = Wanted(start, stop, newest), []
        for writer, stream in sorted(self._streams.items()):
            kinds = stream.pipeline.buffer.kinds()
            buffer = RemoteBuffer(stream.pipeline.columns.dictionaries, 0, lambda: None)
            buffer.load(kinds, [self._rows(writer, wanted)], 0)
            frames.append((writer, buffer.frame()))
        return wanted.exactly(merged(frames))

    def main(self) -> Stream:
        """The stages of the writer that started the experiment."""
        return self._streams[0]

    def streams(self) -> list[Stream]:
        """Of all writers, in order of their ordinals."""
        return [self._streams[writer] for writer in sorted(self._streams)]

    def handle(self) -> str:
        """Nobody can join here."""
        raise StoreError(f"{self.config.name!r} is a copy in {self.link.address!r}: nobody can write it")

    def older(self, stream: Stream) -> list[pd.DataFrame]:  # noqa: ARG002
        """All rows are where the others are."""
        return []

    def dead(self) -> bool:
        """Whether it should be alive and nobody has heard of its process for a while."""
        return self.lifecycle.alive and self._owner[2] > STALE

    def owner(self) -> str:
        """Who writes it, in words."""
        return f"process {self._owner[1]} on {self._owner[0]}"


_OWNER = "select host, pid, extract(epoch from now() - beat)::float8 from crucible.experiments where id = %s"
_WRITERS = "select writer, state_seq, copied from crucible.writers where experiment = %s and state is not null"
_STATE = "select state_seq, copied, state from crucible.writers where experiment = %s and writer = %s"


def _state(data: bytes) -> dict[str, Any]:
    try:
        unzip = zlib.decompressobj()
        state = unpacked(orjson.loads(unzip.decompress(data, MAX_BYTES)))
    except (zlib.error, ValueError, TypeError, KeyError) as error:
        raise StoreError("a state in the database cannot be read") from error
    if not isinstance(state, dict):
        raise StoreError("a state in the database cannot be read: no mapping in it")
    return state
