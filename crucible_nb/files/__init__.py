"""Read and write files of events: a written frame is read back equal, foreign files are mapped, input is untrusted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crucible_nb.files.read import iter_table, load, read_facts
    from crucible_nb.files.write import archive, write_table

__all__ = ["archive", "iter_table", "load", "read_facts", "write_table"]

_MODULES = {"iter_table": "read", "load": "read", "read_facts": "read", "archive": "write", "write_table": "write"}


def __getattr__(name: str) -> Any:
    """Import readers and writers on first use, since they load pyarrow's compute and csv modules."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
