"""Environment variables that decide what is kept, and that nothing is asked of the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import crucible_nb as cr


def test_crucible_dir_is_the_store_of_experiments_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRUCIBLE_DIR", str(tmp_path / "runs"))
    with cr.start("kept") as exp:
        exp.record("tick")
    assert Path(exp.handle).parent == tmp_path / "runs"
    assert len(cr.attach("kept").df) == len(cr.attach(exp.handle).df) == 1
    with cr.start("elsewhere", store=tmp_path / "other") as other:
        pass
    assert Path(other.handle).parent == tmp_path / "other"
    monkeypatch.setenv("CRUCIBLE_DIR", "")
    with cr.start("in memory") as exp, pytest.raises(cr.StoreError, match="in memory only"):
        _ = exp.handle


def test_disabled_experiments_keep_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRUCIBLE_MODE", "disabled")
    with cr.start("off", store=tmp_path / "runs", anomaly="auto", sampling="reservoir") as exp:
        assert exp.record("tick", latency_ms=1.0) is False
        assert exp.extend([{"event": "tick"}]) == 0
        with exp.span("work"):
            pass
        assert exp.track("call")(lambda x: x + 1)(1) == 2
        exp.pause()
        exp.resume()
        exp.watch("error_rate > 0.1 over 5min", action="stop")
        assert cr.record("tick") is False
        assert exp.should_stop is False
    assert (exp.status, len(exp.df), exp.metrics().events, exp.summary()["errors"]) == ("stopped", 0, 0, 0)
    assert list(tmp_path.iterdir()) == []


OFFLINE = """
import sys
asked = []
sys.addaudithook(lambda event, _: asked.append(event) if event in (
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname") else None)
import crucible_nb as cr
with cr.start("offline", store=sys.argv[1], anomaly="auto") as exp:
    with exp.span("llm.request", model="gpt-4o", prompt_tokens=10, completion_tokens=5):
        pass
    exp.extend([{"event": "llm.request", "model": "unknown-model", "prompt_tokens": 1, "completion_tokens": 1}] * 50)
    for name in ("openai", "anthropic"):
        try:
            getattr(cr.capture, name)().undo()
        except cr.ConfigError:
            pass
    try:
        cr.capture.otel(exp).undo()
    except cr.ConfigError:
        pass
    exp.metrics(), exp.summary(), exp.windowed_metrics("1min")
    exp.export(sys.argv[1] + "/run.csv")
cr.compare(exp, exp, metrics=["latency_ms"])
cr.attach("offline", store=sys.argv[1], mode="read").df
print(asked)
"""


@pytest.mark.check
def test_nothing_is_asked_of_the_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OFFLINE, str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"
