"""An experiment opened from a store: the files this process writes and the files it reads."""

from __future__ import annotations

import functools
import gzip
import io
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

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
from crucible_nb.store.syscalls import read_regular
from crucible_nb.store.writer import Writer, claim, price_bytes, writer_is_running
from crucible_nb.utils.interrupts import let_pass

_PRICES = 64 << 20  # bytes that a price file may expand to


class Attachment:
    """An experiment opened from a store by this process.

    Args:
        folder: Folder of the experiment.
        config: Arguments of the experiment.
        stream: State of the writer of this process; None for a reader.
        writer: Writer of this process; None for a reader.
        rows: Whether to read the rows of other writers' segments; False reads only their checkpoints.

    Attributes:
        followers: Followers of the other writers, by writer id.
        more: Gives the states of writers that are in no file of theirs yet.
        rows_are_remote: Whether rows are fetched from a database when they are needed.
    """

    rows_are_remote = False

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
        self.more: Callable[[], Iterable[Stream]] = tuple
        self._evicted_rows: tuple[Any, list[pd.DataFrame]] | None = None

    # -- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, root: Path, identity: str, config: ExperimentConfig, durability: Any, redaction: Redaction | None
    ) -> Attachment:
        """Create an experiment that this process writes."""
        redact = None if redaction is None else redaction.to_dict()
        started = config.start_reading()
        prices = price_bytes(config.prices.data)
        facts = {
            **config.to_dict(), "id": identity, "durability": durability, "redact": redact, "started": started,
            "created": time.time_ns(), "prices_crc32": crc32(prices),
        }  # fmt: skip
        folder = ExperimentFolder.create(root, identity, facts, prices)
        stream = Stream(config, 0, started)
        writer = Writer(folder, 0, stream, durability, redaction)
        try:
            with writer.released_on_failure():
                writer.take_lock()
                writer.open(1, started)
        except BaseException:
            folder.remove()
            raise
        return cls(folder, config, stream, writer)

    @classmethod
    def resume(
        cls, folder: ExperimentFolder, given: ExperimentConfig | None, durability: Any, redaction: Redaction | None
    ) -> Attachment:
        """Continue recording into an experiment whose process has ended.

        Raises:
            StoreError: Its process is still running, or its files cannot be read.
        """
        beat = last_heartbeat(folder.lock_path(0))  # of the earlier process: taking the lock renews it
        lock = Lock(folder.lock_path(0)) if not writer_is_running(folder) else _raise_in_use(folder)
        release = lock.release
        try:
            config = config_of(folder, given)
            seen = beat if config.clock is None else None
            follower = Follower(folder, 0, config, ended=True)
            stream = follower.catch_up()
            follower.replayer.skip_replayed_incidents()
            durability = durability or folder.facts().get("durability", "os")
            writer = Writer(folder, 0, stream, durability, redaction)
            stream.pipeline.buffer.sampled_seqs = follower.sampled_seqs
            writer.lock, writer.sampled_seqs, writer.number = lock, follower.sampled_seqs, follower.next_number() - 1
            release = writer.release
            attached = cls(folder, config, stream, writer)
            attached.report_lost_prices()
            folder.remove_unfinished(lambda writer_id: writer_id != 0 and writer_is_running(folder, writer_id))
            if stream.lifecycle.alive:
                folder.sync(0)
                writer.open(follower.next_number())
                attached._record_gap(seen)
            else:
                writer.release()
        except OSError as error:
            release()
            raise StoreError(f"cannot sync {str(folder.path)!r}: {error.strerror}") from error
        except BaseException:
            release()
            raise
        return attached

    def _record_gap(self, seen: int | None) -> None:
        """Exclude the time between the crash and this resume from active time."""
        stream, writer = self.stream, self.writer
        assert stream is not None
        assert writer is not None
        last = stream.clock.last
        if last is None or stream.lifecycle.status != "running":
            return  # paused time is not active anyway
        since = max(last, min(seen or last, stream.clock.peek()))
        facts = {"since": since, "clock": stream.clock.reading()}
        writer.journal.write_control("absent", facts)
        stream.apply("absent", facts)

    @classmethod
    def join(
        cls, folder: ExperimentFolder, given: ExperimentConfig | None, durability: Any, redaction: Redaction | None
    ) -> Attachment:
        """Write to a running experiment from a second process, as a writer with its own id."""
        config = config_of(folder, given)
        started, durability = config.start_reading(), durability or folder.facts().get("durability", "os")
        writer_id, lock = claim(folder)
        stream = Stream(config, writer_id, started)
        writer = Writer(folder, writer_id, stream, durability, redaction)
        writer.lock = lock
        with writer.released_on_failure():
            folder.remove_unfinished(lambda writer_id: writer_is_running(folder, writer_id))
            writer.open(1, started)
        return cls(folder, config, stream, writer)

    @classmethod
    def read(cls, folder: ExperimentFolder, given: ExperimentConfig | None = None, *, rows: bool = True) -> Attachment:
        """Open an experiment read-only."""
        config = config_of(folder, given).for_reader()
        attached = cls(folder, config, rows=rows)
        attached.catch_up()
        attached.report_lost_prices()
        return attached

    def report_lost_prices(self) -> None:
        """Report a price file that cannot be read; later costs are those of today's prices."""
        if self.folder.price_failure:
            sentence = f"{self.folder.price_failure}; costs are computed with the prices of this release"
            self.main().problems.report("lost", sentence)

    # -- reading ------------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Read the new lines of the other writers."""
        own = None if self.writer is None else self.writer.writer_id
        listing = self.folder.scan()
        for writer_id in {0, *listing.writers}:  # the first may have ended before it wrote anything
            if writer_id == own:
                continue
            if writer_id not in self.followers:
                self.followers[writer_id] = Follower(
                    self.folder, writer_id, self.config.for_reader(), rows=self.rows, listing=listing
                )
            self.followers[writer_id].catch_up()

    def main(self) -> Stream:
        """Return the state of the writer that started the experiment."""
        return self.followers[0].stream if self.stream is None or self.stream.writer_id else self.stream

    def streams(self) -> list[Stream]:
        """Return the states of all writers, by ascending writer id."""
        streams = {writer_id: follower.stream for writer_id, follower in self.followers.items()}
        if self.stream is not None:
            streams[self.stream.writer_id] = self.stream
        streams |= {stream.writer_id: stream for stream in self.more()}
        return [streams[writer_id] for writer_id in sorted(streams)]

    @property
    def lifecycle(self) -> Lifecycle:
        """Lifecycle of the experiment: that of its main writer."""
        return self.main().lifecycle

    def window(self, start: int | None, stop: int | None, newest: int | None) -> pd.DataFrame | None:  # noqa: ARG002
        """Return the rows of a window if they can be read without all other rows, else None."""
        return None

    def handle(self) -> str:
        """Return the handle with which another process can join."""
        return str(self.folder.path.absolute())

    def evicted_rows(self, stream: Stream) -> list[pd.DataFrame]:
        """Return the rows of a writer that were evicted from memory and are in its segments."""
        paths = [part.segment for part in self.folder.parts(stream.writer_id) if part.segment is not None]
        key = (stream.writer_id, len(paths), stream.pipeline.buffer.evicted)
        if self._evicted_rows is None or self._evicted_rows[0] != key:
            frames = list(_readable(paths, stream, self.folder.identity))
            self._evicted_rows = (key, frames)
        assert self._evicted_rows is not None
        in_memory = stream.pipeline.buffer.frame()["seq"].to_numpy()
        return [frame[~frame["seq"].isin(in_memory)] for frame in self._evicted_rows[1]]

    def seal_abandoned_journals(self) -> None:
        """Seal the journals of writers whose process has ended. Writers still running are skipped."""
        self.catch_up()
        for follower in self.followers.values():
            done = follower.number == follower.sealed or not follower.stream.is_restorable
            if done or writer_is_running(self.folder, follower.writer_id):
                continue
            writer = Writer(self.folder, follower.writer_id, follower.stream, "os", None)
            try:
                writer.take_lock()
                follower.catch_up()
                writer.sampled_seqs = follower.sampled_seqs
                seal = writer.prepare_segment(follower.number)
                if seal is not None:
                    seal()
                    follower.mark_sealed(follower.number)
            except StoreError as error:
                follower.stream.problems.report("store", str(error))
            finally:
                writer.release()

    @property
    def unread(self) -> int:
        """Number of rows in segments that were not read."""
        return sum(follower.unread for follower in self.followers.values())

    def dead(self) -> bool:
        """Return whether the experiment has not ended although its process has."""
        return self.lifecycle.alive and not writer_is_running(self.folder)

    def owner(self) -> str:
        """Describe the process that writes the experiment."""
        return str(holder(self.folder.lock_path(0)) or "another process")


def _readable(paths: Iterable[Path], stream: Stream, identity: str) -> Iterator[pd.DataFrame]:
    """Read segments; those that cannot be read are reported and skipped."""
    for path in paths:
        try:
            yield read_segment(path, identity)
        except StoreError as error:
            let_pass(error)
            stream.problems.report("lost", str(error))


def config_of(folder: ExperimentFolder, given: ExperimentConfig | None = None) -> ExperimentConfig:
    """Read the arguments of an experiment from its folder; if its prices are lost, they are those of today."""
    facts = folder.facts()
    try:
        prices = stored_prices(folder)
        folder.price_failure = ""
    except StoreError as error:
        let_pass(error)
        prices, folder.price_failure = PriceTable.default(), str(error)
    with reading(folder.path / FACTS, unchanged=StoreError):
        return ExperimentConfig.from_dict(facts, prices, given)


def stored_prices(folder: ExperimentFolder) -> PriceTable:
    """Read the price table of an experiment.

    Raises:
        StoreError: The file is missing or corrupt.
    """
    path, checksum = folder.path / PRICES, folder.facts().get("prices_crc32")
    with reading(path, unchanged=StoreError):
        data = read_regular(path)
        if checksum is not None and crc32(data) != checksum:
            raise ValueError("its checksum is wrong")
        return prices_of(data)


@functools.lru_cache(maxsize=8)
def prices_of(data: bytes) -> PriceTable:
    """Parse a price file; cached, because most experiments have the same one."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        plain = stream.read(_PRICES + 1)
    if len(plain) > _PRICES:
        raise ValueError(too_large(_PRICES))
    return PriceTable.from_data(orjson.loads(plain))


def _raise_in_use(folder: ExperimentFolder) -> Lock:
    owner = holder(folder.lock_path(0))
    raise StoreError(
        f"{str(folder.path)!r} is open for writing in {owner or 'another process'}. Use mode='read' to open it "
        "read-only, or mode='join' to write as one more process."
    )
