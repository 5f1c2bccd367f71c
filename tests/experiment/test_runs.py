"""`cr.experiments(metrics=)`: runs with their metadata and the values of metrics."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr


def losses(rate: float) -> list[float]:
    return [rate + 1 / (epoch + 1) for epoch in range(4)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for rate in (0.1, 0.5):
        metadata = {"lr": rate, "name": f"net {rate}", "note": None}
        with cr.start(f"run {rate}", store=tmp_path, metadata=metadata, clock="events") as exp:
            for epoch, loss in enumerate(losses(rate)):
                exp.record("train.epoch", epoch=epoch, val_loss=loss, latency_ms=100 * rate, time=10**18 + epoch)
    with cr.start("other", store=tmp_path, clock="events") as exp:
        exp.record("call", latency_ms=7.0, success=True, time=10**18)
    return tmp_path


def test_metrics_are_columns(store: Path) -> None:
    names = ["min_val_loss", "last_val_loss", "first_val_loss", "p50_val_loss", "mean_latency_ms", "success_rate"]
    table = cr.experiments(store, metrics=names).set_index("name")
    for rate in (0.1, 0.5):
        found = table.loc[f"run {rate}"]
        values = losses(rate)
        expected = [values[-1], values[-1], values[0], np.median(values), 100 * rate]
        np.testing.assert_allclose(found[names[:-1]].to_numpy(float), expected, rtol=1e-12)
        assert math.isnan(found["success_rate"])
    other = table.loc["other"]
    assert other[names[:4]].isna().all()
    assert (other.mean_latency_ms, other.success_rate) == (7.0, 1.0)
    assert table.sort_values("min_val_loss").index[0] == "run 0.1"


def test_metadata_are_columns(store: Path) -> None:
    table = cr.experiments(store)
    assert table["lr"].tolist()[:2] == [0.1, 0.5]
    assert pd.isna(table["lr"].iloc[2])
    assert table["metadata.name"].tolist()[:2] == ["net 0.1", "net 0.5"]
    assert table["name"].tolist() == ["run 0.1", "run 0.5", "other"]
    assert cr.attach("run 0.1", store=store).summary()["metadata"] == {"lr": 0.1, "name": "net 0.1", "note": None}


def test_a_metric_may_have_the_name_of_metadata(store: Path) -> None:
    with cr.start("last", store=store, metadata={"loss": "huber"}) as exp:
        exp.record("train.step", loss=0.25)
    table = cr.experiments(store, metrics=["loss"])
    assert table["metadata.loss"].iloc[-1] == "huber"
    assert table["loss"].iloc[-1] == 0.25


def test_values_are_of_every_event_though_few_are_kept() -> None:
    with cr.start("sampled", sampling="uniform", sampling_config={"rate": 0.1}, seed=1) as exp:
        for step in range(500):
            exp.record("train.step", step=step, loss=float(step), success=step % 2 > 0)
    assert len(exp.df) < 100
    counts = cr.experiments(metrics=["failure_count", "success_count", "event_count"]).loc[exp.id]
    assert counts[["failure_count", "success_count", "event_count"]].tolist() == [250, 250, 500]
    [note] = [note for note in cr.table(exp, metrics=["max_loss", "event_count"]).notes if "sample" in note]
    assert "those of the kept rows" in note
    row = cr.experiments(metrics=["min_loss", "max_loss", "mean_loss", "last_loss"]).loc[exp.id]
    assert row[["min_loss", "max_loss", "mean_loss", "last_loss"]].tolist() == [0.0, 499.0, 249.5, 499.0]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [(["nothing"], "no run has a value of 'nothing'"), (["std_val_loss"], "metric='std_val_loss'"), (7, "metrics=7")],
)
def test_wrong_metrics(store: Path, metrics: object, said: str) -> None:
    with pytest.raises(cr.CrucibleError, match=said):
        cr.experiments(store, metrics=metrics)


def test_one_whose_folder_is_gone_hides_no_other(store: Path) -> None:
    reader = cr.attach("run 0.1", store=store, mode="read")
    with cr.start("here") as exp:
        exp.record("train.step", loss=1.0)
    shutil.rmtree(Path(reader.handle))
    table = cr.experiments(metrics=["last_loss"])
    assert table.loc[reader.id, "status"] == "unreadable"
    assert table.loc[exp.id, "last_loss"] == 1.0
