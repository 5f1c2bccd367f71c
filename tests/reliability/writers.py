"""Writers and readers of one experiment at once, in processes of their own.

    python -m tests.reliability.writers --seconds 360 --write     # the long run; its table stands in docs/reliability.md

Eight writers record in bursts and seal short journals; two readers read all rows again and again, one through an attachment
that it keeps, one through a new one each time. Every snapshot has to be a gapless prefix of what each writer has recorded,
never shorter than the one before. At the end every acknowledged event is there once, and the store is sound.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import crucible_nb as cr
from crucible_nb.store.verify import verify

ROOT = Path(__file__).parents[2]
BURST = 100  # events
WRITER = """
import sys, time, crucible_nb as cr
from crucible_nb.store import writer
writer.SEAL_EVENTS = 5_000
handle, worker, seconds, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
exp, n, end = cr.attach(handle, mode="join"), 0, time.monotonic() + seconds
while time.monotonic() < end:
    for _ in range({burst}):
        n += exp.record("work", worker=worker, n=n, latency_ms=float(n))
    time.sleep({burst} / rate)
exp.stop()
print(n)
"""
READER = """
import sys, time, warnings, crucible_nb as cr
warnings.simplefilter("ignore", cr.CrucibleWarning)
store, anew = sys.argv[1], sys.argv[2] == "anew"
kept, seen, snapshots, broken, last = cr.attach("crowd", store=store, mode="read"), {}, 0, 0, False
while True:
    exp = cr.attach("crowd", store=store, mode="read") if anew else kept
    last = exp.status != "running"
    frame = exp.frame()
    for worker, n in frame.groupby("worker")["n"] if "worker" in frame else ():
        good = sorted(n) == list(range(len(n))) and len(n) >= seen.get(worker, 0)
        broken += not good
        seen[worker] = len(n)
    snapshots += 1
    time.sleep(0.05)
    if last:
        break
print(snapshots, broken, sum(seen.values()))
"""


class Outcome(NamedTuple):
    """What one run found.

    Attributes:
        acknowledged: Number of events for which `record` returned True.
        found: Number of different events read back at the end.
        rows: Number of rows read back at the end.
        snapshots: Number of times that readers read everything.
        broken: Number of those in which events of a writer were missing or double, or fewer than before.
        read_last: Numbers of events in the last snapshot of each reader.
        sound: Whether `verify` found nothing.
    """

    writers: int
    readers: int
    seconds: float
    acknowledged: int
    found: int
    rows: int
    snapshots: int
    broken: int
    read_last: tuple[int, ...]
    sound: bool

    @property
    def clean(self) -> bool:
        """Whether nothing was missing, double or unreadable."""
        read = {self.found, self.rows, *self.read_last}
        return read == {self.acknowledged} and not self.broken and self.sound

    def __str__(self) -> str:
        return (
            f"| {self.writers} | {self.readers} | {self.seconds:g} | {self.acknowledged:,} | "
            f"{self.acknowledged - self.found:,} | {self.rows - self.found:,} | {self.snapshots:,} | {self.broken:,} |"
        )


HEAD = (
    "| writers | readers | s | acknowledged | lost | double | snapshots of all rows | broken snapshots |\n"
    "|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def run(store: Path, writers: int, readers: int, seconds: float, rate: float) -> Outcome:
    """Let writers record for some seconds while readers read.

    Args:
        store: Folder of the experiments.
        writers, readers: Numbers of processes.
        seconds: How long the writers record.
        rate: Events per second of each writer, at most.
    """
    exp = cr.start("crowd", store=store)
    recording = [
        _start(WRITER.format(burst=BURST), exp.handle, str(k), str(seconds), str(rate)) for k in range(writers)
    ]
    reading = [_start(READER, str(store), "anew" if k % 2 else "kept") for k in range(readers)]
    acknowledged = sum(int(_result(one)[0]) for one in recording)
    exp.stop()
    results = [tuple(map(int, _result(one))) for one in reading]
    rows = cr.attach("crowd", store=store).frame()
    return Outcome(
        writers=writers, readers=readers, seconds=seconds, acknowledged=acknowledged,
        found=len(rows[["worker", "n"]].drop_duplicates()), rows=len(rows), snapshots=sum(one[0] for one in results),
        broken=sum(one[1] for one in results), read_last=tuple(one[2] for one in results), sound=verify(store).sound,
    )  # fmt: skip


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def _result(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a process ended with {process.returncode}: {out}")
    return out.split()


def main() -> None:
    from tests.reliability.page import put

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=360)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=400, help="events per second of each writer, at most")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        outcome = run(Path(home), args.writers, args.readers, args.seconds, args.rate)
    table = f"{HEAD}\n{outcome}"
    print(table)
    if args.write:
        put("writers", table)
    assert outcome.clean, outcome._asdict()


if __name__ == "__main__":
    main()
