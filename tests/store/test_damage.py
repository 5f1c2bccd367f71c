"""Damaged files cost themselves alone: the rest is read, what is lost is counted, and `verify` names the file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.store import writer
from crucible_nb.store.lines import encode_line
from crucible_nb.store.verify import verify
from tests.conftest import settle
from tests.laws.test_resume import die

pytestmark = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
EVENTS, SEALED = 943, 300


def make(store: Path, name: str) -> Path:
    """A dead experiment of three segments and a journal of 43 events."""
    exp = cr.start(name, store=store)
    for n in range(EVENTS):
        exp.record("x", n=n, latency_ms=float(n))
        if n % SEALED == SEALED - 1:
            exp.metrics()
            settle(exp)
    folder = Path(exp.handle)
    die(exp)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SEAL_EVENTS", SEALED)
        place = tmp_path_factory.mktemp("made")
        return make(place / "a", "plain"), make(place / "b", "other")


def journal(folder: Path) -> Path:
    return sorted(folder.glob("*.jsonl"))[-1]


def lines(folder: Path) -> list[bytes]:
    return journal(folder).read_bytes().split(b"\n")[:-1]


def put(folder: Path, texts: list[bytes]) -> None:
    journal(folder).write_bytes(b"".join(text + b"\n" for text in texts))


def segment(folder: Path, number: int) -> Path:
    return folder / f"w0000-00000{number}.parquet"


def replace(path: Path, make: Callable[[Path], Any]) -> None:
    path.unlink()
    make(path)


def insert(folder: Path, *cells: Any) -> None:
    put(folder, [*lines(folder)[:20], encode_line([*cells, *[None] * (9 - len(cells))])[:-1], *lines(folder)[20:]])


CASES: dict[str, tuple[Callable[[Path, Path], Any], int, int, int]] = {
    # what is done to the folder, with another one at hand; events, rows and lost when it is read
    "nothing": (lambda one, other: None, 943, 943, 0),
    "ten lines repeated": (lambda one, other: put(one, lines(one) + lines(one)[-10:]), 943, 943, 10),
    "one line doubled in place": (lambda one, other: put(one, lines(one)[:20] + lines(one)[19:]), 943, 943, 1),
    "ten lines removed": (lambda one, other: put(one, lines(one)[:10] + lines(one)[20:]), 933, 933, 10),
    "ten lines reversed": (
        lambda one, other: put(one, lines(one)[:10] + lines(one)[10:20][::-1] + lines(one)[20:]), 934, 934, 9
    ),
    "two lines exchanged": (
        lambda one, other: put(one, lines(one)[:10] + lines(one)[11:9:-1] + lines(one)[12:]), 942, 942, 1
    ),
    "journal of another": (lambda one, other: shutil.copy(journal(other), journal(one)), 900, 900, 1),
    "journal of another writer": (
        lambda one, other: shutil.copy(journal(one), one / "w0001-000001.jsonl"), 943, 943, 1
    ),
    "journal of another part": (
        lambda one, other: shutil.copy(journal(one), one / "w0000-000005.jsonl"), 943, 943, 1
    ),
    "segment of another": (lambda one, other: shutil.copy(segment(other, 2), segment(one, 2)), 943, 643, 1),
    "segment of another part": (lambda one, other: shutil.copy(segment(one, 1), segment(one, 2)), 943, 643, 1),
    "state of another": (
        lambda one, other: shutil.copy(other / "w0000-000003.state", one / "w0000-000003.state"), 943, 943, 1
    ),
    "first segment deleted": (lambda one, other: segment(one, 1).unlink(), 943, 643, 300),
    "middle segment deleted": (lambda one, other: segment(one, 2).unlink(), 943, 643, 300),
    "last segment deleted": (lambda one, other: segment(one, 3).unlink(), 943, 643, 300),
    "last journal deleted": (lambda one, other: journal(one).unlink(), 900, 900, 1),
    "last journal emptied": (lambda one, other: journal(one).write_bytes(b""), 900, 900, 1),
    "segment truncated": (
        lambda one, other: segment(one, 1).write_bytes(segment(one, 1).read_bytes()[:-100]), 943, 643, 1
    ),
    "prices deleted": (lambda one, other: (one / "prices.json.gz").unlink(), 943, 943, 1),
    "state deleted": (lambda one, other: (one / "w0000-000003.state").unlink(), 943, 943, 1),
    "newline missing": (lambda one, other: journal(one).write_bytes(journal(one).read_bytes()[:-1]), 943, 943, 0),
    "newline damaged": (
        lambda one, other: journal(one).write_bytes(journal(one).read_bytes()[:-1] + b"\x0b"), 943, 943, 0
    ),
    "torn": (lambda one, other: journal(one).write_bytes(journal(one).read_bytes()[:-9]), 942, 942, 0),
    "zeros behind": (
        lambda one, other: journal(one).write_bytes(journal(one).read_bytes() + bytes(4096)), 943, 943, 1
    ),
    "garbage behind": (
        lambda one, other: journal(one).write_bytes(journal(one).read_bytes() + bytes(range(11, 256)) * 999), 943, 943, 1
    ),
    "segment a link to nowhere": (
        lambda one, other: replace(segment(one, 1), lambda path: path.symlink_to("/nowhere")), 943, 643, 1
    ),
    "segment a link to itself": (
        lambda one, other: replace(segment(one, 1), lambda path: path.symlink_to(path.name)), 943, 643, 1
    ),
    "segment a pipe": (lambda one, other: replace(segment(one, 1), os.mkfifo), 943, 643, 1),
    "journal a link to nowhere": (
        lambda one, other: replace(journal(one), lambda path: path.symlink_to("/nowhere")), 900, 900, 1
    ),
    "journal a pipe": (lambda one, other: replace(journal(one), os.mkfifo), 900, 900, 1),
    "journal a device": (
        lambda one, other: replace(journal(one), lambda path: path.symlink_to("/dev/zero")), 900, 900, 1
    ),
    "a time beyond 64 bits": (lambda one, other: insert(one, 920, 2**63), 943, 943, 1),
    "a time far beyond 64 bits": (lambda one, other: insert(one, 920, 2**64 - 1, "x"), 943, 943, 1),
    "a number beyond 64 bits": (lambda one, other: insert(one, 2**63, 5, "x"), 943, 943, 1),
    "a number far away": (lambda one, other: insert(one, 2**40, 5, "x"), 943, 943, 1),
    "a number far away at the end": (
        lambda one, other: put(one, [*lines(one), encode_line([2**40, 5, "x", *[None] * 6])[:-1]]), 943, 943, 1
    ),
}  # fmt: skip
SOUND = {"nothing", "newline missing", "torn"}


@pytest.mark.parametrize("case", CASES)
def test_damage_costs_itself_alone(made: tuple[Path, Path], tmp_path: Path, case: str) -> None:
    damage, events, rows, lost = CASES[case]
    folder = tmp_path / made[0].name
    shutil.copytree(made[0], folder)
    damage(folder, made[1])
    exp = cr.attach(folder.name, store=tmp_path, mode="read")
    frame = exp.frame()
    assert (exp.metrics().events, len(frame), exp.summary()["lost"]) == (events, rows, lost)
    assert frame["n"].tolist() == frame["seq"].tolist()  # each row keeps its number
    assert verify(tmp_path).sound is (case in SOUND)
    assert cr.experiments(tmp_path)["status"].tolist() == ["dead"]


def test_what_is_left_can_be_continued(made: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / made[0].name
    shutil.copytree(made[0], folder)
    (folder / "w0000-000003.state").unlink()
    journal(folder).write_bytes(journal(folder).read_bytes()[:-1] + b"\x0b")
    exp = cr.attach(folder.name, store=tmp_path, mode="resume")
    exp.record("x", n=EVENTS, latency_ms=1.0)
    exp.stop()
    assert exp.frame()["n"].tolist() == list(range(EVENTS + 1))
    again = cr.attach(folder.name, store=tmp_path)
    assert again.frame()["n"].tolist() == again.frame()["seq"].tolist() == list(range(EVENTS + 1))


def test_an_experiment_without_facts_is_listed(made: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / made[0].name
    shutil.copytree(made[0], folder)
    (folder / "experiment.json").unlink()
    assert cr.experiments(tmp_path)["status"].to_dict() == {folder.name: "unreadable"}
    assert "experiment.json" in str(verify(tmp_path)).splitlines()[0]
    assert not verify(tmp_path).sound
    with pytest.raises(cr.StoreError, match=r"cannot read '.*experiment\.json': no such file"):
        cr.attach(folder.name, store=tmp_path)


def test_a_pipe_among_the_facts_keeps_nobody_waiting(made: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(made[0], tmp_path / made[0].name)
    (tmp_path / ("0" * 32)).mkdir()
    os.mkfifo(tmp_path / ("0" * 32) / "experiment.json")
    assert sorted(cr.experiments(tmp_path)["status"]) == ["dead", "unreadable"]
    assert len(cr.attach("plain", store=tmp_path, mode="read").frame()) == EVENTS
    with pytest.raises(cr.StoreError, match="it is not a regular file"):
        cr.attach("0" * 32, store=tmp_path)
