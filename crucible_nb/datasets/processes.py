"""Processes that compute units: a pool of our own, which outlives workers that are killed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any
from weakref import finalize

from crucible_nb.datasets.executors import Outcome, cores, in_threads
from crucible_nb.datasets.state import Measured, Spec
from crucible_nb.datasets.units import Unit
from crucible_nb.errors import ConfigError, StoreError
from crucible_nb.utils import optional

_TRIES = 3
_LENGTH = 8  # bytes of the length before a message
_DIED = "its worker process died"
_Worker = subprocess.Popen[bytes]


class WorkerDied(StoreError):  # noqa: N818  the message says what happened
    """A worker process ended before it answered."""


class Processes:
    """Processes of this machine, for rows that take long to read or that threads cannot share.

    States that are finished are kept when a worker dies; its unit runs again alone, after all others, and is named
    when three workers died with it. Workers wait for the next question until this object is gone, or a question is
    given up. Nothing of a script is imported again: no `if __name__ == "__main__"` is needed.

    Args:
        workers: Number of processes.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self._pool = _Pool()
        finalize(self, self._pool.stop)

    def run(self, units: Sequence[Unit], spec: Spec) -> Generator[Outcome, None, None]:
        """Compute the states of units."""
        work, suspects = partial(self._pool.measure, dumps(spec)), list[Unit]()
        for unit, found in in_threads(units, work, self.workers, self._pool.stop):
            if isinstance(found, WorkerDied):
                suspects.append(unit)
            else:
                yield unit, found
        for unit in suspects:
            yield unit, self._alone(unit, work)

    def _alone(self, unit: Unit, work: Callable[[Unit], Measured]) -> Any:
        for _ in range(_TRIES - 1):
            for _, found in in_threads([unit], work, 1, self._pool.stop):
                if not isinstance(found, WorkerDied):
                    return found
        return StoreError(f"{unit.name}: {_DIED} {_TRIES} times")


class _Pool:
    """Worker processes that wait for units; one is started where none is idle."""

    def __init__(self) -> None:
        self._lock, self._owner = Lock(), os.getpid()
        self._all, self._idle = list[_Worker](), list[_Worker]()

    def measure(self, spec: bytes, unit: Unit) -> Measured:
        """Compute the state of a unit in an idle process; called by one thread per process."""
        question = dumps(unit)
        worker = self._take()
        try:
            send(worker.stdin, spec)
            send(worker.stdin, question)
            answer = pickle.loads(receive(worker.stdout))
        except (OSError, EOFError):
            self._drop(worker)
            raise WorkerDied(f"{unit.name}: {_DIED}") from None
        with self._lock:
            self._idle.append(worker)
        if isinstance(answer, BaseException):
            raise answer
        measured: Measured = answer
        return measured

    def _take(self) -> _Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            command = [sys.executable, "-m", "crucible_nb.datasets.worker"]
            self._all.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=paths))
            return self._all[-1]

    def _drop(self, worker: _Worker) -> None:
        with self._lock:
            if worker in self._all:
                self._all.remove(worker)
        _end(worker)

    def stop(self) -> None:
        """End all processes; later questions start others."""
        if os.getpid() == self._owner:  # not in a forked child
            with self._lock:
                ended, self._all, self._idle = self._all, [], []
            for worker in ended:
                _end(worker)


def _end(worker: _Worker) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        with suppress(OSError):  # what was not sent is not wanted
            pipe.close()  # type: ignore[union-attr]


def dumps(value: Any) -> bytes:
    """Pickle a question or a unit, functions of a notebook by value where cloudpickle is installed.

    Raises:
        ConfigError: It holds what cannot be sent to another process.
    """
    by_value: Any = optional.have("cloudpickle") or pickle
    try:
        return bytes(by_value.dumps(value))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"executor: this cannot be sent to another process: {error}; use executor='threads', or where= as text"
        ) from error


def send(pipe: Any, message: bytes) -> None:
    """Write a message to a pipe."""
    pipe.write(len(message).to_bytes(_LENGTH, "little") + message)
    pipe.flush()


def receive(pipe: Any) -> bytes:
    """Read a message from a pipe; EOFError at its end."""
    length = pipe.read(_LENGTH)
    message: bytes = pipe.read(int.from_bytes(length, "little")) if len(length) == _LENGTH else b""
    if not message or len(message) < int.from_bytes(length, "little"):
        raise EOFError
    return message
