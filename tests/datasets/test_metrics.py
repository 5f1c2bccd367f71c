"""Metrics of a dataset: the bits of one frame, however its rows are divided and whoever executes."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.datasets import merge, progress, state_of
from crucible_nb.datasets.executors import Threads
from crucible_nb.datasets.metrics import MetricsSpec, answer
from tests.conftest import need
from tests.datasets.conftest import rows, said, write
from tests.tiers import examples

FRAME = rows(6_000)
WHOLE = said(FRAME.crucible.metrics())
BY_MODEL = said(FRAME.crucible.metrics(by="model"))


@given(st.integers(0, 60), st.integers(0, 2**32), st.lists(st.floats(0, 1), max_size=4), st.integers(1, 3))
@example(0, 0, [0.5], 1)
@examples(60)
def test_any_partitioning_and_order_gives_the_bits_of_the_frame(
    n: int, seed: int, places: list[float], workers: int
) -> None:
    frame = FRAME.iloc[np.random.default_rng(seed).permutation(n)]
    with TemporaryDirectory() as folder:
        write(Path(folder), frame, sorted(int(place * n) for place in places), row_group_size=1 + seed % 20)
        ds = cr.open_dataset(folder)
        ds._executor = Threads(workers)
        for by in (None, ["model", "success"]):
            assert said(ds.metrics(by=by)) == said(FRAME.iloc[:n].crucible.metrics(by=by))


def test_large_groups_have_the_bits_of_the_frame(tmp_path: Path) -> None:
    mixed = FRAME.sample(frac=1, random_state=1)
    ds = cr.open_dataset(write(tmp_path, mixed, [1, 500, 501, 4_000]))
    assert said(ds.metrics()) == WHOLE
    grouped = ds.metrics(by="model")
    assert said(grouped) == BY_MODEL
    assert grouped.keys() == ["a", "b", "c", None]
    assert not grouped["a"].latency.exact
    assert grouped["c"].latency.exact


def test_merging_in_any_order_is_the_same() -> None:
    batches = pa.Table.from_pandas(FRAME, preserve_index=False).to_batches(max_chunksize=1500)
    spec, found = MetricsSpec(by=("model",)), set()
    with_own = state_of(batches, MetricsSpec(by=("model",), own=("loss", "step")))
    for seed in range(2):
        states = [state_of([batch], spec) for batch in batches]
        rng = np.random.default_rng(seed)
        while len(states) > 1:
            one, other = sorted(rng.choice(len(states), 2, replace=False))
            states.append(merge(states.pop(other), states.pop(one)))
        found.add(str(said(answer(states[0], partial=False, with_own=lambda: with_own))))
    assert found == {str(BY_MODEL)}


SOURCES = {
    "frame": lambda folder: FRAME,
    "folder": lambda folder: folder,
    "glob": lambda folder: f"{folder}/*.parquet",
    "file list": lambda folder: sorted(folder.iterdir()),
    "file url": lambda folder: f"file://{folder}",
    "arrow table": lambda folder: pa.Table.from_pandas(FRAME),
    "arrow dataset": pads.dataset,
    "arrow dataset in memory": lambda folder: pads.dataset(pa.Table.from_pandas(FRAME)),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_the_same_answer(tmp_path: Path, source: str) -> None:
    ds = cr.open_dataset(SOURCES[source](write(tmp_path, FRAME, [2_000])))
    assert said(ds.metrics(by="model")) == BY_MODEL
    assert ds.n_rows == len(FRAME)
    assert ds.span == (FRAME.time.min().value, FRAME.time.max().value)
    assert set(ds.columns) == set(FRAME.columns)


@pytest.mark.check
@pytest.mark.filterwarnings("ignore:The inplace keyword")  # dask with pandas 3.1
def test_partitions_of_dask(tmp_path: Path) -> None:
    dd = need("dask.dataframe")
    ds = cr.open_dataset(dd.from_pandas(FRAME, npartitions=3))
    assert said(ds.metrics()) == WHOLE
    assert said(cr.open_dataset(dd.read_parquet(write(tmp_path, FRAME, [2_000]))).metrics(by="model")) == BY_MODEL


def test_a_store_and_experiments(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        with cr.start(name, store=tmp_path) as exp:
            exp.extend(FRAME.iloc[: 200 if name == "one" else 300].drop(columns=["seq", "step"]), event="call")
        runs.append(exp)
    joined = pd.concat([exp.frame() for exp in runs])
    for source in (tmp_path, runs):
        ds = cr.open_dataset(source)
        assert ds.n_rows == 500
        found, expected = ds.metrics(by="model"), joined.crucible.metrics(by="model")
        assert repr(found["a"].to_dict()["latency"]) == repr(expected["a"].to_dict()["latency"])
        assert found.cost == expected.cost
    assert cr.open_dataset(runs[0]).metrics().events == 200


def test_folders_name_columns(tmp_path: Path) -> None:
    for model in ("a", "b"):
        for year in (2024, 2025):
            part = FRAME[(FRAME.model == model) & (FRAME.step % 2 == year % 2)].drop(columns="model")
            write(tmp_path / f"model={model}" / f"year={year}", part, [])
    ds = cr.open_dataset(tmp_path)
    assert ds.metrics(by="year").keys() == [2024, 2025]
    assert cr.open_dataset(f"{tmp_path}/model=*/*/*.parquet").metrics(by="model").keys() == ["a", "b"]
    assert "model" not in cr.open_dataset(tmp_path / "model=a").columns  # as its name is not below the source
    expected = FRAME[FRAME.model.isin(["a", "b"])].crucible.metrics(by="model")
    assert ds.metrics(by="model")["a"].cost == expected["a"].cost
    via_arrow = cr.open_dataset(pads.dataset(tmp_path, partitioning="hive"))
    assert via_arrow.metrics(by="model")["b"].cost == expected["b"].cost


@pytest.mark.check
def test_answers_equal_those_of_pandas_duckdb_and_polars(tmp_path: Path) -> None:
    small = FRAME[FRAME.latency_ms < 1e6]
    folder = write(tmp_path, small, [100, 3_000])
    found = cr.open_dataset(folder).metrics(by="model").to_frame()
    plain = small.groupby("model", dropna=False, sort=True).agg(
        n=("latency_ms", "size"), mean=("latency_ms", "mean"), sd=("latency_ms", "std"), cost=("cost_usd", "sum")
    )
    columns = ["summary_events", "latency_mean", "latency_std", "cost_total"]
    np.testing.assert_allclose(found[columns].to_numpy(), plain.to_numpy(np.float64), rtol=1e-9)
    pattern = f"{folder}/*.parquet"
    sql = (
        "select count(*), avg(latency_ms), stddev_samp(latency_ms), sum(cost_usd), quantile_cont(latency_ms, 0.5), "
        f"max(latency_ms) from '{pattern}' group by model order by model nulls last"
    )
    theirs = np.array(need("duckdb").sql(sql).fetchall(), np.float64)
    mine = found[[*columns, "latency_p50", "latency_max"]].to_numpy()
    np.testing.assert_allclose(mine[:, [0, 1, 2, 3, 5]], theirs[:, [0, 1, 2, 3, 5]], rtol=1e-9)
    np.testing.assert_allclose(mine[:, 4], theirs[:, 4], rtol=2**-9)
    pl = need("polars")
    lazy = (
        pl.scan_parquet(pattern)
        .group_by("model")
        .agg(pl.col("latency_ms").mean(), pl.col("latency_ms").min().alias("low"))
    )
    by_polars = {model: numbers for model, *numbers in lazy.collect().rows()}
    for model, metrics in cr.open_dataset(folder).metrics(by="model").items():
        np.testing.assert_allclose([metrics.latency.mean, metrics.latency.min], by_polars[model], rtol=1e-9)


@pytest.mark.parametrize("where", ["latency_ms > 10 and model == 'a'", lambda frame: frame.loss > 0])
def test_where(tmp_path: Path, where: Any) -> None:
    ds = cr.open_dataset(write(tmp_path, FRAME, [10, 3_000]))
    assert said(ds.metrics(where=where)) == said(FRAME.crucible.metrics(where=where))


def test_weights_are_used(tmp_path: Path) -> None:
    weighted = FRAME.assign(weight=np.tile([1.0, 4.0, 10.0], 2_000))
    ds = cr.open_dataset(write(tmp_path, weighted, [10, 3_000]))
    assert said(ds.metrics(by="model")) == said(weighted.crucible.metrics(by="model"))
    assert ds.metrics().estimated


def test_rows_without_a_time_count_everywhere_but_in_spans(tmp_path: Path) -> None:
    gaps = FRAME.copy()
    gaps.loc[gaps.index[::7], "time"] = pd.NaT
    ds = cr.open_dataset(write(tmp_path, gaps, [10, 3_000]))
    assert said(ds.metrics(by="model")) == said(gaps.crucible.metrics(by="model"))
    untimed = FRAME.drop(columns="time")
    assert said(cr.open_dataset(untimed).metrics()) == said(untimed.crucible.metrics())


def test_the_newest_value_is_that_of_the_last_seq_or_row(tmp_path: Path) -> None:
    tied = FRAME.assign(time=FRAME.time.iloc[0])
    for frame in (tied, tied.drop(columns="seq")):
        folder = write(tmp_path / str(len(frame.columns)), frame, [10, 3_000])
        assert cr.open_dataset(folder).metrics().columns["loss"].last == frame.crucible.metrics().columns["loss"].last
    mixed = write(tmp_path / "mixed", tied.sample(frac=1, random_state=3), [10, 3_000])
    assert cr.open_dataset(mixed).metrics().columns["loss"].last == tied.crucible.metrics().columns["loss"].last


def test_many_groups_are_refused_with_their_size() -> None:
    many = pd.DataFrame({"user": np.arange(2_000), "latency_ms": 1.0})
    with pytest.raises(
        cr.ConfigError, match=r"by=user: the states of 2,000 groups take about 6.0 MB, more than memory=1.0 MB"
    ):
        cr.open_dataset(many, memory=1_000_000).metrics(by="user")
    halves = [many.iloc[:300], many.iloc[300:600]]
    table = pa.concat_tables([pa.Table.from_pandas(half) for half in halves])
    assert len(cr.open_dataset(table, memory=2_000_000).metrics(by="user")) == 600


def test_a_bar_counts_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    need("tqdm")
    shown, total = StringIO(), []

    def bar(rows: int | None) -> Any:
        total.append(rows)
        return progress.make_bar(rows, delay=0.0, file=shown)

    monkeypatch.setattr("crucible_nb.datasets.dataset.make_bar", bar)
    cr.open_dataset(FRAME).metrics()
    assert total == [6_000]
    assert "0.00/6.00k" in shown.getvalue()
    assert "rows/s" in shown.getvalue()
    monkeypatch.setenv("CRUCIBLE_UI", "off")
    assert progress.make_bar(5, file=shown) is None


def test_rows_in_memory(tmp_path: Path) -> None:
    ds = cr.open_dataset(write(tmp_path, FRAME.sort_values("time"), [2_000, 4_000]))
    chosen = ds.query_window(
        start="2025-01-01 00:30", end="2025-01-01 00:40", where="model == 'b'", columns=["loss", "seq"]
    )
    expected = FRAME.set_index("time").crucible.query_window(
        start="2025-01-01 00:30", end="2025-01-01 00:40", where="model == 'b'"
    )
    pd.testing.assert_frame_equal(chosen, expected[["loss", "seq"]], check_freq=False)
    assert len(ds.query_window(last="1min")) == len(FRAME.set_index("time").crucible.query_window(last="1min"))
    whole = ds.to_frame()
    pd.testing.assert_frame_equal(
        whole, FRAME.sort_values("time").set_index("time"), check_freq=False, check_dtype=False
    )
    tiny = cr.open_dataset(tmp_path, memory=100_000)
    with pytest.raises(
        cr.ConfigError, match=r"to_frame\(\) needs 6,000 rows in memory, about 0.5 MB, more than memory=0.1 MB"
    ):
        tiny.to_frame()
    with pytest.raises(cr.ConfigError, match=r"query_window\(\) needs .* rows in memory"):
        tiny.query_window(where="latency_ms > 0")
