"""Fault injection, short; and that it would find what it is there to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.store import syscalls, writer
from crucible_nb.store.journal import Journal
from crucible_nb.testing import FaultyDisk
from tests.reliability import faults
from tests.tiers import seeds

pytestmark = [
    pytest.mark.untraced,  # a law over many examples; to trace each line of them takes twice as long
    pytest.mark.seeded,
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]


@pytest.fixture(autouse=True)
def seal_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 40)


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.check) for part in range(1, 5))])
def test_what_is_read_agrees_with_what_was_acknowledged(tmp_path: Path, part: int) -> None:
    for seed in seeds(100, first=100 * part):
        print(f"history {seed}")  # shown when it fails
        faults.history(seed, tmp_path / str(seed))


def _no_cut(self: Journal, size: int) -> None:
    """A journal that goes on behind a torn line."""


def _early(self: writer.Writer, number: int, state: Any, rows: Any, sample: Any) -> None:
    """A seal that removes the journal before the segment has its name."""
    for part in self.folder.parts(self.writer_id):
        if part.journal is not None and part.number <= number:
            part.journal.unlink()
    self.write_parts(number, state, rows, sample)


def _believes(self: Journal, data: bytes) -> None:
    """A journal that does not look how much the system took."""
    syscalls.system().write(self.handle, data)
    self.size += len(data)


@pytest.mark.parametrize(
    ("owner", "name", "bug"),
    [(Journal, "_cut_back", _no_cut), (Journal, "_append", _believes), (writer.Writer, "_write", _early)],
)
def test_the_harness_finds_planted_bugs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, bug: Any
) -> None:
    if bug is _early:
        monkeypatch.setattr(owner, "write_parts", owner._write, raising=False)
    monkeypatch.setattr(owner, name, bug)
    with pytest.raises((AssertionError, cr.CrucibleError, OSError)):
        for seed in range(300):
            faults.history(seed, tmp_path / str(seed))


def test_a_full_disk_refuses_loudly_and_recovers(tmp_path: Path) -> None:
    with FaultyDisk() as disk:
        exp = cr.start("full", store=tmp_path)
        assert exp.record("a", n=0)
        disk.full = True
        with pytest.warns(cr.CrucibleWarning, match="refused until they can be: No space left on device"):
            assert not exp.record("a", n=1)
        assert exp.extend([{"n": 2}, {"n": 3}]) == 0
        exp.pause()  # a transition is owed, and written as soon as that is possible
        assert exp.summary()["refused"] == 3
        assert "No space left" in exp.summary()["store"]["failure"]
        disk.full = False
        exp.resume()
        assert exp.record("a", n=4)
        assert exp.summary()["store"]["failure"] is None
        exp.stop()
    again = cr.attach("full", store=tmp_path)
    assert again.frame()["n"].tolist() == [0, 4]
    assert again.pause_count == 1
