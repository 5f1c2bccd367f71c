"""Messages to the browser: a browser that only receives ends up with the kernel's state."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crucible_nb as cr
from crucible_nb.notebook import wire
from crucible_nb.notebook.messages import Composer
from crucible_nb.testing import ManualClock
from tests.conftest import missing
from tests.laws.test_resume import die
from tests.notebook.lab import ROOT
from tests.tiers import every_third

JS = ROOT / "crucible_nb" / "notebook" / "js"


class Listener:
    """The logic of `js/src/store.js` in a few lines: bins by number, numbers by name."""

    def __init__(self) -> None:
        self.n, self.bins, self.cards, self.incidents = 0, {}, {}, {}

    def take(self, message: Any, buffers: list[bytes]) -> None:
        assert len(json.dumps(message)) > 0
        if message["kind"] == "key":
            self.series, self.names, self.bins, self.incidents = message["series"], message["cards"], {}, {}
        assert message["kind"] == "key" or message["n"] == self.n + 1
        self.n = message["n"]
        for one in message.get("incidents", []):
            self.incidents[one["id"]] = one
        arm, data = message["arms"][0], buffers[0]
        head = 8 * len(self.names)
        self.cards = dict(zip(self.names, np.frombuffer(data[:head], "<f8").tolist(), strict=True))
        rows = np.frombuffer(data[head:], "<f4").reshape(-1, len(self.series))
        self.bins |= {arm["first"] + i: row for i, row in enumerate(rows)}
        self.bins = {number: row for number, row in self.bins.items() if number >= arm["base"]}


@pytest.mark.parametrize("window", every_third(wire.WINDOWS))
def test_ticks_add_up_to_a_keyframe(
    window: str, clock: ManualClock, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crucible_nb.notebook.messages.CARD_INTERVAL", 0.0)
    exp = cr.start("wire", clock=clock, anomaly="z_score")
    composer, listener = Composer([exp], 0.5), Listener()
    composer.window = window
    composer.update()
    listener.take(*composer.keyframe())
    kinds, sizes = [], []
    for i in range(400):
        for _ in range(rng.integers(0, 9)):
            slow = 40 if i == 300 else 1
            exp.record(
                "call",
                latency_ms=rng.normal(100, 5) * slow,
                success=bool(rng.random() < 0.9),
                cost_usd=1e-3,
                loss=rng.random(),
            )
            clock.tick(0.01)
        clock.tick(0.5)
        composer.update()
        message, buffers = composer.tick()
        listener.take(message, buffers)
        kinds.append(message["kind"])
        sizes.append(len(json.dumps(message)) + len(buffers[0]))
    fresh = Listener()
    fresh.take(*composer.keyframe())
    assert kinds.count("key") < 20
    assert max(size for size, kind in zip(sizes, kinds, strict=True) if kind == "tick") < 1200
    assert set(listener.bins) >= set(fresh.bins)
    for number, row in fresh.bins.items():
        np.testing.assert_array_equal(listener.bins[number], row)
    slow_ones = ("success_low", "success_high")  # only a keyframe asks for them anew
    assert listener.cards == pytest.approx(
        fresh.cards | {name: listener.cards[name] for name in slow_ones}, nan_ok=True
    )
    assert listener.incidents == fresh.incidents
    assert len(fresh.incidents) == len(exp.anomalies()) > 0


def test_cards_are_the_metrics(clock: ManualClock) -> None:
    exp = cr.start("cards", clock=clock, sample_size=40)
    for i in range(20):
        exp.record("call", latency_ms=float(i), success=i > 1, cost_usd=0.5, prompt_tokens=1, completion_tokens=2)
        clock.tick(1)
    exp.pause()
    clock.tick(10)
    composer, listener = Composer([exp], 0.5), Listener()
    composer.update()
    listener.take(*composer.keyframe())
    cards, metrics = listener.cards, exp.metrics(last="5min")
    assert tuple(cards) == wire.CARDS
    assert (cards["total"], cards["progress"], cards["paused"], cards["active"]) == (20, 0.5, 10, 20)
    assert cards["p95"] == metrics.latency.p95
    assert cards["cost_per_hour"] == metrics.summary.cost_per_hour == 1800
    assert (cards["success_rate"], cards["tokens"]) == (0.9, 60)
    assert cards["success_low"] < 0.9 < cards["success_high"]


def test_rates_leave_paused_time_out(clock: ManualClock) -> None:
    exp = cr.start("paused", clock=clock)
    for second in range(30):
        if second == 10:
            exp.pause()
        if second == 20:
            exp.resume()
        for _ in range(5):
            exp.record("call")
            clock.tick(0.2)
    composer, listener = Composer([exp], 0.5), Listener()
    composer.update()
    message, buffers = composer.keyframe()
    listener.take(message, buffers)
    rates = [row[listener.series.index("rate")] for _, row in sorted(listener.bins.items())]
    known = np.array(rates)[~np.isnan(rates)]
    assert len(message["pauses"]) == 1
    assert np.isnan(rates).sum() >= 9
    assert known == pytest.approx(np.full(len(known), 5.0), rel=0.25)


def test_events_before_a_crash_are_drawn_and_time_without_a_process_does_not_count(
    clock: ManualClock, tmp_path: Path
) -> None:
    exp = cr.start("crashed", store=tmp_path, clock=clock, anomaly="z_score")
    for i in range(80):
        exp.record("call", latency_ms=100.0 + i % 3 + 900 * (i == 70))
        clock.tick(0.25)
    die(exp)
    clock.tick(10)
    again = cr.attach("crashed", store=tmp_path, clock=clock)
    for _ in range(20):
        again.record("call", latency_ms=100.0)
        clock.tick(0.25)
    composer = Composer([again], 0.5)
    composer.update()
    (message, buffers), listener = composer.keyframe(), Listener()
    listener.take(message, buffers)
    cards = listener.cards
    assert (cards["total"], cards["wall"], cards["active"], cards["paused"]) == (100, 35, 24.75, 10.25)
    assert [end - start for start, end in message["pauses"]] == pytest.approx([10_250])
    assert len(message["incidents"]) == 1
    assert message["titles"][0]["read"] is False
    looking = Composer([cr.attach("crashed", store=tmp_path, mode="read")], 0.5)
    looking.update()
    seen, others = looking.keyframe()
    listener.take(seen, others)
    assert listener.cards["total"] == 100
    assert [seen[name] for name in ("pauses", "incidents")] == [message[name] for name in ("pauses", "incidents")]
    assert seen["titles"][0]["read"] is True
    assert not looking.all_ended
    die(again)
    looking.update()
    seen, others = looking.keyframe()
    listener.take(seen, others)
    assert (looking.all_ended, looking.any_dead, seen["status"]) == (True, True, ["dead"])
    assert (listener.cards["wall"], listener.cards["active"]) == (34.75, 24.5)  # it ends with its last event


def test_a_sample_is_drawn_by_its_weights(clock: ManualClock) -> None:
    exp = cr.start("sampled", clock=clock, sampling="uniform", sampling_config={"rate": 0.25}, seed=1)
    composer, listener = Composer([exp], 0.5), Listener()
    for _ in range(40):
        for _ in range(100):
            exp.record("call", latency_ms=5.0)
        clock.tick(1)
        composer.update()
    message, buffers = composer.keyframe()
    listener.take(message, buffers)
    rates = np.array([row[listener.series.index("rate")] for row in listener.bins.values()])
    assert message["estimated"]
    assert np.nanmean(rates) == pytest.approx(100, rel=0.1)
    assert listener.cards["events"] == 4000


def test_events_that_come_late_are_drawn(clock: ManualClock) -> None:
    exp = cr.start("late", clock="events")
    composer = Composer([exp], 0.5)
    for second in (10, 12, 11, 30, 5):
        exp.record("call", latency_ms=1.0, time=second * 10**9)
        composer.update()
    composer.keyframe()
    state = composer.states[0]
    assert state.bins["all"].weight(0).sum() == 5
    assert state.bins["second"].weight(0).sum() == 5


def test_much_at_once_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.setattr("crucible_nb.notebook.page_state._CHUNK_ROWS", 100)
    exp = cr.start("much")
    exp.extend(pd.DataFrame({"latency_ms": np.arange(1050.0)}))
    composer = Composer([exp], 0.5)
    looks = 0
    while True:
        composer.update()
        looks += 1
        if not composer.has_backlog:
            break
    assert looks == 11
    composer.keyframe()
    assert composer.states[0].bins["all"].weight(0).sum() == 1050


def test_invalid_browser_messages_are_ignored() -> None:
    assert wire.parse_browser_message({"kind": "window", "window": "1h"})["window"] == "1h"
    assert "window" not in wire.parse_browser_message({"kind": "window", "window": "2h"})
    assert wire.parse_browser_message({"kind": "pick", "columns": [str(i) for i in range(30)]})["columns"] == [
        str(i) for i in range(24)
    ]
    assert "columns" not in wire.parse_browser_message({"kind": "pick", "columns": [1]})
    assert wire.parse_browser_message({"kind": "do", "verb": "archive"}).get("verb") is None
    for nonsense in (None, 3, [], {"kind": "boom"}, {}):
        assert wire.parse_browser_message(nonsense) == {}


def test_the_browser_reads_the_version_that_is_written() -> None:
    found = re.search(r"VERSION = (\d+)", (JS / "src" / "wire.js").read_text(encoding="utf-8"))
    assert found is not None
    assert int(found.group(1)) == wire.VERSION
    source = "".join((JS / "src" / name).read_text(encoding="utf-8") for name in ("cards.js", "header.js"))
    read = set(re.findall(r"\b(?:c|cards)\.([a-z_0-9]+)\b(?!\()", source)) - {"length"}
    assert read >= {"events", "p99", "success_low", "wall"}
    assert read <= set(wire.CARDS)


def test_the_bundle_is_built_from_these_sources(tmp_path: Any) -> None:
    node = shutil.which("node")
    if node is None or not (JS / "node_modules" / "esbuild").is_dir():
        missing("the tools of the bundle (npm ci in crucible_nb/notebook/js)")
    subprocess.run([node, "build.js", str(tmp_path)], cwd=JS, check=True, capture_output=True)
    for name in ("dashboard.js", "dashboard.css", "loader.js", "runs.js", "runs.css"):
        assert (tmp_path / name).read_bytes() == (JS.parent / "static" / name).read_bytes(), (
            f"npm run build: {name} is old"
        )


def test_the_store_in_the_browser_heals() -> None:
    node = shutil.which("node")
    if node is None:
        missing("node")
    done = subprocess.run([node, "--test", "test/"], cwd=JS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
