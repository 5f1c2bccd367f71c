"""An experiment with a bit of everything, and its files: they depend on nothing but the events."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import crucible_nb as cr
from tests.golden.states import events

START = 1_735_732_800_000_000_000


class Run(NamedTuple):
    """What an experiment left.

    Attributes:
        journal: Lines of its journal just before the stop, without the first one, which names process and experiment.
        state: The checkpoint of the stop, as JSON.
        metrics: Its metrics, as JSON.
        frame: Its kept rows.
    """

    journal: list[str]
    state: Any
    metrics: Any
    frame: pd.DataFrame


class Clock:
    """UTC nanoseconds, set by hand."""

    now = START

    def __call__(self) -> int:
        return self.now


def run(place: Path) -> Run:
    """Record it and stop. The metrics' block has to be 512 events: that of v0.1 is longer than all of this."""
    clock, frame = Clock(), events()
    exp = cr.start(
        "golden", store=place, clock=clock, seed=7, condition="treatment", by=("note",), windows=("1min", "1h"),
        anomaly=["z_score", "auto", "cusum"], anomaly_config={"cooldown": 300, "notify": "low"},  # as in v0.1
    )  # fmt: skip
    for i, row in enumerate(frame.iloc[:300].itertuples()):
        clock.now = START + i * 10**9
        fields = {"latency_ms": row.latency_ms, "cost_usd": row.cost_usd, "model": row.model, "note": f"n{i % 3}"}
        exp.record("call", **{name: value for name, value in fields.items() if value == value}, success=i % 7 > 0)
    exp.reprice({"large": {"input": 1.0, "output": 2.0}})
    exp.set_sampling("importance", {"size": 30, "by": "latency_ms"})
    exp.extend(frame.iloc[300:900])
    clock.now += 10**12
    exp.pause()
    clock.now += 10**10
    exp.resume()
    exp.extend([{"latency_ms": 9.5, "time": START}, {"metadata": {"a": 1}, "tags": ["x"]}], event="late")
    exp.set_sampling("adaptive", {"min_samples": 50})
    exp.record("odd", score=float("nan"), big=2**70, text="é", prompt_tokens=5, completion_tokens=6, model="gpt-4o")
    exp.plan("score", margin=0.1, sample_size=10)
    exp.extend(frame.iloc[900:])
    exp.metrics()
    exp.watch("mean_latency_ms > 1 over 1h")  # last: from here on a thread checks rules
    exp.budget(usd=5, action="alert")
    assert not exp.should_stop
    journal = [line for path in sorted(place.glob("*/*.jsonl")) for line in path.read_text().splitlines()[1:]]
    exp.stop()
    with zipfile.ZipFile(sorted(place.glob("*/*.state"))[-1]) as parts:
        state = json.loads(parts.read("state.json"))
    views = [exp.metrics(), exp.metrics(by="model"), exp.metrics(by="note"), exp.metrics(last="5min")]
    metrics = json.loads(json.dumps([view.to_dict() for view in views], default=str))
    return Run(journal, state, metrics, exp.frame())
