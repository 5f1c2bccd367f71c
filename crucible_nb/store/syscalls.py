"""The system calls of the store, behind one seam: tests count them, log them, and make the n-th one fail."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class System:
    """What the store asks of the operating system; every byte and every name goes through here."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file that only its owner may read, close-on-exec."""
        return os.open(path, flags | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)

    # no method around it: every event pays for this call
    write = staticmethod(os.write)
    """Write once: (handle, bytes) -> how many bytes the system took."""

    def truncate(self, handle: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(handle, size)

    def sync(self, handle: int) -> None:
        """Have the bytes of a file survive a power loss."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(handle)
        else:
            os.fsync(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its name, replacing another, at once."""
        old.replace(new)

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Have the names in a folder survive a power loss, where the system lets a folder be opened."""
        with suppress(PermissionError, IsADirectoryError):
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self.sync_handle(handle)
            finally:
                os.close(handle)

    def sync_handle(self, handle: int) -> None:
        """Sync a folder that is open."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """Close a file."""
        os.close(handle)


SYSTEM = System()
"""The one in use; `use` puts another in its place."""


def use(system: System) -> System:
    """Have the store go through `system` from now on; returns the one before."""
    global SYSTEM
    before, SYSTEM = SYSTEM, system
    return before


def system() -> System:
    """The one in use."""
    return SYSTEM


def write_whole(path: Path, data: bytes) -> bool:
    """Make a file appear under its name whole and synced, or not at all.

    Returns:
        Whether the name is sure to survive a power loss; where the folder cannot be synced the file is there all the
        same, and what it supersedes must not go yet.

    Raises:
        OSError: It is not there.
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
    """Write everything, in as many calls as the system wants."""
    now, view = system(), memoryview(data)
    while view:
        taken = now.write(handle, view)
        if taken <= 0:
            raise OSError(f"the system took {taken} bytes")
        view = view[taken:]
