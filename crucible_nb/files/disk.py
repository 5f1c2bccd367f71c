"""Files on disk: atomic writing, reading with a size limit, and one error message for every failure."""

from __future__ import annotations

import gzip
import io
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from crucible_nb.errors import ConfigError, CrucibleError, StoreError
from crucible_nb.otel import is_spans
from crucible_nb.utils import checks
from crucible_nb.utils.interrupts import let_pass

try:
    import fcntl

    _LOCKS = True
except ImportError:  # pragma: no cover  systems without flock keep what a killed process left
    _LOCKS = False

MAX_BYTES = 4 << 30
"""Default limit of a file's size in memory: 4 GiB."""

_FORMATS = ("parquet", "csv", "jsonl")
_SUFFIXES = {
    **{f".{name}": name for name in (*_FORMATS, "zip")},
    ".tsv": "csv",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".pq": "parquet",
}


def as_path(value: Any) -> Path:
    """Convert an argument to a Path, with `~` and `~user` expanded; ConfigError if it is not a path."""
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        with suppress(TypeError):
            path = Path(value)
            with suppress(RuntimeError):  # no such user: a name that begins with a tilde
                path = path.expanduser()
            return path
    raise checks.wrong("path", value, "a path, as text or pathlib.Path")


def target_format(path: Path, wanted: str | None) -> str:
    """Return the format to write: as requested, else by the suffix; ConfigError if the two contradict."""
    suffix = path.suffix.lower().lstrip(".")
    if wanted is None:
        if suffix not in _FORMATS:
            raise checks.wrong("path", str(path), "a name that ends in .parquet, .csv or .jsonl, or format=")
        return suffix
    checks.one_of("format", wanted, _FORMATS)
    if suffix in _FORMATS and suffix != wanted:
        raise ConfigError(f"format={wanted!r}: the path ends in '.{suffix}'; expected the two to agree")
    return wanted


def source_format(path: Path, wanted: str | None) -> str:
    """Return the format to read: as requested, else by the suffix, else by the content.

    Pipes and devices are not opened, since a reader could wait for them forever; ValueError for these and for folders.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is a folder" if path.is_dir() else "it is not a regular file")
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    if wanted is not None:
        return "jsonl" if wanted == "json" else str(checks.one_of("format", wanted, (*_FORMATS, "zip", "otlp")))
    name = path.name.lower().removesuffix(".gz")
    found = _SUFFIXES.get(Path(name).suffix) or _format_of(path)
    if found == "jsonl" and is_spans(_head(path)):
        return "otlp"
    if found is None:
        expected = ", ".join(f".{name}" for name in _FORMATS)
        raise ValueError(f"unknown suffix {path.suffix!r}, and its content is no known format; expected {expected}")
    return found


def _format_of(path: Path) -> str | None:
    """Return the format that the beginning of a file is of, None if that is not certain."""
    head = _head(path)
    if is_spans(head):
        return "otlp"
    head = head[: head.rfind(b"\n")] if head.count(b"\n") > 1 else head  # whole lines
    for magic, name in ((b"PAR1", "parquet"), (b"PK\x03\x04", "zip")):
        if head.startswith(magic):
            return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[{", b"[\n", b"[\r\n", b"[ ")):
        return "jsonl"
    lines = text.splitlines()[:2]
    counts = [[line.count(mark) for mark in (b",", b";", b"\t", b"|")] for line in lines]
    cut = any(first and first == last for first, last in zip(counts[0], counts[-1], strict=True))
    return "csv" if cut and b"\0" not in head else None


def _head(path: Path) -> bytes:
    with open_text(path, MAX_BYTES) as stream:
        return bytes(stream.peek(4096)[:4096])


@contextmanager
def reading(
    path: Path, converted: type[Exception] = Exception, unchanged: type[Exception] = CrucibleError
) -> Iterator[None]:
    """Convert exceptions inside the block to a StoreError that names the file.

    The input is untrusted and the parsers are many, so no list of exceptions would be complete.

    Args:
        path: The file.
        converted: Exceptions to convert.
        unchanged: Exceptions that propagate unchanged; StoreError where no argument of the caller can be the cause.
    """
    try:
        yield
    except unchanged:
        raise
    except converted as error:
        let_pass(error)
        raise StoreError(f"cannot read {str(path)!r}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return the first line of an exception's message, shortened; plain words for common errors."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = text.strip().splitlines()
    return "".join(c if c.isprintable() else "?" for c in lines[0][:300]) if lines else type(error).__name__


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a stream whose content replaces `path` atomically when the block succeeds, and is dropped otherwise.

    Args:
        path: The file.
        mode: Its permissions, less the umask.
    """
    _remove_unfinished(path)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as stream:
            _lock(stream.fileno())
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        let_pass(error)
        if isinstance(error, OSError):
            raise StoreError(f"cannot write {str(path)!r}: {_write_failure(path, error)}") from error
        raise
    _sync_folder(path.parent)


def _remove_unfinished(path: Path) -> None:
    """Remove what processes that were killed have left beside a file; a file that is being written is locked."""
    name = re.compile(re.escape(f".{path.name[:100]}.") + r"[0-9a-f]{16}\.tmp")
    with suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_if_free(Path(entry.path))


def _remove_if_free(path: Path) -> None:
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            if time.time() - os.fstat(handle).st_mtime > _FRESH and _lock(handle):
                path.unlink()
        finally:
            os.close(handle)


_FRESH = 5.0  # seconds in which a new file may not be locked yet


def _lock(handle: int) -> bool:
    """Lock an open file until it is closed; return False if another process has it, or locks do not work."""
    with suppress(OSError):
        if _LOCKS:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _LOCKS
    return False


def _write_failure(path: Path, error: OSError) -> str:
    if not path.parent.is_dir():
        return f"no such folder {str(path.parent)!r}"
    return "it is a folder" if path.is_dir() else reason(error)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where the operating system allows opening a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class _LimitedStream(io.RawIOBase):
    """A stream that raises ValueError after more than `max_bytes` bytes."""

    def __init__(self, stream: Any, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._left = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(too_large(self._max_bytes))
        buffer[: len(data)] = data
        return len(data)


def too_large(max_bytes: int) -> str:
    """Return the error message for a file that expands to more than `max_bytes`."""
    return f"it expands to more than max_bytes={max_bytes:,}; raise it for a file that you trust"


@contextmanager
def open_text(path: Path, max_bytes: int) -> Iterator[Any]:
    """Open a text file as bytes, decompressing gzip up to a limit; ValueError for empty files and web pages."""
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unzipped:
        is_gzip = raw.peek(2)[:2] == b"\x1f\x8b"
        with io.BufferedReader(_LimitedStream(unzipped, max_bytes), 1 << 16) if is_gzip else raw as stream:
            _check_head(stream.peek(512))
            yield stream


def _check_head(head: bytes) -> None:
    if not head:
        raise ValueError("the file is empty")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is UTF-16, expected UTF-8")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!", b"<?", b"<html", b"<head", b"<body")):
        raise ValueError("it is HTML or XML, not data")
