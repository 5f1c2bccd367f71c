"""Folder of one experiment: its files, which are described completely by their names.

    <id>/experiment.json       arguments of `cr.start`
    <id>/prices.json.gz        price table at the start
    <id>/w0000.lock            lock held by the process that is writer 0
    <id>/w0000-000001.jsonl    first journal of writer 0
    <id>/w0000-000001.parquet  segment: rows kept of that journal, once it is sealed
    <id>/w0000-000001.state    checkpoint: state of the writer at the end of that journal

A segment replaces the journal of the same name and all earlier checkpoints; names alone decide which files are valid.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from zlib import adler32

import orjson

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import MAX_BYTES, reading, reason
from crucible_nb.store.syscalls import read_regular, system, write_whole
from crucible_nb.utils.interrupts import let_pass

FACTS = "experiment.json"
PRICES = "prices.json.gz"
INSIDE = "store/"
"""Folder of these files in an archive."""

VERSION = 3
"""Version of the format; each release reads all earlier versions."""

_LARGE, _EXPANSION = 16 << 20, 200
"""Bytes of a member of an archive, and the factor by which a larger one may expand."""

_NAME = re.compile(r"w(\d{4})-(\d{6})\.(jsonl|parquet|state)")
_UNFINISHED = re.compile(  # names of `write_whole`
    rf"\.(?:w(\d{{4}})-\d{{6}}\.(?:parquet|state)|{re.escape(FACTS)}|{re.escape(PRICES)})\.\d+\.tmp"
)
_LOCK = re.compile(r"w(\d{4})\.lock")
_ID = re.compile(r"[0-9a-f]{32}")


class JournalPart(NamedTuple):
    """One journal of a writer, or the segment and checkpoint that replaced it; None for files that do not exist."""

    number: int
    journal: Path | None
    segment: Path | None
    checkpoint: Path | None


def sealed_parts(parts: Sequence[JournalPart]) -> list[JournalPart]:
    """Return the parts that have a segment, or had one: only a segment replaces the journal of a checkpoint."""
    return [part for part in parts if part.segment is not None or (part.checkpoint is not None and not part.journal)]


class FolderListing:
    """Files of an experiment, as one listing of its folder found them.

    Args:
        folder: Folder of the experiment.
        names: Names of all entries.

    Attributes:
        writers: Ids of all writers, in order.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._files: dict[str, Path] = {}
        self._parts: dict[int, dict[int, dict[str, Path]]] = {}
        writers = set()
        for name in sorted(names):
            part = _NAME.fullmatch(name)
            if part:
                numbers = self._parts.setdefault(int(part[1]), {})
                numbers.setdefault(int(part[2]), {})[part[3]] = folder / name
            if part or name in (FACTS, PRICES):
                self._files[f"{INSIDE}{name}"] = folder / name
            if match := part or _LOCK.fullmatch(name):
                writers.add(int(match[1]))
        self.writers = sorted(writers)

    def parts(self, writer_id: int) -> list[JournalPart]:
        """Return journals and segments of a writer, in order."""
        parts = self._parts.get(writer_id, {})
        kinds = ("jsonl", "parquet", "state")
        return [JournalPart(number, *(parts[number].get(kind) for kind in kinds)) for number in sorted(parts)]

    def next_number(self, writer_id: int) -> int:
        """Return the number of the next journal of a writer."""
        return max(self._parts.get(writer_id, {}), default=0) + 1

    def files(self) -> dict[str, Path]:
        """Return the files to archive (not locks and temporary files), by their names in the archive."""
        return dict(self._files)


class ExperimentFolder:
    """The files of one experiment: lists and names them, and keeps none open.

    Args:
        path: Folder of the experiment.

    Attributes:
        price_failure: Reason why its prices could not be read, else "".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.price_failure = ""
        self._facts: dict[str, Any] | None = None

    @classmethod
    def create(cls, root: Path, identity: str, facts: dict[str, Any], prices: bytes) -> ExperimentFolder:
        """Create a folder; the facts are written last, because only with them it is an experiment.

        Raises:
            StoreError: The folder cannot be written; nothing is left behind.
        """
        folder = cls(root / identity)
        if os.path.lexists(root) and not root.is_dir():
            raise StoreError(f"cannot write {str(root)!r}: it is no folder")
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.path.mkdir(mode=0o700)
            write_whole(folder.path / PRICES, prices)
            folder.write_facts(facts)
            system().sync_folder(root)
        except BaseException as error:
            folder.remove()
            let_pass(error)
            if not isinstance(error, OSError):
                raise
            raise StoreError(f"cannot write {str(root)!r}: {reason(error)}") from error
        return folder

    def remove(self) -> None:
        """Delete the folder, after its creation failed."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def identity(self) -> str:
        """Id of the experiment; a copied folder may have another name."""
        return str(self.facts().get("id", self.path.name))

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Write the facts with their checksum."""
        body = orjson.dumps(facts, option=orjson.OPT_INDENT_2)
        whole = {"crucible": VERSION, "checksum": adler32(orjson.dumps(orjson.loads(body))), "facts": facts}
        write_whole(self.path / FACTS, orjson.dumps(whole, option=orjson.OPT_INDENT_2))

    def change_facts(self, changed: dict[str, Any]) -> None:
        """Replace some facts; the file is replaced as a whole, under the version that it has.

        Raises:
            StoreError: It cannot be read or written.
        """
        path = self.path / FACTS
        facts = {**self._read_facts(), **changed}
        try:
            version = orjson.loads(read_regular(path))["crucible"]
            body = orjson.loads(orjson.dumps(facts))
            whole = {"crucible": version, "checksum": adler32(orjson.dumps(body)), "facts": body}
            write_whole(path, orjson.dumps(whole, option=orjson.OPT_INDENT_2))
        except OSError as error:
            let_pass(error)
            raise StoreError(f"cannot write {str(path)!r}: {reason(error)}") from error
        self._facts = facts

    def facts(self) -> dict[str, Any]:
        """Return the arguments of `cr.start`, which are read once; only `change_facts` changes some.

        Raises:
            StoreError: There is no experiment, its file is corrupt, or a newer release wrote it.
        """
        if self._facts is None:
            self._facts = self._read_facts()
        return dict(self._facts)

    def _read_facts(self) -> dict[str, Any]:
        path = self.path / FACTS
        try:
            whole = orjson.loads(read_regular(path))
            facts, version = whole["facts"], whole["crucible"]
            sound = adler32(orjson.dumps(facts)) == whole["checksum"] and isinstance(facts, dict)
        except (OSError, ValueError, KeyError, TypeError) as error:
            let_pass(error)
            raise StoreError(f"cannot read {str(path)!r}: {reason(error)}") from error
        if not isinstance(version, int) or version > VERSION:
            raise StoreError(
                f"cannot read {str(path)!r}: format {version!r}, this release reads up to {VERSION}; upgrade"
            )
        if not sound:
            raise StoreError(f"cannot read {str(path)!r}: its checksum is wrong")
        return facts  # type: ignore[no-any-return]

    def scan(self) -> FolderListing:
        """List the folder once.

        Raises:
            StoreError: The folder cannot be read.
        """
        try:
            names = [entry.name for entry in os.scandir(self.path)]
        except OSError as error:
            let_pass(error)
            raise StoreError(f"cannot read {str(self.path)!r}: {reason(error)}") from error
        return FolderListing(self.path, names)

    def writers(self) -> list[int]:
        """Return the ids of all writers, from a new listing."""
        return self.scan().writers

    def parts(self, writer_id: int) -> list[JournalPart]:
        """Return journals and segments of a writer in order, from a new listing."""
        return self.scan().parts(writer_id)

    def files(self) -> dict[str, Path]:
        """Return the files to archive by their names in the archive, from a new listing."""
        return self.scan().files()

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file that `files` names, without a listing: a store of many is scanned.

        Raises:
            OSError: The folder cannot be read.
        """
        with os.scandir(self.path) as entries:
            return {
                entry.name: entry.stat().st_size
                for entry in sorted(entries, key=lambda entry: entry.name)
                if entry.name in (FACTS, PRICES) or _NAME.fullmatch(entry.name)
            }

    def facts_checksum(self) -> int:
        """Return a checksum of the file of facts: an update may leave its size as it was.

        Raises:
            OSError: The file cannot be read.
        """
        return adler32(read_regular(self.path / FACTS))

    def remove_unfinished(self, is_running: Callable[[int], bool]) -> None:
        """Remove the temporary files that writers left when they were killed, and no other file.

        Args:
            is_running: Callable (writer id) -> whether the writer may still be writing.
        """
        with suppress(OSError):
            for entry in list(os.scandir(self.path)):
                match = _UNFINISHED.fullmatch(entry.name)
                if match and entry.is_file(follow_symlinks=False) and not is_running(int(match[1] or 0)):
                    with suppress(OSError):
                        system().unlink(Path(entry.path))

    def sync(self, writer: int) -> None:
        """Sync the journals that a dead process left, so that they survive a power loss.

        Raises:
            OSError: They cannot be synced.
        """
        now = system()
        for part in self.parts(writer):
            if part.journal is not None:
                handle = now.open(part.journal, os.O_RDONLY)
                try:
                    now.sync(handle)
                finally:
                    now.close(handle)
        now.sync_folder(self.path)

    def part_path(self, writer: int, number: int, kind: str) -> Path:
        """Return the path of a file of a writer."""
        return self.path / f"w{writer:04d}-{number:06d}.{kind}"

    def lock_path(self, writer: int) -> Path:
        """Return the path of the lock file of a writer."""
        return self.path / f"w{writer:04d}.lock"


def folders(root: Path) -> Iterator[ExperimentFolder]:
    """Yield the experiments in a store, in no order."""
    try:
        names = [entry.name for entry in os.scandir(root)]
    except FileNotFoundError:
        return
    except OSError as error:
        let_pass(error)
        raise StoreError(f"cannot read {str(root)!r}: {reason(error)}") from error
    for name in names:
        if is_id(name) and is_experiment(path := root / name):
            yield ExperimentFolder(path)


def is_id(text: str) -> bool:
    """Return whether a text is the id of an experiment."""
    return _ID.fullmatch(text) is not None


def is_experiment(path: Path) -> bool:
    """Return whether a folder holds an experiment, also if its facts are lost; a start cut short leaves no journal."""
    try:
        if (path / FACTS).is_symlink() or (path / FACTS).exists():
            return True
        return any(_NAME.fullmatch(entry.name) for entry in list(path.iterdir()))
    except PermissionError:
        return True  # reading it says why it cannot be read
    except (OSError, ValueError) as error:
        let_pass(error)
        return False


def part_of(path: Path) -> tuple[int, int] | None:
    """Return writer id and number of a journal, segment or checkpoint, by its name."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else (int(match[1]), int(match[2]))


def foreign(facts: Mapping[str, Any], path: Path, identity: str | None) -> str:
    """Compare the facts in a file with its place; return why it does not belong there, "" if it does.

    Args:
        facts: Facts of a journal, segment or checkpoint; facts that it does not have are not compared.
        path: The file.
        identity: Id of the experiment; None: that in the name of the folder.
    """
    part = part_of(path)
    if identity is None and is_id(path.parent.name):
        identity = path.parent.name
    experiment = facts.get("experiment")
    if experiment is not None and identity is not None and experiment not in (identity, path.parent.name):
        return f"it belongs to another experiment, {experiment!r}"
    for key, value in zip(("writer", "part"), part or (), strict=False):
        if facts.get(key, value) != value:
            return f"it is {key} {facts[key]!r}, its name says {value}"
    return ""


def unpack(archive: Path, root: Path) -> ExperimentFolder:
    """Restore an experiment from an archive into a store; it appears complete or not at all.

    Raises:
        StoreError: The archive is corrupt or malicious or holds no store, or the experiment already exists.
    """
    with reading(archive), zipfile.ZipFile(archive) as packed:
        members = {info.filename.removeprefix(INSIDE): info for info in packed.infolist() if info.filename[6:]}
        members = {name: info for name, info in members.items() if info.filename == INSIDE + name}
        for info in members.values():
            if info.file_size > _LARGE and info.file_size > _EXPANSION * info.compress_size:
                raise ValueError(
                    f"the member {info.filename!r} expands to {info.file_size:,} bytes, {_EXPANSION} times its size"
                )
        if FACTS not in members:
            raise StoreError(f"cannot unarchive {str(archive)!r}: it holds events but no store; read them with cr.load")
        check_members(str(archive), {name: info.file_size for name, info in members.items()})
        facts = orjson.loads(packed.read(members[FACTS]))["facts"]
        return restore(str(archive), root, str(facts["id"]), members, lambda name: packed.read(members[name]))


def check_members(source: str, sizes: Mapping[str, int]) -> None:
    """Check the files of an archive.

    Args:
        source: Name of the archive, for messages.
        sizes: Size of each file in bytes.

    Raises:
        StoreError: A file does not belong to an experiment, or all together are too large.
    """
    unknown = [name for name in sizes if name not in (FACTS, PRICES) and not _NAME.fullmatch(name)]
    if unknown or sum(sizes.values()) > MAX_BYTES:
        raise StoreError(f"cannot unarchive {source!r}: unexpected or too large files: {unknown[:3]}")


def restore(
    source: str, root: Path, identity: str, names: Iterable[str], read: Callable[[str], bytes]
) -> ExperimentFolder:
    """Write the files of an archive into a store, the facts last, because only with them it is an experiment.

    Args:
        source: Name of the archive, for messages.
        root: The store.
        identity: Id of the experiment.
        names: Names of its files.
        read: Callable that returns the content of a file.

    Raises:
        StoreError: The id is invalid, or the experiment already exists.
    """
    if not _ID.fullmatch(identity):
        raise StoreError(f"cannot unarchive {source!r}: {identity!r} is not a valid id")
    folder = ExperimentFolder(root / identity)
    if is_experiment(folder.path):
        raise StoreError(f"cannot unarchive {source!r}: {identity} is in {str(root)!r} already")
    unfinished = root / f".{identity}.tmp"
    try:
        with _writing(root):
            for path in (folder.path, unfinished):  # what a start or a restore that was cut short has left
                shutil.rmtree(path, ignore_errors=True)
            unfinished.mkdir(mode=0o700, parents=True)
        for name in sorted(names, key=lambda name: name == FACTS):
            content = read(name)
            with _writing(root):
                write_whole(unfinished / name, content)
        with _writing(root):
            unfinished.rename(folder.path)
            system().sync_folder(root)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Convert an OSError of writing to a StoreError."""
    try:
        yield
    except OSError as error:
        let_pass(error)
        raise StoreError(f"cannot write {str(root)!r}: {reason(error)}") from error
