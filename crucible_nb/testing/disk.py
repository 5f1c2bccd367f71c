"""Disks with faults: system calls of the store that fail, and the files that a power loss would leave."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import Any, Self

import numpy as np

from crucible_nb.store import syscalls
from crucible_nb.utils import checks

CALLS = ("open", "write", "truncate", "sync", "rename", "unlink", "sync_folder")
"""System calls of the store that can fail."""


class _Disk:
    """A context manager that puts a file system in the place of the real one."""

    _system: syscalls.System
    _before: syscalls.System

    def __enter__(self) -> Self:
        self._before = syscalls.use(self._system)
        return self

    def __exit__(self, *_: object) -> None:
        syscalls.use(self._before)


class FaultyDisk(_Disk):
    """Disk whose system calls fail at random, or whose writes all fail while it is full.

    Use it as a context manager around everything an experiment with a store does, from `cr.start` on.

    Args:
        rate: Probability that a call fails, in [0, 1]. A write that fails may have written a part.
        seed: Integer or numpy Generator that decides which calls fail.

    Attributes:
        rate: As given; may be set.
        full: Whether every write fails with "No space left on device"; set it to fill or to empty the disk.
        faults: Number of random failures so far, by name of the call.

    Raises:
        ConfigError: `rate` is not in [0, 1].

    Examples:
        >>> import tempfile, warnings
        >>> import crucible_nb as cr
        >>> warnings.simplefilter("ignore", cr.CrucibleWarning)
        >>> with FaultyDisk() as disk:
        ...     exp = cr.start("full disk", store=tempfile.mkdtemp())
        ...     before = exp.record("step", loss=0.5)
        ...     disk.full = True
        ...     during = exp.record("step", loss=0.4)
        ...     disk.full = False
        ...     after = exp.record("step", loss=0.3)
        ...     exp.stop()
        >>> before, during, after, exp.summary()["refused"]
        (True, False, True, 1)
    """

    def __init__(self, rate: float = 0.0, seed: int | np.random.Generator = 0) -> None:
        self.rate = checks.number("rate", rate, ge=0.0, le=1.0)
        self.full = False
        self.faults: Counter[str] = Counter()
        self._rng = np.random.default_rng(seed)
        self._system = _Faulty(self)

    def _fails(self, call: str) -> bool:
        """Decide whether a call fails now, and count it."""
        if self._rng.random() >= self.rate:
            return False
        self.faults[call] += 1
        return True

    def _error(self) -> OSError:
        return _os_error([errno.ENOSPC, errno.EIO][int(self._rng.integers(2))])


class _Faulty(syscalls.System):
    """The system calls of a `FaultyDisk`."""

    def __init__(self, disk: FaultyDisk) -> None:
        self.disk = disk

    def write(self, handle: int, data: Any) -> int:
        """Write all, a part, or nothing."""
        disk = self.disk
        if disk.full:
            raise _os_error(errno.ENOSPC)
        if not disk._fails("write"):
            return super().write(handle, data)
        part = int(disk._rng.integers(0, len(data)))
        if part:
            os.write(handle, bytes(data)[:part])
        if disk._rng.random() < 0.5:
            return part
        raise disk._error()


def _may_fail(call: str) -> Any:
    """Make the method of a call that fails when its disk says so."""

    def method(self: _Faulty, *args: Any) -> Any:
        if self.disk._fails(call):
            raise self.disk._error()
        return getattr(syscalls.System, call)(self, *args)

    return method


for _call in CALLS:
    if _call != "write":
        setattr(_Faulty, _call, _may_fail(_call))


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class PowerLossDisk(_Disk):
    """Disk that knows which bytes and names would survive a power loss.

    Every call is carried out. Bytes count as safe after a sync of their file, names after a sync of their folder.
    Use it as a context manager around everything an experiment with a store does, from `cr.start` on.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import crucible_nb as cr
        >>> root = Path(tempfile.mkdtemp())
        >>> with PowerLossDisk() as disk:
        ...     exp = cr.start("power loss", store=root / "before")
        ...     _ = exp.record("step", loss=0.5)
        ...     exp.flush()
        ...     disk.lose_power(root / "before", root / "after")
        ...     exp.stop()
        >>> cr.attach("power loss", store=root / "after", mode="read").metrics().events
        1
    """

    def __init__(self) -> None:
        self._system = self._log = _Logged()

    def lose_power(self, root: str | Path, into: str | Path, seed: int | np.random.Generator = 0) -> None:
        """Write what a machine may find after a power loss now: all that is safe, and a random part of the rest.

        Args:
            root: Folder whose files are copied.
            into: Folder for the copies, with the same relative paths.
            seed: Integer or numpy Generator that decides which unsafe bytes and names survive.

        Examples:
            >>> import tempfile
            >>> from pathlib import Path
            >>> after = Path(tempfile.mkdtemp(), "after")
            >>> PowerLossDisk().lose_power("runs", after)  # nothing was written
            >>> after.exists()
            False
        """
        rng, log = np.random.default_rng(seed), self._log
        names = dict(log.safe)
        for path, inode in log.pending:  # a folder may have written some of its changes
            if rng.random() < 0.5:
                _apply(names, path, inode)
        for path, inode in names.items():
            data, safe = bytes(log.data[inode]), log.synced[inode]
            more = int(rng.integers(0, len(data) - safe + 1)) if len(data) > safe else 0
            rest = data[safe : safe + more] if rng.random() < 0.5 else bytes(more)  # written, or only allocated
            target = Path(into) / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data[:safe] + rest)


class _Logged(syscalls.System):
    """The system calls of a `PowerLossDisk`.

    Attributes:
        data: Bytes of each file, by inode.
        synced: Number of bytes of each file that are safe, by inode.
        safe: Names that are safe, path to inode.
        pending: Changes of names that are not safe yet, in order: (path, inode), None for a removed name.
    """

    def __init__(self) -> None:
        self.data: dict[int, bytearray] = {}
        self.synced: dict[int, int] = {}
        self.safe: dict[Path, int] = {}
        self.pending: list[tuple[Path, int | None]] = []

    def open(self, path: Path, flags: int) -> int:
        """Open a file; a new name is pending."""
        handle = super().open(path, flags)
        if flags & os.O_CREAT:
            inode = os.fstat(handle).st_ino
            self.data[inode], self.synced[inode] = bytearray(), 0
            self.pending.append((path, inode))
        return handle

    def write(self, handle: int, data: Any) -> int:
        """Write; the bytes are not safe yet."""
        taken = super().write(handle, data)
        self.data[os.fstat(handle).st_ino] += bytes(data)[:taken]
        return taken

    def truncate(self, handle: int, size: int) -> None:
        """Cut a file."""
        super().truncate(handle, size)
        del self.data[os.fstat(handle).st_ino][size:]

    def sync(self, handle: int) -> None:
        """Make the bytes of a file safe."""
        super().sync(handle)
        inode = os.fstat(handle).st_ino
        self.synced[inode] = len(self.data[inode])

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file; both names are pending."""
        inode = old.stat().st_ino
        super().rename(old, new)
        self.pending += [(new, inode), (old, None)]

    def unlink(self, path: Path) -> None:
        """Remove a file; its name is pending."""
        super().unlink(path)
        self.pending.append((path, None))

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder safe."""
        super().sync_folder(folder)
        for path, inode in [change for change in self.pending if change[0].parent == folder]:
            _apply(self.safe, path, inode)
        self.pending = [change for change in self.pending if change[0].parent != folder]


def _apply(names: dict[Path, int], path: Path, inode: int | None) -> None:
    if inode is None:
        names.pop(path, None)
    else:
        names[path] = inode
