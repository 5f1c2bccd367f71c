"""Background threads: one folds staged events when asked, one looks after experiments that somebody listens to."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue


class BackgroundWorker:
    """Runs the folds that full stages ask for, off the caller's path; sleeps without a tick in between.

    The thread starts at the first request, in each process for itself: it does not survive a fork.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str = "crucible-fold") -> None:
        self._name = name
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
                threading.Thread(target=self._run, args=(self._queue,), name=self._name, daemon=True).start()
                self._owner = os.getpid()

    @staticmethod
    def _run(queue: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            queue.get()()


FOLDER = BackgroundWorker()


class Ticker:
    """Calls back every experiment that is listened to, about 20 times a second; stands still while there is none.

    Between two turns it rests for 25 times what the last one cost, within bounds.
    """

    LEAST, MOST = 0.04, 0.06
    REST = 25

    def __init__(self) -> None:
        self._due: dict[weakref.WeakMethod[Callable[[], bool]], float] = {}
        self._wanted = threading.Event()
        self._owner: int | None = None
        self._lock = threading.Lock()

    def add(self, tick: Callable[[], bool]) -> None:
        """Call a bound method from now on, as long as its object lives and until it says False."""
        with self._lock:
            if self._owner != os.getpid():
                self._owner, self._due, self._wanted = os.getpid(), {}, threading.Event()
                threading.Thread(target=self._run, args=(self._wanted,), name="crucible-tick", daemon=True).start()
            self._due.setdefault(weakref.WeakMethod(tick), 0.0)
            self._wanted.set()

    def _run(self, wanted: threading.Event) -> None:
        while wanted.wait():
            with self._lock:
                due = sorted(self._due.items(), key=lambda item: item[1])
            for one, when in due:
                if when <= time.monotonic():
                    self._turn(one)
            first = due[0][1] if due else 0.0
            time.sleep(min(max(first - time.monotonic(), 0.001), self.LEAST))

    def _turn(self, one: weakref.WeakMethod[Callable[[], bool]]) -> None:
        with self._lock:
            self._due.pop(one, None)
        tick, more, begun = one(), False, time.thread_time()
        if tick is not None:
            more = True  # also when it raises: what failed once is no reason never to look again
            with contextlib.suppress(BaseException):  # telemetry never breaks the code it measures, nor its own thread
                more = tick()
        del tick
        rest = min(max(self.REST * (time.thread_time() - begun), self.LEAST), self.MOST)
        with self._lock:
            if more:
                self._due[one] = time.monotonic() + rest
            if not self._due:  # nor was it added again meanwhile
                self._wanted.clear()


TICKER = Ticker()
