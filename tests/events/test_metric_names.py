"""Names of metrics, and columns of 0 and 1, which are rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import crucible_nb as cr
from crucible_nb.events.metric_names import metric_of

X = np.random.default_rng(1).lognormal(0, 1, 2000)
DOORS = [
    X,
    X.tolist(),
    pd.Series(X),
    pd.Series(X, dtype="Float64"),
    pd.DataFrame({"latency_ms": X}),
]


@pytest.mark.parametrize("data", DOORS, ids=["array", "list", "series", "nullable", "frame"])
@pytest.mark.parametrize(
    ("name", "q"),
    [
        ("median", 0.5), ("p50", 0.5), ("p05", 0.05), ("p5", 0.05), ("p99", 0.99), ("p99.9", 0.999), ("p999", 0.999),
        ("p9999", 0.9999),
    ],
)  # fmt: skip
def test_a_percentile_is_that_percentile_of_bare_values_too(data: Any, name: str, q: float) -> None:
    with np.errstate(all="ignore"):
        got = cr.confidence_interval(data, metric=f"{name}_latency_ms")
    assert got.method == "quantile"
    assert got.estimate == pytest.approx(np.quantile(X, q), rel=1e-12)


def test_compare_of_arrays_takes_the_percentile() -> None:
    row = cr.compare(X[:1000], X[1000:], metrics=["p999_latency_ms"])["p999_latency_ms"]
    assert row.control == pytest.approx(np.quantile(X[:1000], 0.999))
    assert "quantiles" in row.test
    assert cr.compare(X[:1000], X[1000:], metrics=["median_latency_ms"])["median_latency_ms"].control == np.median(
        X[:1000]
    )


SHAPES = [
    "p0_latency_ms", "p00_latency_ms", "p100_latency_ms", "p101_latency_ms", "p500_latency_ms", "p0.0_latency_ms",
    "P95_latency_ms", "P999_latency_ms", "p99_9_latency_ms", "p995_latency_ms", "p990_latency_ms", "q95_latency_ms", "pct95_latency_ms", "p95", "p95-latency",
    "p95 latency_ms", "latency_ms_p95", "latency_ms_median", "Max_latency_ms", "MAX_LATENCY_MS",
    "maximum_latency_ms", "max(latency_ms)", "std_latency_ms", "sd_latency_ms", "var_latency_ms",
    "sum_latency_ms", "SUM_latency_ms", "count_latency_ms", "avg_latency_ms", "average_latency_ms", "Mean_latency_ms",
    "MEDIAN_latency_ms", "Total_latency_ms", "First_latency_ms", "LAST_latency_ms", "median", "range_latency_ms",
    "iqr_latency_ms", "percentile_95_latency_ms", "quantile_0.95_latency_ms", "Success_Rate", "TOTAL_TOKENS",
    "total", "sum", "MAX",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "match"),
    [
        *((name, r"expected success_rate.*mean_, total_, median_ or a") for name in SHAPES),
        *((f"{kind}_latency_ms", "no interval and no test") for kind in ("min", "max", "first", "last")),
        *((name, "depends on how long was observed") for name in ("event_count", "failure_count", "success_count")),
    ],
)
def test_any_other_statistic_is_refused_never_the_mean(name: str, match: str) -> None:
    a, b = X[:50], X[50:100]
    calls = [
        lambda: cr.confidence_interval(a, metric=name),
        lambda: cr.confidence_interval(a.tolist(), metric=name),
        lambda: cr.confidence_interval(pd.Series(a, name="latency_ms"), metric=name),
        lambda: cr.confidence_interval(pd.DataFrame({"latency_ms": a}), metric=name),
        lambda: cr.compare(a, b, metrics=[name]),
        lambda: cr.compare(pd.DataFrame({"latency_ms": a}), pd.DataFrame({"latency_ms": b}), metrics=[name]),
        lambda: cr.t_test(a, b, metric=name),
        lambda: cr.mann_whitney_u(a, b, metric=name),
        lambda: cr.permutation_test(a, b, metric=name),
        lambda: cr.confidence_sequence(a, metric=name, bound=(0, 1e9)),
        lambda: cr.confidence_sequence(None, metric=name, asymptotic=True),
    ]
    for call in calls:
        with pytest.raises((cr.SchemaError, cr.StatError), match=match):
            call()


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("max_loss", [], ("max", "loss")),
        ("max_loss", ["max_loss"], ("mean", "max_loss")),
        ("last_train/loss", ["train/loss"], ("last", "train/loss")),
        ("first_name", ["first_name"], ("mean", "first_name")),
        ("min_latency_ms", ["latency_ms"], ("min", "latency_ms")),
        ("events_per_second", [], ("per_time", "")),
        ("events_per_day", [], ("per_time", "")),
        ("output_tokens_per_second", [], ("per_time", "completion_tokens")),
        ("total_tokens_per_minute", [], ("per_time", "total_tokens")),
        ("usd_per_hour", [], ("per_time", "cost_usd")),
        ("cost_per_hour", [], ("per_time", "cost_usd")),
        ("bytes_per_second", ["bytes"], ("per_time", "bytes")),
        ("bytes_per_second", [], ("mean", "bytes_per_second")),
        ("events_per_second", ["events_per_second"], ("mean", "events_per_second")),
        ("bytes_per_second", ["bytes", "second"], ("ratio", "bytes")),
        ("error_rate", [], ("rate", "error_rate")),
        ("error_rate", ["error_rate"], ("mean", "error_rate")),
        ("share( loss < 1 )", [], ("rate", "share( loss < 1 )")),
        ("event_count", [], ("count", "")),
    ],
)
def test_the_grammar(name: str, columns: list[str], expected: tuple[str, str]) -> None:
    metric = metric_of(name, columns)
    assert (metric.kind, metric.column) == expected


def test_a_share_is_a_rate_for_intervals_tests_and_comparisons() -> None:
    rng = np.random.default_rng(3)

    def arm(scale: float) -> pd.DataFrame:
        success = pd.array(rng.random(300) < 0.9, "boolean")
        success[:10] = None
        return pd.DataFrame({"latency_ms": rng.exponential(scale, 300), "success": success})

    arms, name = (arm(900.0), arm(1200.0)), "share(latency_ms < 2000 and success)"
    asked = [(side.latency_ms < 2000).astype("boolean") & side.success for side in arms]
    derived = [pd.DataFrame({"good": good}) for good in asked]
    for side, good in zip(arms, derived, strict=True):
        got, expected = cr.confidence_interval(side, metric=name), cr.confidence_interval(good, metric="good")
        assert tuple(got.confidence_interval) == tuple(expected.confidence_interval)
        assert (got.n, got.method) == (int(good.good.notna().sum()), "wilson")
        hits = int(good.good.sum())
        assert tuple(got.confidence_interval) == pytest.approx(proportion_confint(hits, got.n, method="wilson"))
        sequence = cr.confidence_sequence(side, metric=name)
        assert sequence.interval == cr.confidence_sequence(good, metric="good").interval
    for test in (cr.two_proportions, cr.t_test, cr.fisher, cr.permutation_test, cr.mann_whitney_u, cr.chi_square):
        assert test(*arms, metric=name).pvalue == test(*derived, metric="good").pvalue
    row = cr.compare(*arms, metrics=[name])[name]
    other = cr.compare(*derived, metrics=["good"])["good"]
    assert (row.pvalue, tuple(row.confidence_interval)) == (other.pvalue, tuple(other.confidence_interval))
    assert cr.compare(*arms, metrics=[name], direction={name: "up"})[name].verdict == "worse"
    assert row.direction is None


def test_the_share_of_errors_needs_no_condition() -> None:
    frame = pd.DataFrame({"success": pd.array([True] * 16 + [False] * 4 + [None], "boolean")})
    got = cr.confidence_interval(frame, metric="error_rate")
    assert (got.estimate, got.n) == (0.2, 20)
    with pytest.raises(cr.StatError, match="needs to be a DataFrame"):
        cr.confidence_interval([True, False], metric="share(success)")


def test_a_column_with_such_a_name_and_its_mean_are_still_meant() -> None:
    frame = pd.DataFrame({"max_tokens": [1.0, 2.0, 6.0]})
    for data, name in ((frame, "max_tokens"), (frame, "mean_max_tokens"), ([1.0, 2.0, 6.0], "mean_max_tokens")):
        assert cr.confidence_interval(data, metric=name).estimate == 3.0
    assert cr.confidence_interval([1.0, 2.0, 6.0], metric="p50_max_tokens").estimate == 2.0
    assert metric_of("p50_9_lives", ["9_lives"]).column == "9_lives"


@pytest.mark.parametrize(
    "name", ["latency_ms", "loss", "mean", "meaning", "minutes", "summary", "counts", "p_value", "n_tokens", "passed",
             "token_count", "q1_sales", "totality", "firsts", "tokens_per_second", "stdout_bytes", "p"],
)  # fmt: skip
def test_other_names_are_columns(name: str) -> None:
    assert metric_of(name)[:5] == (name, "mean", name, pytest.approx(float("nan"), nan_ok=True), None)


# -- 0 and 1 -------------------------------------------------------------------------------------------------------

ZEROS = {
    "bool": [False] * 20, "int": [0] * 20, "float": np.zeros(20), "nullable": pd.Series([False] * 20, dtype="boolean"),
    "objects": [False] * 20 + [None], "int8": np.zeros(20, np.int8), "arrow": pd.Series([0] * 20, dtype="int64[pyarrow]"),
}  # fmt: skip


@pytest.mark.parametrize("values", ZEROS.values(), ids=ZEROS)
@pytest.mark.parametrize("metric", ["error_flag", "mean_error_flag"])
def test_zeros_and_ones_have_the_interval_of_a_rate(values: Any, metric: str) -> None:
    for data in (values, pd.DataFrame({"error_flag": values})):
        got = cr.confidence_interval(data, metric=metric)
        assert (got.estimate, got.method) == (0.0, "wilson")
        assert tuple(got.confidence_interval) == pytest.approx(proportion_confint(0, 20, method="wilson"), abs=1e-12)
        assert "Wilson" in got.text


def test_amounts_and_other_numbers_stay_means() -> None:
    assert cr.confidence_interval([0.0, 1.0, 0.5], metric="score").method == "t"
    assert cr.confidence_interval([0.0, 1.0, 1.0], metric="cost_usd").method == "t"
    assert cr.confidence_interval([0.0, 1.0, 1.0], metric="total_x").method != "wilson"


def arms(a: int, b: int, n: int = 50) -> tuple[pd.DataFrame, pd.DataFrame]:
    first, second = (pd.DataFrame({"correct": np.arange(n) < hits}) for hits in (a, b))
    return first, second


def test_compare_takes_them_as_rates() -> None:
    row = cr.compare(*arms(3, 10), metrics=["correct"])["correct"]
    success = cr.compare(*(arm.rename(columns={"correct": "success"}) for arm in arms(3, 10)), metrics=["success_rate"])
    expected = success["success_rate"]
    assert (row.pvalue, tuple(row.confidence_interval)) == (expected.pvalue, tuple(expected.confidence_interval))
    assert "shares" in row.design
    close = cr.compare(*arms(9, 10), metrics=["correct"])["correct"]
    assert close.next_sample.startswith("to find a difference of 2 points")
    rare = cr.compare(*arms(0, 4), metrics=["correct"])["correct"]
    assert rare.pvalue == pytest.approx(stats.fisher_exact([[0, 50], [4, 46]]).pvalue)


def test_a_column_is_a_rate_only_if_it_is_one_in_both_arms() -> None:
    control = pd.DataFrame({"score": [0.0, 1.0] * 20, "sample_id": range(40)})
    treatment = pd.DataFrame({"score": [0.0, 0.5, 1.0, 1.0] * 10, "sample_id": range(40)})
    for pair_by in ("sample_id", None):
        for sides in ((control, treatment), (treatment, control)):
            assert "t-test" in cr.compare(*sides, metrics=["score"], pair_by=pair_by)["score"].test
    got = cr.t_test(control, treatment, metric="score")
    assert got.pvalue == pytest.approx(stats.ttest_ind(treatment.score, control.score, equal_var=False).pvalue)


def test_pairs_of_them_are_compared_by_mcnemar() -> None:
    rng = np.random.default_rng(0)
    sides = [pd.DataFrame({"passed": (rng.random(60) < p).astype(int), "sample_id": range(60)}) for p in (0.5, 0.7)]
    row = cr.compare(*sides, metrics=["passed"])["passed"]
    only = [int(((sides[i].passed == 1) & (sides[1 - i].passed == 0)).sum()) for i in (0, 1)]
    assert "McNemar" in row.test
    assert row.pvalue == pytest.approx(stats.binomtest(min(only), sum(only)).pvalue, rel=0.5)


def test_seeds_and_blocks_of_them() -> None:
    rng = np.random.default_rng(0)
    times = pd.date_range("2025", periods=2000, freq="s", tz="UTC")
    sides = [
        pd.DataFrame({"correct": rng.random(2000) < p, "seed": np.arange(2000) % 5}, index=times) for p in (0.5, 0.7)
    ]
    runs = cr.compare(*sides, metrics=["correct"], group_by="seed")["correct"]
    by_hand = [side.groupby("seed").correct.mean() for side in sides]
    assert runs.pvalue == pytest.approx(stats.ttest_ind(*by_hand, equal_var=False).pvalue)
    blocks = cr.compare(*sides, metrics=["correct"], resample="1min")["correct"]
    assert blocks.estimate == pytest.approx(0.2, abs=0.05)


def test_sequences_take_booleans_as_rates_and_numbers_with_a_bound() -> None:
    yes = np.arange(100) < 90
    for data in (yes, pd.Series(yes, dtype="boolean"), pd.DataFrame({"correct": yes}), [*yes.tolist(), None]):
        seq = cr.confidence_sequence(data, metric="correct")
        assert seq.interval == cr.confidence_sequence(yes).interval
        with pytest.raises(cr.StatError, match="true, false, 0 or 1"):
            seq.update([0.5])
    assert cr.confidence_sequence(yes.astype(int), metric="correct", bound=(0, 1)).estimate == 0.9
    with pytest.raises(cr.StatError, match=r"\(0, 1\) for 0 and 1; booleans need none"):
        cr.confidence_sequence(yes.astype(int), metric="correct")
    a, b = pd.DataFrame({"correct": yes}), pd.DataFrame({"correct": ~yes})
    assert (
        cr.compare(a, b, metrics=["correct"], sequential=True, direction={"correct": "up"})["correct"].verdict
        == "worse"
    )
    with pytest.raises(cr.StatError, match="bound="):
        cr.compare(a, b.astype(float), metrics=["correct"], sequential=True)
