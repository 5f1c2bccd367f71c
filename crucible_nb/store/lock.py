"""Who writes: a lock that the system lets go of when its holder dies, however it dies."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from crucible_nb.errors import StoreError
from crucible_nb.files.disk import reason

try:
    import fcntl

    _LOCKS = True
except ImportError:  # pragma: no cover  a system without them lives by heartbeats
    _LOCKS = False

STALE = 15.0
"""Seconds without a heartbeat after which an owner is taken for dead, where locks do not work."""

_TRIES, _PAUSE = 40, 0.005  # others look whether the lock is free, which holds it for an instant


class Holder(NamedTuple):
    """Who holds a lock, by what its file says."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lock:
    """The right to write as one writer of an experiment, until `release` or the end of the process.

    Args:
        path: The lock file; who holds it stands in it.

    Raises:
        StoreError: Another process holds it, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot write {str(path)!r}: {reason(error)}") from error
        self.locked = self._take()
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "locked": self.locked}
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, orjson.dumps(facts), 0)
        except OSError as error:
            self.release()
            raise StoreError(f"cannot write {str(path)!r}: {reason(error)}") from error

    def _take(self) -> bool:
        """Whether the system holds it for us; without locks that work, a heartbeat does."""
        handle = self._handle or 0
        for _ in range(_TRIES):
            try:
                if not _LOCKS:
                    raise OSError
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(_PAUSE)
            except OSError:
                if _beats(self.path):
                    self._refuse()
                return False
        self._refuse()
        raise AssertionError

    def _refuse(self) -> None:
        found = holder(self.path)
        os.close(self._handle or 0)
        self._handle = None
        who = "another process" if found is None else str(found)
        raise StoreError(f"{str(self.path.parent)!r} is being written by {who}; mode='read' looks on")

    def beat(self) -> None:
        """Say that the holder lives, for those who cannot see the lock."""
        with suppress(OSError):
            os.utime(self._handle if self._handle is not None else self.path)

    def release(self) -> None:
        """Let go."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    forget = release
    """In a forked child: closing its copy does not let go of the parent's."""


def alive(path: Path) -> bool:
    """Whether somebody holds the lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        facts = _read(handle)
        if not _LOCKS or facts.get("locked") is False:
            return _beats(path)
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return _beats(path)
    finally:
        os.close(handle)


def holder(path: Path) -> Holder | None:
    """Who holds the lock or held it last, None when nobody can say."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        facts = _read(handle)
        return Holder(int(facts["pid"]), str(facts["host"]))
    except (KeyError, ValueError, TypeError):
        return None
    finally:
        os.close(handle)


def beat_of(path: Path) -> int | None:
    """When the holder was last seen alive, UTC nanoseconds."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _read(handle: int) -> dict[str, Any]:
    try:
        facts = orjson.loads(os.pread(handle, 4096, 0))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _beats(path: Path) -> bool:
    """Whether the holder was seen alive lately; on this host its process can be asked for."""
    found, beat = holder(path), beat_of(path)
    if found is None or beat is None or time.time() - beat / 1e9 >= STALE:
        return False
    if found.host != socket.gethostname():
        return True
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
