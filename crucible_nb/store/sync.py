"""Sync the journals of this process once a second, and keep their locks' heartbeats."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from typing import Protocol

from crucible_nb.utils.runtime import RUNTIME


class OpenWriter(Protocol):
    """A writer whose `beat` is called once a second."""

    def beat(self) -> None:
        """Sync, and renew the heartbeat."""


class Syncer:
    """Calls `beat` of every open writer of this process once a second; its thread ends with the last writer."""

    EVERY = 1.0  # seconds
    _writers: weakref.WeakSet[OpenWriter]
    _lock: threading.Lock
    _owner: int | None  # process of the thread

    def __init__(self) -> None:
        self._begin()
        RUNTIME.in_child(self._begin)

    def _begin(self) -> None:
        """Start without writers and thread; also in a forked process, which has no threads of the parent."""
        self._writers, self._lock, self._owner = weakref.WeakSet(), threading.Lock(), None

    def add(self, writer: OpenWriter) -> None:
        """Call the `beat` of a writer once a second from now on."""
        with self._lock:
            self._writers.add(writer)
            if self._owner != os.getpid():
                threading.Thread(target=self._run, name="crucible-sync", daemon=True).start()
                self._owner = os.getpid()  # last: an interrupt before it costs a second thread, not the only one

    def remove(self, writer: OpenWriter) -> None:
        """Stop calling a writer."""
        with self._lock:
            self._writers.discard(writer)

    def _run(self) -> None:
        while True:
            time.sleep(self.EVERY)
            with self._lock:
                writers = list(self._writers)
                if not writers:
                    self._owner = None
                    return
            for writer in writers:
                with contextlib.suppress(Exception):  # a failure of one writer must not end the thread
                    writer.beat()
            del writers

    def beat_all(self) -> None:
        """Call every writer once more, at the normal end of the process: lines of durability "memory" are written."""
        for writer in list(self._writers):
            with contextlib.suppress(Exception):
                writer.beat()


SYNCER = Syncer()
atexit.register(SYNCER.beat_all)
