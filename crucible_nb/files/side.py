"""The side file: the header of a CSV or JSONL file, as JSON beside it, so that other readers find rows alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from crucible_nb.files.layout import KEY, Layout, unpack


def side_path(path: Path) -> Path:
    """Return the path of the JSON file beside a CSV or JSONL file."""
    return path.with_name(path.name + ".json")


def read_side(path: Path) -> tuple[Layout | None, dict[str, Any]]:
    """Return layout and facts from the side file of a file; (None, {}) without one.

    Raises:
        ValueError: The side file is not JSON, or its header is broken.
    """
    side = side_path(path)
    if not side.is_file():
        return None, {}
    try:
        beside = orjson.loads(side.read_bytes())
    except ValueError as error:
        raise ValueError(f"the file beside it, {side.name!r}, is not JSON ({error})") from error
    return unpack(beside[KEY]) if isinstance(beside, dict) and KEY in beside else (None, {})
