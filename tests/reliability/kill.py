"""kill -9 at random moments: what was acknowledged is there, once, and every file can be read.

    python -m tests.reliability.kill --kills 1000 --write     # the long run; its table stands in docs/reliability.md

Each generation is a process that goes on with the store of the one before and is killed: while it writes, seals or is
just coming up. What it acknowledged, it notes in shared memory the moment the call returns.
"""

from __future__ import annotations

import argparse
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.reliability.stores import STORES

GENERATIONS = 5  # kills of one store, before the next one


@dataclass
class Result:
    """What was found."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    unreadable: int = 0
    strange: int = 0
    stages: Counter = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unreadable or self.strange)


class Marks:
    """Two numbers that outlive the process: events tried, events acknowledged."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 16)

    def set(self, place: int, value: int) -> None:
        struct.pack_into("<q", self.map, 8 * place, value)

    def get(self, place: int) -> int:
        return struct.unpack_from("<q", self.map, 8 * place)[0]


def write_until_killed(name: str, folder: Path, marks: Path, batch: int) -> None:
    """The life of one generation."""
    seen = Marks(marks)
    store, n = STORES[name](), seen.get(0)
    print("up", flush=True)
    store.open(folder)
    print("open", flush=True)
    while True:
        seen.set(0, n + batch)
        if not store.put(n, batch):
            raise SystemExit("refused")
        seen.set(1, n + batch)
        n += batch


def generation(name: str, folder: Path, marks: Path, batch: int, rng: np.random.Generator) -> str:
    """Start a process, kill it; returns when it was hit."""
    child = os.fork()
    if child == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        try:
            write_until_killed(name, folder, marks, batch)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(1)
    seen = Marks(marks)
    before, early = seen.get(0), rng.random() < 0.2
    deadline = time.monotonic() + 30
    while not early and seen.get(0) == before and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(rng.random() * (0.02 if early else 0.25))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise AssertionError(f"{name}: the writer ended by itself ({status})")
    return "opening" if seen.get(0) == before else "writing"


def check(name: str, folder: Path, tried: list[range], acked: list[range], result: Result) -> None:
    """Compare what can be read with what was acknowledged; in a process of its own."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ids, broken = STORES[name].read(folder)
            count = Counter(ids)
            allowed = set().union(*map(set, tried)) if tried else set()
            wanted = set().union(*map(set, acked)) if acked else set()
            found = [
                len(wanted),
                len(wanted - count.keys()),
                sum(c - 1 for c in count.values()),
                broken,
                len(count.keys() - allowed),
            ]
            os.write(into, struct.pack("<5q", *found))
            os._exit(0)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(2)
    os.close(into)
    data = os.read(out, 40)
    os.close(out)
    os.waitpid(child, 0)
    if len(data) != 40:
        result.unreadable += 1
        return
    acknowledged, lost, duplicated, broken, strange = struct.unpack("<5q", data)
    result.acknowledged += acknowledged
    result.lost += lost
    result.duplicated += duplicated
    result.unreadable += broken
    result.strange += strange


def run(name: str, kills: int, batch: int, seed: int = 0, until_dirty: bool = False) -> Result:
    """Kill so many writers."""
    rng, result = np.random.default_rng(seed), Result()
    while result.kills < kills or (
        not result.acknowledged and result.kills < 10 * kills
    ):  # killed before a write was done
        with tempfile.TemporaryDirectory() as place:
            folder, marks = Path(place, "store"), Path(place, "marks")
            tried: list[range] = []
            acked: list[range] = []
            for _ in range(max(1, min(GENERATIONS, kills - result.kills))):
                seen = Marks(marks)
                begin = seen.get(0)
                seen.set(1, begin)
                result.stages[generation(name, folder, marks, batch, rng)] += 1
                result.kills += 1
                tried.append(range(begin, seen.get(0)))
                acked.append(range(begin, seen.get(1)))
            if folder.exists():
                check(name, folder, tried, acked, result)
        if until_dirty and not result.clean:
            break
    return result


def in_fresh_process(name: str, kills: int, batch: int, seed: int = 0, until_dirty: bool = False) -> Result:
    """The same from a process without threads, so that forks of it are sound."""
    arguments = [name, str(kills), str(batch), str(seed), str(int(until_dirty))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.kill", "--one", *arguments],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(done.stderr)
    numbers = done.stdout.strip().splitlines()[-1].split()
    result = Result(*map(int, numbers[:6]))
    if not result.clean:
        print(done.stderr)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, kills, batch, seed, dirty = args.one
        found = run(name, int(kills), int(batch), int(seed), bool(int(dirty)))
        print(found.stages, file=sys.stderr)
        print(found.kills, found.acknowledged, found.lost, found.duplicated, found.unreadable, found.strange)
        return
    rows = ["| batch | kills | acknowledged | lost | duplicated | unreadable files |", "|--:|--:|--:|--:|--:|--:|"]
    for place, batch in enumerate((1, 100, 10_000)):
        found = in_fresh_process("ours", args.kills // 3 + (place < args.kills % 3), batch, seed=place)
        rows.append(
            f"| {batch:,} | {found.kills} | {found.acknowledged:,} | {found.lost} | {found.duplicated} | {found.unreadable} |"
        )
        print(rows[-1], flush=True)
    if args.write:
        from tests.reliability.page import put

        put("kills", "\n".join(rows))


if __name__ == "__main__":
    main()
