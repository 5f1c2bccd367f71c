"""`windowed_metrics` over known, unknown, absent and weighted values, and its errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crucible_nb.errors import ConfigError, SchemaError, StatError
from crucible_nb.windows import windowed_metrics

STANDARD = {
    "window_end": "datetime64[ns, UTC]",
    "event_count": "int64",
    "mean_latency_ms": "float64",
    "p50_latency_ms": "float64",
    "p95_latency_ms": "float64",
    "p99_latency_ms": "float64",
    "total_cost_usd": "float64",
    "success_count": "int64",
    "failure_count": "int64",
    "success_rate": "float64",
    "total_tokens": "Int64",
}


def frame_at(*seconds: float, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.DatetimeIndex([int(s * 10**9) for s in seconds], tz="UTC"))


def trace(n: int = 5000) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    times = pd.Timestamp("2025-03-30 11:07:02", tz="UTC").value + np.sort(rng.integers(0, 3 * 86400 * 10**9, n))
    return pd.DataFrame(
        {
            "latency_ms": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(6, 1, n)),
            "cost_usd": rng.lognormal(-6, 1, n),
            "success": pd.array(np.where(rng.random(n) < 0.2, None, rng.random(n) < 0.9), dtype="boolean"),
            "total_tokens": pd.array(rng.integers(1, 4000, n), dtype="Int64"),
            "model": pd.Categorical(rng.choice(["b", "a", "c"], n), categories=["c", "b", "a", "never"]),
        },
        index=pd.DatetimeIndex(times, tz="UTC", name="time"),
    )


def test_columns_dtypes_and_index_are_the_contract() -> None:
    table = windowed_metrics(trace(), "1h", columns=["cost_usd"])
    more = dict.fromkeys(["mean_cost_usd", "p50_cost_usd", "p95_cost_usd", "p99_cost_usd"], "float64")
    assert table.dtypes.astype(str).to_dict() == STANDARD | more
    assert list(table.columns) == [*STANDARD, *more]
    assert (table.index.name, str(table.index.dtype)) == ("window_start", "datetime64[ns, UTC]")
    assert table.attrs["quantiles"] == "exact"


@pytest.mark.parametrize("by", [None, "model", ["model", "success"]])
def test_no_rows_give_an_empty_table_of_the_same_kind(by: Any) -> None:
    table = windowed_metrics(trace().iloc[:0], "1h", by=by)
    assert len(table) == 0
    assert table.dtypes.astype(str).to_dict() == STANDARD
    assert table.index.names[0] == "window_start"
    assert str(table.index.get_level_values(0).dtype) == "datetime64[ns, UTC]"
    bare = windowed_metrics(pd.DataFrame({"time": []}), "1h", "1min")
    assert bare.dtypes.astype(str).to_dict() == STANDARD


@pytest.mark.parametrize("tz", [None, "UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("closed", ["left", "right"])
@pytest.mark.parametrize("window", ["90s", "1h", "6h", "D", "W", "ME", "B"])
def test_tumbling_windows_equal_resample(window: str, closed: str, tz: str | None) -> None:
    frame = trace().tz_convert(tz)
    table = windowed_metrics(frame, window, closed=closed)
    bins = frame.resample(window, closed=closed, label="left")
    theirs = bins["latency_ms"].agg(["size", "mean"])
    theirs = theirs if theirs["size"].iloc[0] or window != "D" else theirs[1:]  # pandas begins such days too early
    starts = theirs.index.tz_localize("UTC") if tz is None else theirs.index.tz_convert("UTC")
    if closed == "right" and window in ("W", "ME"):
        starts += pd.Timedelta("1D")  # closed by days, and labelled by the day before the first
    np.testing.assert_array_equal(table.index.asi8, starts.asi8)
    keep = theirs.index
    np.testing.assert_array_equal(table["event_count"], theirs["size"])
    np.testing.assert_allclose(table["mean_latency_ms"], theirs["mean"], rtol=1e-13)
    np.testing.assert_allclose(table["total_cost_usd"], bins["cost_usd"].sum()[keep], rtol=1e-13)
    np.testing.assert_array_equal(table["success_count"], bins["success"].sum()[keep])
    np.testing.assert_array_equal(table["total_tokens"], bins["total_tokens"].sum()[keep])
    for name, q in {"p50": 0.5, "p95": 0.95, "p99": 0.99}.items():
        np.testing.assert_allclose(table[f"{name}_latency_ms"], bins["latency_ms"].quantile(q)[keep], rtol=1e-15)


def test_unknown_is_not_zero() -> None:
    frame = frame_at(0, 1, 130, 131, latency_ms=[1.0, np.nan, np.nan, np.nan], cost_usd=[np.nan, np.nan, np.nan, 2.0])
    table = windowed_metrics(frame.assign(success=pd.array([None, True, None, None], dtype="boolean")), "1min")
    assert table["event_count"].tolist() == [2, 0, 2]
    np.testing.assert_array_equal(table["mean_latency_ms"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(table["p99_latency_ms"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(table["total_cost_usd"], [np.nan, 0.0, 2.0])
    np.testing.assert_array_equal(table["success_rate"], [1.0, np.nan, np.nan])
    assert table["failure_count"].tolist() == [0, 0, 0]
    assert table["total_tokens"].tolist() == [pd.NA, 0, pd.NA]


def test_tokens_are_given_or_the_sum_of_both_kinds() -> None:
    frame = frame_at(0, 1, 2, prompt_tokens=[10, 20, 30], completion_tokens=pd.array([1, None, 3], dtype="Int64"))
    assert windowed_metrics(frame, "1min")["total_tokens"].tolist() == [44]
    given = frame.assign(total_tokens=pd.array([None, 100, 1], dtype="Int64"))
    assert windowed_metrics(given, "1min")["total_tokens"].tolist() == [112]
    assert windowed_metrics(given.assign(total_tokens=[1, 2, 3]), "1min")["total_tokens"].tolist() == [6]
    assert windowed_metrics(frame[["prompt_tokens"]], "1min")["total_tokens"].tolist() == [pd.NA]


def test_groups_are_those_of_groupby_and_keep_their_empty_windows() -> None:
    frame = trace()
    table = windowed_metrics(frame, "1h", "30min", by=["model", "success"])
    groups = frame.groupby(["model", "success"], observed=True, dropna=False).size().index
    starts = table.index.get_level_values(0).unique()
    assert table.index.names == ["window_start", "model", "success"]
    assert len(table) == len(starts) * len(groups)
    pd.testing.assert_index_equal(table.loc[starts[3]].index, groups, exact=False)
    whole = windowed_metrics(frame, "1h", "30min")
    np.testing.assert_array_equal(table["event_count"].groupby(level=0).sum(), whole["event_count"])
    alone = windowed_metrics(frame[frame["model"] == "a"], "1h", "30min", by="model").xs("a", level="model")
    mine = windowed_metrics(frame, "1h", "30min", by="model").xs("a", level="model").loc[alone.index]
    pd.testing.assert_frame_equal(mine, alone, check_freq=False)


def test_a_missing_key_is_a_group_of_its_own() -> None:
    frame = frame_at(0, 1, 61, latency_ms=[1.0, 2.0, 3.0], model=["a", None, "a"])
    table = windowed_metrics(frame, "1min", by="model")
    assert table["event_count"].tolist() == [1, 1, 1, 0]
    assert table.index.get_level_values("model").isna().tolist() == [False, True, False, True]


def test_weighted_rows_stand_for_others() -> None:
    frame = frame_at(0, 1, 2, 60, latency_ms=[10.0, 20.0, np.nan, 5.0], cost_usd=[1.0, 2.0, 3.0, np.nan])
    frame = frame.assign(success=[True, False, True, True], total_tokens=[10, 10, 10, 7], weight=[1.5, 2.5, 4.0, 1.0])
    table = windowed_metrics(frame, "1min")
    assert str(table["event_count"].dtype) == str(table["success_count"].dtype) == "float64"
    assert str(table["total_tokens"].dtype) == "Float64"
    first = table.iloc[0]
    assert first["event_count"] == 8.0
    assert first["mean_latency_ms"] == (15 + 50) / 4
    assert first["total_cost_usd"] == 1.5 + 5 + 12
    assert (first["success_count"], first["failure_count"]) == (5.5, 2.5)
    assert first["success_rate"] == 5.5 / 8
    assert first["total_tokens"] == 80.0
    assert first["p50_latency_ms"] == 20.0  # position 0.5 * (4 - 1) of weights that end at 1.5 and 4
    assert np.isnan(table["total_cost_usd"].iloc[1])


def test_means_keep_their_digits_on_a_large_offset() -> None:
    rng = np.random.default_rng(5)
    small = rng.integers(0, 1000, 100_000) / 8
    times = np.arange(100_000) / 10
    table = windowed_metrics(frame_at(*times, latency_ms=small + 1e9), "5min", "10s")
    exact = [small[(times >= s) & (times < s + 300)].mean() for s in range(0, 10_000, 10)]
    np.testing.assert_allclose(table["mean_latency_ms"] - 1e9, exact, atol=1e-6)


def test_a_stall_leaves_no_trace_once_it_has_left_the_window() -> None:
    latency = np.ones(600)
    latency[100] = 1e18
    table = windowed_metrics(frame_at(*range(600), latency_ms=latency), "1min", "10s")
    assert (table["mean_latency_ms"][-40:] == 1.0).all()


def test_infinite_values_stay_in_their_windows() -> None:
    frame = frame_at(0, 1, 2, 60, 61, latency_ms=[1.0, np.inf, -np.inf, np.inf, np.inf])
    table = windowed_metrics(frame, "1min")
    np.testing.assert_array_equal(table["mean_latency_ms"], [np.nan, np.inf])
    np.testing.assert_array_equal(table["p50_latency_ms"], [1.0, np.inf])


def test_histogram_quantiles_are_optional_and_state_their_bound() -> None:
    n = 60_000
    rng = np.random.default_rng(2)
    frame = frame_at(*np.sort(rng.random(n) * 600), latency_ms=rng.lognormal(6, 2, n), model=rng.choice(list("ab"), n))
    for by in (None, "model"):
        rough, exact = (windowed_metrics(frame, "2min", "30s", by=by, exact=way) for way in (False, True))
        assert rough.attrs["quantiles"] == "relative error <= 0.001953125"
        for name in ("p50_latency_ms", "p95_latency_ms", "p99_latency_ms"):
            error = np.abs(rough[name] / exact[name] - 1)
            assert 0 < error.max() <= 2**-9
        same = rough.columns.difference(["p50_latency_ms", "p95_latency_ms", "p99_latency_ms"])
        pd.testing.assert_frame_equal(rough[same], exact[same])
    few = frame.iloc[:2000]
    pd.testing.assert_frame_equal(windowed_metrics(few, "2min", exact=False), windowed_metrics(few, "2min"))


def test_histograms_take_weights() -> None:
    n = 30_000
    rng = np.random.default_rng(4)
    times, latency = np.sort(rng.random(n) * 60), rng.lognormal(6, 1, n)
    weight = rng.integers(1, 4, n).astype(float)
    rough = windowed_metrics(frame_at(*times, latency_ms=latency, weight=weight), "20s", exact=False)
    exact = windowed_metrics(frame_at(*times, latency_ms=latency, weight=weight), "20s")
    for name in ("p50_latency_ms", "p95_latency_ms", "p99_latency_ms"):
        np.testing.assert_allclose(rough[name], exact[name], rtol=2**-9)


@pytest.mark.parametrize(
    ("column", "rate"),
    [
        ([True, False, True, True], 0.75),
        ([1, 0, 1, 1], 0.75),
        ([1.0, 0.0, np.nan, 1.0], 2 / 3),
        (pd.array([True, None, None, False], dtype="boolean"), 0.5),
        (pd.array([True, None, None, False], dtype="bool[pyarrow]"), 0.5),
        (pd.Series([True, None, None, False], dtype=object), 0.5),
        (pd.Series([None] * 4, dtype=object), np.nan),
    ],
)
def test_success_comes_in_many_kinds(column: Any, rate: float) -> None:
    table = windowed_metrics(
        frame_at(0, 1, 2, 3, success=np.asarray(column) if isinstance(column, pd.Series) else column), "1min"
    )
    np.testing.assert_array_equal(table["success_rate"], [rate])


@pytest.mark.parametrize(
    ("columns", "arguments", "error", "sentence"),
    [
        ({"latency_ms": ["fast"]}, {}, SchemaError, "latency_ms: expected numbers, got str"),
        ({"latency_ms": [1j]}, {}, SchemaError, "latency_ms: expected numbers, got complex128"),
        (
            {"cost_usd": [pd.Timedelta("1s")]},
            {},
            SchemaError,
            "cost_usd: expected numbers, got timedelta64[us]",
        ),
        ({"success": [2]}, {}, SchemaError, "success: expected true, false or missing, got 2"),
        ({"model": ["a"]}, {"columns": "model"}, SchemaError, "model: expected numbers, got str"),
        ({"model": ["a"]}, {"columns": ["loss"]}, SchemaError, "columns='loss': no such column; available: model"),
        ({"model": ["a"]}, {"by": "cohort"}, SchemaError, "by='cohort': no such column; available: model"),
        ({"weight": [-1.0]}, {}, StatError, "weights: expected finite numbers >= 0, got -1.0"),
        ({"weight": [np.nan]}, {}, StatError, "weights: expected finite numbers >= 0, got nan"),
        ({}, {"exact": 1}, ConfigError, "exact=1: expected one of True, False"),
    ],
)
def test_wrong_arguments(columns: Any, arguments: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        windowed_metrics(frame_at(0, **columns), "1min", **arguments)


def test_groups_times_windows_have_a_limit() -> None:
    frame = frame_at(0, 6_000_000, model=["a", "b"])
    with pytest.raises(ConfigError, match=r"^step='1s': expected at most 10,000,000 windows, not 12,000,002$"):
        windowed_metrics(frame, "1s", "1s", by="model")


def test_the_import_brings_no_compiler() -> None:
    package = Path(__file__).resolve().parents[2]
    code = "import sys, crucible_nb.windows; assert not {'numba', 'scipy', 'polars'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=package)
