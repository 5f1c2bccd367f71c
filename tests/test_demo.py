"""`cr.demo()`: real work, a story that ends well, nothing left behind."""

from __future__ import annotations

import html
import io
import threading
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.demos import first_look
from crucible_nb.demos.first_look import Demo
from crucible_nb.utils import ui


@pytest.fixture(scope="module")
def told() -> tuple[Demo, str, set[threading.Thread]]:
    before, out = set(threading.enumerate()), io.StringIO()
    found = cr.demo(seconds=1.0, stream=out)
    return found, out.getvalue(), set(threading.enumerate()) - before


def test_the_story_is_told_once_and_in_order(told: Any) -> None:
    found, text, _ = told
    assert text == found.text
    places = [text.index(part) for part in ("Two ways", "Is B better", "Is C better", "are held up", "Ended:")]
    assert places == sorted(places)
    assert "nothing was written to disk" in text


def test_two_ways_differ_and_the_same_code_does_not(told: Any) -> None:
    found, _, _ = told
    better, same = (found.comparisons[arm]["mean_cpu_ms"] for arm in ("B", "C"))
    assert better.test == "paired t-test"
    assert better.verdict == "better"
    assert better.n[0] == better.n[1] >= 300
    assert better.confidence == pytest.approx(0.999)
    assert same.verdict in ("inconclusive", "leaning", "better", "worse")  # once in a thousand runs decided
    assert f"Is C better than A? {same.verdict}" in found.text


def test_the_pauses_are_in_the_rows_and_noticed(told: Any) -> None:
    found, text, _ = told
    rows = found.experiments["A"].df
    held_up = rows[rows.sample_id.str.startswith("list--")]
    assert len(held_up) == 5
    assert (held_up.latency_ms >= 60).all()
    assert (held_up.cpu_ms < 60).all()
    assert int(held_up.seq.iloc[0]) >= 300
    incidents = found.experiments["A"].anomalies()
    assert ((incidents.first_seq <= held_up.seq.iloc[-1]) & (incidents.last_seq >= held_up.seq.iloc[0])).any()
    assert "Noticed: " in text


def test_nothing_is_left(told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, threads = told
    assert {exp.status for exp in found.experiments.values()} == {"stopped"}
    assert [thread for thread in threads if thread.is_alive() and not thread.daemon] == []
    assert "crucible-demo" not in {thread.name for thread in threading.enumerate()}
    assert cr.current() is None
    assert not {"A: np.sort", "B: np.partition"} & set(cr.experiments().get("name", []))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRUCIBLE_DIR", str(tmp_path / "runs"))
    Demo(lambda _: None).experiments["A"].stop()
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_stopped_at_once() -> None:
    found = Demo(lambda _: None)
    found.stop()
    found.run(1000.0)
    assert found.wait(0)
    assert found.comparisons == {}
    assert {exp.status for exp in found.experiments.values()} == {"stopped"}
    assert repr(found) == "<Demo ended>"


def test_in_a_notebook_it_works_in_a_thread_below_the_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(first_look, "has_widgets", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert not ui.has_widgets()  # so that the dashboard is a line
    monkeypatch.setattr(first_look, "_MIN_ITEMS", 4)
    found = cr.demo(seconds=1.0)
    assert found.wait(60)
    [story] = shown
    assert story.value == f"<pre>{html.escape(found.text)}</pre>"


def test_too_short() -> None:
    with pytest.raises(cr.ConfigError, match="seconds=0"):
        cr.demo(seconds=0)
