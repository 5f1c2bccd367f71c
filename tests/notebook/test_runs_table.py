"""The interactive table of runs: its rows, and what the page does with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from crucible_nb.notebook import runs_table
from crucible_nb.utils import ui
from tests.notebook.lab import Browser

MAKE = """
import crucible_nb as cr
for i, rate in enumerate((.5, .1, .3)):
    with cr.start(f'run <b>{i}</b>', store='runs', metadata={'lr': rate}, tags=['odd'] if i % 2 else []) as exp:
        for step in range(60): _ = exp.record('train.step', step=step, loss=1 / (1 + rate * step), latency_ms=float(step % 7), success=step % 9 > 0)
%load_ext crucible_nb
"""


def test_rows_hold_metadata_and_last_min_mean_of_every_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rate in (0.5, 0.1):
        with cr.start("run", store=tmp_path, metadata={"lr": rate, "name": "taken"}) as exp:
            for step in range(5):
                exp.record("train.step", step=step, loss=float(step), latency_ms=2.0)
    listed = cr.experiments(tmp_path)
    message = json.loads(json.dumps(runs_table.rows_of(listed)))
    assert {"lr", "metadata.name", "last_loss", "min_loss", "mean_loss", "mean_latency_ms"} <= set(message["columns"])
    assert [run["values"]["lr"] for run in message["runs"]] == [0.5, 0.1]
    assert message["runs"][0]["values"]["mean_loss"] == 2.0
    assert message["runs"][0]["main"] == "loss"
    assert listed._repr_mimebundle_() == {}  # no notebook
    monkeypatch.setattr(ui, "has_widgets", lambda: True)
    assert "application/vnd.jupyter.widget-view+json" in listed._repr_mimebundle_()
    assert cr.experiments(tmp_path / "none")._repr_mimebundle_() == {}
    table = runs_table.RunsTable(listed)
    assert "no such run" in table._compared(["a", "b"])
    assert "loss" not in table._compared(["a"])
    assert "<table" in table._compared(list(listed.index))


@pytest.mark.browser
@pytest.mark.check
def test_runs_are_sorted_filtered_and_compared_with_a_mouse(run: Any) -> None:
    page: Browser = run(MAKE, "%crucible list --store runs", wait=".crucible-runs tbody tr")
    table, names = (
        page.page.locator(".crucible-runs"),
        "[...document.querySelectorAll('.crucible-runs tbody tr')].map(row => row.cells[1].innerText)",
    )
    assert page.page.evaluate(names) == [f"run <b>{i}</b>" for i in range(3)]
    table.locator("th[data-column=lr] button").click()
    assert page.page.evaluate(names) == ["run <b>1</b>", "run <b>2</b>", "run <b>0</b>"]
    table.locator("th[data-column=min_loss] button").click()
    assert table.locator("th[data-column=min_loss]").get_attribute("aria-sort") == "ascending"
    assert page.page.evaluate(names)[0] == "run <b>0</b>"
    table.locator("input[type=search]").fill("lr<0.4")
    assert len(page.page.evaluate(names)) == 2
    table.locator("input[type=search]").fill("odd")
    assert page.page.evaluate(names) == ["run <b>1</b>"]
    table.locator("input[type=search]").fill("")
    for i in (0, 1):
        table.locator("tbody input").nth(i).click()
    table.locator("text=Compare two").click()
    page.wait("document.querySelector('.crucible-runs-result table')", 20)
    assert table.locator("svg polyline").count() >= 3
    assert page.errors == []
