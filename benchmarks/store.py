"""What the store costs: `record()` against the write call it makes, coming back, reading, bytes on disk."""

from __future__ import annotations

import contextlib
import inspect
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter, perf_counter_ns, process_time

import numpy as np
import pandas as pd

import crucible_nb as cr
from benchmarks.dashboard import page
from benchmarks.timing import Row, at_least, at_most, table
from crucible_nb.experiment.live import LIVE
from crucible_nb.store import writer
from crucible_nb.store.log import StoredLog
from crucible_nb.store.sync import SYNCER

N = 40_000


def _record(exp: cr.Experiment) -> None:
    exp.record(
        "llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311,
        completion_tokens=92,
    )  # fmt: skip


def calls(exp: cr.Experiment, n: int = N, pause: int = 0) -> np.ndarray:
    """ns of each call."""
    times, record = np.empty(n, np.int64), exp.record
    for i in range(n):
        if pause and i % 100 == 0:
            time.sleep(pause / 1e6)
        start = perf_counter_ns()
        record(
            "llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311,
            completion_tokens=92,
        )  # fmt: skip
        times[i] = perf_counter_ns() - start
    return times


def noted(exp: cr.Experiment, note: Callable[[int], str], n: int) -> float:
    """Median µs of a call with a text that is no standard column."""
    times, record = np.empty(n, np.int64), exp.record
    for i in range(n):
        text = note(i)
        start = perf_counter_ns()
        record("llm.request", latency_ms=812.4, success=True, model="gpt-4o", note=text)
        times[i] = perf_counter_ns() - start
    return float(np.median(times) / 1e3)


def bare(place: Path, size: int, n: int = N) -> np.ndarray:
    """ns of an `os.write` of as many bytes."""
    handle = os.open(place / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC)
    data, times, write = b"x" * (size - 1) + b"\n", np.empty(n, np.int64), os.write
    for i in range(n):
        start = perf_counter_ns()
        write(handle, data)
        times[i] = perf_counter_ns() - start
    os.close(handle)
    return times


@contextlib.contextmanager
def stored(name: str, **options: object) -> Iterator[tuple[cr.Experiment, Path]]:
    with tempfile.TemporaryDirectory() as place:
        exp = cr.start(name, store=place, **options)
        yield exp, Path(place)
        if exp.status == "running":
            exp.stop()


def writer_of(exp: cr.Experiment) -> writer.Writer:
    log = exp._log
    assert isinstance(log, StoredLog)
    return log.writer


def recording(rounds: int) -> list[Row]:
    """Both in turn, 500 calls at a time, so that a neighbour hits both."""
    ratios, p50s, floors, redacted, still = [], [], [], [], []
    for _ in range(rounds):
        with stored("record") as (exp, place):
            first = writer_of(exp).journal.size
            _record(exp)
            size = writer_of(exp).journal.size - first
            pairs = [(bare(place, size, 500), calls(exp, 500)) for _ in range(80)]
            floor, mine = (np.median(np.concatenate(one)) for one in zip(*pairs, strict=True))
            still.append([np.quantile(np.concatenate(one), 0.1) / 1e3 for one in zip(*pairs, strict=True)])
            ratios.append(mine / floor)
            p50s.append(mine / 1e3)
            floors.append(floor / 1e3)
            redacted.append(noted(exp, lambda i: "the same short note", N // 4))
    with stored("long") as (exp, _):
        long = noted(exp, lambda i: f"{i} " + "lorem ipsum dolor sit amet " * 75, 300)
    return [
        at_most("`record()` with standard columns, p50", median(p50s), 3, " µs"),
        Row("a bare `os.write` of the same bytes, p50", f"{median(floors):.3g} µs", "stated", True),
        at_most("`record()` against it", median(ratios), 2.5),
        Row(
            "both in the moments in which nobody disturbs them, p10 of the calls of each",
            "{1:.3g} and {0:.3g} µs".format(*np.median(still, axis=0)),
            "stated",
            True,
        ),
        Row("`record()` with a repeated text to redact, p50", f"{median(redacted):.3g} µs", "stated", True),
        Row("… with a new text of 2 kB, p50", f"{long:.3g} µs", "stated", True),
    ]


SHOWN = """
import tempfile, time
from time import perf_counter_ns
import numpy as np, crucible_nb as cr
N = 0
exp = cr.start("tails", store=tempfile.mkdtemp(), anomaly="auto")
exp.dashboard(refresh=0.5)
"""


def tails(rounds: int) -> list[Row]:
    """In a notebook in a browser, beside its dashboard that looks twice a second.

    The compiled detectors are loaded once in a process, beside the first of these calls; those are told apart.
    """
    asked = f"for _ in range({1 + rounds}):\n    t = calls(exp, {2 * N}, 2000)\n    print('FOUND', np.quantile(t, .999), t.max())"
    with page(SHOWN, f"{inspect.getsource(calls)}\ntime.sleep(5)\n{asked}\nprint('END')") as one:
        while "END" not in one.outputs():
            assert "Error" not in one.outputs()
            one.page.wait_for_timeout(500)
        found = [list(map(float, line.split()[1:])) for line in one.outputs().splitlines() if line.startswith("FOUND")]
    first, *others = (np.array(found) / 1e3).tolist()
    tail, worst = np.median(others, axis=0)
    return [
        at_most("one call beside a running dashboard in a browser, p99.9", tail, 100, " µs"),
        Row("… worst", f"{worst:.0f} µs", "stated", True),
        Row(
            "… p99.9 and worst while the compiled detectors are loaded",
            "{:.0f} and {:.0f} µs".format(*first),
            "stated",
            True,
        ),
    ]


def _wide(n: int) -> pd.DataFrame:
    """Every standard column filled, with values as they come: skewed numbers, ids that hardly repeat."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(10, 2000, n)
    return pd.DataFrame(
        {
            "event": "llm.request",
            "latency_ms": rng.lognormal(6, 1, n).round(1),
            "cost_usd": (tokens * 1e-5).round(6),
            "success": rng.random(n) < 0.98,
            "model": rng.choice(["gpt-4o", "gpt-4o-mini", "o3"], n),
            "provider": "openai",
            "cohort": rng.choice(["control", "treatment"], n),
            "sample_id": [f"item-{i % 5000}" for i in range(n)],
            "session_id": [f"s{i // 12}" for i in range(n)],
            "user_id": [f"user{i}" for i in rng.integers(0, 2000, n)],
            "prompt_tokens": tokens,
            "completion_tokens": rng.integers(1, 500, n),
            "error": np.where(rng.random(n) < 0.02, "TimeoutError", None),
        },
        index=pd.DatetimeIndex(pd.Timestamp("2025-01-01").value + np.cumsum(rng.integers(1, 2 * 10**8, n)), tz="UTC"),
    )


def bulk(rounds: int, n: int = 200_000) -> list[Row]:
    frame, rates = _wide(n), {}
    for batch in (100, 10_000):
        for _ in range(rounds):
            with stored("bulk", clock="events", redact=False) as (exp, _):
                part, times = frame.iloc[:batch], max(1, min(n, 100 * batch) // batch)
                start = process_time()
                for _ in range(times):
                    exp.extend(part)
                rates.setdefault(batch, []).append(times * batch / (process_time() - start))
    return [
        Row(
            f"`extend` of {batch:,} rows with 13 columns, processor time",
            f"{median(found):,.0f} rows/s",
            "stated",
            True,
        )
        for batch, found in rates.items()
    ]


def reopening(rounds: int, n: int = 200_000) -> list[Row]:
    journal, sealed = [], []
    before = writer.SEAL_EVENTS
    for events, found in ((10**9, journal), (before, sealed)):
        writer.SEAL_EVENTS = events
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as place:
                exp = cr.start("again", store=place)
                for _ in range(n if events > 10**6 else 2 * n):
                    _record(exp)
                exp.metrics()
                while writer_of(exp).sealing:
                    time.sleep(0.01)
                _abandon(exp)
                start = process_time()
                again = cr.attach("again", store=place, mode="resume")
                found.append(again.metrics().events / (process_time() - start))
                again.stop()
    writer.SEAL_EVENTS = before
    return [
        at_least("reopening after a crash, nothing sealed, processor time", median(journal), 200_000, " events/s"),
        Row("… sealed automatically", f"{median(sealed):,.0f} events/s", "stated", True),
    ]


def _abandon(exp: cr.Experiment) -> None:
    """What a killed process leaves."""
    os.close(writer_of(exp).journal.handle)
    writer_of(exp).journal.handle = None
    writer_of(exp).lock.release()
    SYNCER.remove(writer_of(exp))
    LIVE._entries.clear()


def reading(rounds: int, n: int = 1_000_000) -> list[Row]:
    ratios, size = [], 0.0
    with tempfile.TemporaryDirectory() as place:
        exp = cr.start("rows", store=place, clock="events", redact=False)
        frame = _wide(n)
        for start in range(0, n, 20_000):
            exp.extend(frame.iloc[start : start + 20_000])
        exp.stop()
        segments = list(Path(place).rglob("*.parquet"))
        files = [path for path in Path(place).rglob("*") if path.is_file() and path.name != "prices.json.gz"]
        size = sum(path.stat().st_size for path in files) / n
        for _ in range(rounds):
            start = perf_counter()
            ours = len(cr.attach("rows", store=place, mode="read").frame())
            middle = perf_counter()
            theirs = len(pd.concat([pd.read_parquet(path) for path in segments]))
            ratios.append((middle - start) / (perf_counter() - middle))
            assert ours == theirs == n
    return [
        at_most("reading 1e6 rows, against `pd.read_parquet` of the segments", median(ratios), 2),
        at_most("sealed, all standard columns", size, 64, " B/event"),
    ]


def listing(experiments: int = 50, n: int = 20_000) -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        frame = _wide(n)
        for i in range(experiments):
            exp = cr.start(f"run {i}", store=place, clock="events", redact=False, anomaly="auto")
            exp.extend(frame)
            exp.stop()
        start = process_time()
        assert cr.experiments(place)["total_events"].sum() == experiments * n
        took = process_time() - start
        what = f"listing {experiments} experiments of {n:,} events, processor time"
        return [Row(what, f"{took:.2f} s", "stated", True)]


def main(quick: bool = False) -> str:
    """Run it; returns the tables as Markdown."""
    warnings.simplefilter("ignore")
    count = 2 if quick else 5
    rows = [*recording(count), *tails(count), *bulk(count), *reopening(2 if quick else 3)]
    rows += reading(2 if quick else 5, 200_000 if quick else 1_000_000)
    rows += listing()
    return table("Store", rows)


if __name__ == "__main__":
    print(main())
