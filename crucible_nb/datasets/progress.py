"""A progress bar for passes of more than a second: rows, rate and remaining time."""

from __future__ import annotations

import os
import sys
from typing import Any

from crucible_nb.utils import optional

_DELAY = 1.0  # seconds without a bar


def make_bar(total: int | None, delay: float = _DELAY, file: Any = None) -> Any:
    """Return a tqdm bar that shows itself after a second; None where there is nobody to look, or no tqdm.

    Args:
        total: Number of rows; None if it is unknown.
        delay: Seconds until it shows.
        file: Where it is written; None for the terminal, or the output of a notebook cell.
    """
    in_notebook = "ipykernel" in sys.modules
    shown = file is not None or in_notebook or sys.stderr.isatty()
    if not shown or os.environ.get("CRUCIBLE_UI", "").lower() == "off" or optional.have("tqdm") is None:
        return None
    if in_notebook and file is None:
        from tqdm.auto import tqdm  # noqa: PLC0415  optional
    else:
        from tqdm import tqdm  # noqa: PLC0415  optional
    return tqdm(total=total, unit=" rows", unit_scale=True, delay=delay, file=file, leave=False, desc="dataset")
