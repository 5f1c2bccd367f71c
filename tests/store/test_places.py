"""Folders, names and archives: where an experiment is, which one a name means, and what is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import crucible_nb as cr
from crucible_nb.store import layout, writer
from crucible_nb.store.layout import ExperimentFolder
from tests.conftest import settle

pytestmark = pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")


def run(store: Path, events: int, name: str = "nightly") -> cr.Experiment:
    with cr.start(name, store=store) as exp:
        for n in range(events):
            exp.record("x", n=n)
    return exp


@pytest.mark.parametrize("way", ["unarchived", "copied", "touched"])
def test_the_newest_of_a_name_is_the_one_that_started_last(tmp_path: Path, way: str) -> None:
    old = run(tmp_path / "runs", 10)
    folder = Path(old.handle)
    archive = old.archive(tmp_path / "old.zip")
    if way != "touched":
        shutil.copytree(folder, tmp_path / "copy")
        shutil.rmtree(folder)
    new = run(tmp_path / "runs", 20)
    if way == "unarchived":
        cr.unarchive(archive, tmp_path / "runs")
    elif way == "copied":
        shutil.copytree(tmp_path / "copy", folder, copy_function=shutil.copy)
    else:
        (folder / "experiment.json").touch()
    assert cr.attach("nightly", store=tmp_path / "runs").id == new.id
    assert cr.experiments(tmp_path / "runs").index.tolist() == [old.id, new.id]


def test_the_folder_is_fixed_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exp = cr.start("relative", store="runs")
    exp.record("x", n=0)
    (tmp_path / "x" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "x")
    assert Path(exp.handle) == tmp_path / "runs" / exp.id
    assert Path(exp.handle).is_dir()
    exp.record("x", n=1)
    exp.stop()
    assert exp.archive("z.zip") == Path("z.zip")
    assert len(cr.attach(exp.id, store=tmp_path / "runs").df) == 2
    monkeypatch.setenv("CRUCIBLE_DIR", "base")
    if shutil.which("true"):
        address = pytest.importorskip("crucible_nb.store.postgres.address").Address("postgresql://host/db")
        assert address.root.is_absolute()


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    exp = cr.start("home", store="~/runs")
    exp.record("x", n=0)
    exp.stop()
    assert Path(exp.handle).parent == tmp_path / "runs"
    assert len(cr.attach("home", store="~/runs").df) == 1
    exp.archive("~/z.zip")
    exp.export("~/z.parquet")
    assert len(cr.load("~/z.parquet")) == len(cr.load(tmp_path / "z.zip")) == 1
    assert not Path("~").exists()


@pytest.mark.parametrize("name", ["x" * 300, "\U0001f600" * 100, "../" + "z" * 29, "a/b", "nul\0", "x" * 5000])
def test_any_text_is_a_name_in_a_store(tmp_path: Path, name: str) -> None:
    (tmp_path / ("z" * 29)).mkdir()
    with pytest.raises(cr.StoreError, match="there is no (such experiment|folder)"):
        cr.attach(name, store=tmp_path / "runs")
    with pytest.raises(cr.StoreError, match="it is not a handle"):
        cr.attach(name)
    exp = cr.start(name, store=tmp_path / "runs", on_exists="resume")
    assert cr.attach(name, store=tmp_path / "runs") is exp
    exp.stop()


def test_an_id_does_not_leave_the_store(tmp_path: Path) -> None:
    outside = run(tmp_path / "other", 1)
    with pytest.raises(cr.StoreError, match="there is no (such experiment|folder)"):
        cr.attach(f"../other/{outside.id}", store=tmp_path / "runs")


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(cr.StoreError, match=r"cannot write '.*': it is no folder"):
            cr.start("x", store=tmp_path / name)


def test_a_broken_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    good = run(tmp_path / "runs", 5).archive(tmp_path / "good.zip")
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(tmp_path / "bad.zip", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data.replace(b'"seed"', b'"sead"') if name.endswith("experiment.json") else data)
    with pytest.raises(cr.StoreError, match="checksum is wrong"):
        cr.unarchive(tmp_path / "bad.zip", tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []
    assert len(cr.unarchive(good, tmp_path / "again").df) == 5
    with pytest.raises(cr.StoreError, match="already"):
        cr.unarchive(good, tmp_path / "again")


def test_what_a_killed_restore_left_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exp = run(tmp_path / "runs", 5)
    good = exp.archive(tmp_path / "good.zip")

    class Killed(BaseException):
        pass

    whole, written = layout.write_whole, []

    def killed(path: Path, data: bytes) -> bool:
        if written:
            os.utime(path.parent)
            raise Killed
        written.append(path)
        return whole(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(layout, "write_whole", killed)
        patch.setattr(layout.shutil, "rmtree", lambda *args, **options: None)
        with pytest.raises(Killed):
            cr.unarchive(good, tmp_path / "again")
    assert len(list((tmp_path / "again").iterdir())) == 1
    (tmp_path / "again" / exp.id).mkdir()  # as an earlier release left it
    assert cr.experiments(tmp_path / "again").empty
    assert len(cr.unarchive(good, tmp_path / "again").df) == 5
    assert [path.name for path in (tmp_path / "again").iterdir()] == [exp.id]


def test_a_member_that_expands_without_measure_is_refused(tmp_path: Path) -> None:
    good = run(tmp_path / "runs", 5).archive(tmp_path / "good.zip")
    with (
        zipfile.ZipFile(good) as source,
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr("store/w0001-000001.jsonl", bytes(64 << 20))
    with pytest.raises(cr.StoreError, match="expands to 67,108,864 bytes"):
        cr.unarchive(tmp_path / "bomb.zip", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_writing_and_reading_an_archive_are_told_apart(tmp_path: Path) -> None:
    good = run(tmp_path / "runs", 5).archive(tmp_path / "good.zip")
    (tmp_path / "again").write_text("a file")
    with pytest.raises(cr.StoreError, match=r"cannot write '.*again'"):
        cr.unarchive(good, tmp_path / "again")


def test_identity_is_that_of_the_facts(tmp_path: Path) -> None:
    exp = run(tmp_path, 1)
    shutil.copytree(exp.handle, tmp_path / "renamed")
    assert ExperimentFolder(tmp_path / "renamed").identity == exp.id
    assert (len(cr.attach(str(tmp_path / "renamed")).df), cr.attach(str(tmp_path / "renamed")).summary()["lost"]) == (
        1,
        0,
    )


def test_an_ended_run_of_another_process_can_be_archived_again_and_again(tmp_path: Path) -> None:
    code = "import sys, crucible_nb as cr\nwith cr.start('y', store=sys.argv[1]) as exp: exp.record('x', n=1)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "runs")], check=True, cwd=Path(__file__).parents[2])
    exp = cr.attach("y", store=tmp_path / "runs")
    for name in ("one.zip", "two.zip"):
        assert len(cr.load(exp.archive(tmp_path / name))) == 1
    assert exp.status == "stopped"
    own = cr.attach("y", store=tmp_path / "runs", mode="resume")
    own.archive(tmp_path / "three.zip")
    assert own.status == "archived"
    assert len(cr.unarchive(own.archive(tmp_path / "four.zip"), tmp_path / "again").df) == 1


def test_a_dead_run_can_be_archived_and_a_running_one_not(tmp_path: Path) -> None:
    exp = cr.start("x", store=tmp_path / "runs")
    exp.record("x")
    exp.flush()
    reader = cr.attach(exp.id, store=tmp_path / "runs", mode="read")
    for one in (exp, reader):
        with pytest.raises(cr.LifecycleError, match="its status is 'running'"):
            one.archive(tmp_path / "no.zip")
    assert not (tmp_path / "no.zip").exists()
    shutil.copytree(tmp_path / "runs", tmp_path / "copy")
    dead = cr.attach(exp.id, store=tmp_path / "copy", mode="read")
    assert dead.status == "dead"
    assert len(cr.load(dead.archive(tmp_path / "dead.zip"))) == 1
    exp.stop()


def test_a_normal_exit_writes_what_is_in_memory(tmp_path: Path) -> None:
    code = """
import sys, crucible_nb as cr
exp = cr.start("m", store=sys.argv[1], durability="memory")
for n in range(100): exp.record("x", n=n)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    assert cr.attach("m", store=tmp_path, mode="read").df["n"].tolist() == list(range(100))


def test_rows_of_an_earlier_sample_live_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 150)

    def play(store: Path, wait: bool) -> list[int]:
        clock = iter(range(10**18, 10**19, 10**6)).__next__
        exp = cr.start("m", store=store, max_events=50, seed=7, sampling="importance",
                       sampling_config={"size": 20, "by": "latency_ms"}, clock=clock)  # fmt: skip
        for i in range(300):
            exp.record("x", latency_ms=float(i % 37))
        exp.set_sampling("uniform", {"rate": 1.0})
        for i in range(0, 500, 50):
            exp.extend([{"latency_ms": float(i)}] * 50)
            exp.metrics()
            if wait:
                settle(exp)
        before = exp.df["seq"].tolist()
        exp.stop()
        assert exp.df["seq"].tolist() == before
        assert cr.attach(exp.id, store=store, mode="read").df["seq"].tolist() == before
        return before

    found = [play(tmp_path / str(n), wait=n % 2 == 0) for n in range(4)]
    assert all(one == found[0] for one in found)
    monkeypatch.setattr(writer, "SEAL_EVENTS", 10**9)
    assert play(tmp_path / "whole", wait=False) == found[0]
