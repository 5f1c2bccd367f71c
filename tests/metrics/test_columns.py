"""Columns of one's own, live and of frames, against pandas; and the newest value of a column."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.metrics import column_stage
from tests.conftest import NOON, SECOND
from tests.laws.test_resume import die

pytestmark = pytest.mark.untraced


def trace(rows: int = 3000, seed: int = 0) -> pd.DataFrame:
    """Own columns of every kind, with gaps, an infinite value, equal and late times."""
    rng = np.random.default_rng(seed)
    loss = np.where(rng.random(rows) < 0.3, np.nan, rng.lognormal(0, 1, rows))
    second = np.cumsum(rng.integers(0, 2, rows))
    second = np.where(rng.random(rows) < 0.1, np.maximum(0, second - 50), second)
    return pd.DataFrame(
        {
            "event": "train.step",
            "loss": loss,
            "step": pd.array(np.where(rng.random(rows) < 0.1, None, np.arange(rows)), "Int64"),
            "retries": rng.integers(0, 3, rows),
            "cached": pd.array(np.where(rng.random(rows) < 0.5, None, rng.random(rows) < 0.4), "boolean"),
            "train/peak": np.where(np.arange(rows) == 7, np.inf, rng.random(rows) * 1e300),
            "route": rng.choice(["eu", "us"], rows),
            "latency_ms": 5.0,
        },
        index=pd.DatetimeIndex(NOON + second * SECOND, tz="UTC", name="time"),
    )


OWN = ["loss", "step", "retries", "cached", "train/peak"]


def check(found: Any, rows: pd.DataFrame, name: str) -> None:
    """Compare all numbers of a column with pandas; rows are in recording order."""
    values = rows[name].astype("float64")
    assert found.count == values.count()
    assert (found.min, found.max) == (values.min(), values.max())
    finite = values[np.isfinite(values)]
    if len(finite) == values.count() and name != "train/peak":
        assert found.mean == pytest.approx(values.mean(), rel=1e-12)
        assert found.std == pytest.approx(values.std(), rel=1e-12, nan_ok=True)
    grid = [0.0, 0.25, 0.5, 0.99, 1.0]
    if np.isfinite(values.max()):
        np.testing.assert_allclose(found.quantile(grid), values.quantile(grid), rtol=found.error_bound + 1e-12)
    known = rows[values.notna().to_numpy()].sort_index(kind="stable").iloc[-1]
    assert found.last == float(known[name])
    assert np.isnan(found.last_step) if pd.isna(known.step) else found.last_step == known.step


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("rows", [1, 50, 3000])
def test_every_number_is_that_of_pandas_live_and_of_a_frame(rows: int, name: str) -> None:
    frame = trace(rows)
    with cr.start("own", clock="events") as exp:
        exp.extend(frame)
    if frame[name].notna().any():
        check(exp.metrics().columns[name], frame, name)
        check(exp.frame().crucible.metrics().columns[name], frame, name)
        check(frame.crucible.metrics().columns[name], frame, name)
    else:
        assert name not in exp.metrics().columns


def numbers(exp: cr.Experiment) -> str:
    return json.dumps(exp.metrics().to_dict()["columns"])


@pytest.mark.seeded
def test_the_bits_are_the_same_however_events_are_batched_read_stored_and_attached(tmp_path: Path) -> None:
    frame, rng = trace(), np.random.default_rng(1)
    whole = cr.start("own", clock="events")
    whole.extend(frame)
    cut = cr.start("own", clock="events", store=tmp_path)
    edges = [0, *np.sort(rng.integers(0, len(frame), 12)).tolist(), len(frame)]
    for start, stop in zip(edges, edges[1:], strict=False):
        cut.extend(frame.iloc[start:stop])
        if rng.random() < 0.5:
            cut.metrics().to_dict()
    assert numbers(cut) == numbers(whole) == json.dumps(whole.frame().crucible.metrics().to_dict()["columns"])
    assert numbers(cr.attach("own", store=tmp_path, mode="read")) == numbers(whole)
    die(cut)
    again = cr.attach("own", store=tmp_path, mode="resume")
    assert numbers(again) == numbers(whole)
    again.stop()
    assert numbers(cr.attach("own", store=tmp_path, mode="read")) == numbers(whole)
    whole.stop()


def test_record_and_extend_count_the_same() -> None:
    frame = trace(200)
    one, all_at_once = cr.start("one", clock="events"), cr.start("all", clock="events")
    for time, row in zip(frame.index, frame.to_dict("records"), strict=True):
        one.record(row.pop("event"), {name: value for name, value in row.items() if not pd.isna(value)}, time=time)
    all_at_once.extend(frame)
    assert numbers(one) == numbers(all_at_once)


def test_events_that_sampling_dropped_are_counted_and_remembered() -> None:
    frame = trace()
    with cr.start("own", clock="events", sampling="uniform", sampling_config={"rate": 0.01}, seed=3) as exp:
        exp.extend(frame)
    assert len(exp.frame()) < 100
    check(exp.metrics().columns["loss"], frame, "loss")
    newest = frame.sort_index(kind="stable")
    assert exp.last("step") == newest.step.dropna().iloc[-1]
    assert exp.last("route") == newest.route.iloc[-1]
    estimated = exp.metrics(last="10min")
    assert estimated.estimated
    kept = exp.query_window(last="10min")
    assert estimated.columns["loss"].count == pytest.approx(kept.weight[kept.loss.notna()].sum(), rel=1e-12)


def test_groups_and_windows_count_their_rows() -> None:
    frame = trace()
    with cr.start("own", clock="events", by=("route",)) as exp:
        exp.extend(frame)
    for metrics in (exp.metrics(by="route"), frame.crucible.metrics(by="route")):
        for route, rows in frame.groupby("route"):
            check(metrics[route].columns["loss"], rows, "loss")
    assert "columns_loss_mean" in exp.metrics(by="route").to_frame().columns
    rows = frame[frame.index >= frame.index.max() - pd.Timedelta("5min")]
    check(exp.metrics(last="5min").columns["loss"], rows, "loss")


def test_merging_parts_gives_the_whole() -> None:
    frame = trace()
    parts = [frame.iloc[:1000], frame.iloc[1000:].drop(columns="cached")]
    one, two = (part.crucible.metrics() for part in parts)
    assert one.merge(two).to_dict()["columns"] == pd.concat(parts).crucible.metrics().to_dict()["columns"]


@pytest.mark.parametrize("weights", [np.linspace(0.5, 1.5, 500), np.tile([1.0, 2.5], 250)], ids=["many", "few"])
def test_weights_of_rows_count(weights: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"loss": rng.random(500), "weight": weights})
    found = frame.crucible.metrics().columns["loss"]
    assert found.count == pytest.approx(frame.weight.sum(), rel=1e-12)
    assert found.mean == pytest.approx(np.average(frame.loss, weights=frame.weight), rel=1e-12)


def test_a_column_that_is_none_is_said_with_the_nearest_name() -> None:
    metrics = pd.DataFrame({"loss": [1.0], "note": ["x"], "latency_ms": [1.0]}).crucible.metrics()
    with pytest.raises(cr.SchemaError, match=r"^columns\['lost'\]: expected one of 'loss'; did you mean 'loss'\?$"):
        metrics.columns["lost"]
    with pytest.raises(cr.SchemaError, match=r"'latency_ms' has numbers of its own: metrics.latency"):
        metrics.columns["latency_ms"]
    assert "columns" not in pd.DataFrame({"latency_ms": [1.0]}).crucible.metrics().to_dict()


def test_a_reader_keeps_the_numbers_of_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_stage, "BLOCK", 8)
    exp, seen = cr.start("own", clock="events"), []
    for i in range(40):
        exp.record("step", loss=float(i), time=i)
        seen.append(exp.metrics())
    exp.stop()
    assert [metrics.columns["loss"].count for metrics in seen] == list(range(1, 41))
    assert [metrics.columns["loss"].last for metrics in seen] == list(range(40))


def test_metrics_are_pickled_with_their_columns() -> None:
    frame = trace(100)
    with cr.start("own", clock="events", by=("route",)) as exp:
        exp.extend(frame)
    for metrics in (exp.metrics(), exp.metrics(by="route"), exp.metrics(last="1min"), frame.crucible.metrics()):
        assert str(pickle.loads(pickle.dumps(metrics)).to_dict()) == str(metrics.to_dict())


# -- the newest value -----------------------------------------------------------------------------------------------------


def test_last_is_by_time_and_then_by_order() -> None:
    exp = cr.start("last", clock="events")
    assert exp.last("epoch") is None
    for second, epoch, path in ((1, 1, "a"), (3, 2, None), (3, 3, None), (2, 4, "b")):
        exp.record("train.epoch", epoch=epoch, checkpoint_path=path, time=NOON + second * SECOND)
    assert (exp.last("epoch"), exp.last("checkpoint_path"), exp.last("event")) == (3, "b", "train.epoch")
    assert type(exp.last("epoch")) is int
    exp.record("train.epoch", epoch=float("nan"), success=True, time=NOON + 9 * SECOND)
    assert (exp.last("epoch"), exp.last("success"), exp.last("latency_ms")) == (3, True, None)
    with pytest.raises(cr.ConfigError, match="column=3: expected a non-empty string"):
        exp.last(3)  # type: ignore[arg-type]
    exp.stop()


def test_last_tells_a_resumed_run_where_it_was(tmp_path: Path) -> None:
    exp = cr.start("training", store=tmp_path)
    for epoch in range(7):
        exp.record("train.epoch", epoch=epoch, val_loss=1.0 / (epoch + 1))
    die(exp)
    assert cr.attach("training", store=tmp_path, mode="read").last("epoch") == 6
    again = cr.start("training", store=tmp_path, on_exists="resume")
    assert (again.last("epoch"), again.last("val_loss")) == (6, 1 / 7)
    again.stop()
    assert cr.attach("training", store=tmp_path).last("epoch") == 6


def test_an_old_store_is_counted_from_its_rows() -> None:
    place = Path(__file__).parents[1] / "store" / "golden" / "v1"
    assert place.is_dir()
    for name in cr.experiments(store=place).name:
        exp = cr.attach(name, store=place, mode="read")
        rows = exp.frame()
        assert list(exp.metrics().columns) == list(rows.crucible.metrics().columns)
        for column in rows.columns.difference(
            ["seq", "weight", "metadata", "anomaly", "anomaly_score", "anomaly_metric"]
        ):
            if rows[column].notna().any():
                assert exp.last(column) == rows[column].dropna().iloc[-1]


def test_a_column_without_a_name_and_groups_without_a_row_lose_nothing() -> None:
    with cr.start("odd", clock="events", by=("x",)) as exp:
        assert exp.record("step", **{"": 0.5, "n": 1, "x": object()}, time=10**18)
    assert len(exp.df) == 1
    assert exp.summary()["errors"] == 0
    assert exp.metrics().columns[""].mean == 0.5
    assert exp.metrics(by="x").to_dict()["groups"]  # no row has a value of x
    assert exp.metrics(by="x")[None].columns["n"].count == 1
