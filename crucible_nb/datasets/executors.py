"""Executors: run work on units in threads, a few units ahead, and yield results as they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Any, Protocol

from crucible_nb.datasets.state import Measured, Spec, measure
from crucible_nb.datasets.units import Unit
from crucible_nb.errors import CrucibleError
from crucible_nb.utils.interrupts import unbroken

Outcome = tuple[Unit, Measured | CrucibleError]
"""A unit, and its state or why there is none."""


class Executor(Protocol):
    """Protocol of what runs units: `run` yields the outcome of each unit, in any order.

    Nothing is running once the generator is closed, also before its end: by an error, or Ctrl-C.
    """

    def run(self, units: Sequence[Unit], spec: Spec) -> Generator[Outcome, None, None]:
        """Compute the states of units."""


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threads:
    """Threads of this process: reading, decoding and summing release the interpreter.

    Args:
        workers: Number of threads.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()

    def run(self, units: Sequence[Unit], spec: Spec) -> Generator[Outcome, None, None]:
        """Compute the states of units."""
        stop = Event()
        yield from in_threads(units, lambda unit: measure(spec, unit, stop.is_set), self.workers, stop.set)


def in_threads(
    units: Sequence[Unit], work: Callable[[Unit], Any], workers: int, stop: Callable[[], None]
) -> Generator[tuple[Unit, Any], None, None]:
    """Yield each unit and the result of work on it, or its CrucibleError; twice as many units as workers are ahead.

    Args:
        units: The units.
        work: Called in threads; other errors than CrucibleError are raised here.
        workers: Number of threads.
        stop: Called if results are no longer wanted: makes running work return soon.
    """
    pool = ThreadPoolExecutor(workers, "crucible-dataset")
    running: dict[Future[Any], Unit] = {}
    try:
        for unit in units:
            with unbroken():  # a thread that Ctrl-C meets at its start would not be waited for
                running[pool.submit(work, unit)] = unit
            if len(running) >= 2 * workers:
                yield from _done(running)
        while running:
            yield from _done(running)
    except BaseException:  # Ctrl-C, an error of a unit, or nobody asks for more results
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _done(running: dict[Future[Any], Unit]) -> Iterator[tuple[Unit, Any]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        unit = running.pop(future)
        try:
            yield unit, future.result()
        except CrucibleError as error:
            yield unit, error
