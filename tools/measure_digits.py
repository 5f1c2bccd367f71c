"""The measurements behind the tutorials: `python tools/measure_digits.py`, about two minutes, needs scikit-learn.

Two classifiers of scikit-learn's digits answer one image a call; requests come at random (Poisson). Two things go
wrong on purpose, and the column `what` says when: the camera inverts its images, and a neighbour wants the processor.
What was measured once is kept in `notebooks/data/digits_calls.parquet`, so that the tutorials say the same everywhere.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

OUT = Path(__file__).resolve().parents[1] / "notebooks" / "data" / "digits_calls.parquet"
CALLS = 16_000
INVERTED, BUSY = range(6_000, 6_150), range(11_000, 11_200)
MEAN_PAUSE = 0.006  # seconds between two requests


def neighbour(stop: threading.Event) -> None:
    """Somebody else's Python, in the same process."""
    while not stop.is_set():
        sum(i * i for i in range(1000))


def serve(models: dict[str, Any], x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """Ask for `CALLS` predictions, one at a time."""
    rng = np.random.default_rng(0)
    names = rng.choice(list(models), CALLS)
    items = rng.integers(len(y), size=CALLS)
    pauses = rng.exponential(MEAN_PAUSE, CALLS)
    rows, stop = [], threading.Event()
    for i in range(CALLS):
        time.sleep(pauses[i])
        if i == BUSY.start:
            threading.Thread(target=neighbour, args=(stop,), daemon=True).start()
        if i == BUSY.stop:
            stop.set()
        image = x[items[i] : items[i] + 1]
        image = 1 - image if i in INVERTED else image
        begin = time.perf_counter_ns()
        answer = models[names[i]].predict(image)[0]
        latency = time.perf_counter_ns() - begin
        what = "inverted images" if i in INVERTED else "busy neighbour" if i in BUSY else ""
        rows.append(
            (time.time_ns(), names[i], f"digit-{items[i]}", round(latency / 1e6, 3), answer == y[items[i]], what)
        )
    columns = ["time", "model", "sample_id", "latency_ms", "success", "what"]
    return pd.DataFrame(rows, columns=columns).astype({"model": "category", "what": "category"})


def main() -> None:
    """Train, serve, write."""
    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(digits.data / 16, digits.target, test_size=0.4, random_state=0)
    models = {
        "logistic": SGDClassifier(loss="log_loss", random_state=0).fit(train_x, train_y),
        "neighbours": KNeighborsClassifier(5, algorithm="ball_tree").fit(train_x, train_y),
    }
    for model in models.values():
        for _ in range(200):  # warm
            model.predict(test_x[:1])
    calls = serve(models, test_x, test_y)
    calls["time"] += pd.Timestamp("2025-01-01 09:00", tz="UTC").value - calls["time"].iloc[0]  # a round beginning
    calls["time"] = pd.to_datetime(calls["time"] // 1000 * 1000, utc=True)
    OUT.parent.mkdir(exist_ok=True)
    calls.set_index("time").to_parquet(OUT, compression="zstd")
    print(
        calls.groupby(["what", "model"], observed=True).agg(
            {"latency_ms": ["count", "median", "max"], "success": "mean"}
        )
    )
    print(f"{OUT.stat().st_size / 1024:.0f} kB, {(calls.time.iloc[-1] - calls.time.iloc[0]).total_seconds():.0f} s")


if __name__ == "__main__":
    main()
