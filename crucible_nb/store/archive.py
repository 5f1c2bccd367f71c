"""Copies of experiment folders in object storage (any file system of fsspec), one object per file.

A file gets its name when it is complete, and never changes afterwards. So comparing names and sizes is enough: files
already there are not copied again, and an interrupted copy continues where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from crucible_nb.errors import ConfigError, CrucibleError, StoreError
from crucible_nb.files import parquet
from crucible_nb.files.disk import MAX_BYTES, reason
from crucible_nb.store.layout import FACTS, PRICES, ExperimentFolder, check_members, restore
from crucible_nb.store.segment import check_bytes
from crucible_nb.utils.interrupts import let_pass
from crucible_nb.utils.optional import need

_CREDENTIALS = re.compile(r"://[^/@]*@")


class Archived(NamedTuple):
    """State of the copy in object storage.

    Attributes:
        files: Number of objects.
        copied: Number of objects copied by this call.
        events: Number of events of all writers up to their last copied segment (the watermark).
    """

    files: int
    copied: int
    events: int


def is_url(value: Any) -> bool:
    """Return whether a value is the URL of object storage.

    Examples:
        >>> is_url("s3://bucket/prefix"), is_url("run.zip")
        (True, False)
    """
    return isinstance(value, str) and "://" in value


def without_credentials(url: str) -> str:
    """Return a URL without user and password.

    Examples:
        >>> without_credentials("sftp://me:secret@host/runs")
        'sftp://host/runs'
    """
    return _CREDENTIALS.sub("://", url)


class Remote:
    """One experiment in object storage, at <url>/<id>/<file name>.

    Args:
        url: URL for fsspec.
        identity: Id of the experiment; None if the URL ends in it.

    Raises:
        ConfigError: fsspec, or a package that it needs for this URL, is not installed.
        StoreError: The object storage cannot be reached.
    """

    def __init__(self, url: str, identity: str | None = None) -> None:
        core = need("fsspec.core", "s3", f"{without_credentials(url)!r}")
        self.url = without_credentials(url).rstrip("/") + (f"/{identity}" if identity else "")
        with _reaching(self.url):
            self._system, path = core.url_to_fs(url)
        self._root = path.rstrip("/") + (f"/{identity}" if identity else "")
        self._known: dict[str, int] = {}

    def push(self, folder: ExperimentFolder, *, whole: bool) -> Archived:
        """Copy the complete files that are not there yet.

        Args:
            folder: Local folder of the experiment.
            whole: Also copy journals that were not sealed, because the experiment has ended.
        """
        with _reaching(self.url):
            self._system.makedirs(self._root, exist_ok=True)
            self._make_private("", 0o700)
            there = {**self._list(), **self._known}
            copied = 0
            events: dict[str, int] = {}
            for path in _complete(folder, whole=whole):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue  # sealed and removed since the listing
                if there.get(path.name) != len(data):
                    self._system.pipe_file(f"{self._root}/{path.name}", data)
                    self._make_private(f"/{path.name}", 0o600)
                    copied += 1
                self._known[path.name] = len(data)
                if path.suffix == ".parquet":
                    writer = path.name[:5]
                    events[writer] = max(events.get(writer, 0), _seq(data))
            return Archived(len({*there, *self._known}), copied, sum(events.values()))

    def _make_private(self, name: str, mode: int) -> None:
        """Keep a copy on a local file system from other users; elsewhere the storage has rights of its own."""
        if "file" in self._system.protocol:
            Path(f"{self._root}{name}").chmod(mode)

    def _list(self) -> dict[str, int]:
        self._system.invalidate_cache()
        try:
            entries = self._system.ls(self._root, detail=True)
        except FileNotFoundError:  # object storage has no empty folders
            return {}
        files = (entry for entry in entries if entry["type"] == "file")
        return {str(file["name"]).rpartition("/")[2]: int(file["size"] or 0) for file in files}

    def pull(self, root: Path) -> ExperimentFolder:
        """Copy the experiment into a local store.

        Raises:
            StoreError: There is no experiment, its files are invalid or too large, or it already exists locally.
        """
        with _reaching(self.url):
            sizes = self._list()
            if FACTS not in sizes:
                raise StoreError(f"cannot unarchive {self.url!r}: there is no experiment in it")
            check_members(self.url, sizes)
            identity = str(orjson.loads(self._get(FACTS))["facts"]["id"])
            return restore(self.url, root, identity, sizes, self._get)

    def _get(self, name: str) -> bytes:
        return bytes(self._system.cat_file(f"{self._root}/{name}"))


def _complete(folder: ExperimentFolder, *, whole: bool) -> Iterator[Path]:
    """Yield the files that no longer change; a checkpoint comes before its segment, so any prefix can be read."""
    yield folder.path / PRICES
    yield folder.path / FACTS
    listing = folder.scan()
    for writer_id in listing.writers:
        for part in listing.parts(writer_id):
            if part.segment is not None:
                yield from filter(None, (part.checkpoint, part.segment))
            elif whole and part.journal is not None:
                yield part.journal


def _seq(data: bytes) -> int:
    """Return the sequence number after the last event of a segment."""
    return int(parquet.source(pa.py_buffer(check_bytes(data)), MAX_BYTES).facts["seq"])


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Turn exceptions of the file system into a StoreError, or a ConfigError if a package is missing."""
    try:
        yield
    except CrucibleError:
        raise
    except ImportError as error:
        missing = reason(error)
        raise ConfigError(f"{url!r} needs more than fsspec ({missing}): pip install 'crucible_nb[s3]'") from error
    except Exception as error:
        let_pass(error)
        raise StoreError(f"cannot archive to or from {url!r}: {_CREDENTIALS.sub('://', reason(error))}") from error
