"""The calls that the interrupt harness interrupts, and what must hold after them."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

import crucible_nb as cr
from crucible_nb.experiment.experiment import Experiment, log_of
from crucible_nb.store.sync import SYNCER
from crucible_nb.store.writer import SEALER
from crucible_nb.utils.runtime import RUNTIME
from crucible_nb.utils.threads import PROCESSOR, TICKER

_WAIT = 20.0  # seconds for a lock that another thread holds

PROBE = ThreadPoolExecutor(1)
"""A thread that finds out whether the main thread has left a lock held."""


def locks_of(exp: Experiment) -> list[Any]:
    """Return all locks that a call on an experiment may take."""
    log = log_of(exp)
    return [exp._intake.lock, log.lock, log.stream.problems._lock, *locks_of_process()]


def locks_of_process() -> list[Any]:
    """Return the locks that exist once."""
    return [SYNCER._lock, SEALER._lock, PROCESSOR._lock, TICKER._lock, RUNTIME._forking]


def held_locks(locks: Iterable[Any]) -> int:
    """Return how many locks another thread cannot take."""

    def count() -> int:
        held = 0
        for lock in locks:
            if lock.acquire(timeout=_WAIT):
                lock.release()
            else:
                held += 1
        return held

    return PROBE.submit(count).result()


class Call:
    """Calls on an experiment into which two other threads record.

    Args:
        folder: Folder for stores.

    Attributes:
        seconds: Longest time until a timer interrupts the calls.
        share: Number of interrupts, relative to other calls.
    """

    seconds = 0.005
    share = 3

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()
        self.acknowledged: list[int] = []

    def begin(self) -> None:
        """Start the experiment and the other threads."""
        self.exp = cr.start("interrupted", store=self.folder / "store", anomaly="z_score")
        self.exp.watch("p95_latency_ms > 1000 over 1min")
        self.others = [Other(self.exp, i) for i in (1, 2)]

    def __call__(self) -> None:
        """Make the call."""
        raise NotImplementedError

    def again(self) -> None:
        """Prepare one more call, within reach of signals."""

    def settle(self) -> None:
        """Do what is left after a call, out of reach of signals."""

    def locks(self) -> list[Any]:
        """Return the locks that must be free after a call."""
        return locks_of(self.exp)

    def record(self) -> None:
        """Record an event."""
        number = next(self.numbers)
        if self.exp.record("work", n=number, latency_ms=float(number % 100), note="text"):
            self.acknowledged.append(number)

    def end(self) -> tuple[int, Counter[str]]:
        """Stop; return how many acknowledged events are lost or double, and what else is wrong, counted."""
        for other in self.others:
            other.end()
        self.record()
        wrong: Counter[str] = Counter()
        wrong["no longer synced"] = not _synced(self.exp)
        self.exp.stop()
        again = cr.attach(self.exp.id, store=self.folder / "store", mode="read")
        rows, live = again.df, self.exp.df
        for exp in (self.exp, again):
            facts = exp.summary()
            for name in ("errors", "lost", "refused"):
                wrong[name] += facts[name]
            wrong["metrics differ from rows"] += not _agree(exp)
        wrong["read back differently"] += not rows.equals(live)
        lost = _lost(rows[rows.event.isin(["work", "table"])].n, self.acknowledged, next(self.numbers))
        for other in self.others:
            lost += _lost(rows[rows.event == other.event].n, range(other.acknowledged), other.acknowledged + 1)
        return lost, +wrong


class Other:
    """A thread that records."""

    def __init__(self, exp: Experiment, number: int) -> None:
        self.exp, self.event, self.acknowledged, self.over = exp, f"other{number}", 0, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.over:
            for _ in range(10):
                self.acknowledged += self.exp.record(self.event, n=self.acknowledged, latency_ms=1.0)
            time.sleep(0.002)

    def end(self) -> None:
        """End the thread."""
        self.over = True
        self.thread.join()


def _lost(found: pd.Series, acknowledged: Iterable[int], tried: int) -> int:
    """Return how many numbers are missing, double, or were never recorded."""
    count = Counter(found.astype(int).tolist())
    missing = sum(number not in count for number in acknowledged)
    return missing + sum(times - 1 for times in count.values()) + sum(number >= tried for number in count)


def _agree(exp: Experiment) -> bool:
    """Return whether live metrics are those of the rows."""
    rows, found, groups = exp.df, exp.metrics(), exp.metrics(by="event")
    counts = rows.event.value_counts().to_dict()
    return (
        found.events == len(rows)
        and abs(found.latency.mean - rows.latency_ms.mean()) < 1e-9
        and {name: groups[name].events for name in counts} == counts
    )


def _synced(exp: Experiment) -> bool:
    """Return whether what is recorded is synced by itself."""
    wanted, deadline = exp.summary()["store"]["acknowledged"], time.monotonic() + _WAIT
    while time.monotonic() < deadline:
        store = exp.summary()["store"]
        if store["synced"] >= min(wanted, store["acknowledged"]):
            return True
        time.sleep(0.02)
    return False


class Record(Call):
    def __call__(self) -> None:
        self.record()


class Odd(Call):
    """Events with values that need the slow ways."""

    def __call__(self) -> None:
        number = next(self.numbers)
        values = {"a/b": pd.Timestamp(number), "x": float("nan"), "deep": {"list": [number, "text"]}}
        if self.exp.record("work", values, n=number, latency_ms=1, path=Path("a"), note="key=" + "k" * (number % 40)):
            self.acknowledged.append(number)


class Extend(Call):
    def __call__(self) -> None:
        numbers = [next(self.numbers) for _ in range(3)]
        rows: Any = [{"n": number, "latency_ms": 2.0, "note": "text"} for number in numbers]
        if numbers[0] % 2:
            rows = pd.DataFrame(rows)
        if self.exp.extend(rows, event="table") == len(numbers):
            self.acknowledged += numbers


class Span(Call):
    def __call__(self) -> None:
        number = next(self.numbers)
        with self.exp.span("work", n=number) as span:
            span.set(note="text", latency_ms=3.0)
        self.acknowledged.append(number)


class Look(Call):
    seconds = 0.02

    def __call__(self) -> None:
        self.record()
        self.exp.metrics()
        self.exp.metrics(last="1min", by="event")
        self.exp.summary()
        assert not self.exp.should_stop


class Frame(Call):
    seconds = 0.02

    def __call__(self) -> None:
        self.record()
        assert len(self.exp.df)
        self.exp.query_window(last_n=10)


class Pause(Call):
    def __call__(self) -> None:
        self.exp.pause()
        self.exp.resume()
        self.record()

    def again(self) -> None:
        self.settle()

    def settle(self) -> None:
        if self.exp.paused:
            self.exp.resume()


class Seal(Call):
    """Tables of which each fills a journal."""

    seconds = 0.05

    def __call__(self) -> None:
        numbers = [next(self.numbers) for _ in range(3000)]
        if self.exp.extend(pd.DataFrame({"n": numbers, "latency_ms": 2.0}), event="table") == len(numbers):
            self.acknowledged += numbers


class Stop(Call):
    """Experiments from their start to their end."""

    seconds = 0.1
    share = 1

    def begin(self) -> None:
        super().begin()
        self.wrong: Counter[str] = Counter()
        self._begin_turn(1)

    def _begin_turn(self, turn: int) -> None:
        self.turn, self.store, self.done = turn, self.folder / str(turn), 0

    def __call__(self) -> None:
        with cr.start("short", store=self.store, on_exists="resume") as exp:
            for _ in range(3):
                self.done += exp.record("x", latency_ms=1.0)

    def settle(self) -> None:
        """Go on with what was interrupted; it has to be there, and to end."""
        with cr.start("short", store=self.store, on_exists="resume") as exp:
            self.done += exp.record("x", latency_ms=1.0)
        listed = cr.experiments(self.store)
        self.wrong["not stopped or failed"] += not listed.status.isin(["stopped", "failed"]).all()
        self.wrong["events missing"] += not self.done <= listed.total_events.sum() <= self.done + 1
        shutil.rmtree(self.store)
        self._begin_turn(self.turn + 1)


class Attach(Call):
    """An experiment whose process was killed, read and resumed."""

    seconds = 0.1
    share = 1

    def begin(self) -> None:
        super().begin()
        code = (
            "import os, sys, crucible_nb as cr\nexp = cr.start('dead', store=sys.argv[1])\n"
            "for i in range(200): exp.record('x', n=i, latency_ms=1.0)\nos._exit(0)"
        )
        subprocess.run([sys.executable, "-c", code, str(self.folder / "dead")], check=True)
        self.turn = 0
        self.wrong: Counter[str] = Counter()
        self._copy()

    def _copy(self) -> None:
        self.turn += 1
        self.store = self.folder / f"dead{self.turn}"
        shutil.copytree(self.folder / "dead", self.store)

    def __call__(self) -> None:
        self.record()
        assert len(cr.attach("dead", store=self.store, mode="read").df) == 200
        cr.attach("dead", store=self.store)

    def settle(self) -> None:
        exp = cr.attach("dead", store=self.store)
        self.wrong["not resumed"] += exp.status != "running"
        self.wrong["events missing"] += exp.df.n.tolist() != list(range(200))
        self.wrong["not recorded"] += not exp.record("x", n=200, latency_ms=1.0)
        exp.stop()
        again = cr.attach("dead", store=self.store, mode="read")
        self.wrong["events missing"] += again.df.n.tolist() != list(range(201)) or again.summary()["lost"]
        shutil.rmtree(self.store)
        self._copy()


def _ending(call: type[Call]) -> type[Call]:
    """Have the end of a call count what its turns have found wrong."""

    class Ending(call):  # type: ignore[misc, valid-type]
        def end(self) -> tuple[int, Counter[str]]:
            lost, wrong = super().end()
            return lost, +(wrong + self.wrong)

    return Ending


CALLS: dict[str, type[Call]] = {
    "record": Record,
    "record of odd values": Odd,
    "extend": Extend,
    "span": Span,
    "look": Look,
    "df": Frame,
    "pause/resume": Pause,
    "seal": Seal,
    "start/stop": _ending(Stop),
    "attach": _ending(Attach),
}
"""The calls by kind."""
