"""What fails or is interrupted while an experiment is opened, sealed or copied holds nothing and leaves nothing."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.store import syscalls, writer
from crucible_nb.store.verify import verify
from crucible_nb.testing import FaultyDisk

QUIET = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")


class Interrupted(syscalls.System):
    """The system on which a signal arrives with the n-th call."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def open(self, path: Path, flags: int) -> int:
        self._count()
        return super().open(path, flags)

    def sync(self, handle: int) -> None:
        self._count()
        super().sync(handle)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)

    def sync_folder(self, folder: Path) -> None:
        self._count()
        super().sync_folder(folder)


@contextmanager
def using(system: syscalls.System) -> Iterator[Any]:
    before = syscalls.use(system)
    try:
        yield system
    finally:
        syscalls.use(before)


def test_an_interrupted_start_leaves_no_folder(tmp_path: Path) -> None:
    interrupted = 0
    for n in range(1, 40):
        with using(Interrupted(n)) as system:
            try:
                cr.start("run", store=tmp_path).stop()
            except KeyboardInterrupt:
                interrupted += system.left == 0
                assert list(tmp_path.iterdir()) == [] or verify(tmp_path).sound
            if system.left > 0:
                break
    assert interrupted > 5


def test_an_interrupted_resume_can_be_repeated(tmp_path: Path) -> None:
    script = "import os, sys, crucible_nb as cr\nexp = cr.start('run', store=sys.argv[1])\nexp.record('x')\nos._exit(9)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    for n in range(1, 40):
        with using(Interrupted(n)) as system:
            try:
                exp = cr.attach("run", store=tmp_path, mode="resume")
                break
            except KeyboardInterrupt:
                assert system.left == 0
    assert n > 3
    exp.record("x")
    exp.stop()
    assert (len(exp.df), exp.summary()["lost"]) == (2, 0)
    assert cr.attach("run", store=tmp_path, mode="read").summary()["lost"] == 0


def test_what_follows_the_end_is_tried_again(tmp_path: Path) -> None:
    """An archive mark that finds the disk full releases the lock, and does not use up a number."""
    with FaultyDisk() as disk:
        exp = cr.start("run", store=tmp_path)
        exp.record("x")
        exp.stop()
        number = exp._log.writer.number
        disk.full = True
        for _ in range(2):
            with pytest.raises(cr.StoreError, match="No space left on device"):
                exp.archive(tmp_path / "run.zip")
            assert exp._log.writer.lock is None
        disk.full = False
        exp.archive(tmp_path / "run.zip")
        assert (exp.status, exp._log.writer.number) == ("archived", number + 1)
    back = cr.attach("run", store=tmp_path, mode="read")
    assert (back.status, back.summary()["lost"]) == ("archived", 0)


def test_sealing_that_works_again_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 10)
    monkeypatch.setattr(writer, "SEALER", Now())

    class Unsealed(syscalls.System):
        def rename(self, old: Path, new: Path) -> None:
            if new.suffix in (".state", ".parquet"):
                raise PermissionError(13, "Permission denied")
            super().rename(old, new)

    def seal() -> None:
        exp.extend([{"n": i} for i in range(10)])

    exp = cr.start("run", store=tmp_path)
    monkeypatch.setattr("crucible_nb.store.log.SEALER", Now())
    with (
        using(Unsealed()),
        pytest.warns(cr.CrucibleWarning, match="cannot be sealed now and is kept: .*Permission denied"),
    ):
        seal()
    assert "Permission denied" in exp.summary()["store"]["sealing"]
    with pytest.warns(cr.CrucibleWarning, match="journals are sealed again"):
        seal()
    assert exp.summary()["store"]["sealing"] is None
    exp.stop()
    assert len(cr.attach("run", store=tmp_path, mode="read").df) == 20


class Now:
    """A background worker that works at once."""

    def submit(self, job: Any) -> None:
        job()


@pytest.mark.check
def test_temporary_files_of_killed_writers_are_removed_by_the_next_resume(tmp_path: Path) -> None:
    script = "import os, sys, crucible_nb as cr\nexp = cr.start('run', store=sys.argv[1])\nexp.record('x')\nos._exit(9)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    ours = [
        ".w0000-000001.parquet.123.tmp",
        ".w0000-000001.state.9.tmp",
        ".w0007-000002.state.1.tmp",
        ".experiment.json.5.tmp",
    ]
    others = [
        ".w0001-000001.parquet.4.tmp",
        ".notes.tmp",
        "w0000-000001.parquet.123.tmp",
        ".w0000-000001.jsonl.swp",
        ".x.json.1.tmp",
    ]
    exp = cr.attach("run", store=tmp_path, mode="resume")
    worker = cr.attach(exp.handle, mode="join")  # writer 1 is running and may be writing its file
    for name in (*ours, *others):
        (folder / name).write_bytes(b"half")
    worker_too = cr.attach(exp.handle, mode="join")
    assert {path.name for path in folder.iterdir() if path.read_bytes() == b"half"} == {*ours, *others} - {ours[2]}
    for one in (worker_too, worker):
        one.stop()
    exp.stop()
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "second")], check=False)
    (second,) = (tmp_path / "second").iterdir()
    for name in (*ours, *others):
        (second / name).write_bytes(b"half")
    (second / others[0]).unlink()
    cr.attach("run", store=tmp_path / "second", mode="resume").stop()
    assert {path.name for path in second.iterdir() if path.read_bytes() == b"half"} == set(others[1:])


def test_temporary_files_of_killed_exports_are_removed_by_the_next(tmp_path: Path) -> None:
    from crucible_nb.files import disk

    exp = cr.start("run")
    exp.record("x")
    old = time.time() - 60
    left, held, foreign = (
        tmp_path / name for name in (f".out.csv.{'ab' * 8}.tmp", f".out.csv.{'cd' * 8}.tmp", ".out.csv.tmp")
    )
    for path in (left, held, foreign):
        path.write_bytes(b"half")
        os.utime(path, (old, old))
    with held.open("rb") as writing:
        assert disk._lock(writing.fileno())
        exp.export(tmp_path / "out.csv")
        assert [path.exists() for path in (left, held, foreign)] == [False, True, True]
    exp.export(tmp_path / "out.csv")
    assert [path.exists() for path in (held, foreign)] == [False, True]


# -- rights ------------------------------------------------------------------------------------------------------------


@contextmanager
def another_user() -> Iterator[None]:
    """Run a block without the rights of root; another user has none to lose."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter."""
    path = Path(tempfile.mkdtemp(prefix="crucible-rights-"))
    path.chmod(0o755)
    yield path
    for folder in path.rglob("*/"):
        folder.chmod(0o700)
    shutil.rmtree(path)


@pytest.mark.skipif(sys.platform == "win32", reason="rights are those of POSIX")
def test_a_folder_that_may_not_be_written_is_read_and_refused_in_words(place: Path) -> None:
    store = place / "store"
    with cr.start("run", store=store) as exp:
        exp.record("x")
    exp.archive(place / "run.zip")
    for path in (store, *store.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (place / "run.zip").chmod(0o444)
    with another_user():
        assert cr.experiments(store).status.tolist() == ["archived"]
        assert len(cr.attach("run", store=store, mode="read").df) == 1
        assert verify(store).sound
        for act in (
            lambda: cr.start("new", store=store), lambda: cr.unarchive(place / "run.zip", store / "deep"),
            lambda: cr.attach("run", store=store, mode="read").archive(store / "again.zip"),
            lambda: cr.attach("run", store=store, mode="read").export(store / "out.csv"),
            lambda: cr.attach(str(next(iter(store.iterdir()))), mode="join"),
        ):  # fmt: skip
            with pytest.raises(cr.StoreError, match="cannot write .*Permission denied"):
                act()


@pytest.mark.skipif(sys.platform == "win32", reason="rights are those of POSIX")
def test_a_folder_that_may_not_be_read_is_refused_in_words(place: Path) -> None:
    store = place / "store"
    with cr.start("run", store=store) as exp:
        exp.record("x")
    for path in (store, next(iter(store.iterdir()))):
        path.chmod(0)
        with another_user():
            for act in (
                lambda: cr.attach("run", store=store), lambda: cr.attach(exp.id, store=store, mode="read"),
                lambda: cr.start("run", store=store, on_exists="resume").record("x"),
                lambda: cr.attach(exp.handle, mode="read"),
            ):  # fmt: skip
                with pytest.raises(cr.StoreError):
                    act()
        path.chmod(0o755)


@QUIET
def test_archives_are_their_owners_alone_by_every_way(tmp_path: Path) -> None:
    script = (
        "import os, sys, crucible_nb as cr\nexp = cr.start('dead', store=sys.argv[1])\nexp.record('x')\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "s")], check=False)
    target = tmp_path / "run.zip"
    target.write_bytes(b"old")
    target.chmod(0o666)
    memory, stored = cr.start("memory"), cr.start("stored", store=tmp_path / "s")
    dead = cr.attach("dead", store=tmp_path / "s", mode="read")
    for exp in (memory, stored, dead):
        if exp is not dead:
            exp.record("x")
            exp.stop()
        for _ in range(2):
            exp.archive(target)
            assert stat.S_IMODE(target.stat().st_mode) == 0o600
            target.chmod(0o666)
    stored.archive(f"file://{tmp_path}/remote")
    copied = tmp_path / "remote" / stored.id
    assert stat.S_IMODE(copied.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in copied.iterdir()} == {0o600}
