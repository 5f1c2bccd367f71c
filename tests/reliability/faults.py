"""Faults in every system call of the store, at random: what is read agrees with what was acknowledged.

python -m tests.reliability.faults --histories 10000 --write
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import crucible_nb as cr
from crucible_nb.experiment.live import LIVE
from crucible_nb.store import writer
from crucible_nb.testing.disk import CALLS, FaultyDisk
from tests.conftest import settle
from tests.laws.test_resume import die


def history(seed: int, folder: Path) -> Counter[str]:
    """One history with faults; AssertionError when what is read is not what was acknowledged."""
    rng = np.random.default_rng(seed)
    faulty = FaultyDisk(float(rng.choice([0.01, 0.05, 0.2])), rng)
    durability = str(rng.choice(["os", "disk"]))
    acked: set[int] = set()
    refused: set[int] = set()
    n = 0
    with faulty:
        exp = _started(faulty, folder, durability)
        for _ in range(int(rng.integers(5, 40))):
            what = rng.choice(["record", "record", "record", "extend", "list", "flush", "die", "pause", "look"])
            if what == "record":
                (acked if exp.record("e", n=n, latency_ms=float(n % 7)) else refused).add(n)
                n += 1
            elif what in ("extend", "list"):
                rows = range(n, n + int(rng.integers(1, 30)))
                table: Any = pd.DataFrame({"n": list(rows)}) if what == "extend" else [{"n": i} for i in rows]
                (acked if exp.extend(table, event="e") == len(rows) else refused).update(rows)
                n = rows.stop
            elif what == "flush":
                with contextlib.suppress(cr.StoreError):
                    exp.flush()
            elif what == "pause":
                exp.pause()
                exp.resume()  # a full disk owes the line
            elif what == "look":
                events = exp.metrics().events
                assert events == len(acked) or (faulty.faults["truncate"] and events > len(acked)), (events, len(acked))
                settle(exp)
            else:
                settle(exp)
                die(exp)
                exp = _resumed(faulty, folder)
        settle(exp)
        if rng.random() < 0.5:
            exp.stop()
        else:
            die(exp)
        faulty.rate = 0.0
        _compare(folder, acked, refused, faulty)
    return faulty.faults


def _started(faulty: FaultyDisk, folder: Path, durability: str) -> cr.Experiment:
    while True:
        try:
            return cr.start("faults", store=folder, durability=durability, windows=(), on_exists="resume")
        except cr.StoreError:
            shutil.rmtree(folder, ignore_errors=True)
            faulty.rate *= 0.5


def _resumed(faulty: FaultyDisk, folder: Path) -> cr.Experiment:
    """A process that cannot come up says so; the next one tries again."""
    while True:
        try:
            exp = cr.attach("faults", store=folder, mode="resume")
            if exp.paused:
                exp.resume()
            return exp
        except cr.StoreError:
            faulty.rate *= 0.5


def _compare(folder: Path, acked: set[int], refused: set[int], faulty: FaultyDisk) -> None:
    exp = cr.attach("faults", store=folder, mode="read")
    found = [] if "n" not in exp.frame() else exp.frame()["n"].dropna().astype(int).tolist()
    count = Counter(found)
    assert exp.metrics().events == len(found)
    assert not acked - count.keys(), f"lost {sorted(acked - count.keys())[:5]}"
    assert max(count.values(), default=1) == 1, "twice"
    assert not count.keys() - acked - refused, "never written"
    if not faulty.faults["truncate"]:  # what was refused is cut off, unless that failed too
        assert not refused & count.keys(), f"refused, and there: {sorted(refused & count.keys())[:5]}"


def run(first: int, histories: int) -> tuple[int, Counter[str]]:
    """Histories that agree, and faults by call."""
    faults: Counter[str] = Counter()
    warnings.simplefilter("ignore", cr.CrucibleWarning)
    writer.SEAL_EVENTS = 40
    for seed in range(first, first + histories):
        with tempfile.TemporaryDirectory() as place:
            try:
                faults += history(seed, Path(place, "store"))
            except BaseException as error:
                raise AssertionError(f"history {seed}") from error
        LIVE._entries.clear()
    return histories, faults


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    args = parser.parse_args()
    begun = time.monotonic()
    agree, faults = run(args.first, args.histories)
    said = ", ".join(f"{faults[call]:,} {call}" for call in CALLS)
    print(f"{agree} histories agree in {time.monotonic() - begun:.0f} s; faults: {said}")
    if args.write:
        from tests.reliability.page import put

        rows = ["| histories | agree | faults | by call |", "|--:|--:|--:|---|"]
        put("faults", "\n".join([*rows, f"| {args.histories:,} | {agree:,} | {faults.total():,} | {said} |"]))


if __name__ == "__main__":
    main()
