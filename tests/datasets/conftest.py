"""Rows that try every kind of value, and files of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    """Events with gaps, negatives, giants, zeros, and a column of one's own; times are different and unsorted."""
    rng = np.random.default_rng(seed)
    latency = rng.lognormal(3, 2, n) * rng.choice([1.0, 1.0, 1.0, 1e9, 1e-9], n)
    latency[rng.random(n) < 0.05] = np.nan
    cost = rng.normal(0, 1, n)
    cost[rng.random(n) < 0.1] = 0.0
    success = pd.array(rng.random(n) < 0.9, dtype="boolean")
    success[rng.random(n) < 0.05] = pd.NA
    times = pd.Timestamp("2025-01-01", tz="UTC").value + rng.permutation(n) * 977_000_001
    return pd.DataFrame(
        {
            "time": pd.DatetimeIndex(times, tz="UTC"),
            "seq": rng.permutation(n),
            "model": pd.array(rng.choice(["a", "b", "c", None], n, p=[0.5, 0.3, 0.15, 0.05]), dtype="str"),
            "latency_ms": latency,
            "cost_usd": cost,
            "success": success,
            "prompt_tokens": pd.array(rng.integers(0, 5000, n), dtype="Int64"),
            "completion_tokens": pd.array(rng.integers(0, 500, n), dtype="Int64"),
            "loss": rng.normal(0, 1e6, n),
            "step": np.arange(n),
        }
    )


def write(folder: Path, frame: pd.DataFrame, cuts: Sequence[int], **options: Any) -> Path:
    """Write a frame as Parquet files that begin at `cuts`."""
    folder.mkdir(parents=True, exist_ok=True)
    edges = [0, *cuts, len(frame)]
    for number, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        frame.iloc[start:stop].to_parquet(folder / f"part-{number:04d}.parquet", index=False, **options)
    return folder


def said(metrics: Any) -> dict[str, str]:
    """All numbers of metrics as text, exactly, by group."""
    found = metrics.to_dict()
    groups = found.pop("groups", {})
    return {"": repr(found), **{key: repr(groups[key]) for key in sorted(groups)}}
