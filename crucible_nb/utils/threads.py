"""Background threads: one runs jobs in order, one calls registered methods regularly."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue

from crucible_nb.utils.runtime import RUNTIME


class BackgroundWorker:
    """Runs jobs in order, in a thread that starts with the first job and sleeps between jobs.

    Args:
        name: Name of the thread.
    """

    _queue: SimpleQueue[Callable[[], None]]
    _owner: int | None  # process of the thread
    _lock: threading.Lock

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()
        RUNTIME.in_child(self._begin)

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` soon; it must not raise."""
        if self._owner != os.getpid():
            self._start()
        self._queue.put(job)

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

    def _begin(self) -> None:
        """Start without a thread; also in a forked process, which has no threads of the parent."""
        self._queue, self._owner, self._lock = SimpleQueue(), None, threading.Lock()


PROCESSOR = BackgroundWorker("crucible-process")
"""Thread that processes full staging areas."""

COMPILER = BackgroundWorker("crucible-compile")
"""Thread in which numba compiles."""


class Ticker:
    """Calls every registered method about 20 times a second; its thread waits while there is none.

    After each call it rests for 25 times the cost of the call, within bounds.
    """

    MIN_REST, MAX_REST = 0.04, 0.06  # seconds
    REST = 25
    _due: dict[weakref.WeakMethod[Callable[[], bool]], float]
    _wanted: threading.Event
    _owner: int | None  # process of the thread
    _lock: threading.Lock

    def __init__(self) -> None:
        self._begin()
        RUNTIME.in_child(self._begin)

    def add(self, tick: Callable[[], bool]) -> None:
        """Call a bound method from now on, until its object is deleted or it returns False."""
        with self._lock:
            if self._owner != os.getpid():
                self._due, self._wanted = {}, threading.Event()
                threading.Thread(target=self._run, args=(self._wanted,), name="crucible-tick", daemon=True).start()
                self._owner = os.getpid()  # last: an interrupt before it costs a second thread, not the only one
            self._due.setdefault(weakref.WeakMethod(tick), 0.0)
            self._wanted.set()

    def _run(self, wanted: threading.Event) -> None:
        while wanted.wait():
            with self._lock:
                due = sorted(self._due.items(), key=lambda item: item[1])
            for method, when in due:
                if when <= time.monotonic():
                    self._call(method)
            first = due[0][1] if due else 0.0
            time.sleep(min(max(first - time.monotonic(), 0.001), self.MIN_REST))

    def _call(self, method: weakref.WeakMethod[Callable[[], bool]]) -> None:
        with self._lock:
            self._due.pop(method, None)
        tick, more, begin = method(), False, time.thread_time()
        if tick is not None:
            more = True  # also when it raises: one failure must not end the checks
            with contextlib.suppress(BaseException):  # telemetry never breaks the code it measures, nor its own thread
                more = tick()
        del tick
        rest = min(max(self.REST * (time.thread_time() - begin), self.MIN_REST), self.MAX_REST)
        with self._lock:
            if more:
                self._due[method] = time.monotonic() + rest
            if not self._due:  # and it was not added again in between
                self._wanted.clear()

    def _begin(self) -> None:
        """Start without a thread; also in a forked process, which has no threads of the parent."""
        self._due, self._wanted, self._owner, self._lock = {}, threading.Event(), None, threading.Lock()


TICKER = Ticker()
"""Thread that checks rules, budgets and incidents."""
