"""A tenth, and a hundredth, of real traces: the full answer lies within the sample's own intervals."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr

SEEDS = 20


@cache
def agent_calls(shared: Path) -> pd.DataFrame:
    """49,334 calls of language models, priced by our table."""
    rows = cr.load(
        shared / "agent_llm_calls.parquet",
        time="t_s",
        unit="s",
        origin="2025-01-01",
        map={"latency_ms": "latency_s * 1000"},
        where="release == 'v8' and event == 'llm.call'",
    )
    with cr.start("calls", clock="events") as exp:
        exp.extend(rows)
    return exp.frame(["event", "model", "latency_ms", "cost_usd", "success", "prompt_tokens", "completion_tokens"])


@cache
def training_steps(shared: Path) -> pd.DataFrame:
    """250,935 steps of 157 training runs on eight GPUs; costs at 24 USD an hour."""
    steps = pd.read_parquet(shared / "nanogpt_training_steps.parquet")
    latency = steps.groupby(["record", "run"], sort=False, observed=True)["train_time_ms"].diff()
    latency = latency.where(latency > 0)
    time = pd.date_range("2025-01-01", periods=len(steps), freq="200ms", tz="UTC", name="time")
    return pd.DataFrame(
        {"event": "train.step", "latency_ms": latency.to_numpy(), "cost_usd": latency.to_numpy() / 3.6e6 * 24},
        index=time,
    )


TRACES = {"49,334 agent calls": agent_calls, "250,935 training steps": training_steps}


def samplers(n: int) -> dict[str, cr.sampling.Sampler]:
    """About a tenth of n rows each."""
    return {
        "uniform": cr.sampling.Uniform(0.1),
        "reservoir": cr.sampling.Reservoir(n // 10),
        "stratified": cr.sampling.Stratified({False: 1.0}, default=0.1),
        "adaptive": cr.sampling.Adaptive(0.05, cooldown=20),
        "importance": cr.sampling.Importance(n // 11, by="cost_usd"),
    }


@pytest.mark.check
@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("name", samplers(100))
def test_a_tenth_knows_how_far_off_it_is(shared_data: Path, trace: str, name: str) -> None:
    frame = TRACES[trace](shared_data)
    truth = {
        "total_cost_usd": frame.cost_usd.sum(),
        "p95_latency_ms": frame.latency_ms.quantile(0.95),
        "p99_latency_ms": frame.latency_ms.quantile(0.99),
    }
    covered = dict.fromkeys(truth, 0)
    for seed in range(SEEDS):
        rows = cr.sampling.sample(frame, samplers(len(frame))[name], seed)
        assert len(rows) < 0.2 * len(frame)
        for metric, value in truth.items():
            found = cr.confidence_interval(rows, metric, of="run")
            covered[metric] += found.confidence_interval.low <= value <= found.confidence_interval.high
    # of 20 intervals with a coverage of 95 %, 16 or more cover in 99.7 % of the cases
    assert min(covered.values()) >= 16, covered


@pytest.mark.parametrize(("rate", "least"), [(0.1, 7), (0.01, 50)])
def test_storage_is_cut_as_the_rows_are(shared_data: Path, tmp_path: Path, rate: float, least: float) -> None:
    frame = training_steps(shared_data)
    sizes = []
    for sampling in (None, cr.sampling.Uniform(rate)):
        with cr.start("cut", clock="events", sampling=sampling, seed=1) as exp:
            exp.extend(frame)
        sizes.append((exp.frame().memory_usage(deep=True).sum(), exp.export(tmp_path / "cut.parquet").stat().st_size))
        assert exp.metrics().events == len(frame)
    memory, disk = np.array(sizes[0]) / sizes[1]
    assert memory == pytest.approx(1 / rate, rel=0.1)
    assert disk > least  # a file has a fixed part, and neighbouring steps compress better than distant ones
