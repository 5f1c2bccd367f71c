"""The journal notices what happens to its file: deleted, full, out of descriptors; what is pending is written later."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import crucible_nb as cr
from crucible_nb.store import writer
from crucible_nb.store.sync import SYNCER

HERE = Path(__file__).parents[2]


@pytest.mark.filterwarnings("always::crucible_nb.errors.CrucibleWarning")
def test_a_deleted_folder_is_noticed_within_a_second(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    exp = cr.start("gone", store=tmp_path)
    assert exp.record("x", n=0)
    shutil.rmtree(exp.handle)
    deadline = time.monotonic() + 3 * SYNCER.EVERY
    while exp.record("x", n=1) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not exp.record("x", n=2)
    facts = exp.summary()
    assert facts["refused"] >= 1
    assert facts["store"]["failure"] == "its file has been deleted"
    with pytest.raises(cr.StoreError, match="its file has been deleted"):
        exp.flush()
    exp.stop()
    assert "has been deleted: what was recorded is in memory only" in " ".join(str(one.message) for one in recwarn)
    assert len(exp.df) >= 1  # memory has what was recorded


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_a_deleted_folder_is_noticed_by_a_flush_and_a_replaced_file_too(tmp_path: Path) -> None:
    exp = cr.start("replaced", store=tmp_path)
    exp.record("x", n=0)
    path = next(Path(exp.handle).glob("*.jsonl"))
    path.write_bytes(path.read_bytes())  # the same file
    exp.flush()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)  # another file in its place, as `git checkout` does
    with pytest.raises(cr.StoreError, match="its file has been deleted"):
        exp.flush()
    assert not exp.record("x", n=1)
    exp.stop()


FULL = """
import os, resource, signal, sys, glob, warnings, crucible_nb as cr
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
exp = cr.start("full", store=sys.argv[1])
for n in range(100): exp.record("x", n=n)
exp.metrics()
if sys.argv[2] == "paused": exp.pause()
size = os.path.getsize(glob.glob(sys.argv[1] + "/*/*.jsonl")[0])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    exp.stop()
assert any("the end of the experiment is not in the store (File too large)" in str(one.message) for one in caught)
assert exp.summary()["store"]["failure"] == "File too large", exp.summary()["store"]
try:
    exp.flush()
    raise SystemExit("flush said nothing")
except cr.StoreError as error:
    assert "File too large" in str(error)
print("dead?", flush=True); sys.stdin.readline()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if sys.argv[3] == "flush": exp.flush()
else:
    import time; time.sleep(2.5)
os._exit(0)
"""


@pytest.mark.parametrize(
    ("status", "way"),
    [
        ("running", "flush"),
        *(pytest.param(*way, marks=pytest.mark.check) for way in (("paused", "flush"), ("running", "by itself"))),
    ],
)
def test_an_end_that_cannot_be_written_is_said_and_written_later(tmp_path: Path, status: str, way: str) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), status, way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "dead?\n"
        assert cr.attach("full", store=tmp_path, mode="read").status != "stopped"
        process.communicate("on\n")
    assert process.returncode == 0
    again = cr.attach("full", store=tmp_path, mode="read")
    assert (again.status, len(again.df), again.summary()["lost"]) == ("stopped", 100, 0)


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_without_descriptors_a_stop_raises_nothing(tmp_path: Path) -> None:
    exp = cr.start("few", store=tmp_path)
    for n in range(150):
        exp.record("x", n=n)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.open("/dev/null", os.O_RDONLY)
    os.close(highest)
    before = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, limit[1]))
    try:
        with pytest.raises(cr.StoreError, match="cannot sync .*: Too many open files"):
            exp.flush()
        exp.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert len(cr.attach(exp.id, store=tmp_path, mode="read").df) == 150


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_sealing_that_failed_is_done_with_the_next_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 50)
    exp = cr.start("later", store=tmp_path)
    real, calls = writer.write_segment, []

    def failing(*args: object) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "write_segment", failing)
    for n in range(200):
        exp.record("x", n=n)
        if n % 50 == 49:
            exp.metrics()
            time.sleep(0.2)
    exp.stop()
    again = cr.attach(exp.id, store=tmp_path, mode="read")
    assert (again.df["n"].tolist(), again.summary()["lost"]) == (list(range(200)), 0)


def test_signals_are_as_before() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
