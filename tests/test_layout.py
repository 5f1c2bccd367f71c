"""The layout of the package: few entries at top level, none of which hides a public function."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import crucible_nb as cr

ROOT = Path(cr.__file__).parent
ENTRIES = sorted(
    entry for entry in ROOT.iterdir() if entry.suffix == ".py" or (entry.is_dir() and any(entry.rglob("*.py")))
)


def test_top_level_holds_at_most_23_entries_with_python() -> None:
    assert len(ENTRIES) <= 23, [entry.name for entry in ENTRIES]


@pytest.mark.parametrize("name", [entry.stem for entry in ENTRIES if not entry.stem.startswith("__")])
def test_no_entry_has_the_name_of_a_public_function(name: str) -> None:
    # importing such a module would replace the function in the package
    assert not callable(getattr(cr, name, None))
    assert name not in cr.__all__ or inspect.ismodule(getattr(cr, name))
