"""Real IPython shells for tests: one in this process, one in a separate kernel."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def shell(folder: Path) -> Iterator[Any]:
    """An IPython shell with the extension loaded, whose traces are gone afterwards."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    main = sys.modules["__main__"]
    one = InteractiveShell(config=config, ipython_dir=str(folder))
    try:
        one.extension_manager.load_extension("crucible_nb")
        yield one
    finally:
        one.extension_manager.unload_extension("crucible_nb")
        one.restore_sys_module_state()
        sys.modules["__main__"] = main


def executed(*cells: str, allow_errors: bool = True) -> list[Any]:
    """The cells with their outputs, run in a kernel of their own by nbclient."""
    sources = ["import crucible_nb as cr\n%load_ext crucible_nb", *cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=allow_errors).execute()
    return notebook.cells[1:]


def text(cell: Any) -> str:
    """All that a cell put out, as text without colours."""
    said = []
    for output in cell.outputs:
        if output.output_type == "stream":
            said.append(output.text)
        elif output.output_type == "error":
            said.append("\n".join(output.traceback))
        else:
            said.append(output.data.get("text/plain", ""))
    return _COLOURS.sub("", "\n".join(said))
