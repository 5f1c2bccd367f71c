"""`cr.experiments(store)` gives the same as reading every experiment, without reading rows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.experiment import attach
from crucible_nb.experiment.attach import open_stored
from crucible_nb.store import follower, writer
from crucible_nb.store.checkpoint import read_checkpoint, write_checkpoint
from crucible_nb.store.layout import folders
from tests.conftest import NOON, SECOND, settle
from tests.laws.test_resume import die

SETUPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "counted": {"by": ("worker",), "tags": ["ab"], "condition": "treatment"},
    "uniform": {"sampling": "uniform", "sampling_config": {"rate": 0.3}, "seed": 1},
    "reservoir": {"sampling": "reservoir", "sampling_config": {"size": 50}, "seed": 1},
    "adaptive": {"sampling": "adaptive", "anomaly": "z_score", "seed": 1},
    "bounded": {"max_events": 120},
}


def fill(exp: cr.Experiment, n: int) -> None:
    for i in range(n):
        exp.record("call", latency_ms=float(i % 50), success=i % 9 > 0, worker=i % 3, time=NOON + i * SECOND)
    exp.metrics()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with experiments of every status: stopped, failed, archived, dead, dead while paused, with a worker, running."""
    monkeypatch.setattr(writer, "SEAL_EVENTS", 100)
    for name, setup in SETUPS.items():
        for end in ("stopped", "failed", "archived", "dead", "paused", "worked", "running"):
            exp = cr.start(f"{name} {end}", store=tmp_path / "runs", clock="events", **setup)
            fill(exp, 330)
            if end == "failed":
                with pytest.raises(KeyError), exp:
                    raise KeyError
            if end == "archived":
                exp.stop()
                exp.archive(tmp_path / "run.zip")
            if end == "paused":
                exp.pause()
            if end == "worked":
                worker = cr.attach(exp.handle, mode="join")
                fill(worker, 150)
                worker.stop()
            settle(exp)  # bounded, it holds fewer rows after
            if end in ("dead", "paused"):
                die(exp)
            elif end != "running" and exp.status == "running":
                exp.stop()
    return tmp_path / "runs"


def test_it_says_what_reading_everything_says(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_samples_read_sealed_rows(store, monkeypatch)
    listed = cr.experiments(store)
    whole = {folder.path.name: open_stored(folder, "read").summary() for folder in folders(store)}
    assert len(listed) == len(whole) == 7 * len(SETUPS)
    for identity, row in listed.iterrows():
        for name, value in row.items():
            other = whole[str(identity)][str(name)]
            same = (
                value == other or (pd.isna(value) and pd.isna(other))
                if np.ndim(value) == 0
                else list(value) == list(other)
            )
            assert same, (row["name"], name, value, other)
    found = listed.groupby(listed["name"].str.split().str[1])["status"].unique().str.join(" ").to_dict()
    assert found == {
        "stopped": "stopped", "failed": "failed", "archived": "archived", "dead": "dead", "paused": "dead",
        "worked": "stopped", "running": "running",
    }  # fmt: skip


def only_samples_read_sealed_rows(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sealed row is read but where a sample may still change."""
    read = []
    segment = follower.read_segment
    monkeypatch.setattr(follower, "read_segment", lambda path: (read.append(path.parent.name), segment(path))[1])
    listed = cr.experiments(store)
    assert set(listed.loc[list(set(read)), "name"].str.split().str[0]) <= {"reservoir", "bounded"}
    cr.attach("plain stopped", store=store).frame()
    assert len(read) > 0


def test_a_made_up_state_hides_nothing(tmp_path: Path) -> None:
    for name in ("good", "odd"):
        exp = cr.start(name, store=tmp_path, clock="events")
        fill(exp, 10)
        exp.stop()
    path = next(Path(exp.handle).glob("*.state"))
    state, sample = read_checkpoint(path)
    write_checkpoint(path, {**state, "held": [1]}, sample)
    assert cr.experiments(tmp_path).set_index("name")["status"].to_dict() == {"good": "stopped", "odd": "stopped"}


def test_one_that_is_removed_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stays", "goes"):
        with cr.start(name, store=tmp_path) as exp:
            exp.record("call", latency_ms=1.0)
    found = list(folders(tmp_path))
    monkeypatch.setattr(attach, "folders", lambda _: found)
    shutil.rmtree(next(folder.path for folder in found if folder.facts()["name"] == "goes"))
    assert cr.experiments(tmp_path)["name"].tolist() == ["stays"]
