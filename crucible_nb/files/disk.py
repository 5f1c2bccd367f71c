"""Bytes on disk: atomic writing, reading within a cap, and one sentence for whatever goes wrong."""

from __future__ import annotations

import gzip
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from crucible_nb.errors import ConfigError, CrucibleError, StoreError
from crucible_nb.utils import checks

MAX_BYTES = 4 << 30
"""What a file may expand to in memory unless the caller says otherwise: 4 GiB."""

_FORMATS = ("parquet", "csv", "jsonl")
_READABLE = {**{f".{name}": name for name in _FORMATS}, ".csv.gz": "csv", ".jsonl.gz": "jsonl", ".zip": "zip"}


def as_path(value: Any) -> Path:
    """`value` as a Path."""
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        with suppress(TypeError):
            return Path(value)
    raise checks.wrong("path", value, "a path, as text or pathlib.Path")


def target_format(path: Path, wanted: str | None) -> str:
    """The format to write: asked for, else by the suffix; never one that the suffix contradicts."""
    given = path.suffix.lower().lstrip(".")
    if wanted is None:
        if given not in _FORMATS:
            raise checks.wrong("path", str(path), "a name that ends in .parquet, .csv or .jsonl, or format=")
        return given
    checks.one_of("format", wanted, _FORMATS)
    if given in _FORMATS and given != wanted:
        raise ConfigError(f"format={wanted!r}: the path ends in '.{given}'; expected the two to agree")
    return wanted


def source_format(path: Path, wanted: str | None) -> str:
    """The format to read, by the suffix unless asked for; ValueError for what is no plain file.

    A pipe or a device could keep a reader waiting for ever, so neither is opened.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is a folder" if path.is_dir() else "it is not a regular file")
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    if wanted is not None:
        return str(checks.one_of("format", wanted, (*_FORMATS, "zip")))
    suffixes = [suffix.lower() for suffix in path.suffixes]
    for ending in ("".join(suffixes[-2:]), "".join(suffixes[-1:])):
        if ending in _READABLE:
            return _READABLE[ending]
    raise ValueError(f"unknown suffix {path.suffix!r}; expected one of {', '.join(_READABLE)}")


@contextmanager
def reading(path: Path, what: type[Exception] = Exception, ours: type[Exception] = CrucibleError) -> Iterator[None]:
    """Turn what fails inside into the one sentence about a file that cannot be read.

    The bytes are a stranger's and the parsers many: no list of exceptions would be complete.

    Args:
        path: The file.
        what: Errors to turn.
        ours: Those that are a sentence already; StoreError where no caller's argument can be what is wrong.
    """
    try:
        yield
    except ours:
        raise
    except what as error:
        raise StoreError(f"cannot read {str(path)!r}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The first line of an exception, short; plain words for the usual ones."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = text.strip().splitlines()
    return "".join(c if c.isprintable() else "?" for c in lines[0][:300]) if lines else type(error).__name__


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes appear under `path` all at once when the block ends well, and else never."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise StoreError(f"cannot write {str(path)!r}: {_hindrance(path, error)}") from error
        raise
    _sync_folder(path.parent)


def _hindrance(path: Path, error: OSError) -> str:
    if not path.parent.is_dir():
        return f"no such folder {str(path.parent)!r}"
    return "it is a folder" if path.is_dir() else reason(error)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class _Capped(io.RawIOBase):
    """A stream that refuses to give more than `most` bytes."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream = stream
        self._most = most
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(too_large(self._most))
        buffer[: len(data)] = data
        return len(data)


def too_large(most: int) -> str:
    """The sentence for a file that expands to more than it may."""
    return f"it expands to more than max_bytes={most:,}; raise it for a file that you trust"


@contextmanager
def opened(path: Path, max_bytes: int) -> Iterator[Any]:
    """The bytes of a text file, gzip taken off within the cap; ValueError for empty files and web pages."""
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unzipped:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        with io.BufferedReader(_Capped(unzipped, max_bytes), 1 << 16) if packed else raw as stream:
            _look(stream.peek(512))
            yield stream


def _look(head: bytes) -> None:
    if not head:
        raise ValueError("the file is empty")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is UTF-16, expected UTF-8")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!", b"<?", b"<html", b"<head", b"<body")):
        raise ValueError("it is HTML or XML, not data")
