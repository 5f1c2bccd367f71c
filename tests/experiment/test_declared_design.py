"""Designs declared with `cr.start(unit=, cluster=)`: honoured wherever an error is computed, and kept by stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.pipeline.config import ExperimentConfig
from crucible_nb.pipeline.prices import PriceTable

N, EPOCHS = 60, 4


def rows(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    chance = np.random.default_rng(99).beta(0.6, 0.6, N)  # difficulty is that of the question, in every arm
    good = rng.random((EPOCHS, N)) < chance
    return pd.DataFrame({
        "question": np.tile(np.arange(N), EPOCHS), "passage": np.tile(np.arange(N) // 4, EPOCHS),
        "success": good.ravel(), "latency_ms": rng.lognormal(6, 0.5, N * EPOCHS), "cost_usd": rng.random(N * EPOCHS),
    })  # fmt: skip


def arm(name: str, seed: int, **options: Any) -> cr.Experiment:
    with cr.start(name, **options) as exp:
        exp.extend(rows(seed), event="eval.sample")
    return exp


def items(data: pd.DataFrame) -> pd.DataFrame:
    return data.rename(columns={"question": "sample_id"})


METRICS = ["success_rate", "latency_ms", "p90_latency_ms", "cost_per_success", "total_cost_usd"]


@pytest.mark.parametrize("metric", METRICS)
def test_intervals_are_those_of_the_declared_columns(metric: str) -> None:
    exp, plain = arm("a", 1, unit="question", cluster="passage"), rows(1)
    expected = cr.confidence_interval(plain, metric=metric, cluster="passage", of="process")
    for data in (exp, exp.df, exp.query_window(last_n=N * EPOCHS), exp.frame(["passage", *METRICS_COLUMNS])):
        found = cr.confidence_interval(data, metric=metric, of="process")
        assert found.confidence_interval == pytest.approx(expected.confidence_interval, rel=1e-12)
        assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-12, nan_ok=True)
        assert "clustered by passage, as declared" in found.assumptions
    by_item = cr.confidence_interval(arm("b", 1, unit="question"), metric=metric, of="process")
    same = cr.confidence_interval(items(plain), metric=metric, of="process")
    assert by_item.confidence_interval == pytest.approx(same.confidence_interval, rel=1e-12)


METRICS_COLUMNS = ["success", "latency_ms", "cost_usd"]
TESTS: dict[str, Callable[..., Any]] = {
    "t_test": cr.t_test,
    "paired": lambda a, b, **o: cr.t_test(a, b, paired=True, **o),
    "ranks": cr.mann_whitney_u,
    "shares": cr.two_proportions,
    "margin": lambda a, b, **o: cr.non_inferiority(a, b, margin=200.0, **o),
    "effect": cr.hedges_g,
    "anova": cr.anova,
    "table": cr.chi_square,
}


@pytest.mark.parametrize("test", TESTS)
def test_tests_are_those_of_the_declared_columns(test: str) -> None:
    arms, plain = (arm("a", 1, unit="question", cluster="passage"), arm("b", 2)), (rows(1), rows(2))
    options = {} if test in {"shares", "table"} else {"metric": "latency_ms"}
    paired = {"pair_by": "question"} if test == "paired" else {}
    found, expected = TESTS[test](*arms, **options), TESTS[test](*plain, cluster="passage", **options, **paired)
    for name in ("pvalue", "estimate", "standard_error", "effect_size", "confidence_interval"):
        if hasattr(expected, name):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12, nan_ok=True), name


def test_comparisons_pair_by_the_unit_and_cluster_by_the_cluster() -> None:
    arms = arm("a", 1, unit="question", cluster="passage"), arm("b", 2, unit="question", cluster="passage")
    found = cr.compare(*arms, metrics=METRICS)
    expected = cr.compare(rows(1), rows(2), metrics=METRICS, pair_by="question", cluster="passage")
    assert found.design[0] == "paired: 100% of the items (question) are in both arms"
    for metric in METRICS:
        for name in ("pvalue", "estimate", "standard_error", "confidence_interval", "control"):
            assert getattr(found[metric], name) == pytest.approx(
                getattr(expected[metric], name), rel=1e-12, nan_ok=True
            ), (metric, name)


def test_units_of_a_metric_are_clustered_as_declared() -> None:
    exp, plain = arm("a", 1, unit="question", cluster="passage"), rows(1)
    found = cr.confidence_interval(exp, metric="total_cost_usd", unit="question")
    expected = cr.confidence_interval(plain, metric="total_cost_usd", unit="question", cluster="passage")
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-12)
    assert "clustered by passage, as declared" in found.assumptions
    apart = cr.confidence_interval(exp, metric="total_cost_usd", unit="passage")  # the units are the clusters
    alone = cr.confidence_interval(plain, metric="total_cost_usd", unit="passage")
    assert apart.standard_error == pytest.approx(alone.standard_error, rel=1e-12)


def test_what_is_said_in_the_call_wins_and_a_missing_cluster_is_said() -> None:
    exp = arm("a", 1, unit="question", cluster="passage")
    given = cr.confidence_interval(exp, metric="latency_ms", cluster="question")
    assert (
        given.standard_error == cr.confidence_interval(rows(1), metric="latency_ms", cluster="question").standard_error
    )
    without = cr.confidence_interval(exp.df.drop(columns="passage"), metric="latency_ms")
    assert "the rows do not have the declared cluster passage" in without.warnings
    assert without.standard_error == given.standard_error  # by the unit, which has several rows
    bare = cr.t_test(exp.df[["latency_ms"]], exp.df[["latency_ms"]] + 1.0)
    for said in (
        "the rows do not have the declared cluster passage",
        "the rows do not have the declared unit question",
    ):
        assert any(said in warning for warning in bare.warnings)


def test_stores_keep_the_design(tmp_path: Path) -> None:
    exp = arm("a", 1, unit="question", cluster="passage", store=tmp_path)
    read = cr.attach("a", store=tmp_path, mode="read")
    assert (exp.unit, exp.cluster) == (read.unit, read.cluster) == ("question", "passage")
    results = [cr.confidence_interval(data, metric="latency_ms").to_dict() for data in (exp, read)]
    assert results[0] == results[1]
    files = exp.export(tmp_path / "rows.parquet")
    assert cr.confidence_interval(cr.load(files), metric="latency_ms").to_dict() == results[0]


def test_experiments_of_earlier_releases_have_no_design() -> None:
    plain = ExperimentConfig("a").to_dict()
    assert not {"unit", "cluster"} & set(plain)  # written only if declared
    read = ExperimentConfig.from_dict(plain, PriceTable.default())
    assert (read.unit, read.cluster) == (None, None)
    with pytest.raises(cr.ConfigError, match="unit=3"):
        cr.start("a", unit=3)  # type: ignore[arg-type]


@pytest.mark.check
@pytest.mark.parametrize(
    ("epochs", "metric"),
    [(3, "success_rate"), (10, "success_rate"), (10, "p75_latency_ms"), (10, "latency_ms_per_tokens")],
)
def test_repeated_items_are_covered_without_a_word(epochs: int, metric: str) -> None:
    # W4 and W5: 300 questions, answered several times; the truth is that of the process that makes questions
    column, covered, runs = {"success_rate": "success"}.get(metric, "latency_ms"), 0, 1500
    truth = {"success_rate": 0.5, "p75_latency_ms": float(np.exp(0.6744897501960817)), "latency_ms_per_tokens": None}
    for seed in range(runs):
        rng = np.random.default_rng([seed, epochs])
        item = np.tile(np.arange(300), epochs)
        if column == "success":
            values: Any = rng.random(300 * epochs) < rng.beta(0.6, 0.6, 300)[item]
        else:  # half of the variance of the log is that of the question
            values = np.exp((rng.normal(size=300)[item] + rng.normal(size=300 * epochs)) / np.sqrt(2))
        tokens = rng.integers(1, 4, 300)[item]
        frame = pd.DataFrame({"sample_id": item, column: values, "tokens": tokens})
        low, high = cr.confidence_interval(frame, metric=metric).confidence_interval
        target = truth[metric]
        covered += low <= (np.exp(0.5) / 2 if target is None else target) <= high
    assert 0.93 <= covered / runs <= 0.97, covered / runs
