"""Several writers and a reader at once; a disk that is really full."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import crucible_nb as cr
from crucible_nb.store.verify import verify
from tests.reliability import writers
from tests.tiers import scaled

ROOT = Path(__file__).parents[2]
WRITER = """
import sys, crucible_nb as cr
from crucible_nb.store import writer
writer.SEAL_EVENTS = 700
exp = cr.attach(sys.argv[1], mode="join")
for n in range(int(sys.argv[3])):
    assert exp.record("work", worker=int(sys.argv[2]), n=n, latency_ms=float(n))
exp.stop()
"""


@pytest.mark.check
@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_several_writers_and_a_reader(tmp_path: Path) -> None:
    count, events = max(2, scaled(8)), 2500
    exp = cr.start("several", store=tmp_path)
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, exp.handle, str(k), str(events)], cwd=ROOT)
        for k in range(count)
    ]
    reader = cr.attach("several", store=tmp_path, mode="read")
    seen: dict[int, int] = {}
    snapshots = 0
    while any(one.poll() is None for one in running) or not snapshots:
        frame = reader.frame() if snapshots % 3 else cr.attach("several", store=tmp_path, mode="read").frame()
        if "worker" in frame:
            for worker, rows in frame.groupby("worker")["n"]:
                assert sorted(rows) == list(range(len(rows)))  # a prefix, gapless, nothing twice
                assert len(rows) >= seen.get(worker, 0)  # and never less than before
                seen[worker] = len(rows)
        snapshots += 1
        time.sleep(0.05)
    assert [one.wait() for one in running] == [0] * count
    assert snapshots > 3
    assert exp.metrics().events == count * events
    frame = exp.frame()
    assert {worker: len(rows) for worker, rows in frame.groupby("worker")} == dict.fromkeys(range(count), events)
    exp.stop()
    assert verify(tmp_path).sound


@pytest.mark.check
@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_writers_and_readers_of_every_kind(tmp_path: Path) -> None:
    outcome = writers.run(tmp_path, writers=2, readers=2, seconds=1, rate=4_000)
    assert outcome.clean, outcome._asdict()
    assert outcome.acknowledged > 100


FULL = """
import resource, signal, sys, warnings
import crucible_nb as cr
warnings.simplefilter("ignore")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
exp = cr.start("full", store=sys.argv[1])
print("up", flush=True)
acked, refused, n = 0, 0, 0
limit = int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
while refused < 50:
    if n > 10**6:
        raise SystemExit("the disk never was full")
    if exp.record("e", n=n, note="x" * 50):
        acked += 1
        refused and print("went on")
    else:
        refused += 1
    n += 1
print(acked, refused, exp.summary()["refused"], flush=True)
sys.stdin.readline()
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert exp.record("e", n=n, note="after")
assert exp.extend([{"n": n + 1}], event="e") == 1
print(exp.summary()["store"]["failure"], flush=True)
exp.stop()
"""


def _fill(place: Path, limit: int) -> tuple[int, subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-c", FULL, str(place), str(limit)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "up\n"
    acked, refused, counted = map(int, process.stdout.readline().split())
    assert refused == counted == 50
    return acked, process


def _goes_on(place: Path, acked: int, process: subprocess.Popen) -> None:
    out, _ = process.communicate("\n", timeout=60)
    assert out.strip() == "None"
    assert process.returncode == 0
    exp = cr.attach("full", store=place)
    assert exp.status == "stopped"
    assert exp.frame()["n"].tolist() == [*range(acked), acked + 50, acked + 51]
    assert verify(place).sound


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The kernel's own limit, which takes a part of a line at its edge."""
    acked, process = _fill(tmp_path, 30_000)
    assert acked > 100
    _goes_on(tmp_path, acked, process)


def test_a_small_disk(tmp_path: Path) -> None:
    """A tmpfs of 1 MB, filled to the brim, then given room."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk; the limit on files is tested without")
    try:
        acked, process = _fill(tmp_path, 0)
        assert acked > 1000
        subprocess.run(["mount", "-o", "remount,size=8m", str(tmp_path)], check=True)
        _goes_on(tmp_path, acked, process)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
