"""The replay law: the same events in the same order give the same bits, however they were cut or looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.metrics import stage
from crucible_nb.testing import ManualClock
from tests.conftest import NOON, SECOND
from tests.tiers import seeds

pytestmark = [
    pytest.mark.untraced,  # a law over many examples; to trace each line of them takes twice as long
    pytest.mark.seeded,
]

BLOCK = 1024  # smaller than in earnest, so that a short stream crosses several
EVENTS = 4 * BLOCK + 700
SAMPLERS: dict[str, dict[str, Any]] = {
    "uniform": {"rate": 0.2},
    "reservoir": {"size": 300},
    "stratified": {"rates": {False: 1.0}, "default": 0.1},
    "adaptive": {"base_rate": 0.1, "min_samples": 200},
    "importance": {"size": 200, "by": "latency_ms"},
}
PAUSES = {1100: "pause", 1300: "resume", 4 * BLOCK - 3: "pause", 4 * BLOCK + 2: "resume"}


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "BLOCK", BLOCK)
        yield


def stream(seed: int = 0) -> list[tuple[int, str, dict[str, Any]]]:
    """Events of several kinds: gaps, late ones, a clock that falls back, every dtype, values that do not fit."""
    rng = np.random.default_rng(seed)
    times = NOON + np.cumsum(rng.integers(1, SECOND, EVENTS))
    times[2000:] -= 3600 * SECOND
    latency = rng.lognormal(6, 1, EVENTS).round(3)
    events = []
    for i in range(EVENTS):
        fields: dict[str, Any] = {"latency_ms": float(latency[i])}
        if i % 3:
            fields |= {"model": f"model-{i % 7}", "prompt_tokens": int(latency[i]), "completion_tokens": i % 50}
        if i % 5 == 0:
            fields |= {"success": bool(i % 4), "cost_usd": float(latency[i]) / 1e5, "sample_id": f"item {i % 100}"}
        if i % 11 == 0:
            fields |= {"score": 1 if i < 3000 else 0.5, "train/loss": float(latency[i]), "note": "a" * (i % 4)}
        if i % 97 == 0:
            fields |= {"time": int(times[i]) - int(rng.integers(0, 10**12)), "latency_ms": "slow", "tags": ["x", i]}
        events.append((int(times[i]), "llm.request" if i % 2 else f"step-{i % 5}", fields))
    return events


def look(exp: cr.Experiment) -> str:
    """All numbers of an experiment as text; JSON writes floats so that no bit is lost."""
    views = [exp.metrics(), exp.metrics(by="event"), exp.metrics(by="model"), exp.metrics(by="note")]
    views += [exp.metrics(last=last) for last in ("1min", "5min", "1h", "7min")]
    summary = {key: value for key, value in exp.summary().items() if key not in ("status", "store")}
    return json.dumps([view.to_dict() for view in views] + [summary], default=str)


@pytest.fixture(scope="module")
def original() -> tuple[pd.DataFrame, str]:
    """The stream, recorded without a look before the end."""
    exp = run(stream(), cuts=set())
    return exp.frame(), look(exp)


def run(
    events: list[tuple[int, str, dict[str, Any]]],
    cuts: set[int],
    kinds: np.ndarray | None = None,
    sampling: str | None = None,
    detectors: list[cr.anomaly.Detector] | None = None,
) -> cr.Experiment:
    clock = ManualClock(events[0][0])
    config = SAMPLERS[sampling] if sampling else None
    exp = cr.start(
        "law", clock=clock, by=("note",), sampling=sampling, sampling_config=config, seed=7, anomaly=detectors
    )
    looks = (exp.metrics, exp.frame, exp.summary, lambda: exp.metrics(last="5min"), lambda: exp.metrics(by="model"))
    for i, (time, event, fields) in enumerate(events):
        clock.now = time
        if i in PAUSES:
            getattr(exp, PAUSES[i])()
        exp.record(event, **fields)
        if i in cuts:
            looks[0 if kinds is None else kinds[i] % len(looks)]()
    exp.stop()
    return exp


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize("part", [*range(4), *(pytest.param(part, marks=pytest.mark.check) for part in range(4, 10))])
def test_a_thousand_cuts_and_looks_change_no_bit(original: tuple[pd.DataFrame, str], part: int) -> None:
    frame, numbers = original
    events = stream()
    for seed in seeds(100, first=100 * part):
        rng = np.random.default_rng(seed)
        cuts = set(rng.choice(EVENTS, rng.integers(1, 12), replace=False).tolist())
        exp = run(events, cuts, rng.integers(0, 5, EVENTS))
        got = exp.frame()
        assert got.equals(frame)
        assert [str(dtype) for dtype in got.dtypes] == [str(dtype) for dtype in frame.dtypes]
        for column in ("event", "model"):
            assert got[column].cat.categories.tolist() == frame[column].cat.categories.tolist()
        assert look(exp) == numbers


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize("sampling", SAMPLERS)
def test_cuts_and_looks_change_no_bit_of_a_sample(original: tuple[pd.DataFrame, str], sampling: str) -> None:
    events = stream()
    whole = run(events, set(), sampling=sampling)
    assert 100 < len(whole.frame()) < len(original[0]) / 2
    for seed in seeds(40):
        rng = np.random.default_rng(seed)
        cuts = set(rng.choice(EVENTS, rng.integers(1, 12), replace=False).tolist())
        exp = run(events, cuts, rng.integers(0, 5, EVENTS), sampling)
        pd.testing.assert_frame_equal(exp.frame(), whole.frame(), check_exact=True)
        assert look(exp) == look(whole)


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize("sampling", [None, "adaptive"])
def test_cuts_and_looks_change_no_verdict(sampling: str | None) -> None:
    events = stream()
    detectors: list[cr.anomaly.Detector] = [
        cr.anomaly.Auto(["latency_ms", "cost_usd"], by=["event"]),
        cr.anomaly.ZScore("latency_ms", 6.0, by=["model", "event"], learn="normal"),
        cr.anomaly.ModifiedZScore("prompt_tokens", 12.0, false_alarm_rate=0.01),
        cr.anomaly.CUSUM("latency_ms", 20.0),
        cr.anomaly.IsolationForest(["latency_ms", "prompt_tokens"], trees=10),
    ]
    whole = run(events, set(), sampling=sampling, detectors=detectors)
    assert whole.anomaly_metrics()["total_anomalies"] > 20
    assert whole.frame().anomaly.sum() > 20
    for seed in seeds(25):
        rng = np.random.default_rng(seed)
        cuts = set(rng.choice(EVENTS, rng.integers(1, 12), replace=False).tolist())
        exp = run(events, cuts, rng.integers(0, 5, EVENTS), sampling, detectors)
        pd.testing.assert_frame_equal(exp.frame(), whole.frame(), check_exact=True)
        pd.testing.assert_frame_equal(exp.anomalies(), whole.anomalies(), check_exact=True)
        assert exp.anomaly_metrics() == whole.anomaly_metrics()


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_nothing_is_recorded_while_paused(original: tuple[pd.DataFrame, str]) -> None:
    frame, _ = original
    assert len(frame) == EVENTS - 200 - 5


@pytest.mark.parametrize("part", range(4))
def test_extend_in_any_chunks_equals_record_row_by_row(part: int) -> None:
    for seed in seeds(5, first=5 * part):
        check_chunks(np.random.default_rng(seed))


def check_chunks(rng: np.random.Generator) -> None:
    rows = 9 * BLOCK + 77
    frame = pd.DataFrame(
        {
            "event": pd.Categorical(rng.choice(["a", "b"], rows)),
            "latency_ms": rng.lognormal(5, 1, rows),
            "success": rng.random(rows) < 0.9,
            "model": rng.choice(["m", "n", "o"], rows),
            "prompt_tokens": rng.integers(0, 1000, rows),
            "completion_tokens": rng.integers(0, 1000, rows),
            "temperature": rng.random(rows),
        },
        index=pd.DatetimeIndex(NOON + np.cumsum(rng.integers(0, SECOND, rows)), tz="UTC", name="time"),
    )
    one, many = (cr.start(name, clock="events") for name in ("one", "many"))
    for time, row in zip(frame.index, frame.to_dict("records"), strict=True):
        one.record(row.pop("event"), time=time, **row)
    edges = [0, *np.sort(rng.integers(0, rows, 5)), rows]
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        many.extend(frame.iloc[start:stop])
    pd.testing.assert_frame_equal(many.frame(), one.frame(), check_exact=True)
    assert look_at(many) == look_at(one)
    one.stop()
    many.stop()


def look_at(exp: cr.Experiment) -> str:
    views = [exp.metrics(), exp.metrics(by="event"), exp.metrics(by="model"), exp.metrics(last="5min")]
    return json.dumps([view.to_dict() for view in views])
