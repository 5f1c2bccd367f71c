"""Real recordings, against the numbers that their README gives."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from crucible_nb.files import iter_table, load


def test_azure_arrivals(shared_data):
    tokens = {"prompt_tokens": "ContextTokens", "completion_tokens": "GeneratedTokens"}
    frame = load(shared_data / "azure_llm_2023_conv.csv.gz", tokens, "TIMESTAMP")
    assert len(frame) == 19_366
    assert frame.index[0] == pd.Timestamp("2023-11-16 18:15:46.6805900", tz="UTC")
    assert frame.index.is_monotonic_increasing
    assert (frame.index.asi8 % 100 == 0).all()
    assert (frame["prompt_tokens"].median(), frame["completion_tokens"].median()) == (1020, 129)


def test_agent_calls(shared_data):
    path, wanted = shared_data / "agent_llm_calls.parquet", "release == 'v8' and event == 'llm.call'"
    latency = load(path, {"latency_ms": "latency_s * 1000"}, where=wanted)["latency_ms"]
    assert len(latency) == 49_334
    assert [round(q / 1000, 2) for q in latency.quantile([0.5, 0.95, 0.99])] == [6.08, 28.49, 60.69]
    pieces = iter_table(path, map={"latency_ms": "latency_s * 1000"}, where=wanted, chunk_rows=10_000)
    np.testing.assert_array_equal(np.concatenate([piece["latency_ms"] for piece in pieces]), latency)


def test_llmperf_requests(shared_data):
    frame = load(shared_data / "llmperf_requests.parquet", {"success": lambda f: f["error_code"].isna()})
    theirs = pd.read_parquet(shared_data / "llmperf_requests.parquet")
    assert frame["success"].dtype == "boolean"
    np.testing.assert_array_equal(frame["latency_s"], theirs["latency_s"])
    assert (frame["error_code"] == 429).sum() == 262
    assert json.loads((shared_data / "llmperf_published_summary.json").read_text(encoding="utf-8"))
