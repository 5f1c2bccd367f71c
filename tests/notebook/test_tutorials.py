"""The tutorials are what their sources say, whole and clean; that their outputs hold is nbval's to say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.md"))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_notebooks", ROOT / "tools" / "build_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_seven() -> None:
    assert [one.stem[:2] for one in SOURCES] == ["01", "02", "03", "04", "05", "06", "07"]
    assert {one.stem for one in SOURCES} == {one.stem for one in (ROOT / "notebooks").glob("*.ipynb")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda one: one.stem)
def test_a_notebook_equals_its_source(tool: ModuleType, source: Path) -> None:
    assert tool.changed(source) is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda one: one.stem)
def test_a_notebook_was_run_in_order_and_shows_no_trouble(source: Path) -> None:
    path = ROOT / "notebooks" / f"{source.stem}.ipynb"
    nbformat.validate(notebook := nbformat.read(path, as_version=4))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error" or one.get("name") == "stderr"]
    assert path.stat().st_size < 500_000
    text = path.read_text(encoding="utf-8")
    assert "widget-view" not in text
    assert not re.search(r"/(?:home|root|work|tmp)/|site-packages", text)
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("source", SOURCES, ids=lambda one: one.stem)
def test_links_between_tutorials_lead_somewhere(source: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", source.read_text(encoding="utf-8")):
        assert (ROOT / "notebooks" / link).is_file(), link


def test_few_outputs_are_not_compared() -> None:
    """Only where the machine's own speed shows, or a dashboard in the midst of a run."""
    texts = {one.stem: one.read_text(encoding="utf-8").count("nbval-ignore-output") for one in SOURCES}
    assert texts == {source.stem: {"01": 3, "06": 1, "07": 1}.get(source.stem[:2], 0) for source in SOURCES}


def test_a_drift_is_found(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    source = tmp_path / "src" / "one.md"
    source.write_text("# Words\n\n```python\n1 + 1\n```\n")
    assert tool.changed(source) == "one.ipynb: not made yet"
    notebook = tool.notebook_of(source.read_text())
    assert [(cell.id, cell.cell_type) for cell in notebook.cells] == [("cell-01", "markdown"), ("cell-02", "code")]
    nbformat.write(notebook, tmp_path / "one.ipynb")
    assert tool.changed(source) is None
    source.write_text("# Words\n\n```python\n1 + 2\n```\n")
    assert tool.changed(source) == "one.ipynb: cell 2 is not what one.md says"
    source.write_text("# Words\n\n```python nbval-skip\n1 + 1\n```\n")
    assert tool.changed(source) == "one.ipynb: cell 2 is not what one.md says"


def test_the_measurements_are_those_in_the_tutorials() -> None:
    calls = pd.read_parquet(ROOT / "notebooks" / "data" / "digits_calls.parquet")
    assert len(calls) == 16_000
    assert calls.index.is_monotonic_increasing
    assert calls.what.astype(str).value_counts().to_dict() == {
        "": 15_650,
        "busy neighbour": 200,
        "inverted images": 150,
    }
    assert set(calls.model.astype(str)) == {"logistic", "neighbours"}
