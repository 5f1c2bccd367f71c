"""Events embedded into a report: a file in a link, which a browser saves without a network."""

from __future__ import annotations

import base64
import re
import tempfile
import warnings
from html import escape
from pathlib import Path

from crucible_nb.errors import CrucibleWarning
from crucible_nb.experiment.experiment import facts_of_file
from crucible_nb.files import write_table
from crucible_nb.reports.arms import ReportArm

FORMATS = ("parquet", "csv")
_TYPES = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}
_LARGE = 25_000_000


def link(arm: ReportArm, format: str, number: str = "") -> tuple[str, int]:
    """Return a link that saves the kept events of an arm, without secrets, and the number of bytes of the file."""
    content = _content(arm, format)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", arm.name).strip("._")[:60] or "events"
    name = f"{number}{stem}.{format}"
    data = base64.b64encode(content).decode()
    size = f"{len(content) / 1e6:.3g} MB" if len(content) >= 1e5 else f"{len(content) / 1e3:.3g} kB"
    text = f"{name}: {len(arm.rows):,} rows, {size}"
    address = f"data:{_TYPES[format]};base64,{data}"
    return f'<p><a download="{escape(name)}" href="{address}">{escape(text)}</a></p>', len(content)


def _content(arm: ReportArm, format: str) -> bytes:
    facts = {name: arm.words.plain(name, value) for name, value in facts_of_file(arm.experiment).items()}
    if not arm.is_stored:
        del facts["id"]  # nobody can find an experiment in memory by it
    with tempfile.TemporaryDirectory() as folder:
        return write_table(arm.words.frame(arm.rows), Path(folder) / f"events.{format}", facts=facts).read_bytes()


def warn_if_large(size: int, path: Path) -> None:
    """Warn of a page that browsers open slowly and mail servers refuse."""
    if size > _LARGE:
        text = f"report {str(path)!r} holds {size / 1e6:,.0f} MB of events; data=None leaves them out"
        warnings.warn(text, CrucibleWarning, stacklevel=4)
