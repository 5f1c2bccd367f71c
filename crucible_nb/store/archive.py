"""A copy of an experiment's folder in object storage: whatever fsspec can reach, one object a file.

A file has its name once it is complete, and never changes after. So the name is all that has to be compared: what is
there with the right size is not copied again, and a copy that was cut off goes on where it was.
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
from crucible_nb.store.layout import FACTS, PRICES, ExperimentFolder, is_id, is_part
from crucible_nb.store.segment import checked
from crucible_nb.store.syscalls import write_whole
from crucible_nb.utils.optional import need

_WHO = re.compile(r"://[^/@]*@")


class Archived(NamedTuple):
    """What stands in object storage.

    Attributes:
        files: Objects there.
        copied: Of them, how many this call has copied.
        events: Events of all writers up to the last segment that is there: the watermark.
    """

    files: int
    copied: int
    events: int


def is_url(value: Any) -> bool:
    """Whether it names object storage.

    Examples:
        >>> is_url("s3://bucket/prefix"), is_url("run.zip")
        (True, False)
    """
    return isinstance(value, str) and "://" in value


def shown(url: str) -> str:
    """A URL without user and password.

    Examples:
        >>> shown("sftp://me:secret@host/runs")
        'sftp://host/runs'
    """
    return _WHO.sub("://", url)


class Remote:
    """One experiment in object storage: <url>/<id>/<names of the folder>.

    Args:
        url: Where to, for fsspec.
        identity: Of the experiment; None: the URL ends in it.

    Raises:
        ConfigError: fsspec, or what it needs for this URL, is not installed.
        StoreError: It cannot be reached.
    """

    def __init__(self, url: str, identity: str | None = None) -> None:
        core = need("fsspec.core", "s3", f"{shown(url)!r}")
        self.url = shown(url).rstrip("/") + (f"/{identity}" if identity else "")
        with _reaching(self.url):
            self._system, path = core.url_to_fs(url)
        self._root = path.rstrip("/") + (f"/{identity}" if identity else "")
        self._known: dict[str, int] = {}

    def push(self, folder: ExperimentFolder, *, whole: bool) -> Archived:
        """Copy what is complete and not there yet.

        Args:
            folder: The experiment here.
            whole: It has ended: also journals that were never sealed.
        """
        with _reaching(self.url):
            self._system.makedirs(self._root, exist_ok=True)
            there = {**self._list(), **self._known}
            copied = 0
            events: dict[str, int] = {}
            for path in _complete(folder, whole=whole):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue  # superseded meanwhile
                if there.get(path.name) != len(data):
                    self._system.pipe_file(f"{self._root}/{path.name}", data)
                    copied += 1
                self._known[path.name] = len(data)
                if path.suffix == ".parquet":
                    writer = path.name[:5]
                    events[writer] = max(events.get(writer, 0), _seq(data))
            return Archived(len({*there, *self._known}), copied, sum(events.values()))

    def _list(self) -> dict[str, int]:
        self._system.invalidate_cache()
        try:
            found = self._system.ls(self._root, detail=True)
        except FileNotFoundError:  # object storage knows no folders: nothing is there yet
            return {}
        return {str(one["name"]).rpartition("/")[2]: int(one["size"] or 0) for one in found if one["type"] == "file"}

    def pull(self, root: Path) -> ExperimentFolder:
        """Put the files into a store here, the facts last, for they make it an experiment.

        Raises:
            StoreError: There is none, it is strange or too large, or it is here already.
        """
        with _reaching(self.url):
            sizes = self._list()
            strange = [name for name in sizes if name not in (FACTS, PRICES) and not is_part(name)]
            if FACTS not in sizes:
                raise StoreError(f"cannot unarchive {self.url!r}: there is no experiment in it")
            if strange or sum(sizes.values()) > MAX_BYTES:
                raise StoreError(f"cannot unarchive {self.url!r}: strange or too large: {strange[:3]}")
            identity = str(orjson.loads(self._get(FACTS))["facts"]["id"])
            if not is_id(identity):
                raise StoreError(f"cannot unarchive {self.url!r}: {identity!r} is no id")
            folder = ExperimentFolder(root / identity)
            if folder.path.exists():
                raise StoreError(f"cannot unarchive {self.url!r}: {identity} is in {str(root)!r} already")
            folder.path.mkdir(mode=0o700, parents=True)
            try:
                for name in sorted(sizes, key=lambda one: one == FACTS):
                    write_whole(folder.path / name, self._get(name))
            except BaseException:
                folder.remove()
                raise
        return folder

    def _get(self, name: str) -> bytes:
        return bytes(self._system.cat_file(f"{self._root}/{name}"))


def _complete(folder: ExperimentFolder, *, whole: bool) -> Iterator[Path]:
    """Files that will not change, in an order of which every beginning can be read: a state before its segment."""
    yield folder.path / PRICES
    yield folder.path / FACTS
    for writer in folder.writers():
        for part in folder.parts(writer):
            if part.segment is not None:
                yield from filter(None, (part.state, part.segment))
            elif whole and part.journal is not None:
                yield part.journal


def _seq(data: bytes) -> int:
    """Number of the next event behind a segment."""
    return int(parquet.source(pa.py_buffer(checked(data)), MAX_BYTES).facts["seq"])


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Turn what a stranger's file system raises into the one sentence."""
    try:
        yield
    except CrucibleError:
        raise
    except ImportError as error:
        said = reason(error)
        raise ConfigError(f"{url!r} needs more than fsspec ({said}): pip install 'crucible_nb[s3]'") from error
    except Exception as error:
        raise StoreError(f"cannot archive to or from {url!r}: {_WHO.sub('://', reason(error))}") from error
