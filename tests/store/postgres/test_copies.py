"""Two copies of one journal that are both continued: the database holds the rows of one, and the other says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import crucible_nb as cr
from tests.store.postgres.conftest import eventually

pytestmark = pytest.mark.check  # test_replicator.py is in `make test`

SCRIPT = """
import os, sys, crucible_nb as cr
exp = cr.start("run", store=sys.argv[1])
for i in range(10):
    exp.record("e", n=i)
assert exp.wait_archived(30)
os._exit(9)
"""


@pytest.fixture
def homes(url, home, tmp_path) -> list[Path]:
    """Two folders with the same journal, of a process that died after its rows were copied."""
    subprocess.run([sys.executable, "-c", SCRIPT, url], check=False)
    shutil.copytree(home, tmp_path / "copied")
    return [home, tmp_path / "copied"]


def resume(home: Path, url: str, monkeypatch) -> cr.Experiment:
    monkeypatch.setenv("CRUCIBLE_DIR", str(home))
    return cr.attach("run", store=url, mode="resume")


def record(exp: cr.Experiment, start: int) -> None:
    for i in range(start, start + 5):
        exp.record("e", n=i)


def resume_in_vain(home: Path, url: str, monkeypatch) -> cr.Experiment:
    exp = resume(home, url, monkeypatch)
    record(exp, 1000)
    eventually(lambda: is_refused(exp))
    return exp


def end(exp: cr.Experiment) -> None:
    exp.stop()
    exp._copies.replicator.give_up()


def is_refused(exp: cr.Experiment) -> bool:
    return "another copy of this journal, continued by process" in (exp._copies.replicator.failure or "")


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_the_second_copy_is_refused(url, sql, homes, monkeypatch):
    first = resume(homes[0], url, monkeypatch)
    record(first, 100)
    assert first.wait_archived(30)
    first.stop()
    assert first.wait_archived(30)
    with pytest.warns(cr.errors.CrucibleWarning, match="nothing is copied .* another copy of this journal"):
        second = resume_in_vain(homes[1], url, monkeypatch)
    assert not second.wait_archived(0.1)
    assert "all in" not in repr(second)
    assert second.df.n.tolist() == [*range(10), *range(1000, 1005)]
    end(second)
    assert sql("select extra->>'n' from crucible.events order by seq") == [
        (str(i),) for i in (*range(10), *range(100, 105))
    ]
    assert sql("select status, complete from crucible.experiments") == [("stopped", True)]
    again = resume(homes[0], url, monkeypatch)  # the copy that is in it goes on
    assert again.wait_archived(30)


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_of_two_at_the_same_time_one_is_refused(url, sql, homes, monkeypatch):
    both = [resume(home, url, monkeypatch) for home in homes]
    record(both[0], 100)
    record(both[1], 1000)
    eventually(lambda: sum(map(is_refused, both)) == 1)
    kept = both[is_refused(both[0])]
    assert kept.wait_archived(30)
    rows = [int(n) for (n,) in sql("select extra->>'n' from crucible.events order by seq")]
    assert rows == kept.df.n.tolist()
    for exp in both:
        end(exp)


def test_sealed_and_rebuilt_journals_know_their_sessions(url, sql, homes, monkeypatch):
    """The sessions are in checkpoints and segments as well, since a sealed journal is removed."""
    exp = resume(homes[0], url, monkeypatch)
    record(exp, 100)
    exp.stop()
    assert exp.wait_archived(30)
    sessions = exp._stream.sessions
    assert len(sessions) == 2
    assert sql("select session from crucible.writers") == [(sessions[-1],)]
    assert cr.attach(exp.handle, mode="read")._stream.sessions == sessions
    (checkpoint,) = Path(exp.handle).glob("*.state")
    checkpoint.write_bytes(b"damaged")
    with pytest.warns(cr.errors.CrucibleWarning, match="rebuilt from its rows"):
        assert cr.attach(exp.handle, mode="read")._stream.sessions == sessions
