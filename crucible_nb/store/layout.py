"""One experiment on disk: a folder, and names that say everything there is to know about its files.

    <id>/experiment.json       what was given to `cr.start`
    <id>/prices.json.gz        the prices of the time
    <id>/w0000.lock            held by the process that writes as writer 0
    <id>/w0000-000001.jsonl    its first journal
    <id>/w0000-000001.parquet  its kept rows, once that journal is sealed
    <id>/w0000-000001.state    everything that was known at the end of it

A segment supersedes the journal of its name, and the states before it. Nothing else says what is valid.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import adler32

import orjson

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import MAX_BYTES, reading, reason
from crucible_nb.store.syscalls import system, write_whole

FACTS = "experiment.json"
PRICES = "prices.json.gz"
INSIDE = "store/"
"""Where an archive holds them."""

VERSION = 1
"""Of the format; a later release reads every earlier one."""

_NAME = re.compile(r"w(\d{4})-(\d{6})\.(jsonl|parquet|state)")
_LOCK = re.compile(r"w(\d{4})\.lock")
_ID = re.compile(r"[0-9a-f]{32}")


class JournalPart(NamedTuple):
    """One journal of a writer, or what became of it."""

    number: int
    journal: Path | None
    segment: Path | None
    state: Path | None


class ExperimentFolder:
    """The files of one experiment; it lists and names them, and holds nothing open.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, identity: str, facts: dict[str, Any], prices: bytes) -> ExperimentFolder:
        """A new folder with the facts of an experiment; they come last, for they make it one.

        Raises:
            StoreError: The disk refuses; nothing is left behind.
        """
        folder = cls(root / identity)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.path.mkdir(mode=0o700)
            write_whole(folder.path / PRICES, prices)
            folder.write_facts(facts)
            system().sync_folder(root)
        except OSError as error:
            folder.remove()
            raise StoreError(f"cannot write {str(root)!r}: {reason(error)}") from error
        return folder

    def remove(self) -> None:
        """Take back a folder that could not be begun."""
        shutil.rmtree(self.path, ignore_errors=True)

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Put the facts down; they say their own checksum."""
        body = orjson.dumps(facts, option=orjson.OPT_INDENT_2)
        whole = {"crucible": VERSION, "checksum": adler32(orjson.dumps(orjson.loads(body))), "facts": facts}
        write_whole(self.path / FACTS, orjson.dumps(whole, option=orjson.OPT_INDENT_2))

    def facts(self) -> dict[str, Any]:
        """What was given to `cr.start`.

        Raises:
            StoreError: There is no experiment, it is broken, or a newer release wrote it.
        """
        path = self.path / FACTS
        try:
            whole = orjson.loads(path.read_bytes())
            facts, version = whole["facts"], whole["crucible"]
            sound = adler32(orjson.dumps(facts)) == whole["checksum"] and isinstance(facts, dict)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"cannot read {str(path)!r}: {reason(error)}") from error
        if not isinstance(version, int) or version > VERSION:
            raise StoreError(f"cannot read {str(path)!r}: format {version!r}, this release knows {VERSION}; upgrade")
        if not sound:
            raise StoreError(f"cannot read {str(path)!r}: its checksum does not hold")
        return facts  # type: ignore[no-any-return]

    def writers(self) -> list[int]:
        """Ordinals of all writers there were."""
        names = (_NAME.fullmatch(name) or _LOCK.fullmatch(name) for name in self._names())
        return sorted({int(found[1]) for found in names if found})

    def parts(self, writer: int) -> list[JournalPart]:
        """Journals and segments of a writer, in order."""
        found: dict[int, dict[str, Path]] = {}
        for name in self._names():
            match = _NAME.fullmatch(name)
            if match and int(match[1]) == writer:
                found.setdefault(int(match[2]), {})[match[3]] = self.path / name
        kinds = ("jsonl", "parquet", "state")
        return [JournalPart(number, *(found[number].get(kind) for kind in kinds)) for number in sorted(found)]

    def files(self) -> dict[str, Path]:
        """What an archive holds of the folder: everything but locks and temporary files, by name within it."""
        names = sorted(name for name in self._names() if name in (FACTS, PRICES) or _NAME.fullmatch(name))
        return {f"{INSIDE}{name}": self.path / name for name in names}

    def sync(self, writer: int) -> None:
        """Have journals that a dead process left survive a power loss, as if it had synced them.

        Raises:
            OSError: The system says that they do not.
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

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in os.scandir(self.path)]
        except OSError as error:
            raise StoreError(f"cannot read {str(self.path)!r}: {reason(error)}") from error

    def name(self, writer: int, number: int, kind: str) -> Path:
        """What a file of a writer is called."""
        return self.path / f"w{writer:04d}-{number:06d}.{kind}"

    def lock(self, writer: int) -> Path:
        """The lock file of a writer."""
        return self.path / f"w{writer:04d}.lock"


def is_id(name: str) -> bool:
    """Whether a folder of an experiment may be called so."""
    return bool(_ID.fullmatch(name))


def is_part(name: str) -> bool:
    """Whether a file of a writer may be called so."""
    return bool(_NAME.fullmatch(name))


def folders(root: Path) -> Iterator[ExperimentFolder]:
    """The experiments under a root, in no order."""
    try:
        names = [entry.name for entry in os.scandir(root)]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot read {str(root)!r}: {reason(error)}") from error
    for name in names:
        if _ID.fullmatch(name) and (root / name / FACTS).exists():
            yield ExperimentFolder(root / name)


def unpack(archive: Path, root: Path) -> ExperimentFolder:
    """Put the files of an archive into a store again, all at once.

    Raises:
        StoreError: The archive is broken or hostile or holds no store, or the experiment is there already.
    """
    with reading(archive), zipfile.ZipFile(archive) as packed:
        members = {info.filename.removeprefix(INSIDE): info for info in packed.infolist() if info.filename[6:]}
        members = {name: info for name, info in members.items() if info.filename == INSIDE + name}
        if FACTS not in members:
            raise StoreError(f"cannot unarchive {str(archive)!r}: it holds events and no store; cr.load reads them")
        strange = [name for name in members if name not in (FACTS, PRICES) and not _NAME.fullmatch(name)]
        if strange or sum(info.file_size for info in members.values()) > MAX_BYTES:
            raise StoreError(f"cannot unarchive {str(archive)!r}: strange or too large: {strange[:3]}")
        facts = orjson.loads(packed.read(members[FACTS]))["facts"]
        identity = str(facts["id"])
        if not _ID.fullmatch(identity):
            raise StoreError(f"cannot unarchive {str(archive)!r}: {identity!r} is no id")
        folder = ExperimentFolder(root / identity)
        if folder.path.exists():
            raise StoreError(f"cannot unarchive {str(archive)!r}: {identity} is in {str(root)!r} already")
        folder.path.mkdir(mode=0o700, parents=True)
        try:
            for name in sorted(members, key=lambda one: one == FACTS):  # what makes it an experiment comes last
                write_whole(folder.path / name, packed.read(members[name]))
        except BaseException:
            folder.remove()
            raise
    return folder
