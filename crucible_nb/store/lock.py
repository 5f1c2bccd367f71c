"""The lock of a writer, which the system releases when the holding process dies."""

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
from crucible_nb.utils.interrupts import unbroken

try:
    import fcntl

    _LOCKS = True
except ImportError:  # pragma: no cover  systems without flock use heartbeats
    _LOCKS = False

MAX_SILENCE = 15.0
"""Seconds without a heartbeat after which a holder counts as dead, where locks do not work."""

_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a pipe in the place of a lock keeps nobody waiting

_TRIES, _PAUSE = 40, 0.005  # a process that tests the lock holds it for an instant


class Holder(NamedTuple):
    """The process that holds a lock, as written in the lock file."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lock:
    """The exclusive right to write as one writer, held until `release` or the end of the process.

    Args:
        path: The lock file, in which the holder is written.

    Attributes:
        locked: Whether the system holds the lock; otherwise heartbeats show that the holder is alive.

    Raises:
        StoreError: Another process holds the lock, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot write {str(path)!r}: {reason(error)}") from error
        try:
            self.locked = self._take()
            facts = {"pid": os.getpid(), "host": socket.gethostname(), "locked": self.locked}
            os.ftruncate(self._handle or 0, 0)
            os.pwrite(self._handle or 0, orjson.dumps(facts), 0)
        except OSError as error:
            self.release()
            raise StoreError(f"cannot write {str(path)!r}: {reason(error)}") from error
        except BaseException:
            self.release()
            raise

    def _take(self) -> bool:
        """Take the lock; return False if locks do not work here and heartbeats are used instead."""
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
                if _has_heartbeat(self.path):
                    self._refuse()
                return False
        self._refuse()
        raise AssertionError

    def _refuse(self) -> None:
        who = holder(self.path) or "another process"
        os.close(self._handle or 0)
        self._handle = None
        raise StoreError(
            f"{str(self.path.parent)!r} is open for writing in {who}. Use mode='read' to open it read-only."
        )

    def beat(self) -> None:
        """Update the heartbeat, for processes that cannot see the lock."""
        with suppress(OSError):
            os.utime(self._handle if self._handle is not None else self.path)

    def release(self) -> None:
        """Release the lock."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    forget = release
    """Close the inherited handle in a forked child; the parent keeps the lock."""


def is_held(path: Path) -> bool:
    """Return whether a living process holds the lock."""
    with unbroken():  # the shared lock of this test is given back
        return _is_held(path)


def _is_held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | _NONBLOCK)
    except OSError:
        return False
    try:
        facts = _read(handle)
        if not _LOCKS or facts.get("locked") is False:
            return _has_heartbeat(path)
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return _has_heartbeat(path)
    finally:
        os.close(handle)


def holder(path: Path) -> Holder | None:
    """Return the current or last holder of the lock, None if unknown."""
    with unbroken():
        return _holder(path)


def _holder(path: Path) -> Holder | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | _NONBLOCK)
    except OSError:
        return None
    try:
        facts = _read(handle)
        return Holder(int(facts["pid"]), str(facts["host"]))
    except (KeyError, ValueError, TypeError):
        return None
    finally:
        os.close(handle)


def last_heartbeat(path: Path) -> int | None:
    """Return the time of the last heartbeat in UTC nanoseconds, None if there is no lock file."""
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


def _has_heartbeat(path: Path) -> bool:
    """Return whether the last heartbeat is recent and, on this host, the process still exists."""
    last, beat = holder(path), last_heartbeat(path)
    if last is None or beat is None or time.time() - beat / 1e9 >= MAX_SILENCE:
        return False
    if last.host != socket.gethostname():
        return True
    try:
        os.kill(last.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
