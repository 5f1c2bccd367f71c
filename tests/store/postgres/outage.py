"""`python -m tests.store.postgres.outage [--stops 20] [--cuts 50] [--write]`: server crashes and lost replies.

Events are recorded all the while. At the end everything must be in the tables, once.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import threading
import time
from typing import NamedTuple

import pandas as pd

import crucible_nb as cr

ROWS = 1000


class Outcome(NamedTuple):
    what: str
    times: int
    events: int
    lost: int
    double: int
    seconds: float

    def __str__(self) -> str:
        return f"| {self.what} | {self.times} | {self.events:,} | {self.lost} | {self.double} | {self.seconds:.0f} |"


HEAD = (
    "| fault of the server, while events are recorded | times | events | lost | double | s |\n|---|--:|--:|--:|--:|--:|"
)


def block(start: int) -> pd.DataFrame:
    return pd.DataFrame({"latency_ms": [float(i) for i in range(start, start + ROWS)], "model": "m", "note": "x"})


def run(what: str, url: str, look: str, enough, deadline: float = 900.0) -> Outcome:
    """Record until `enough()` returns the number of faults; copy to `url`, and count the rows at `look`."""
    import psycopg

    began, seq = time.monotonic(), 0
    exp = cr.start(f"outage {random.random()}", store=url, windows=())
    while not (times := enough()):
        assert time.monotonic() - began < deadline, exp.summary()["store"]
        seq += exp.extend(block(seq), event="tick")
        for _ in range(20):
            seq += exp.record("one", latency_ms=float(seq))
        time.sleep(0.03)
    exp.stop()
    assert exp.wait_archived(120), exp.summary()["store"]
    with psycopg.connect(look) as connection:
        count, different, right = connection.execute(
            "select count(*), count(distinct seq), count(distinct seq) filter (where latency_ms = seq and seq < %s)"
            " from crucible.events where experiment = %s",
            (seq, exp.id),
        ).fetchone()
    return Outcome(what, times, seq, seq - right, count - different, time.monotonic() - began)


def stops(server, url: str, count: int) -> Outcome:
    """Stop the server at once, as in a power loss, and restart it."""
    done, failed = [], []

    def strike() -> None:
        try:
            for _ in range(count):
                time.sleep(random.uniform(0.1, 0.6))
                server.stop("immediate")
                time.sleep(random.uniform(0.0, 0.2))
                server.start()
                done.append(1)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    thread = threading.Thread(target=strike, daemon=True)
    thread.start()

    def enough() -> int:
        assert not failed, failed
        return len(done) if len(done) >= count else 0

    outcome = run("immediate stop", url, url, enough)
    thread.join()
    return outcome


def cuts(server, database: str, count: int) -> Outcome:
    """Drop the reply to every third COMMIT."""
    from tests.store.postgres.server import CommitCutter

    cutter = CommitCutter(server)
    try:
        url = server.url(database, host=cutter.home)
        return run(
            "reply to COMMIT lost", url, server.url(database), lambda: cutter.cuts if cutter.cuts >= count else 0
        )
    finally:
        cutter.close()


def main() -> None:
    from tests.reliability.page import put
    from tests.store.postgres.server import Server

    parser = argparse.ArgumentParser()
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as home:
            os.environ["CRUCIBLE_DIR"] = home
            found = [stops(server, server.url(), args.stops), cuts(server, "postgres", args.cuts)]
    finally:
        server.close()
    table = "\n".join([HEAD, *map(str, found)])
    print(table)
    if args.write:
        put("postgres", table)
    assert not any(one.lost or one.double for one in found)


if __name__ == "__main__":
    main()
