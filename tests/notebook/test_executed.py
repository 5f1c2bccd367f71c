"""A notebook executed without a page, as by papermill: a dashboard leaves little in the file, and names its arms."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

pytestmark = pytest.mark.check

FILL = """
import numpy as np, crucible_nb as cr
rng = np.random.default_rng(1)
arms = [cr.start(f"prompt v{i}", clock="events") for i in (6, 7, 8)]
for i in range(4000):
    for arm, good in zip(arms, (.7, .95, .8)):
        arm.record("call", latency_ms=float(rng.lognormal(6, .3)), success=bool(rng.random() < good), cost_usd=1e-4,
                   loss=1 / (1 + i), time=i * 10**8)
for arm in arms: arm.stop()
"""
CELLS = (FILL, *["for one in arms: one.dashboard()"] * 2, "arms[0].dashboard(compare=arms[1:])")


def test_a_file_holds_at_most_50_kb_for_each_dashboard_and_no_program() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    text = nbformat.writes(notebook)
    assert len(text.encode()) < 50_000 * 7
    assert "Plotly" not in text
    still = notebook.cells[-1].outputs[0]["data"]["text/html"]
    for name in ("A prompt v6", "B prompt v7", "C prompt v8", "B is better", "95 % interval, valid at any time"):
        assert name in still
    assert still.count('aria-label="prompt v6: latency p95, ms') == 1
    assert "prompt v8: latency p95, ms" in still
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "B is better" in page
