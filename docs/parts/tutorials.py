"""Copies the executed notebooks beside the guides; plotly figures become divisions that the page draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_PLOTLY = "application/vnd.plotly.v1+json"


def copy_notebooks(app: Sphinx) -> None:
    """Write `tutorials/*.ipynb` and the copy of plotly.js, before the sources are read."""
    source = Path(app.srcdir)
    folder = source / "tutorials"
    folder.mkdir(exist_ok=True)
    for path in sorted((source.parent / "notebooks").glob("*.ipynb")):
        text = _with_figures(json.loads(path.read_text(encoding="utf-8")))
        target = folder / path.name
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def _with_figures(notebook: dict[str, Any]) -> str:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            figure = output.get("data", {}).pop(_PLOTLY, None)
            if figure is not None:
                kept = json.dumps({"data": figure["data"], "layout": figure["layout"]}).replace("</", "<\\/")
                output["data"] = {
                    "text/html": f'<div class="plotly-figure"><script type="application/json">{kept}</script></div>'
                }
    return json.dumps(notebook).replace("](../docs/", "](../")


def copy_script(app: Sphinx, error: Exception | None) -> None:
    """Put plotly.js of the installed plotly beside the pages: it draws its own figures, and the site asks no server."""
    if error is None:
        script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        target = Path(app.outdir) / "_static" / "plotly.min.js"
        target.write_bytes(script.read_bytes())


def load_script(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:  # noqa: ARG001
    """Load plotly.js on pages that have a figure, and on no other."""
    if "plotly-figure" in context.get("body", ""):
        app.add_js_file("plotly.min.js", loading_method="defer")
        app.add_js_file("figures.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    """Connect to the events of a build."""
    app.connect("builder-inited", copy_notebooks)
    app.connect("html-page-context", load_script)
    app.connect("build-finished", copy_script)
