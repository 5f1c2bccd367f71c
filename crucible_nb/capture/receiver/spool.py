"""The journal of a receiver: raw bodies in files, and up to where they are mapped.

A record is a header (length, checksum, kind, encoding) and the body as it was sent. A record that was not written
completely is removed before the next. Bodies hold messages, so the files can be read by their owner alone, and are
removed once they are mapped.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from crucible_nb.errors import StoreError
from crucible_nb.store.lock import Lock

_HEADER = struct.Struct("<4sIIBB")
_MAGIC = b"OTLP"
_KINDS = ("application/x-protobuf", "application/json")
_ENCODINGS = ("", "gzip", "deflate", "identity", "x-gzip")
_LONG = 64 << 20  # bytes of one file
_PATIENCE = 10.0  # seconds in which the process that wrote a journal has to end after the one that mapped it
_STATE = struct.Struct("<IQIQIQI")


class Place(NamedTuple):
    """A place in the journal: number of the file, and offset in it."""

    number: int = 1
    offset: int = 0


class Record(NamedTuple):
    """A body that was kept, and the place behind it."""

    end: Place
    body: bytes
    content_type: str
    encoding: str


class Mapped(NamedTuple):
    """The newest recording: the bodies from `begin` to `end` became `events` events of a writer, from `seq` on."""

    begin: Place
    end: Place
    writer: int
    seq: int
    events: int


def journal_path(folder: Path, number: int) -> Path:
    """Return the path of a file of the journal."""
    return folder / f"bodies-{number:06d}"


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the files that are there, ascending."""
    return sorted(int(path.name[-6:]) for path in folder.glob("bodies-*") if path.name[-6:].isdigit())


def take_journal(folder: Path) -> Lock:
    """Take the right to write a journal; a process that is just ending is waited for.

    Raises:
        StoreError: Another process writes it.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return Lock(folder / "taking")
        except StoreError:
            if time.monotonic() > end:
                raise


class Spool:
    """Writes the journal.

    Args:
        folder: Its folder, which is created.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._lock = threading.Lock()
        self._open((numbers(folder) or [0])[-1] + 1)

    def _open(self, number: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._handle, self._size = os.open(journal_path(self.folder, number), flags, 0o600), 0
        self.number = number

    def append(self, body: bytes, content_type: str, encoding: str) -> None:
        """Write a body; it survives the end of this process once this returns.

        Raises:
            OSError: It could not be written; nothing of it is left.
        """
        kind = _KINDS.index(content_type.partition(";")[0].strip())
        data = _HEADER.pack(_MAGIC, len(body), crc32(body), kind, _ENCODINGS.index(encoding)) + body
        with self._lock:
            if self._size > _LONG:
                os.close(self._handle)
                self._open(self.number + 1)
            written = 0
            try:
                while written < len(data):
                    written += os.write(self._handle, data[written:] if written else data)
            except BaseException:
                os.ftruncate(self._handle, self._size)
                raise
            self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            os.close(self._handle)


def read_records(folder: Path, place: Place, limit: int = 1 << 20) -> Iterator[Record]:
    """Yield the complete records behind a place, up to about `limit` bytes."""
    found = numbers(folder)
    for number in (number for number in found if number >= place.number):
        offset = place.offset if number == place.number else 0
        with journal_path(folder, number).open("rb") as stream:
            stream.seek(offset)
            while limit > 0:
                header = stream.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    break
                magic, length, checksum, kind, encoding = _HEADER.unpack(header)
                body = stream.read(length) if magic == _MAGIC else b""
                if magic != _MAGIC or len(body) < length or crc32(body) != checksum:
                    break  # not written completely, or damaged: what follows is in the next file
                offset += _HEADER.size + length
                limit -= _HEADER.size + length
                yield Record(Place(number, offset), body, _KINDS[kind], _ENCODINGS[encoding])
        if limit <= 0:
            return


def read_mapped(folder: Path) -> Mapped | None:
    """Return what was being recorded last; None at the beginning."""
    try:
        data = (folder / "mapped").read_bytes()
    except FileNotFoundError:
        return None
    if len(data) != _STATE.size + 4 or crc32(data[4:]).to_bytes(4, "little") != data[:4]:
        return None
    begin, begin_offset, end, end_offset, writer, seq, count = _STATE.unpack(data[4:])
    return Mapped(Place(begin, begin_offset), Place(end, end_offset), writer, seq, count)


def write_mapped(folder: Path, mapped: Mapped) -> None:
    """Write what is about to be recorded, by one call."""
    data = _STATE.pack(*mapped.begin, *mapped.end, mapped.writer, mapped.seq, mapped.events)
    handle = os.open(folder / "mapped", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(handle, crc32(data).to_bytes(4, "little") + data, 0)
    finally:
        os.close(handle)
