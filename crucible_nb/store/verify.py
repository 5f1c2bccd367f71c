"""`crucible_nb verify PATH`: every checksum, and what can be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.files.disk import as_path, reading, reason
from crucible_nb.store.checkpoint import read_state
from crucible_nb.store.layout import FACTS, ExperimentFolder, folders
from crucible_nb.store.row_codec import Run
from crucible_nb.store.segment import read_segment
from crucible_nb.store.tail import Tail


@dataclass(frozen=True, slots=True)
class Checked:
    """One file.

    Attributes:
        path: Where it is.
        events: Events or rows that can be read.
        torn: Bytes of a last line that was never acknowledged, or is being written.
        bad: Offsets of lines that cannot be read.
        trouble: Why the whole file cannot be read, else "".
    """

    path: Path
    events: int = 0
    torn: int = 0
    bad: tuple[int, ...] = ()
    trouble: str = ""

    @property
    def sound(self) -> bool:
        """Whether every byte is what was written."""
        return not (self.bad or self.trouble)

    def __str__(self) -> str:
        if self.trouble:
            return f"BROKEN  {self.path}: {self.trouble}"
        if self.bad:
            places = ", ".join(map(str, self.bad[:5])) + (", ..." if len(self.bad) > 5 else "")
            lines = f"{len(self.bad)} lines cannot be read (at byte {places})"
            return f"BROKEN  {self.path}: {lines}; {self.events:,} events can"
        torn = f", {self.torn} bytes of an unfinished line" if self.torn else ""
        return f"ok      {self.path}: {self.events:,} events{torn}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found under a path.

    Attributes:
        files: One entry a file.
    """

    files: tuple[Checked, ...] = field(default_factory=tuple)

    @property
    def sound(self) -> bool:
        """Whether all of them are."""
        return all(one.sound for one in self.files)

    def __str__(self) -> str:
        broken = sum(not one.sound for one in self.files)
        said = f"{len(self.files)} files, {broken} broken" if broken else f"{len(self.files)} files, all sound"
        return "\n".join([*map(str, self.files), said])


def verify(path: str | Path) -> Report:
    """Check every checksum of a store, an experiment or one file.

    Args:
        path: A folder of `cr.start(store=...)`, one experiment in it, or one of its files.

    Returns:
        A report; `print` it. It never stops at the first trouble.

    Raises:
        StoreError: There is nothing of crucible_nb's under the path.

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


def _files(root: Path) -> Iterator[Checked]:
    if root.is_file():
        yield _checked(root)
        return
    found = (
        [ExperimentFolder(root)] if (root / FACTS).exists() else sorted(folders(root), key=lambda one: one.path.name)
    )
    for folder in found:
        yield _facts(folder)
        for writer in folder.writers():
            parts = folder.parts(writer)
            sealed = [part.number for part in parts if part.segment is not None]
            if sealed and not any(part.state for part in parts if part.number == sealed[-1]):
                yield Checked(folder.name(writer, sealed[-1], "state"), trouble="no such file")
            for part in parts:
                for path in (part.segment, part.state, part.journal):
                    if path is not None:
                        yield _checked(path)


def _facts(folder: ExperimentFolder) -> Checked:
    try:
        folder.facts()
    except StoreError as error:
        return Checked(folder.path / FACTS, trouble=str(error))
    return Checked(folder.path / FACTS)


def _checked(path: Path) -> Checked:
    try:
        if path.suffix == ".parquet":
            return Checked(path, len(read_segment(path)))
        if path.suffix == ".state":
            with reading(path):
                return Checked(path, int(read_state(path)[0]["seq"]))
        if path.suffix == ".jsonl":
            return _journal(path)
        return Checked(path, trouble="it is no file of a store")
    except (CrucibleError, OSError) as error:
        if not path.exists():
            return Checked(path)  # sealed meanwhile, and removed
        return Checked(path, trouble=str(error) if isinstance(error, CrucibleError) else reason(error))


def _journal(path: Path) -> Checked:
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
    return Checked(path, events, tail.torn, tuple(bad.offset for bad in tail.bad))
