"""How an experiment of this process hangs together with its folder: what it writes, and what others write."""

from __future__ import annotations

import functools
import gzip
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import reading, too_large
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.prices import PriceTable
from crucible_nb.pipeline.stream import Stream
from crucible_nb.store.follower import Follower
from crucible_nb.store.layout import FACTS, PRICES, ExperimentFolder
from crucible_nb.store.lock import Lock, holder, last_heartbeat
from crucible_nb.store.redaction import Redaction
from crucible_nb.store.segment import read_segment
from crucible_nb.store.writer import Writer, claim, lives, price_bytes

_PRICES = 64 << 20  # bytes that a price file may expand to


class Attachment:
    """An experiment in a store, as this process has it.

    Args:
        folder: The experiment.
        setup: What it was asked to be.
        stream: The stages of this process, where it writes.
        writer: What it writes with; None: it only looks.
        rows: Whether the sealed rows of others are wanted, or only what they amount to.

    Attributes:
        followers: The other writers, by ordinal.
        distant: Whether rows are fetched when they are asked for.
    """

    distant = False

    def __init__(
        self,
        folder: ExperimentFolder,
        config: ExperimentConfig,
        stream: Stream | None = None,
        writer: Writer | None = None,
        *,
        rows: bool = True,
    ) -> None:
        self.folder, self.config, self.stream, self.writer, self.rows = folder, config, stream, writer, rows
        self.followers: dict[int, Follower] = {}
        self._older: tuple[Any, list[pd.DataFrame]] | None = None

    # -- coming -------------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, root: Path, identity: str, config: ExperimentConfig, durability: Any, redaction: Redaction | None
    ) -> Attachment:
        """A new experiment, written by this process."""
        redact = None if redaction is None else redaction.to_dict()
        started = None if config.clock == "events" else config.steady().reading()
        facts = {**config.to_dict(), "id": identity, "durability": durability, "redact": redact, "started": started}
        folder = ExperimentFolder.create(root, identity, facts, price_bytes(config.prices.data))
        stream = Stream(config, 0, started)
        writer = Writer(folder, 0, stream, durability, redaction)
        try:
            writer.acquire()
            writer.open(1, started)
        except StoreError:
            writer.release()
            folder.remove()
            raise
        return cls(folder, config, stream, writer)

    @classmethod
    def resume(
        cls, folder: ExperimentFolder, given: ExperimentConfig | None, durability: Any, redaction: Redaction | None
    ) -> Attachment:
        """Go on with an experiment whose process is gone, as if nothing had happened.

        Raises:
            StoreError: Its process is there, or its files cannot be read.
        """
        beat = last_heartbeat(folder.lock_path(0))  # of the one before: to take the lock is a sign of life
        lock = Lock(folder.lock_path(0)) if not lives(folder) else _refused(folder)
        try:
            config = config_of(folder, given)
            seen = beat if config.clock is None else None
            follower = Follower(folder, 0, config)
            stream = follower.catch_up()
            follower.replayer.skip_replayed_incidents()
            durability = durability or folder.facts().get("durability", "os")
            writer = Writer(folder, 0, stream, durability, redaction)
            writer.lock, writer.sampled_seqs, writer.number = lock, follower.sampled_seqs, follower.next_number() - 1
            attached = cls(folder, config, stream, writer)
            if stream.lifecycle.alive:
                folder.sync(0)
                writer.open(follower.next_number())
                attached._revive(seen)
            else:
                writer.release()
        except OSError as error:
            lock.release()
            raise StoreError(f"cannot sync {str(folder.path)!r}: {error.strerror}") from error
        except BaseException:
            lock.release()
            raise
        return attached

    def _revive(self, seen: int | None) -> None:
        """The time in which nobody was there does not count as active."""
        stream, writer = self.stream, self.writer
        assert stream is not None
        assert writer is not None
        last = stream.clock.last
        if last is None or stream.lifecycle.status != "running":
            return  # a pause goes on being one
        since = max(last, min(seen or last, stream.clock.peek()))
        facts = {"since": since, "clock": stream.clock.reading()}
        writer.journal.write_control("absent", facts)
        stream.apply("absent", facts)

    @classmethod
    def join(
        cls, folder: ExperimentFolder, given: ExperimentConfig | None, durability: Any, redaction: Redaction | None
    ) -> Attachment:
        """Write beside the process that owns it, as a writer of one's own."""
        config = config_of(folder, given)
        writer_id, lock = claim(folder)
        started = None if config.clock == "events" else config.steady().reading()
        stream = Stream(config, writer_id, started)
        writer = Writer(folder, writer_id, stream, durability or folder.facts().get("durability", "os"), redaction)
        writer.lock = lock
        writer.open(1, started)
        return cls(folder, config, stream, writer)

    @classmethod
    def read(cls, folder: ExperimentFolder, given: ExperimentConfig | None = None, *, rows: bool = True) -> Attachment:
        """Look on."""
        config = config_of(folder, given).reading()
        attached = cls(folder, config, rows=rows)
        attached.catch_up()
        return attached

    # -- looking ------------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Read what the other writers wrote since."""
        own = None if self.writer is None else self.writer.writer_id
        for writer_id in {0, *self.folder.writers()}:  # the first may have died before it wrote anything
            if writer_id == own:
                continue
            if writer_id not in self.followers:
                self.followers[writer_id] = Follower(self.folder, writer_id, self.config.reading(), rows=self.rows)
            self.followers[writer_id].catch_up()

    def main(self) -> Stream:
        """The stages of the writer that started the experiment."""
        return self.followers[0].stream if self.stream is None or self.stream.writer_id else self.stream

    def streams(self) -> list[Stream]:
        """Of all writers, in order of their ordinals."""
        found = {writer_id: follower.stream for writer_id, follower in self.followers.items()}
        if self.stream is not None:
            found[self.stream.writer_id] = self.stream
        return [found[writer_id] for writer_id in sorted(found)]

    @property
    def lifecycle(self) -> Lifecycle:
        """Of the experiment."""
        return self.main().lifecycle

    def window(self, start: int | None, stop: int | None, newest: int | None) -> pd.DataFrame | None:  # noqa: ARG002
        """Rows of a window, where they can be had without all the others; else None."""
        return None

    def handle(self) -> str:
        """What another process needs to join."""
        return str(self.folder.path.absolute())

    def older(self, stream: Stream) -> list[pd.DataFrame]:
        """Rows of a writer that left memory and stand in its segments."""
        paths = [part.segment for part in self.folder.parts(stream.writer_id) if part.segment is not None]
        key = (stream.writer_id, len(paths), stream.pipeline.buffer.evicted)
        if self._older is None or self._older[0] != key:
            frames = list(_readable(paths, stream))
            self._older = (key, frames)
        assert self._older is not None
        here = stream.pipeline.buffer.frame()["seq"].to_numpy()
        return [frame[~frame["seq"].isin(here)] for frame in self._older[1]]

    def adopt(self) -> None:
        """Seal what writers left whose processes are gone; who still lives goes on, and is sealed by a later owner."""
        self.catch_up()
        for follower in self.followers.values():
            done = follower.number == follower.sealed or not follower.stream.is_restorable
            if done or lives(self.folder, follower.writer_id):
                continue
            writer = Writer(self.folder, follower.writer_id, follower.stream, "os", None)
            try:
                writer.acquire()
                follower.catch_up()
                writer.sampled_seqs = follower.sampled_seqs
                seal = writer.prepare_segment(follower.number)
                if seal is not None:
                    seal()
                    follower.was_sealed(follower.number)
            except StoreError as error:
                follower.stream.problems.report("store", str(error))
            finally:
                writer.release()

    @property
    def unread(self) -> int:
        """Sealed rows that nobody wanted."""
        return sum(follower.unread for follower in self.followers.values())

    def dead(self) -> bool:
        """Whether it should be alive and its process is not there."""
        return self.lifecycle.alive and not lives(self.folder)

    def owner(self) -> str:
        """Who writes it, in words."""
        return str(holder(self.folder.lock_path(0)) or "another process")


def _readable(paths: Iterable[Path], stream: Stream) -> Iterator[pd.DataFrame]:
    """The rows of segments; one that cannot be read does not hide the others."""
    for path in paths:
        try:
            yield read_segment(path)
        except StoreError as error:
            stream.problems.report("lost", str(error))


def config_of(folder: ExperimentFolder, given: ExperimentConfig | None = None) -> ExperimentConfig:
    """What an experiment was asked to be."""
    facts = folder.facts()
    path = folder.path / PRICES
    with reading(path, ours=StoreError):
        prices = prices_of(path.read_bytes())
    with reading(folder.path / FACTS, ours=StoreError):
        return ExperimentConfig.from_dict(facts, prices, given)


@functools.lru_cache(maxsize=8)
def prices_of(data: bytes) -> PriceTable:
    """A price file, read; most experiments have the same one."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        plain = stream.read(_PRICES + 1)
    if len(plain) > _PRICES:
        raise ValueError(too_large(_PRICES))
    return PriceTable.from_data(orjson.loads(plain))


def _refused(folder: ExperimentFolder) -> Lock:
    who = holder(folder.lock_path(0))
    raise StoreError(
        f"{str(folder.path)!r} is open for writing in {who or 'another process'}. Use mode='read' to open it "
        "read-only, or mode='join' to write as one more process."
    )
