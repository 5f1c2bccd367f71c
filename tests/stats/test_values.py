"""Values of a metric, read from every accepted type of data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.events.metric_names import metric_of
from crucible_nb.sampling import Uniform, sample
from crucible_nb.stats import weighted
from crucible_nb.stats.estimates.effective_size import EffectiveSize
from crucible_nb.stats.samples.values import clusters_of, values_of
from tests.tiers import examples

FRAME = pd.DataFrame(
    {
        "cost_usd": [1.0, 2.0, np.nan, 4.0],
        "success": pd.array([True, False, True, None], "boolean"),
        "session_id": ["a", "b", None, "b"],
    }
)


@pytest.mark.parametrize(
    ("name", "columns", "column", "per"),
    [
        ("cost_per_success", [], "cost_usd", "success"),
        ("tokens_per_s", ["tokens", "s"], "tokens", "s"),
        ("a_per_b_per_c", ["a_per_b", "c"], "a_per_b", "c"),
        ("a_per_b_per_c", ["a", "b_per_c"], "a", "b_per_c"),
        ("a_per_b", ["a_per_b", "a", "b"], "a_per_b", None),
        ("a_per_b", ["a"], "a_per_b", None),
    ],
)
def test_ratios_are_two_columns(name: str, columns: list[str], column: str, per: str | None) -> None:
    metric = metric_of(name, columns)
    assert (metric.column, metric.per, metric.kind) == (column, per, "mean" if per is None else "ratio")


def test_a_ratio_takes_rows_with_both() -> None:
    values = values_of(FRAME, "cost_per_success", cluster="session_id")
    assert values.x.tolist() == [1.0, 2.0]
    assert values.per.tolist() == [1.0, 0.0]
    assert values.missing == 2
    assert values.known.tolist() == [True, True, False, False]
    assert values.cluster.tolist() == [0, 1]
    assert (values.lost.tolist(), values.lost_cluster.tolist()) == ([1.0, 1.0], [2, 1])


def test_rows_without_a_cluster_are_clusters() -> None:
    assert clusters_of(FRAME, "session_id").tolist() == [0, 1, 2, 1]
    assert clusters_of(FRAME, None) is None
    lonely = pd.DataFrame({"c": [None, None]})
    assert clusters_of(lonely, "c").tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["category", "string", "int", "object"])
def test_clusters_are_named_by_anything(kind: str) -> None:
    names = pd.Series([7, 7, 3, 7])
    names = names.astype(str).astype(kind) if kind != "int" else names
    assert clusters_of(pd.DataFrame({"c": names}), "c").tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("data", "metric", "cluster", "error", "said"),
    [
        ([1.0], "cost_per_success", None, cr.StatError, "needs to be a DataFrame or an experiment, got list"),
        ([1.0], "latency_ms", "session_id", cr.StatError, "cluster='session_id': data needs to be a DataFrame"),
        (FRAME, "cost_usd", "user", cr.SchemaError, "cluster='user': no such column"),
        (FRAME[["cost_usd"]], "cost_per_success", None, cr.SchemaError, "metric='success': no such column"),
        (FRAME, "session_id", None, cr.SchemaError, "session_id: expected numbers"),
    ],
)
def test_what_is_refused(data: object, metric: str, cluster: str | None, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        values_of(data, metric, cluster=cluster)


def test_plain_is_neither_sampled_nor_clustered() -> None:
    frame = pd.DataFrame({"x": np.arange(50.0), "g": 1})
    assert values_of(frame, "x").plain
    assert not values_of(frame, "x", cluster="g").plain
    assert not values_of(sample(frame, Uniform(0.5)), "x").plain


@examples(50)
@given(seed=st.integers(0, 10**6), groups=st.integers(5, 30), rows=st.integers(1, 5))
def test_errors_between_clusters_of_equal_size_are_statsmodels(seed: int, groups: int, rows: int) -> None:
    from statsmodels.api import OLS

    rng = np.random.default_rng(seed)
    cluster, x = np.repeat(np.arange(groups), rows), rng.normal(0.5, 1.0, groups * rows)
    ours = weighted.error_of(x - x.mean(), np.ones(len(x)), "process", cluster)
    exact = {"cov_type": "cluster", "cov_kwds": {"groups": cluster, "use_correction": False}}
    theirs = OLS(x, np.ones(len(x))).fit(**exact)
    assert ours.error == pytest.approx(theirs.bse[0] * np.sqrt(groups / (groups - 1)), rel=1e-12)
    assert ours.df == groups - 1


def test_clusters_of_one_row_are_rows() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=50), rng.random(50) + 1
    alone = weighted.standard_error(x, weight, "process", np.arange(50))
    assert alone == pytest.approx(weighted.standard_error(x, weight), rel=1e-13)
    assert weighted.units(50, np.arange(50)) == 50


def test_errors_at_a_quantile_count_ties_as_coins() -> None:
    rounded = np.repeat([1.0, 2.0, 3.0], [40, 40, 20])
    apart = rounded + np.linspace(0, 0.5, 100)
    for q in (0.3, 0.5, 0.95):
        at = weighted.quantile(rounded, np.ones(100), q)
        tied = weighted.share_size(q, weighted.quantile_error(rounded, np.ones(100), at, q).error)
        assert tied == pytest.approx(99, rel=0.01)
        at = weighted.quantile(apart, np.ones(100), q)
        error = weighted.quantile_error(apart, np.ones(100), at, q).error
        assert weighted.share_size(q, error) == pytest.approx(100, rel=0.05)
    error = weighted.quantile_error(np.ones(50), np.ones(50), 1.0, 0.95).error
    assert weighted.share_size(0.95, error) == pytest.approx(50)


def test_few_degrees_of_freedom_are_worth_less() -> None:
    assert EffectiveSize(100.0, 29.0, 300).at(0.95) == pytest.approx(100 * (1.9679 / 2.0452) ** 2, rel=1e-3)
    assert EffectiveSize(100.0, 299.0, 300).at(0.95) == 100.0


# -- durations and what is no number -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["timedelta64[s]", "timedelta64[ms]", "timedelta64[us]", "timedelta64[ns]", "duration[us][pyarrow]"]
)
def test_durations_are_seconds_or_the_unit_of_the_name(dtype: str) -> None:
    waits = pd.Series(pd.to_timedelta([2, 3, 4, 9], unit="s")).astype(dtype)
    frame = pd.DataFrame({"wait": waits, "wait_ms": waits})
    for data, name, factor, unit in (
        (frame, "wait", 1, "seconds"), (waits, "wait", 1, "seconds"), (frame, "p50_wait_ms", 1000, "milliseconds"),
        (waits, "wait_ms", 1000, "milliseconds"),
    ):  # fmt: skip
        got = cr.confidence_interval(data, metric=name)
        assert got.estimate == factor * (3.5 if name.startswith("p50") else 4.5)
        column = name.removeprefix("p50_")
        assert f"{column} holds durations, in {unit}" in got.assumptions
    row = cr.compare(frame, frame.assign(wait=waits * 2 if "pyarrow" not in dtype else waits), metrics=["wait"])["wait"]
    assert row.control == 4.5
    assert cr.confidence_sequence(waits, "p50_wait").estimate == 3.5


@pytest.mark.parametrize(
    "column",
    [
        ["1", "0", "1", "1"], pd.Categorical(["1", "0", "1", "1"]), [1 + 0j, 0, 1, 1], [1, 0, 1 + 2j, 1],
        pd.to_datetime(["2025-01-01"] * 4), pd.period_range("2025", periods=4, freq="D"), [b"1", b"0", b"1", b"1"],
        [{"a": 1}, 1, 0, 1],
    ],
    ids=["text", "category", "complex", "objects", "times", "periods", "bytes", "mapping"],
)  # fmt: skip
def test_what_is_no_number_is_refused(column: Any) -> None:
    frame = pd.DataFrame({"x": column, "success": column, "y": 1.0, "weight": column})
    rows = frame.drop(columns="weight")
    for call in (
        lambda: cr.confidence_interval(rows, metric="x"),
        lambda: cr.confidence_interval(rows),
        lambda: cr.confidence_interval(frame, metric="y"),
        lambda: cr.t_test(rows, rows, metric="x"),
        lambda: cr.compare(rows, rows, metrics=["x"]),
        lambda: cr.confidence_sequence(rows, "p50_x"),
        lambda: cr.confidence_sequence(rows),
        lambda: cr.confidence_sequence(list(column), "p50_x"),
    ):
        with pytest.raises(cr.SchemaError, match="expected numbers"):
            call()


def test_durations_are_no_weights() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "weight": pd.to_timedelta([1, 2], unit="s")})
    with pytest.raises(cr.SchemaError, match="weight: expected numbers"):
        cr.confidence_interval(frame, metric="x")
