"""`exp.dashboard()` without a browser: in a kernel, in a terminal, with CRUCIBLE_UI=off."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.notebook import dashboards, environment, static_page
from crucible_nb.notebook.line import StatusLine
from crucible_nb.notebook.page_state import PageState
from crucible_nb.utils import ui
from crucible_nb.utils.pictures import sparkline

EVIL = '<img src=x onerror="alert(1)">'


class Shell:
    """As much of a kernel's shell as is asked for."""

    def __init__(self) -> None:
        self.kernel, self.execution_count, self.events, self.hooks = object(), 1, self, []

    def register(self, name: str, hook: Any) -> None:
        assert name == "post_run_cell"
        self.hooks.append(hook)

    def ends_cell(self) -> None:
        self.execution_count += 1
        for hook in self.hooks:
            hook(None)


class Handle:
    def __init__(self) -> None:
        self.updates: list[Any] = []

    def update(self, thing: Any, **how: Any) -> None:
        self.updates.append(thing if how else thing._repr_mimebundle_())


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A kernel that shows things into a list."""
    one = Shell()
    one.shown = []

    def display(thing: Any, display_id: bool, raw: bool = False) -> Handle:
        assert display_id
        if raw:
            one.left, one.behind = thing, Handle()
            return one.behind
        with pytest.raises(NotImplementedError):
            thing._ipython_display_()
        one.shown.append(thing._repr_mimebundle_())
        one.handle = Handle()
        return one.handle

    monkeypatch.setattr(ui, "shell", lambda: one)
    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.delenv("CRUCIBLE_UI", raising=False)
    return one


def data(bundle: Any) -> dict[str, str]:
    return bundle[0] if isinstance(bundle, tuple) else bundle


def test_it_is_shown_where_it_is_called_and_not_again_as_the_last_line(shell: Shell) -> None:
    exp = cr.start("shown")
    dashboard = exp.dashboard()
    assert len(shell.shown) == 1
    bundle = data(shell.shown[0])
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == dashboard.model_id
    assert bundle["text/plain"] == "'shown', running, 0 events"
    assert bundle["text/html"].startswith('<div class="crucible-static">')
    assert "The kernel of this dashboard has ended" in shell.left["text/html"]
    assert 'class="crucible-live' not in shell.left["text/html"]  # as live views are called
    assert dashboard._ipython_display_() is None
    with pytest.raises(NotImplementedError):
        dashboard._ipython_display_()


def test_the_same_experiment_has_one_dashboard_a_new_one_of_that_name_another(shell: Shell) -> None:
    exp = cr.start("again")
    first = exp.dashboard()
    assert exp.dashboard(refresh=0.2) is first
    assert first.refresher.refresh == 0.2
    handle = shell.handle
    second = cr.start("again").dashboard()
    assert second is not first
    assert first.comm is None
    assert not first.refresher.running
    assert set(handle.updates[-1]) == {"text/html", "text/plain"}
    assert len(shell.hooks) == 1
    first.close()


def test_the_saved_picture_is_brought_up_to_date_when_a_run_ends(shell: Shell) -> None:
    exp = cr.start("saved")
    dashboard = exp.dashboard()
    shell.ends_cell()
    assert shell.handle.updates == []
    exp.record("call", latency_ms=1.0)
    shell.ends_cell()
    assert shell.handle.updates == []
    exp.stop()
    shell.ends_cell()
    shell.ends_cell()
    assert len(shell.handle.updates) == len(shell.behind.updates) == 1
    assert "stopped" in shell.behind.updates[0]["text/html"]
    assert "1 events" in data(shell.handle.updates[0])["text/plain"]
    dashboard._saved_at -= 100
    dashboard._saved_state = (["stopped"], [0])
    shell.ends_cell()
    assert len(shell.handle.updates) == 2


def test_browser_messages_reach_the_experiment(shell: Shell) -> None:
    import time

    exp = cr.start("clicked")
    dashboard = exp.dashboard(refresh=0.1)
    dashboard._handle_custom_msg({"kind": "do", "verb": "stop"}, [])
    end = time.monotonic() + 5
    while exp.status != "stopped" and time.monotonic() < end:
        time.sleep(0.01)
    assert exp.status == "stopped"
    assert repr(dashboard) == "<Dashboard of 'clicked', stopped, 0 events>"


def test_messages_are_handled_while_the_main_thread_is_busy() -> None:
    class Comm:
        def _reply_subshell_for(self, data: Any, default: str) -> str:
            return "busy"

    comm = Comm()
    environment.handle_messages_while_busy(comm)
    assert comm._reply_subshell_for({}, "asked") == "asked"
    environment.handle_messages_while_busy(object())


@pytest.mark.parametrize(
    ("version", "said"), [((6, 31, 0), True), ((7, 0, 1), True), ((7, 1, 0), False), ((8, 0), False)]
)
def test_old_kernels_show_a_note_on_buttons(version: Any, said: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        version_info, __version__ = version, ".".join(map(str, version))

    monkeypatch.setitem(sys.modules, "ipykernel", Kernel)
    assert bool(environment.button_note()) is said


def test_no_kernel_no_widget(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    assert ui.has_widgets()
    monkeypatch.setenv("CRUCIBLE_UI", "off")
    exp = cr.start("plain")
    line = exp.dashboard()
    assert isinstance(line, StatusLine)
    exp.record("call", latency_ms=2.0, success=True)
    assert repr(line) == "'plain', running, 1 events, p95 2 ms, success 100 %"
    line.close()
    monkeypatch.delenv("CRUCIBLE_UI")
    monkeypatch.setattr(ui, "shell", lambda: None)
    monkeypatch.setitem(sys.modules, "marimo", None)
    monkeypatch.delitem(sys.modules, "marimo")
    assert not ui.has_widgets()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"refresh": 0.01}, "refresh=0.01: expected a number >= 0.1"),
        ({"compare": "b"}, "compare='b': expected another Experiment, or a list of up to 5 others"),
        ({"by": "cohort"}, "by='cohort': expected one of 'event', 'model'"),
    ],
)
def test_wrong_arguments(arguments: Any, said: str) -> None:
    with pytest.raises(cr.ConfigError) as caught:
        cr.start("wrong").dashboard(**arguments)
    assert str(caught.value) == said


def test_an_experiment_is_not_compared_with_itself() -> None:
    exp = cr.start("self")
    with pytest.raises(cr.ConfigError, match="expected another Experiment"):
        exp.dashboard(compare=exp)


@pytest.mark.check
def test_two_arms_are_compared_at_every_keyframe(shell: Shell, rng: np.random.Generator) -> None:
    one, two = cr.start("v1", condition="control"), cr.start("v2")
    for arm, good, slow in ((one, 0.8, 500), (two, 0.95, 400)):
        arm.extend(
            pd.DataFrame(
                {
                    "latency_ms": rng.normal(slow, 20, 2000),
                    "success": rng.random(2000) < good,
                    "cost_usd": rng.gamma(3, 1e-4, 2000),
                }
            )
        )
    dashboard = one.dashboard(compare=two)
    composer = dashboard.refresher.composer
    with composer.lock:
        composer.update()
        message, buffers = composer.keyframe()
    lines = {line["metric"]: line for line in message["compare"]}
    assert list(lines) == ["success rate", "latency p50", "latency p95", "mean cost (asymptotic)"]
    assert lines["success rate"]["low"] > 0
    assert lines["success rate"]["better"] == lines["latency p50"]["better"] == 1
    assert lines["mean cost (asymptotic)"]["better"] is None
    assert len(buffers) == 2
    assert "v1 against v2" in data(shell.shown[0])["text/html"]
    for i in range(70):
        composer._comparisons[0].update(float(i))
    assert len(lines["success rate"]["trail"]) <= 60


def test_arms_that_know_nothing_are_not_compared(clock: Any) -> None:
    from crucible_nb.notebook.messages import Composer

    one, two = (
        cr.start("e1", clock=clock),
        cr.start("e2", clock=clock, sampling="uniform", sampling_config={"rate": 0.5}),
    )
    composer = Composer([one, two], 0.5)
    composer.update()
    assert composer.keyframe()[0]["compare"] == []
    one.record("call", success=True)
    assert composer.keyframe()[0]["compare"] == []


def test_the_static_page_escapes_names_and_shows_all_facts(clock: Any) -> None:
    exp = cr.start(EVIL, clock=clock, anomaly="z_score", sample_size=1000, condition=EVIL)
    for i in range(600):
        exp.record(
            EVIL, {EVIL: float(i)}, latency_ms=100.0 + i % 3 + 900 * (i == 400), success=i % 10 > 0, cost_usd=0.01
        )
        clock.tick(0.5)
    exp.pause()
    clock.tick(3)
    exp.resume()
    exp.stop()
    state = PageState(exp)
    state.update()
    page = static_page.page([state])
    assert "<img" not in page
    assert page.count("<svg") == 5
    for text in (
        "600 of 1,000 (60%)",
        "300 s active of 303 s, paused 1 times",
        "90 % of 600",
        "1 anomalies in",
        "6 USD, 72 USD per hour",
    ):
        assert text in page, text
    assert page == static_page.page([state])


def test_a_spark_has_gaps_dots_and_marks() -> None:
    values = np.array([1.0, 2.0, np.nan, 3.0, np.nan, 5.0, 4.0])
    picture = sparkline(values, 'a "label"', [(1, "1"), (2, "2"), (6, "<3>")])
    assert picture.count("<polyline") == 2
    assert picture.count("<circle") == 1
    assert picture.count("<path") == 3
    assert "&lt;3&gt;" in picture
    assert sparkline(np.full(4, 2.0), "flat").count("<polyline") == 1


def test_a_face_needs_a_name_of_its_own() -> None:
    for taken in ("pause", "dashboard", "no name"):
        with pytest.raises(cr.ConfigError, match="identifier that Experiment does not have"):
            cr.extensions.register(taken)(lambda exp: exp)
    cr.extensions.register("dashboard")(cr.notebook.dashboard)


def test_a_terminal_gets_a_line_and_no_widget_is_imported() -> None:
    code = (
        "import sys, crucible_nb as cr\n"
        "exp = cr.start('x'); print(exp.dashboard())\n"
        "print([m for m in ('IPython', 'ipywidgets', 'anywidget', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["'x', running, 0 events", "[]"]


def test_nothing_is_left_open() -> None:
    dashboards.close_all()
    assert dashboards._OPEN == {}
