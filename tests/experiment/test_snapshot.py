"""Snapshots for the dashboard: the numbers of `metrics()`, each event once, of all writers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.experiment.experiment import snapshot_of
from crucible_nb.metrics import LiveState, Metrics, MetricsStage
from crucible_nb.metrics.stage import BLOCK
from crucible_nb.notebook.messages import Composer
from crucible_nb.notebook.page_state import PageState
from tests.conftest import NOON, SECOND


def numbers(metrics: Metrics) -> list[float]:
    latency, cost, known, rates = metrics.latency, metrics.cost, metrics.reliability, metrics.summary
    return [
        metrics.events, latency.count, latency.mean, latency.std, latency.min, latency.max, latency.p50, latency.p99,
        cost.total, known.successful, known.failed, metrics.tokens.total, rates.active_seconds, rates.cost_per_hour,
    ]  # fmt: skip


def table(rng: np.random.Generator, start: int, n: int) -> pd.DataFrame:
    columns = {
        "latency_ms": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(6, 1, n)),
        "cost_usd": rng.random(n),
        "success": rng.random(n) < 0.9,
        "prompt_tokens": rng.integers(1, 900, n),
        "model": rng.choice(["a", "b"], n),
    }
    return pd.DataFrame(columns, index=pd.to_datetime(NOON + (start + np.arange(n)) * SECOND // 50, utc=True))


@pytest.mark.parametrize("span", [None, 60 * SECOND, 300 * SECOND, 77 * SECOND])
def test_it_says_what_metrics_say_whenever_somebody_looks(rng: np.random.Generator, span: int | None) -> None:
    exp, seen = cr.start("looked at", clock="events"), 0
    sizes = [1, 0, 500, 7, BLOCK - 600, 3, 200, 2 * BLOCK + 5, BLOCK, 40, 0, 900]
    for size in sizes:
        exp.extend(table(rng, seen, size))
        seen += size
        glance = snapshot_of(exp, {}, 0, span)
        last = None if span is None else pd.Timedelta(span, unit="ns")
        assert glance.window is not None
        assert glance.total is not None
        np.testing.assert_allclose(numbers(glance.window), numbers(exp.metrics(last=last)), rtol=1e-9)
        np.testing.assert_allclose(numbers(glance.total), numbers(exp.metrics()), rtol=1e-9)
    exp.stop()


def test_what_was_looked_at_does_not_move(rng: np.random.Generator) -> None:
    exp = cr.start("looked at", clock="events")
    exp.extend(table(rng, 0, 300))
    first = snapshot_of(exp, {}, 0)
    exp.extend(table(rng, 300, 300))
    snapshot_of(exp, {}, 0)
    assert first.total is not None
    assert first.total.events == 300
    exp.stop()


def test_each_event_is_folded_once(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    exp, folded, add = cr.start("looked at"), [], LiveState.add
    monkeypatch.setattr(
        LiveState, "add", lambda live, block, latest: (folded.append(block.size), add(live, block, latest))
    )
    for i in range(20):
        exp.extend(table(rng, 100 * i, 100))
        snapshot_of(exp, {}, 0)
    assert sum(folded) == 2000
    exp.stop()


def test_after_another_price_table_it_begins_anew() -> None:
    exp = cr.start("priced")
    exp.record("llm.request", model="gpt-4o", prompt_tokens=1_000_000, completion_tokens=0)
    before = snapshot_of(exp, {}, 0).total.cost.total
    exp.reprice({"gpt-4o": {"input": 7.0, "output": 1.0}})
    assert before != snapshot_of(exp, {}, 0).total.cost.total == exp.metrics().cost.total
    exp.stop()


def test_one_look_folds_what_is_staged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    exp, add = cr.start("looked at", anomaly="auto"), MetricsStage.add
    folds = []

    def recorded_meanwhile(measure: MetricsStage, batch: Any, latest: int | None = None) -> None:
        folds.append(len(batch))
        add(measure, batch, latest)
        exp.record("call", latency_ms=1.0)  # as the watched cell does

    monkeypatch.setattr(MetricsStage, "add", recorded_meanwhile)
    exp.record("call", latency_ms=1.0)
    state = PageState(exp)
    state.update()
    assert folds == [1, 1]
    exp.stop()


def test_workers_are_in_the_charts_and_among_the_anomalies(tmp_path: Path) -> None:
    exp = cr.start("pool", store=tmp_path, anomaly=cr.anomaly.ZScore(cooldown=10), clock="events")
    workers = [cr.attach(exp.handle, mode="join", clock="events") for _ in range(2)]
    state = PageState(exp)
    for i in range(200):
        time = NOON + i * SECOND // 10
        for who, one in enumerate((exp, *workers)):
            one.record("call", latency_ms=(5000.0 if i == 150 + who else 100.0 + i % 3), success=True, time=time)
        if i in (0, 70):
            state.update()
    state.update()
    assert state.bins["all"].weight(0).sum() == 600
    found = exp.anomalies()
    assert found["writer"].tolist() == [0, 1, 2]
    assert found["start"].is_monotonic_increasing
    assert [one.reason for _, one in state.incidents] == found["reason"].tolist()
    assert exp.anomaly_metrics()["total_anomalies"] == 3
    assert exp.anomaly_metrics()["anomaly_rate"] == 3 / 600
    ids = {one.start: number for number, one in state.incidents}
    workers[0].record("call", latency_ms=1e6, time=NOON + 10_000 * SECOND)
    state.update()
    again = {one.start: number for number, one in state.incidents}
    assert sorted(again.values()) == [1, 2, 3, 4]
    assert again.items() > ids.items()  # a marker keeps its number
    for one in (*workers, exp):
        one.stop()


def test_news_of_one_writer_are_not_crowded_out_by_another(tmp_path: Path) -> None:
    detector = cr.anomaly.ZScore(cooldown=1)
    exp = cr.start("pool", store=tmp_path, anomaly=detector, clock="events")
    worker = cr.attach(exp.handle, mode="join")
    for i in range(400):
        odd = i >= 100 and i % 6 == 0
        worker.record("call", latency_ms=10.0 ** (3 + i / 50) if odd else 100.0 + i % 3, time=NOON + i * SECOND)
        exp.record("call", latency_ms=100.0 + i % 3, time=NOON + i * SECOND)
    composer = Composer([exp], 0.5)
    composer.update()
    assert len(composer.keyframe()[0]["incidents"]) == 40 < len(exp.anomalies())
    exp.record("call", latency_ms=5000.0, time=NOON + 400 * SECOND)
    composer.update()
    message = composer.tick()[0]
    assert [one["end"] for one in message["incidents"]] == [(NOON + 400 * SECOND) / 1e6]
    for one in (worker, exp):
        one.stop()
