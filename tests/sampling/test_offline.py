"""Samplers on frames, and merged samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.sampling import Importance, Reservoir, Uniform, merge, sample


def frame(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    index = pd.date_range("2025-01-01", periods=n, freq="s", tz="UTC", name="time")
    return pd.DataFrame({"cost_usd": rng.pareto(1.5, n), "latency_ms": rng.lognormal(6, 1, n)}, index=index)


def test_rows_keep_their_order_index_and_types_and_the_input_stays() -> None:
    rows = frame().assign(model=pd.Categorical(["a"] * 2000))
    before = rows.copy()
    kept = sample(rows, Uniform(0.1), seed=1)
    pd.testing.assert_frame_equal(rows, before)
    pd.testing.assert_frame_equal(kept.drop(columns="weight"), rows.loc[kept.index], check_like=False)
    assert kept.attrs["crucible"]["seen"] == 2000


def test_weights_of_an_earlier_sample_are_multiplied() -> None:
    twice = sample(sample(frame(), Uniform(0.5), seed=1), Reservoir(100), seed=2)
    first = sample(frame(), Uniform(0.5), seed=1)
    assert twice.weight.tolist() == [2.0 * len(first) / 100] * 100


@pytest.mark.parametrize("sampler", [Uniform(0.1), Reservoir(100), Importance(50)])
def test_samples_of_partitions_are_a_sample_of_all(sampler: cr.sampling.Sampler) -> None:
    parts = [frame(n, seed) for seed, n in enumerate((500, 3000, 40))]
    total, count = sum(part.cost_usd.sum() for part in parts), 3540
    estimates = []
    for seed in range(200):
        merged = merge([sample(part, sampler, seed * 3 + i) for i, part in enumerate(parts)])
        estimates.append([merged.weight.sum(), (merged.weight * merged.cost_usd).sum()])
    error = np.std(estimates, axis=0) / np.sqrt(200)
    assert (abs(np.mean(estimates, axis=0) - [count, total]) <= 4 * error + 1e-6).all()
    assert merged.attrs["crucible"]["seen"] == count
    assert merged.index.is_monotonic_increasing


@pytest.mark.parametrize("by", [None, "cost_usd"])
def test_thinned_to_a_size_the_weights_make_up_for_it(by: str | None) -> None:
    parts = [sample(frame(n, seed), Reservoir(100), seed) for seed, n in enumerate((1000, 9000))]
    count = sum(part.weight.sum() for part in parts)
    total = sum((part.weight * part.cost_usd).sum() for part in parts)
    estimates = []
    for seed in range(400):
        merged = merge(parts, size=80, by=by, seed=seed)
        assert len(merged) == 80
        estimates.append([merged.weight.sum(), (merged.weight * merged.cost_usd).sum()])
    error = np.std(estimates, axis=0) / np.sqrt(400)
    assert (abs(np.mean(estimates, axis=0) - [count, total]) <= 4 * error + 1e-9 * count).all()


def test_a_whole_frame_is_a_sample_of_weight_one() -> None:
    merged = merge([frame(10), sample(frame(100, 1), Reservoir(10), 1)])
    assert merged.weight.sum() == 110
    assert merged.attrs["crucible"]["seen"] == 110
    cut = sample(frame(100, 1), Reservoir(10), 1).head(5)
    assert "seen" not in merge([frame(10), cut]).attrs["crucible"]


def test_what_is_no_frame_or_no_sampler_is_refused() -> None:
    with pytest.raises(cr.ConfigError, match="frame="):
        sample([1, 2], Uniform(0.5))  # type: ignore[arg-type]
    with pytest.raises(cr.ConfigError, match="sampler='uniform'"):
        sample(frame(5), "uniform")  # type: ignore[arg-type]
    with pytest.raises(cr.ConfigError, match="samples: expected one or more DataFrames"):
        merge([])
    with pytest.raises(cr.SchemaError, match="latency_ms: expected numbers"):
        sample(pd.DataFrame({"latency_ms": ["a", "b"]}), Importance(1, by="latency_ms"))
