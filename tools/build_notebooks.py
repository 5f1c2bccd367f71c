"""The tutorials: notebooks/*.ipynb are printed from notebooks/src/*.md, run, and kept with what came out.

`python tools/build_notebooks.py [NAME ...]` makes them (all, or those whose name begins so); `--check` says whether
they still are what their sources say, in code, words and outputs (the outputs by nbval).

A block of ```python is a code cell, what is between is a markdown cell. Words after `python` are tags of the cell, e.g.
`nbval-ignore-output` where the time of day shows.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
_BLOCK = re.compile(r"^```python *(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LIVE = "application/vnd.jupyter.widget-view+json"  # dead without its kernel; the picture beside it stays


def notebook_of(text: str) -> NotebookNode:
    """The notebook of a source, not run."""
    cells, end = [], 0
    for block in _BLOCK.finditer(text):
        cells += _words(text[end : block.start()])
        cells.append(new_code_cell(block[2].strip(), metadata={"tags": block[1].split()} if block[1] else {}))
        end = block.end()
    cells += _words(text[end:])
    for number, cell in enumerate(cells, 1):
        cell.id = f"cell-{number:02}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _words(text: str) -> list[NotebookNode]:
    return [new_markdown_cell(text.strip())] if text.strip() else []


def run(notebook: NotebookNode) -> None:
    """Run it where it will lie, and keep what came out."""
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", store_widget_state=False, record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )  # fmt: skip
    client.execute()
    for cell in notebook.cells:
        for output in list(cell.get("outputs", [])):
            data = output.get("data", {})
            if data.pop(_LIVE, None) is None and 'class="crucible-left"' in data.get("text/html", ""):
                cell.outputs.remove(output)  # what would be shown in place of a live view
    notebook.metadata.language_info = {"name": "python"}


def changed(source: Path) -> str | None:
    """What a notebook has that its source has not, or the other way round; None where they agree."""
    made = source.parents[1] / f"{source.stem}.ipynb"
    if not made.is_file():
        return f"{made.name}: not made yet"
    kept, wanted = (
        [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in one.cells]
        for one in (nbformat.read(made, as_version=4), notebook_of(source.read_text(encoding="utf-8")))
    )
    if kept == wanted:
        return None
    number = next((i for i, (a, b) in enumerate(zip(kept, wanted, strict=False), 1) if a != b), len(kept))
    return f"{made.name}: cell {number} is not what {source.name} says"


def main() -> int:
    """Make the notebooks, or check them."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("names", nargs="*", help="beginnings of names; none means all")
    asked.add_argument("--check", action="store_true", help="change nothing, say whether all is up to date")
    options = asked.parse_args()
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"  # the figure itself, not plotly.js with it
    sources = sorted(FOLDER.glob("src/*.md"))
    sources = [one for one in sources if not options.names or one.stem.startswith(tuple(options.names))]
    if options.check:
        drifted = [said for one in sources if (said := changed(one))]
        print("\n".join(drifted) or f"{len(sources)} notebooks are what their sources say")
        made = [str(FOLDER / f"{one.stem}.ipynb") for one in sources]
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", *made]
        return 1 if drifted else subprocess.run(command, check=False, cwd=FOLDER.parent).returncode
    for source in sources:
        notebook = notebook_of(source.read_text(encoding="utf-8"))
        run(notebook)
        nbformat.write(notebook, FOLDER / f"{source.stem}.ipynb")
        print(f"{source.stem}: {len(notebook.cells)} cells")
    return 0


if __name__ == "__main__":
    sys.exit(main())
