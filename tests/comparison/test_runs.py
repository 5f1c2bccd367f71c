"""Comparisons of training runs: one run against one is at most leaning, and the spread of runs is that of their means."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr


def curve(rng: np.random.Generator, gain: float, **columns: object) -> pd.DataFrame:
    accuracy = np.linspace(0.5, 0.9, 15) + gain + rng.normal(0, 0.005, 15)
    return pd.DataFrame({"epoch": np.arange(15), "accuracy": accuracy}).assign(**columns)


def test_one_run_against_one_run_is_at_most_leaning_and_says_why() -> None:
    rng = np.random.default_rng(0)
    result = cr.compare(curve(rng, 0.0), curve(rng, 0.4), metrics=["accuracy"], direction={"accuracy": "up"})
    assert result["accuracy"].pvalue < 0.001
    assert result["accuracy"].verdict == "leaning"
    assert "each arm is one training run" in result["accuracy"].why
    assert "neighbouring events correlate" in repr(result)


@pytest.mark.parametrize(
    "columns", [{"event": "llm.request"}, {"epoch": 0}, {"sample_id": list("abcdefghijklmno")}, {"epoch": "x"}]
)
def test_other_rows_are_compared_as_before(columns: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    arms = curve(rng, 0.0, **columns), curve(rng, 0.4, **columns)
    assert cr.compare(*arms, metrics=["accuracy"], direction={"accuracy": "up"})["accuracy"].verdict == "better"


def test_several_runs_are_compared_by_their_means_whose_spread_is_shown() -> None:
    rng = np.random.default_rng(1)
    arms = [
        pd.concat([curve(rng, gain + rng.normal(0, 0.02), seed=seed, event="train.epoch") for seed in range(5)])
        for gain in (0.0, 0.1)
    ]
    means = [arm.groupby("seed").accuracy.mean() for arm in arms]
    result = cr.compare(*arms, metrics=["accuracy"], direction={"accuracy": "up"}, group_by="seed")["accuracy"]
    assert result.verdict == "better"
    assert result.pvalue == pytest.approx(stats.ttest_ind(*means, equal_var=False).pvalue, rel=1e-9)
    for name, of_arm in zip(("control", "treatment"), means, strict=True):
        assert any(f"{name}: sd between runs {of_arm.std():.4g}" in text for text in result.assumptions)


@pytest.mark.parametrize("kind", ["last", "first", "min", "max"])
def test_runs_are_compared_by_a_single_value_of_each(kind: str) -> None:
    rng = np.random.default_rng(5)
    arms = [
        pd.concat([curve(rng, gain + rng.normal(0, 0.02), seed=f"s{seed}") for seed in range(6)]) for gain in (0.0, 0.1)
    ]
    arms[0].iloc[14, 1] = np.nan  # the last known value counts
    arms = [arm.assign(seq=np.arange(len(arm))).sample(frac=1, random_state=0) for arm in arms]
    metric = f"{kind}_accuracy"
    result = cr.compare(*arms, metrics=[metric], direction={metric: "up"}, group_by="seed")[metric]
    each = [getattr(arm.sort_values("seq").dropna().groupby("seed").accuracy, kind)() for arm in arms]
    expected = stats.ttest_ind(*each, equal_var=False)
    assert (result.control, result.treatment) == pytest.approx([one.mean() for one in each], rel=1e-12)
    assert result.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    assert result.estimand == f"{metric} (mean over runs)"
    assert result.verdict == "better"
    with pytest.raises(cr.StatError, match="no interval"):
        cr.compare(*arms, metrics=[metric])


def test_the_next_sample_is_planned_from_five_values_on_and_has_a_subject() -> None:
    few = cr.compare([1.0, 2.0], [3.0, 4.0], metrics=["latency_ms"])["latency_ms"]
    assert few.next_sample is None
    rng = np.random.default_rng(2)
    values = rng.normal(100, 20, 400)
    many = cr.compare(values, values + rng.normal(0, 1, 400), metrics=["latency_ms"], margin=90.0)["latency_ms"]
    assert many.verdict == "equivalent"
    some = cr.compare(values, values + rng.normal(0, 20, 400), metrics=["latency_ms"], margin=None)["latency_ms"]
    assert some.next_sample is None or "and they are there" not in some.next_sample


def test_a_margin_of_a_quantile_is_tested_alike_by_both_doors() -> None:
    rng = np.random.default_rng(3)
    arms = [pd.DataFrame({"latency_ms": rng.lognormal(6, 0.4, 4000)}) for _ in range(2)]
    alone = cr.non_inferiority(*arms, metric="p95_latency_ms", margin="8%")
    compared = cr.compare(*arms, metrics=["p95_latency_ms"], margin="8%")["p95_latency_ms"]
    assert alone.estimate == compared.estimate
    assert alone.significant == (compared.verdict in {"equivalent", "not worse"})
