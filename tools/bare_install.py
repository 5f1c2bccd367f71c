"""The core install alone: what works without any extra, and what says which extra it needs."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import crucible_nb as cr

for extra in ("numba", "sklearn", "pytest", "hypothesis", "IPython", "plotly", "scipy", "statsmodels"):
    assert extra not in sys.modules

folder = Path(tempfile.mkdtemp())
times = pd.date_range("2025-01-01", periods=5000, freq="s", tz="UTC")
frame = pd.DataFrame({"latency_ms": np.arange(5000.0), "event": "llm.request", "model": "gpt-4o"}, index=times)
with cr.start("bare", clock="events") as exp:
    assert exp.extend(frame) == 5000
assert exp.metrics(by="model")["gpt-4o"].latency.max == 4999.0
windows = exp.windowed_metrics("5min", step="1min")
assert windows.p50_latency_ms.iloc[0] == 149.5
for name in ("run.parquet", "run.csv", "run.jsonl"):
    pd.testing.assert_frame_equal(cr.load(exp.export(folder / name)), exp.frame())
done = subprocess.run(
    [sys.executable, "-m", "crucible_nb", "replay", str(folder / "run.parquet")],
    capture_output=True,
    text=True,
    check=True,
)
assert "5,000" in done.stdout, done.stdout
done = subprocess.run(
    [sys.executable, "-m", "crucible_nb", "demo", "--seconds", "1"], capture_output=True, text=True, check=True
)
assert "Is B better than A? better" in done.stdout, done.stdout
assert exp.report(folder / "run.html").stat().st_size < 100_000
done = subprocess.run(
    [sys.executable, "-m", "crucible_nb", "demo", "--digits"], capture_output=True, text=True, check=False
)
assert done.returncode == 2, done
assert "pip install 'crucible_nb[anomaly]'" in done.stderr, done.stderr
print("bare install: 1 passed, 0 failed")
