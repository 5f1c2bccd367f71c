"""A receiver of an experiment without a store: a thread of this process, and a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from crucible_nb.capture.receiver.recording import BodyMapper
from crucible_nb.capture.receiver.server import Server
from crucible_nb.capture.reporting import report
from crucible_nb.experiment.experiment import Experiment, intake_of
from crucible_nb.utils.threads import TICKER

_LIMIT = 64 << 20  # bytes that may wait


class MemoryReceiver:
    """Serves in this process and records into an experiment in memory.

    Args:
        experiment: Where the events go.
        token, port: As for `Server`.
        content: Whether to keep the text of messages.
    """

    def __init__(self, experiment: Experiment, token: str, port: int, *, content: bool) -> None:
        self._experiment, self._intake = experiment, intake_of(experiment)
        self._bodies = BodyMapper(content=content)
        self._queue: deque[tuple[bytes, str, str]] = deque()
        self._size = self._mapping = 0  # bytes that wait; bodies that are being mapped
        self._lock = threading.Lock()
        self._busy = False
        self.alive = True
        self._server = Server(token, self._keep, self._stats, port)
        self.port = self._server.port
        self._server.begin()
        self._intake.sources.append(self.drain)
        TICKER.add(self.tick)

    def _keep(self, body: bytes, content_type: str, encoding: str) -> None:
        with self._lock:
            if self._size + len(body) > _LIMIT:
                raise OSError("more waits than can be held; try again")
            self._size += len(body)
            self._queue.append((body, content_type, encoding))

    def _stats(self) -> dict[str, Any]:
        return {**self._bodies.counts, "pending": len(self._queue) + self._mapping}

    def stats(self) -> dict[str, Any]:
        """Return the counts so far."""
        return self._server.stats()

    def drain(self) -> None:
        """Map and record what waits."""
        if not self._queue:
            return
        with self._intake.lock:
            if self._busy:
                return
            self._busy = True
            try:
                with self._lock:
                    waiting = list(self._queue)
                    self._mapping = len(waiting)
                    self._queue.clear()
                    self._size = 0
                events = self._bodies.map(waiting)
                if events:
                    self._experiment.extend(events)
                report(self._experiment, self._bodies.news())
            finally:
                self._busy, self._mapping = False, 0

    def tick(self) -> bool:
        """Record what waits; return whether to be called again."""
        self.drain()
        return self.alive

    def stop(self) -> None:
        """Take nothing more, and record what waits."""
        if self.alive:
            self.alive = False
            self._server.end()
            self.drain()
            self._intake.sources.remove(self.drain)
