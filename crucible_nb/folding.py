"""Background threads: one folds staged events when asked, one looks after experiments that somebody listens to."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
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


class Ticker:
    """Calls back every experiment that is listened to, 25 times a second; stands still while there is none."""

    PERIOD = 0.04

    def __init__(self) -> None:
        self._ticks: list[weakref.WeakMethod[Callable[[], bool]]] = []
        self._wanted = threading.Event()
        self._owner: int | None = None
        self._lock = threading.Lock()

    def add(self, tick: Callable[[], bool]) -> None:
        """Call a bound method from now on, as long as it says True and its object lives."""
        with self._lock:
            if self._owner != os.getpid():
                self._owner, self._ticks, self._wanted = os.getpid(), [], threading.Event()
                threading.Thread(target=self._run, args=(self._wanted,), name="crucible-tick", daemon=True).start()
            if all(one() != tick for one in self._ticks):
                self._ticks.append(weakref.WeakMethod(tick))
            self._wanted.set()

    def _run(self, wanted: threading.Event) -> None:
        while wanted.wait():
            time.sleep(self.PERIOD)
            self._round()

    def _round(self) -> None:
        over = []
        for one in tuple(self._ticks):
            tick, more = one(), False
            if tick is not None:
                with contextlib.suppress(Exception):  # telemetry never breaks the code it measures
                    more = tick()
            del tick
            if not more:
                over.append(one)
        with self._lock:
            self._ticks = [one for one in self._ticks if one not in over]
            if not self._ticks:
                self._wanted.clear()


TICKER = Ticker()
