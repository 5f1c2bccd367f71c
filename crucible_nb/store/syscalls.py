"""System calls of the store, in one replaceable object: tests count and log them, and make the n-th fail."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from errno import EINVAL
from pathlib import Path
from typing import BinaryIO


class System:
    """The operating system; every write and every change of a name in a store goes through it."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file that only its owner may read; it is closed on exec."""
        return os.open(path, flags | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)

    # not a method, because every event pays for this call
    write = staticmethod(os.write)
    """Call write once: (handle, bytes) -> number of bytes written."""

    def truncate(self, handle: int, size: int) -> None:
        """Cut a file to a size in bytes."""
        os.ftruncate(handle, size)

    def sync(self, handle: int) -> None:
        """Sync the content of a file, so that it survives a power loss."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(handle)
        else:
            os.fsync(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file atomically, replacing any other."""
        old.replace(new)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Sync the names in a folder, so that they survive a power loss, where folders can be opened."""
        with suppress(PermissionError, IsADirectoryError):
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self.sync_handle(handle)
            finally:
                os.close(handle)

    def sync_handle(self, handle: int) -> None:
        """Sync an open folder."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """Close a file."""
        os.close(handle)


SYSTEM = System()
"""The system in use; `use` replaces it."""


def use(system: System) -> System:
    """Replace the system in use; return the previous one."""
    global SYSTEM
    before, SYSTEM = SYSTEM, system
    return before


def system() -> System:
    """Return the system in use."""
    return SYSTEM


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a pipe or a device, for which a reader could wait for ever, is refused.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(EINVAL, "it is not a regular file")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path) -> bytes:
    """Return the content of a file; OSError for a pipe or a device, which is not opened."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(EINVAL, "it is not a regular file")
    return path.read_bytes()


def write_whole(path: Path, data: bytes) -> bool:
    """Write a complete and synced file under its name, or nothing at all.

    Returns:
        Whether the name is synced too. If not, the file exists, but the files that it replaces must not be removed.

    Raises:
        OSError: The file could not be written.
    """
    now = system()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = now.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        try:
            write_all(handle, data)
            now.sync(handle)
        finally:
            now.close(handle)
        now.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    try:
        now.sync_folder(path.parent)
    except OSError:
        return False
    return True


def write_all(handle: int, data: bytes) -> None:
    """Write all bytes, in as many calls as needed."""
    now, view = system(), memoryview(data)
    while view:
        taken = now.write(handle, view)
        if taken <= 0:
            raise OSError(f"the system wrote {taken} bytes")
        view = view[taken:]
