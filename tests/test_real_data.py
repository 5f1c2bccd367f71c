"""Real traces and certified values: what others published comes out again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr

RUNS = [
    "anyscale_70b", "anyscale_7b", "bedrock_70b", "fireworks_70b", "fireworks_7b", "groq_70b", "lepton_70b",
    "lepton_7b", "perplexity_70b", "replicate_70b", "replicate_7b", "together_70b", "together_7b",
]  # fmt: skip
PUBLISHED = {
    "latency_s": "results_end_to_end_latency_s_quantiles",
    "ttft_s": "results_ttft_s_quantiles",
    "inter_token_latency_s": "results_inter_token_latency_s_quantiles",
}
NIST = ["lottery", "lew", "mavro", "numacc1", "numacc2", "numacc3"]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("column", PUBLISHED)
def test_llmperf_published_quantiles(shared_data: Path, run: str, column: str) -> None:
    summary = json.loads((shared_data / "llmperf_published_summary.json").read_text())[run]
    rows = cr.load(
        shared_data / "llmperf_requests.parquet",
        map={"latency_ms": column},
        where=f"run == '{run}' and error_code is None",
    )
    latency = rows.crucible.metrics().latency
    assert latency.exact
    for q in (25, 50, 75, 90, 95, 99):
        assert latency.quantile(q / 100) == pytest.approx(summary[f"{PUBLISHED[column]}_p{q}"], rel=1e-12)


def nist(shared_data: Path, name: str) -> tuple[np.ndarray, dict, dict]:
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    entry = next(one for one in entries if one["id"] == f"nist_strd_univariate_{name}")
    file = next(path for path in (shared_data / "nist").iterdir() if path.name.lower().startswith(name))
    with gzip.open(file, "rt") as lines:
        values = [float(line) for line in lines if len(line.split()) == 1 and _number(line)]
    return np.array(values), entry["expected"], entry["tolerance"]


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", NIST)
@pytest.mark.parametrize("way", ["frame", "record", "extend", "accumulator"])
def test_nist_mean_and_standard_deviation(shared_data: Path, name: str, way: str) -> None:
    values, expected, tolerance = nist(shared_data, name)
    assert len(values) == expected["n"]
    if way == "frame":
        found = pd.DataFrame({"latency_ms": values}).crucible.metrics().latency
    elif way == "accumulator":
        found = cr.accumulators.Moments().update(values)
    else:
        exp = cr.start("nist")
        if way == "extend":
            exp.extend(pd.DataFrame({"latency_ms": values}))
        else:
            for value in values.tolist():
                exp.record("x", latency_ms=value)
        found = exp.metrics().latency
    assert found.mean == pytest.approx(expected["mean"], rel=tolerance["mean"]["rel"])
    assert found.std == pytest.approx(expected["sd"], rel=tolerance["sd"]["rel"])


def test_agent_calls_have_the_quantiles_of_their_readme(shared_data: Path) -> None:
    rows = cr.load(
        shared_data / "agent_llm_calls.parquet",
        map={"latency_ms": "latency_s * 1000"},
        where="release == 'v8' and event == 'llm.call'",
        time="t_s",
        unit="s",
        origin="2025-01-01",
    )
    assert len(rows) == 49_334
    exp = cr.start("agents", clock="events")
    assert exp.extend(rows) == 49_334
    assert exp.summary()["errors"] == 0
    latency = exp.metrics().latency
    assert latency.count == 49_334 - 4_312
    assert latency.mean / 1000 == pytest.approx(9.75, abs=0.005)
    for metrics in (exp.frame().crucible.metrics(), exp.metrics()):
        bound = metrics.latency.error_bound
        for q, seconds in ((0.5, 6.08), (0.95, 28.5), (0.99, 60.7)):
            assert metrics.latency.quantile(q) / 1000 == pytest.approx(seconds, rel=bound + 2e-3)
    assert exp.metrics().cost.count > 49_000
    windows = exp.windowed_metrics("1h")
    assert windows.event_count.sum() == 49_334
    assert windows.success_count.sum() == exp.metrics().reliability.successful


def test_azure_medians(shared_data: Path) -> None:
    rows = cr.load(
        shared_data / "azure_llm_2023_conv.csv.gz",
        time="TIMESTAMP",
        event="llm.request",
        map={"prompt_tokens": "ContextTokens", "completion_tokens": "GeneratedTokens"},
    )
    assert len(rows) == 19_366
    assert (rows.prompt_tokens.median(), rows.completion_tokens.median()) == (1020, 129)
    assert (
        rows.index[0] == pd.Timestamp("2023-11-16 18:15:46.680590", tz="UTC").floor("us") or rows.index.tz is not None
    )
    tokens = rows.crucible.metrics().tokens
    assert tokens.total_prompt == int(rows.prompt_tokens.sum())
    minute = rows.crucible.windowed_metrics("1min")
    assert minute.total_tokens.sum() == tokens.total
    assert (
        minute.event_count.equals(rows.prompt_tokens.resample("1min").count().rename("event_count"))
        or (minute.event_count.to_numpy() == rows.prompt_tokens.resample("1min").count().to_numpy()).all()
    )
