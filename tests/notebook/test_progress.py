"""`exp.track_iter`: its items, early end, recorded events and bar."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.errors import ConfigError, CrucibleWarning
from crucible_nb.notebook import progress
from tests.notebook.shells import executed, text


def test_all_items_with_a_bar_on_stderr(capsys: Any) -> None:
    exp = cr.start("loop")
    assert list(exp.track_iter([3, 1, 2])) == [3, 1, 2]
    said = capsys.readouterr()
    assert said.out == ""
    assert "loop: 100%" in said.err
    assert "3/3" in said.err
    assert exp.summary()["total_events"] == 0
    assert list(exp.track_iter(iter("ab"), total=2, desc="letters")) == ["a", "b"]
    assert "letters: 100%" in capsys.readouterr().err


def test_the_bar_says_how_it_goes(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_POSTFIX_INTERVAL", 0.0)
    exp = cr.start("loop")
    for i in exp.track_iter(range(4)):
        exp.record("call", latency_ms=10.0, success=i > 0)
    assert "success 75 %, p95 10 ms" in capsys.readouterr().err


def test_it_leaves_off_and_loses_nothing() -> None:
    exp = cr.start("loop")
    exp.watch("event_count >= 3", action="stop")
    source = iter(range(10))
    assert list(exp.track_iter(source, event="step")) == [0, 1, 2]
    assert list(source) == list(range(3, 10))
    assert exp.status == "stopped"
    assert list(exp.track_iter(range(3))) == []


def test_an_event_for_each_iteration() -> None:
    exp = cr.start("loop")
    for i in exp.track_iter(range(5), event="step"):
        exp.record("inside")
        if i == 2:
            break
    gc.collect()
    steps = exp.df[exp.df.event == "step"]
    assert steps.success.tolist()[:2] == [True, True]
    assert len(steps) == 3
    assert steps.success.isna().tolist() == [False, False, True]
    assert (steps.latency_ms > 0).all()


def test_an_error_in_the_loop_is_not_called_a_success() -> None:
    exp = cr.start("loop")
    with pytest.raises(KeyError):
        for _ in exp.track_iter(range(5), event="step"):
            raise KeyError
    gc.collect()
    assert exp.df.success.isna().tolist() == [True]


def test_an_error_of_the_source_goes_on_its_way() -> None:
    def source() -> Any:
        yield 1
        raise RuntimeError("out")

    seen = []
    with pytest.raises(RuntimeError, match="out"):
        for x in cr.start("loop").track_iter(source()):
            seen.append(x)
    assert seen == [1]


def test_async_loops() -> None:
    async def source() -> Any:
        for i in range(10):
            await asyncio.sleep(0)
            yield i

    exp = cr.start("loop")
    exp.watch("event_count >= 4", action="pause")

    async def main() -> list[int]:
        return [i async for i in exp.track_iter(source(), total=10, event="step")]

    assert asyncio.run(main()) == [0, 1, 2, 3]


def test_a_tqdm_of_yours_stays_the_bar(capsys: Any) -> None:
    from tqdm.auto import tqdm

    exp = cr.start("loop")
    exp.watch("event_count >= 3", action="stop")
    bar = tqdm(range(5), desc="mine", mininterval=0)
    assert list(exp.track_iter(bar, event="step")) == [0, 1, 2]
    said = capsys.readouterr().err
    assert "mine:" in said
    assert "loop:" not in said
    assert bar.disable  # closed


def test_wrong_arguments_at_once() -> None:
    exp = cr.start("loop")
    with pytest.raises(ConfigError, match="xs=3: expected an iterable"):
        exp.track_iter(3)
    with pytest.raises(ConfigError, match="total=-1: expected a whole number >= 0 or None"):
        exp.track_iter([], total=-1)
    with pytest.raises(ConfigError, match="event='': expected a non-empty string or None"):
        exp.track_iter([], event="")


def test_without_tqdm_the_loop_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.warns(CrucibleWarning, match="pip install 'crucible_nb\\[lab\\]'"):
        assert list(cr.start("loop").track_iter([1, 2])) == [1, 2]


def test_no_bar_when_no_ui_is_wanted(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("CRUCIBLE_UI", "off")
    assert list(cr.start("loop").track_iter([1, 2])) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_in_a_kernel_the_saved_bar_is_the_end() -> None:
    whole, early = executed(
        "exp = cr.start('loop')\nfor _ in exp.track_iter(range(3)): exp.record('call', latency_ms=5.0, success=True)",
        "exp.budget(usd=1, action='stop')\nfor _ in exp.track_iter(range(9)): exp.record('call', cost_usd=1)",
    )
    [shown] = whole.outputs
    assert "application/vnd.jupyter.widget-view+json" in shown.data
    assert "100%" in text(whole)
    assert "3/3" in text(whole)
    assert "success 100 %" in text(whole)
    assert "1/9" in text(early)
