"""Files in, frames out: `cr.load` beside the readers of pandas and Arrow, in processor time of all threads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

import crucible_nb as cr
from benchmarks.frames import cpu
from benchmarks.timing import Row, ratio, rounds, table

TARGETS = {"csv": 440_000, "jsonl": 197_000, "parquet": 2_000_000}
"""Rows a second that each kind of file should reach."""


def trace(n: int) -> pd.DataFrame:
    """Seven columns, as a gateway logs them."""
    rng = np.random.default_rng(1)
    return pd.DataFrame({
        "time": pd.date_range("2025", periods=n, freq="10ms", tz="UTC"),
        "event": "llm.request",
        "model": rng.choice(["gpt-4o", "gpt-4o-mini", "claude-sonnet-4"], n),
        "latency_ms": rng.lognormal(5, 1, n).round(3),
        "prompt_tokens": rng.integers(1, 3000, n),
        "cost_usd": rng.lognormal(-8, 1, n).round(8),
        "success": rng.random(n) < 0.9,
    })  # fmt: skip


def written(folder: Path, n: int) -> dict[str, Path]:
    """Write the trace as files that others have: no header of ours."""
    paths = {kind: folder / f"trace.{kind}" for kind in ("csv", "jsonl", "parquet")}
    frame = trace(n)
    frame.to_parquet(paths["parquet"])
    few = frame.iloc[: n // 5].assign(time=frame["time"].iloc[: n // 5].map(pd.Timestamp.isoformat))
    few.to_csv(paths["csv"], index=False)
    few.to_json(paths["jsonl"], orient="records", lines=True)
    return paths


READERS: dict[str, dict[str, Callable[[Path], object]]] = {
    "csv": {"pandas": lambda path: pd.read_csv(path, parse_dates=["time"]), "Arrow": pyarrow.csv.read_csv},
    "jsonl": {"pandas": lambda path: pd.read_json(path, lines=True), "Arrow": pyarrow.json.read_json},
    "parquet": {"pandas": pd.read_parquet, "Arrow": pyarrow.parquet.read_table},
}


def main(*, quick: bool = False) -> str:
    """Return the table."""
    n = 200_000 if quick else 1_000_000
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in written(Path(folder), n).items():
            count = n if kind == "parquet" else n // 5
            readers = {"cr.load": cr.load, **READERS[kind]}
            cases = {name: lambda read=read, path=path: cpu(lambda: read(path)) for name, read in readers.items()}
            times = rounds(cases, 3 if quick else 7)
            per_second = count / median(times["cr.load"])
            met, target = per_second >= TARGETS[kind], f"≥ {TARGETS[kind]:,}"
            rows.append(
                Row(f"`cr.load`, {kind}, {count:,} rows of 7 columns", f"{per_second:,.0f} rows/s", target, met)
            )
            for name in READERS[kind]:
                rows.append(Row(f"… times {name}", f"{ratio(times, 'cr.load', name):.2f}x", "", True))
    return table("Reading files", rows)
