"""`crucible_nb verify PATH`: check every checksum, and count what can be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.files.disk import as_path, reading, reason
from crucible_nb.store.checkpoint import read_checkpoint
from crucible_nb.store.layout import FACTS, ExperimentFolder, folders
from crucible_nb.store.row_codec import Run
from crucible_nb.store.segment import read_segment
from crucible_nb.store.tail import Tail


@dataclass(frozen=True, slots=True)
class FileReport:
    """Result for one file.

    Attributes:
        path: Path of the file.
        events: Number of events or rows that can be read.
        torn: Bytes of a last line that was never acknowledged, or is being written.
        bad: Byte offsets of lines that cannot be read.
        error: Reason why the whole file cannot be read, else "".
    """

    path: Path
    events: int = 0
    torn: int = 0
    bad: tuple[int, ...] = ()
    error: str = ""

    @property
    def sound(self) -> bool:
        """Whether the file can be read completely."""
        return not (self.bad or self.error)

    def __str__(self) -> str:
        if self.error:
            return f"BROKEN  {self.path}: {self.error}"
        if self.bad:
            offsets = ", ".join(map(str, self.bad[:5])) + (", ..." if len(self.bad) > 5 else "")
            lines = f"{len(self.bad)} lines cannot be read (at byte {offsets})"
            return f"BROKEN  {self.path}: {lines}; {self.events:,} events can"
        torn = f", {self.torn} bytes of an unfinished line" if self.torn else ""
        return f"ok      {self.path}: {self.events:,} events{torn}"


@dataclass(frozen=True, slots=True)
class Report:
    """Results for all files below a path.

    Attributes:
        files: One result per file.
    """

    files: tuple[FileReport, ...] = field(default_factory=tuple)

    @property
    def sound(self) -> bool:
        """Whether all files can be read completely."""
        return all(file.sound for file in self.files)

    def __str__(self) -> str:
        broken = sum(not file.sound for file in self.files)
        total = f"{len(self.files)} files, {broken} broken" if broken else f"{len(self.files)} files, all sound"
        return "\n".join([*map(str, self.files), total])


def verify(path: str | Path) -> Report:
    """Check every checksum of a store, an experiment or one file.

    Args:
        path: Folder given to `cr.start(store=...)`, folder of one experiment in it, or one of its files.

    Returns:
        A report of all files, to print.

    Raises:
        StoreError: There is no experiment at this path.

    Examples:
        >>> import tempfile
        >>> import crucible_nb as cr
        >>> from crucible_nb.store.verify import verify
        >>> runs = tempfile.mkdtemp()
        >>> with cr.start("demo", store=runs) as exp:
        ...     _ = exp.record("tick")
        >>> verify(runs).sound
        True
    """
    root = as_path(path)
    files = tuple(_files(root))
    if not files:
        raise StoreError(f"cannot verify {str(root)!r}: there is no experiment in it")
    return Report(files)


def _files(root: Path) -> Iterator[FileReport]:
    if root.is_file():
        yield _check_file(root)
        return
    here = [ExperimentFolder(root)] if (root / FACTS).exists() else folders(root)
    for folder in sorted(here, key=lambda folder: folder.path.name):
        yield _check_facts(folder)
        listing = folder.scan()
        for writer_id in listing.writers:
            parts = listing.parts(writer_id)
            sealed = [part.number for part in parts if part.segment is not None]
            if sealed and not any(part.checkpoint for part in parts if part.number == sealed[-1]):
                yield FileReport(folder.part_path(writer_id, sealed[-1], "state"), error="no such file")
            for part in parts:
                for path in (part.segment, part.checkpoint, part.journal):
                    if path is not None:
                        yield _check_file(path)


def _check_facts(folder: ExperimentFolder) -> FileReport:
    try:
        folder.facts()
    except StoreError as error:
        return FileReport(folder.path / FACTS, error=str(error))
    return FileReport(folder.path / FACTS)


def _check_file(path: Path) -> FileReport:
    try:
        if path.suffix == ".parquet":
            return FileReport(path, len(read_segment(path)))
        if path.suffix == ".state":
            with reading(path):
                return FileReport(path, int(read_checkpoint(path)[0]["seq"]))
        if path.suffix == ".jsonl":
            return _check_journal(path)
        return FileReport(path, error="it is not a file of a store")
    except (CrucibleError, OSError) as error:
        if not path.exists():
            return FileReport(path)  # sealed and removed meanwhile
        return FileReport(path, error=str(error) if isinstance(error, CrucibleError) else reason(error))


def _check_journal(path: Path) -> FileReport:
    tail, events = Tail(path), 0
    while (lines := tail.read()) is not None:
        if isinstance(lines, Run):
            events += lines.events
            continue
        for cells in lines:
            if cells and type(cells[0]) is int:
                events += 1
            elif cells and cells[0] == "rows" and len(cells) == 7 and type(cells[2]) is int:
                events += cells[2]
    return FileReport(path, events, tail.torn, tuple(bad.offset for bad in tail.bad))
