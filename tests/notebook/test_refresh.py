"""The refresh thread, with a list in place of a browser."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.notebook import refresh, wire
from crucible_nb.notebook.messages import Composer
from crucible_nb.notebook.refresh import Refresher
from crucible_nb.notebook.switch_interval import SHORT_INTERVAL, short_switch_interval
from tests.laws.test_resume import die


class Page:
    """A browser that stores the messages it receives."""

    def __init__(self, exp: cr.Experiment, refresh: float = 0.02) -> None:
        self.got: list[Any] = []
        self.tables: list[Any] = []
        self.refresher = Refresher(Composer([exp], refresh), self.take, refresh)

    def take(self, message: Any, _: Any) -> None:
        (self.tables if message["kind"] == "tables" else self.got).append(message)

    def says(self, **said: Any) -> None:
        self.refresher.on_message(said)

    def until(self, condition: Any, seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, [one["kind"] for one in self.got[-5:]]
            time.sleep(0.005)


@pytest.fixture
def exp() -> cr.Experiment:
    return cr.start("refreshed")


@pytest.fixture
def page(exp: cr.Experiment) -> Iterator[Page]:
    one = Page(exp)
    yield one
    one.refresher.close()


def kinds(page: Page) -> list[str]:
    return [one["kind"] for one in page.got]


def test_a_keyframe_then_ticks_then_a_last_keyframe_then_nothing(exp: cr.Experiment, page: Page) -> None:
    page.refresher.start()
    page.says(kind="view", view="a", seen=True, hello=True)
    page.until(lambda: "tick" in kinds(page))
    exp.stop()
    page.until(lambda: page.got[-1]["status"] == ["stopped"])
    page.until(lambda: not page.refresher.running)
    assert kinds(page)[0] == kinds(page)[-1] == "key"
    sent = len(page.got)
    time.sleep(0.1)
    assert len(page.got) == sent


def test_a_reader_of_a_dead_experiment_sees_it_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "DEAD_INTERVAL", 0.05)
    exp = cr.start("dies", store=tmp_path)
    exp.record("tick")
    page = Page(cr.attach("dies", store=tmp_path, mode="read"))
    page.says(kind="view", view="a", seen=True, hello=True)
    page.until(lambda: page.got and page.got[-1]["status"] == ["running"])
    die(exp)
    page.until(lambda: page.got[-1]["status"] == ["dead"])
    sent = len(page.got)
    page.until(lambda: len(page.got) > sent)
    again = cr.attach("dies", store=tmp_path)
    page.until(lambda: page.got[-1]["status"] == ["running"])
    again.stop()
    page.until(lambda: page.got[-1]["status"] == ["stopped"])
    page.until(lambda: not page.refresher.running)


def test_a_view_opened_after_the_end_gets_a_keyframe(exp: cr.Experiment, page: Page) -> None:
    exp.stop()
    page.refresher.start()
    page.until(lambda: not page.refresher.running)
    page.got.clear()
    page.says(kind="view", view="late", seen=True, hello=True)
    page.until(lambda: kinds(page)[:1] == ["key"])
    page.until(lambda: not page.refresher.running)


def test_nothing_is_sent_while_all_views_are_hidden(exp: cr.Experiment, page: Page) -> None:
    page.says(kind="view", view="a", seen=True, hello=True)
    page.says(kind="view", view="b", seen=False)
    page.until(lambda: len(page.got) > 2)
    page.says(kind="view", view="a", seen=False)
    time.sleep(0.1)
    sent = len(page.got)
    time.sleep(0.15)
    assert len(page.got) == sent
    page.says(kind="view", view="b", seen=True, hello=True)
    page.until(lambda: len(page.got) > sent)
    assert page.got[sent]["kind"] == "key"
    page.says(kind="gone", view="b")
    time.sleep(0.1)
    sent = len(page.got)
    time.sleep(0.1)
    assert len(page.got) == sent
    assert exp.status == "running"


def test_silent_views_do_not_count(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crucible_nb.notebook.refresh.VIEW_TIMEOUT", 0.05)
    page.says(kind="view", view="closed without notice", seen=True)
    page.until(lambda: len(page.got) > 1)
    time.sleep(0.1)
    page.says(kind="view", view="b", seen=False)
    time.sleep(0.1)
    sent = len(page.got)
    time.sleep(0.1)
    assert len(page.got) == sent


def test_buttons_change_the_status_and_a_second_click_is_harmless(exp: cr.Experiment, page: Page) -> None:
    for verb, status in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "running"),
        ("stop", "stopped"),
        ("stop", "stopped"),
    ):
        page.says(kind="do", verb=verb)
        page.until(lambda: exp.status == status)  # noqa: B023
    assert "trouble" not in kinds(page)


def test_a_button_is_for_one_arm_or_for_all(exp: cr.Experiment) -> None:
    other = cr.start("other")
    refresher = Refresher(Composer([exp, other], 0.02), lambda *_: None, 0.02)
    for message, expected in (
        ({"kind": "do", "verb": "pause", "arm": 1}, ["running", "paused"]),
        ({"kind": "do", "verb": "stop", "arm": 9}, ["running", "paused"]),
        ({"kind": "do", "verb": "stop"}, ["stopped", "stopped"]),
    ):
        refresher._apply(wire.parse_browser_message(message))
        assert [exp.status, other.status] == expected
    refresher.close()


def test_a_choice_that_fails_is_told_and_ends_nothing(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crucible_nb.notebook.choices.Choices.apply", lambda *_: 1 / 0)
    page.says(kind="view", view="a", seen=True, hello=True)
    page.until(lambda: "trouble" in kinds(page))
    page.until(lambda: "key" in kinds(page))


def test_a_listed_event_leads_to_its_trace(exp: cr.Experiment, page: Page) -> None:
    exp.record("llm.request", name="<chat>", trace_id="ab" * 16, span_id="1", latency_ms=5.0)
    exp.record("plain", latency_ms=4.0)
    page.says(kind="view", view="a", seen=True, hello=True)
    page.until(lambda: page.tables)
    inside, outside = page.tables[-1]["arms"][0]["slowest"]
    assert "trace" not in outside
    page.says(kind="trace", arm=0, trace=inside["trace"])
    page.until(lambda: "trace" in kinds(page))
    html = next(one["html"] for one in page.got if one["kind"] == "trace")
    assert "&lt;chat&gt;" in html
    assert "<chat>" not in html
    start = exp.df.index[0].value / 1e6
    page.says(kind="span", span=[[start - 1000, start + 1000]])
    page.until(lambda: [row.get("trace") for row in page.tables[-1]["arms"][0]["slowest"]] == [inside["trace"], None])
    page.says(kind="trace", trace="no such trace")
    page.until(lambda: "trouble" in kinds(page))


def test_the_program_is_sent_when_asked_for_and_unasked_to_a_page_that_is_not_heard(exp: cr.Experiment) -> None:
    sent: list[float] = []
    refresher = Refresher(Composer([exp], 0.02), lambda *_: None, 0.02, lambda: sent.append(1.0), pushes=2)
    for now, count in ((1.0, 1), (1.5, 1), (9.0, 2), (99.0, 2)):
        refresher._push_code(now)
        assert len(sent) == count
    refresher._apply({"kind": "code"})
    assert len(sent) == 3
    refresher.close()


def test_pickers_change_the_next_keyframe(exp: cr.Experiment, page: Page) -> None:
    exp.record("step", loss=1.0, accuracy=0.5)
    page.says(kind="view", view="a", seen=True, hello=True)
    page.says(kind="window", window="1h")
    page.says(kind="pick", columns=["accuracy", "no such"])
    page.until(lambda: any(one.get("picked") == ["accuracy"] for one in page.got))
    found = next(one for one in page.got if one.get("picked") == ["accuracy"])
    assert found["window"] == "1h"
    assert "mean:accuracy" in found["series"]
    assert found["columns"] == ["loss", "accuracy"]


def test_a_keyframe_every_five_seconds(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "KEYFRAME_INTERVAL", 0.1)
    monkeypatch.setattr(refresh, "tick_pause", lambda _, asked: asked)  # however slow the machine
    page.says(kind="view", view="a", seen=True, hello=True)
    page.until(lambda: kinds(page).count("key") >= 4)
    assert "tick" in kinds(page)


def test_expensive_ticks_are_followed_by_a_pause(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, float]] = []
    monkeypatch.setattr(refresh, "tick_pause", lambda cost, asked: told.append((cost, asked)) or 60.0)
    page.says(kind="view", view="a", seen=True, hello=True)
    page.until(lambda: told)
    sent = len(page.got)
    cost, asked = told[-1]
    assert 0 < cost < 5
    assert asked == page.refresher.refresh
    page.says(kind="window", window="all")  # a request does not wait for the pause
    page.until(lambda: len(page.got) == sent + 1 and page.got[-1]["window"] == "all")


def test_an_error_is_sent_and_the_thread_continues(
    exp: cr.Experiment, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    composer = page.refresher.composer
    update, fail = composer.update, threading.Event()
    fail.set()

    def sometimes(*, with_metrics: bool = False) -> None:
        if fail.is_set():
            raise ValueError("no luck")
        update(with_metrics=with_metrics)

    monkeypatch.setattr(composer, "update", sometimes)
    page.says(kind="view", view="a", seen=True, hello=True)
    page.until(lambda: {"kind": "trouble", "text": "ValueError: no luck"} in page.got)
    fail.clear()
    page.until(lambda: page.got[-1]["kind"] in ("tick", "key"))


def test_closing_ends_the_thread_for_good(page: Page) -> None:
    page.refresher.start()
    page.until(lambda: page.got)
    page.refresher.close()
    assert not page.refresher.running
    page.says(kind="view", view="a", seen=True, hello=True)
    assert not page.refresher.running


def test_the_switch_interval_is_short_during_a_tick_and_restored_after() -> None:
    usual, inside, leave = sys.getswitchinterval(), threading.Event(), threading.Event()

    def other() -> None:
        with short_switch_interval():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=other)
    with short_switch_interval():
        thread.start()
        assert inside.wait(5)
    assert sys.getswitchinterval() == pytest.approx(SHORT_INTERVAL)  # the other thread is still inside
    leave.set()
    thread.join()
    assert sys.getswitchinterval() == usual
    with short_switch_interval():
        sys.setswitchinterval(0.002)
    assert sys.getswitchinterval() == pytest.approx(0.002)  # changed meanwhile by other code
    sys.setswitchinterval(usual)
