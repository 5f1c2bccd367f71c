"""Files: a frame out and the same frame in; foreign files mapped; nothing hostile let in."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crucible_nb.files.read import iter_table, load, read_facts
    from crucible_nb.files.write import archive, write_table

__all__ = ["archive", "iter_table", "load", "read_facts", "write_table"]

_ROOMS = {"iter_table": "read", "load": "read", "read_facts": "read", "archive": "write", "write_table": "write"}


def __getattr__(name: str) -> Any:
    """The readers and writers bring pyarrow's compute and csv parts: imported with the first file, not before."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
