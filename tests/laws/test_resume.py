"""The law of resuming: an experiment that died and was taken over equals, bit for bit, one that did not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.experiment.live import LIVE
from crucible_nb.metrics import stage
from crucible_nb.store import writer
from crucible_nb.store.sync import SYNCER
from crucible_nb.testing import ManualClock
from tests.conftest import settle
from tests.laws.test_replay import BLOCK, EVENTS, PAUSES, SAMPLERS, look, stream
from tests.tiers import seeds

pytestmark = [
    pytest.mark.untraced,  # a law over many examples; to trace each line of them takes twice as long
    pytest.mark.seeded,
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
]
FRAMES = range(700, EVENTS, 900)  # where some rows come as a table


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "BLOCK", BLOCK)


def die(exp: cr.Experiment) -> None:
    """What is left of a process that was killed: its files as they are, its lock free."""
    writer = exp._log.writer
    assert writer is not None
    with exp._intake.lock:  # no thread of a dead process goes on: neither folds nor seals
        exp._intake._staged.clear()
        exp._intake._set_limit(0)
        exp._intake.running = False
        settle(exp)
        os.close(writer.journal.handle)
        writer.journal.handle, writer.journal.failure = None, "it is dead"
        writer.lock.release()
    SYNCER.remove(writer)
    LIVE._entries = [entry for entry in LIVE._entries if entry.get() is not exp]


def detectors() -> list[cr.anomaly.Detector]:
    return [
        cr.anomaly.Auto(["latency_ms", "cost_usd"], by=["event"]),
        cr.anomaly.ZScore("latency_ms", 6.0, by=["model", "event"], learn="normal"),
        cr.anomaly.ModifiedZScore("prompt_tokens", 12.0, false_alarm_rate=0.01),
        cr.anomaly.CUSUM("latency_ms", 20.0),
        cr.anomaly.IsolationForest(["latency_ms", "prompt_tokens"], trees=10),
    ]


def run(
    deaths: set[int],
    store: Path | None,
    looks: set[int] = frozenset(),
    sampling: str | None = None,
    anomaly: Any = None,
) -> cr.Experiment:
    events = stream()
    clock = ManualClock(events[0][0])
    config = SAMPLERS[sampling] if sampling else None
    exp = cr.start(
        "law",
        clock=clock,
        by=("note",),
        sampling=sampling,
        sampling_config=config,
        seed=7,
        anomaly=anomaly,
        store=store,
    )
    exp.watch("mean_latency_ms > 1 over 1min")
    for i, (moment, event, fields) in enumerate(events):
        clock.now = moment
        if i in PAUSES:
            getattr(exp, PAUSES[i])()
        if i in FRAMES:
            part = [
                (at, {"event": name, **{k: v for k, v in some.items() if k not in ("tags", "time")}})
                for at, name, some in events[i : i + 50]
            ]
            frame = pd.DataFrame([row for _, row in part], index=pd.DatetimeIndex([at for at, _ in part], tz="UTC"))
            exp.extend(frame.drop(columns="latency_ms").assign(latency_ms=np.arange(len(part)) + 0.5))
            exp.extend([dict(row) for _, row in part[:3]])
        if i == 1700:
            exp.slo("latency_ms < 2 and success", target=0.9)
        if i == 2500:
            exp.set_sampling("reservoir", {"size": 100})
        if i in (1000, 4000):
            exp.mark("half")
        if i == 3500 and sampling != "reservoir":
            exp.set_sampling(sampling, config)
        exp.record(event, **fields)
        if i in looks:
            exp.metrics(last="5min")
            exp.frame()
        if i in deaths:
            die(exp)
            exp = cr.attach("law", store=store, mode="resume", clock=clock)
    exp.stop()
    return exp


def same(one: cr.Experiment, two: cr.Experiment) -> None:
    pd.testing.assert_frame_equal(one.frame(), two.frame(), check_exact=True)
    assert [str(dtype) for dtype in one.frame().dtypes] == [str(dtype) for dtype in two.frame().dtypes]
    assert look(one) == look(two)
    pd.testing.assert_frame_equal(one.anomalies(), two.anomalies(), check_exact=True)
    assert one.anomaly_metrics() == two.anomaly_metrics()
    assert one._stream.lifecycle.changes == two._stream.lifecycle.changes
    assert one._stream.monitor.goals == two._stream.monitor.goals == [("latency_ms < 2 and success", 0.9)]
    assert one.marks == two.marks


@pytest.mark.parametrize("sampling", [None, *SAMPLERS])
@pytest.mark.parametrize("sealed", [False, True])
def test_dying_changes_no_bit(
    tmp_path: Path, sampling: str | None, sealed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 900 if sealed else 10**9)
    whole = run(set(), None, sampling=sampling)
    for seed in seeds(3):
        rng = np.random.default_rng(seed)
        deaths, looks = (set(rng.choice(EVENTS, size, replace=False).tolist()) for size in (4, 6))
        died = run(deaths, tmp_path / str(seed), looks, sampling)
        same(died, whole)
        same(cr.attach("law", store=tmp_path / str(seed), mode="read"), whole)


@pytest.mark.parametrize("sealed", [False, True])
def test_dying_changes_no_verdict(tmp_path: Path, sealed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEAL_EVENTS", 900 if sealed else 10**9)
    whole = run(set(), None, sampling="adaptive", anomaly=detectors())
    assert whole.anomaly_metrics()["total_anomalies"] > 20
    died = run({50, 1700, 2600, 4100}, tmp_path, {300, 2000}, "adaptive", detectors())
    same(died, whole)
