"""`crucible_nb verify PATH`: check every checksum and every number, and count what can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.files.disk import as_path, reading, reason
from crucible_nb.store.attachment import stored_prices
from crucible_nb.store.checkpoint import read_checkpoint
from crucible_nb.store.layout import (
    FACTS,
    PRICES,
    ExperimentFolder,
    JournalPart,
    folders,
    foreign,
    is_experiment,
    sealed_parts,
)
from crucible_nb.store.numbering import Numbering
from crucible_nb.store.replayer import following_seqs, line_of
from crucible_nb.store.row_codec import Run
from crucible_nb.store.segment import read_segment
from crucible_nb.store.summaries import check_summary
from crucible_nb.store.tail import Tail
from crucible_nb.utils.checks import short

_SHOWN = 5  # places of a file in one line of the report
_TRIES = 5  # a running writer seals and removes journals while they are read


@dataclass(frozen=True, slots=True)
class FileReport:
    """Result for one file.

    Attributes:
        path: Path of the file.
        events: Number of events or rows that can be read.
        torn: Bytes of a last line that was never acknowledged, or is being written.
        bad: Byte offsets of lines that cannot be read.
        odd: Sentences about events that are missing, there twice or out of order.
        error: Reason why the whole file cannot be read, else "".
    """

    path: Path
    events: int = 0
    torn: int = 0
    bad: tuple[int, ...] = ()
    odd: tuple[str, ...] = ()
    error: str = ""

    @property
    def sound(self) -> bool:
        """Whether the file can be read completely."""
        return not (self.bad or self.odd or self.error)

    def __str__(self) -> str:
        if self.error:
            return f"BROKEN  {self.path}: {self.error}"
        if not self.sound:
            offsets = ", ".join(map(str, self.bad[:_SHOWN])) + (", ..." if len(self.bad) > _SHOWN else "")
            lines = [f"{len(self.bad)} lines cannot be read (at byte {offsets})"] if self.bad else []
            more = [f"and {len(self.odd) - _SHOWN} more"] if len(self.odd) > _SHOWN else []
            said = "; ".join([*lines, *self.odd[:_SHOWN], *more])
            return f"BROKEN  {self.path}: {said}; {self.events:,} events can be read"
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
    if not root.is_dir() and os.path.lexists(root):
        yield _check_file(root)
        return
    here = [ExperimentFolder(root)] if is_experiment(root) else folders(root)
    for folder in sorted(here, key=lambda folder: folder.path.name):
        yield _check_facts(folder)
        yield _check_prices(folder)
        if (summary := check_summary(folder)) is not None:
            yield FileReport(summary[0], error=summary[1])
        for writer_id in folder.writers():
            yield from _check_writer(folder, writer_id)


def _check_facts(folder: ExperimentFolder) -> FileReport:
    try:
        folder.facts()
    except StoreError as error:
        return FileReport(folder.path / FACTS, error=str(error))
    return FileReport(folder.path / FACTS)


def _check_prices(folder: ExperimentFolder) -> FileReport:
    path = folder.path / PRICES
    try:
        stored_prices(folder)
    except StoreError as error:
        return FileReport(path, error=str(error))
    return FileReport(path)


def _check_writer(folder: ExperimentFolder, writer_id: int) -> list[FileReport]:
    """Check all files of a writer, and that none is missing between them."""
    for _ in range(_TRIES):
        parts = folder.parts(writer_id)
        check = _WriterCheck(folder, writer_id)
        reports = [report for part in parts for report in check.part(part)]
        reports += check.missing(parts)
        if all(os.path.lexists(path) for part in parts for path in part[1:] if path is not None):
            break  # else sealed and removed meanwhile
    return reports


class _WriterCheck:
    """Check of the files of one writer in their order.

    Args:
        folder: Folder of the experiment.
        writer_id: Number of the writer.
    """

    def __init__(self, folder: ExperimentFolder, writer_id: int) -> None:
        self.folder, self.writer_id = folder, writer_id
        try:
            self.identity: str | None = folder.identity
        except StoreError:
            self.identity = None
        self.rows = 0  # in all segments and the newest sample
        self.state: dict[str, Any] | None = None
        self.broken = False
        self.expected: int | None = None  # number of the next event, as far as it is known

    def part(self, part: JournalPart) -> Iterator[FileReport]:
        """Check the files of a part."""
        if part.segment is not None:
            yield self._noted(_check_file(part.segment, self.identity))
            self.rows += self.last.events
        if part.checkpoint is not None:
            yield self._noted(self._check_checkpoint(part))
        if part.journal is not None:
            first = None if part.segment is not None else self.expected
            report, self.expected = _check_journal(part.journal, self.identity, first)
            yield self._noted(report)

    def _noted(self, report: FileReport) -> FileReport:
        self.last = report
        self.broken = self.broken or not report.sound
        return report

    def _check_checkpoint(self, part: JournalPart) -> FileReport:
        path = part.checkpoint
        assert path is not None
        try:
            state, sample = read_checkpoint(path, self.identity)
            events = int(state["seq"])
            if part.segment is not None or part.journal is None:  # else its segment was never finished
                self.state, self.expected = state, events
                self.rows += 0 if sample is None else len(sample)
        except (CrucibleError, OSError, KeyError, TypeError, ValueError) as error:
            return FileReport(path, error=str(error) if isinstance(error, CrucibleError) else reason(error))
        return FileReport(path, events)

    def missing(self, parts: Sequence[JournalPart]) -> Iterator[FileReport]:
        """Report files that have to be there because of those that are."""
        sealed = sealed_parts(parts)
        last = sealed[-1].number if sealed else 0
        journals = [part.number for part in parts if part.number > last]
        if sealed and sealed[-1].checkpoint is None:
            yield FileReport(self.folder.part_path(self.writer_id, last, "state"), error="no such file")
        for number in sorted({*range(last + 1, max(journals, default=0))} - {*journals}):
            yield FileReport(self.folder.part_path(self.writer_id, number, "jsonl"), error="no such file")
        if self.state is None:
            return
        path = self.folder.part_path(self.writer_id, last + 1, "jsonl")
        if self.state.get("life", {}).get("status") in ("running", "paused"):
            if not self.writer_id and not journals:
                yield FileReport(path, error="no such file, although the experiment had not ended")
            elif path.is_file() and not path.stat().st_size:
                yield FileReport(path, error="it is empty, its header and lines are lost")
        lost = int(self.state.get("held", 0)) + int(self.state.get("evicted", 0)) - self.rows
        if lost > 0 and not self.broken:
            path = self.folder.part_path(self.writer_id, last, "state")
            yield FileReport(path, error=f"{lost:,} rows of the segments before it are missing")


def _check_file(path: Path, identity: str | None = None) -> FileReport:
    try:
        if path.suffix == ".parquet":
            return FileReport(path, len(read_segment(path, identity)))
        if path.suffix == ".state":
            with reading(path):
                return FileReport(path, int(read_checkpoint(path, identity)[0]["seq"]))
        if path.suffix == ".jsonl":
            return _check_journal(path, identity, None)[0]
        return FileReport(path, error="it is not a file of a store")
    except (CrucibleError, OSError) as error:
        if not os.path.lexists(path):
            return FileReport(path)  # sealed and removed meanwhile
        return FileReport(path, error=str(error) if isinstance(error, CrucibleError) else reason(error))


def _check_journal(path: Path, identity: str | None, expected: int | None) -> tuple[FileReport, int | None]:
    """Check the lines of a journal; return the report, and the number of the event after it."""
    try:
        return _JournalCheck(path, identity, expected).run()
    except OSError as error:
        found = os.path.lexists(path)  # else sealed and removed meanwhile
        return FileReport(path, error=reason(error) if found else ""), expected


class _JournalCheck:
    """Check of one journal.

    Args:
        path: The journal.
        identity: Id of the experiment, None if unknown.
        expected: Number of its first event, None if unknown.
    """

    def __init__(self, path: Path, identity: str | None, expected: int | None) -> None:
        self.path, self.identity, self.expected = path, identity, expected
        self.tail, self.events, self.odd = Tail(path), 0, list[str]()
        self.numbering: Numbering | None = None

    def run(self) -> tuple[FileReport, int | None]:
        """Read all lines."""
        while (lines := self.tail.read()) is not None:
            if why := self._read(lines):
                return FileReport(self.path, error=why), self.expected
        if rest := self.tail.read_rest():
            self._read(rest)
        bad = tuple(line.offset for line in self.tail.bad)
        after = self.expected if self.numbering is None else self.numbering.expected
        return FileReport(self.path, self.events, self.tail.torn, bad, tuple(self.odd)), after

    def _read(self, lines: Run | list[list[Any] | None]) -> str:
        """Check the next lines; return why the file does not belong here, "" if it does."""
        if self.numbering is None:
            header = self.tail.header or {}
            if why := foreign(header, self.path, self.identity):
                return why
            first = header.get("seq") if type(header.get("seq")) is int else None
            begin = first if self.expected is None else self.expected
            self.numbering = Numbering(begin or 0)
            if first is not None and begin is not None and first > begin:
                self._place(first, 0, first)
        if isinstance(lines, Run):
            doubles = min(lines.events, max(0, self.numbering.expected - lines.seq))
            if doubles:
                self._place(lines.seq, doubles)
            if doubles < lines.events:
                end = lines.seq + lines.events
                self._place(lines.seq + doubles, lines.events - doubles, end if lines.events > 1 else None)
            return ""
        read = [None if cells is None else line_of(cells) for cells in lines]
        for line, cells, following in zip(read, lines, following_seqs(read), strict=True):
            if line is not None:
                self._place(line.seq, line.events, following)
            elif cells is not None:
                self.odd.append(f"a line that is none: {short(cells)}")
        return ""

    def _place(self, seq: int, events: int, following: int | None = None) -> None:
        assert self.numbering is not None
        placed = self.numbering.place(seq, events, following)
        self.events += events if placed.use else 0
        if placed.why:
            self.odd.append(placed.why)
