"""One background thread that folds staged events for every experiment, only when asked."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue


class Folder:
    """Runs the folds that full stages ask for, off the caller's path; sleeps without a tick in between.

    The thread starts at the first request, in each process for itself: it does not survive a fork.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._owner: int | None = None
        self._lock = threading.Lock()

    def ask(self, fold: Callable[[], None]) -> None:
        """Have `fold` run soon; it must not raise."""
        if self._owner != os.getpid():
            self._start()
        self._queue.put(fold)

    def _start(self) -> None:
        with self._lock:
            if self._owner != os.getpid():
                self._queue = SimpleQueue()
                threading.Thread(target=self._run, args=(self._queue,), name="crucible-fold", daemon=True).start()
                self._owner = os.getpid()

    @staticmethod
    def _run(queue: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            queue.get()()


FOLDER = Folder()
