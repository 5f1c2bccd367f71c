"""Many runs: summaries beside the files, description changed afterwards, the bin of a store, one chart of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.notebook.figures.runs import RunLine, mean_of_runs
from crucible_nb.store.attachment import Attachment
from crucible_nb.store.summaries import SUMMARY
from crucible_nb.store.verify import verify
from tests.laws.test_resume import die

METRICS = ["min_loss", "last_loss", "mean_loss", "max_loss", "mean_latency_ms", "success_rate", "p50_loss", "std_loss"][
    :7
]


def train(store: Path | None, name: str, rate: float, **options: Any) -> cr.Experiment:
    with cr.start(name, store=store, metadata={"lr": rate}, tags=["t"], clock="events", **options) as exp:
        for step in range(40):
            exp.record(
                "train.step", step=step, loss=1 / (1 + rate * step), latency_ms=float(step), success=step > 3, time=step
            )
    return exp


def test_a_listing_is_that_of_the_runs_and_reads_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [train(tmp_path, f"run {i}", i / 10) for i in range(1, 4)]
    with monkeypatch.context() as patched:
        patched.setattr(Attachment, "read", lambda *_, **__: pytest.fail("a run was read"))
        listed = cr.experiments(tmp_path, metrics=METRICS)
    for file in tmp_path.glob(f"*/{SUMMARY}"):
        file.unlink()
    anew = cr.experiments(tmp_path, metrics=METRICS)
    pd.testing.assert_frame_equal(pd.DataFrame(listed), pd.DataFrame(anew))
    assert listed["min_loss"].tolist() == [exp.frame()["loss"].min() for exp in runs]
    assert listed["started_at"].tolist() == [exp.started_at for exp in runs]
    assert len(list(tmp_path.glob(f"*/{SUMMARY}"))) == 3  # the listing has left them again
    assert listed["lr"].tolist() == [0.1, 0.2, 0.3]


def test_a_summary_that_is_damaged_or_old_is_not_used_and_verify_tells(tmp_path: Path) -> None:
    exp = train(tmp_path, "run", 0.1)
    [file] = tmp_path.glob(f"*/{SUMMARY}")
    assert verify(tmp_path).sound
    content = json.loads(file.read_text())
    content["summary"]["facts"]["total_events"] = 41
    file.write_text(json.dumps(content))
    assert not verify(tmp_path).sound
    assert "its checksum is wrong" in str(verify(tmp_path))
    assert cr.experiments(tmp_path)["total_events"].tolist() == [40]
    assert verify(tmp_path).sound  # written again
    for damage in (b"", b"[1]", b"{", b"\0" * 99):
        file.write_bytes(damage)
        assert cr.experiments(tmp_path)["total_events"].tolist() == [40]
    whole = file.read_bytes()
    cr.attach(exp.id, store=tmp_path, mode="join").record("late", loss=9.0)  # the files change
    file.write_bytes(whole)
    assert cr.experiments(tmp_path, metrics=["max_loss"])["max_loss"].tolist() == [9.0]


def test_an_update_of_the_same_length_is_seen(tmp_path: Path) -> None:
    exp = train(tmp_path, "run", 0.1)
    [file] = tmp_path.glob(f"*/{SUMMARY}")
    whole = file.read_bytes()
    exp.update(metadata={"lr": 0.2})
    file.write_bytes(whole)  # that of before, beside facts of the same size
    assert cr.experiments(tmp_path)["lr"].tolist() == [0.2]


def test_runs_that_go_on_or_died_have_no_summary(tmp_path: Path) -> None:
    with cr.start("goes on", store=tmp_path) as exp:
        exp.record("tick")
        assert cr.experiments(tmp_path)["status"].tolist() == ["running"]
        assert not list(tmp_path.glob(f"*/{SUMMARY}"))
    other = cr.start("dies", store=tmp_path)
    other.record("tick")
    die(other)
    assert sorted(cr.experiments(tmp_path)["status"]) == ["dead", "stopped"]
    assert len(list(tmp_path.glob(f"*/{SUMMARY}"))) == 1


@pytest.mark.parametrize("stored", [False, True])
def test_a_description_changes_afterwards_and_events_stay(stored: bool, tmp_path: Path) -> None:
    exp = train(tmp_path if stored else None, "run", 0.1)
    before = exp.frame()
    exp.update(tags=["best"], metadata={"note": "it works", "lr": None, "path": Path("x")}, hypothesis="loss < 1")
    for seen in [exp, *([cr.attach("run", store=tmp_path, mode="read")] if stored else [])]:
        assert (seen.tags, seen.metadata, seen.hypothesis) == (("best",), {"note": "it works", "path": "x"}, "loss < 1")
        assert seen.summary()["metadata"] == {"note": "it works", "path": "x"}
        pd.testing.assert_frame_equal(seen.frame(), before)
    if stored:
        assert cr.experiments(tmp_path)["note"].tolist() == ["it works"]
        assert verify(tmp_path).sound
        cr.attach("run", store=tmp_path, mode="read").update(metadata={"note": "again", "key": "sk-" + "a1B2" * 12})
        assert cr.attach("run", store=tmp_path).metadata["note"] == "again"
        assert "a1B2a1B2" not in "".join(file.read_text() for file in tmp_path.glob("*/experiment.json"))
    exp.update()
    for wrong in ({"tags": "best"}, {"metadata": 3}, {"hypothesis": ""}):
        with pytest.raises(cr.ConfigError):
            exp.update(**wrong)


def test_a_removed_run_comes_back_whole(tmp_path: Path) -> None:
    exp = train(tmp_path, "run", 0.1)
    train(tmp_path, "other", 0.2)
    before = exp.frame()
    place = cr.remove("run", store=tmp_path)
    assert place.parent == tmp_path / ".bin"
    assert cr.experiments(tmp_path)["name"].tolist() == ["other"]
    with pytest.raises(cr.StoreError, match="cannot remove 'run': .* holds 'other'"):
        cr.remove("run", store=tmp_path)
    cr.restore("run", store=tmp_path)
    pd.testing.assert_frame_equal(cr.attach("run", store=tmp_path).frame(), before)
    with pytest.raises(cr.StoreError, match="holds no experiment"):
        cr.restore("run", store=tmp_path)
    with cr.start("alive", store=tmp_path), pytest.raises(cr.StoreError, match="stop it first"):
        cr.remove("alive", store=tmp_path)
    with pytest.raises(cr.ConfigError, match="a folder"):
        cr.remove("run", store="postgresql://me@host/db")


@pytest.mark.check
def test_runs_in_one_chart_are_those_of_pandas(tmp_path: Path, rng: np.random.Generator) -> None:
    runs = []
    for rate in (0.1, 0.5):
        for seed in range(3):
            steps = np.sort(rng.choice(1000, 300 + 100 * seed, replace=False))
            with cr.start("run", store=tmp_path, metadata={"lr": rate, "seed": seed}, clock="events") as exp:
                exp.extend(
                    pd.DataFrame(
                        {
                            "step": steps,
                            "loss": rng.random(len(steps)),
                            "time": 1_700_000_000_000_000_000 + np.arange(len(steps)),
                        }
                    )
                )
            runs.append(exp)
    figure = cr.plot.runs(runs, "loss")
    assert len(figure.data) == 6
    for trace, exp in zip(figure.data, runs, strict=True):
        means = exp.frame().groupby("step")["loss"].mean()
        if len(means) <= 400:
            np.testing.assert_array_equal(trace.x, means.index)
            np.testing.assert_allclose(trace.y, means)
        assert trace.y.mean() == pytest.approx(means.mean(), rel=0.02)
    grouped = cr.plot.runs(tmp_path, "loss", group_by="lr")
    assert [trace.name for trace in grouped.data] == [
        "0.1 (n = 3), band",
        "0.1 (n = 3)",
        "0.5 (n = 3), band",
        "0.5 (n = 3)",
    ]
    assert cr.plot.runs({"one": runs[0]}, "loss", x="elapsed").data[0].x[0] == 0
    assert cr.plot.runs([runs[0].frame()], "loss", x="time").layout.xaxis.type == "date"
    with pytest.raises(cr.SchemaError, match="no run has values of 'lost' over 'step'; did you mean 'loss'"):
        cr.plot.runs(runs, "lost")
    with pytest.raises(cr.ConfigError, match="expected 1 to 200 experiments"):
        cr.plot.runs([], "loss")


def test_a_mean_of_runs_is_over_those_that_reached_the_step() -> None:
    lines = [
        RunLine("", None, np.arange(5.0), np.arange(5.0)), RunLine("", None, np.arange(3.0), np.arange(3.0) + 2)
    ]  # fmt: skip
    x, mean, spread = mean_of_runs(lines)
    assert x.tolist() == [0, 1, 2, 3, 4]
    assert mean.tolist() == [1, 2, 3, 3, 4]
    np.testing.assert_allclose(spread, [np.std([0, 2], ddof=1)] * 3 + [0, 0])
