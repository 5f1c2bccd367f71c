"""The jobs of docs/guides/jobs, run on the data of this folder."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parents[2] / "docs" / "guides" / "jobs"


def source(page: str) -> str:
    """The code of the job: the second block of its page, without the results."""
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)
    lines = [line[4:] for line in blocks[1].splitlines() if line.startswith((">>> ", "... "))]
    return "\n".join(line.replace("  # doctest: +ELLIPSIS", "") for line in lines)


def run(page: str, **data: Any) -> dict[str, Any]:
    """Run the job of a page on other data; return its variables."""
    names: dict[str, Any] = {**data}
    exec("import crucible_nb as cr", names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source(page), f"{page}.md", "exec"), names)
    return names


def lines(page: str) -> int:
    """Number of lines of the job."""
    return len(source(page).splitlines())
