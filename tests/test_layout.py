"""The layout of the package: few entries at top level, none of which hides a public function."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import crucible_nb as cr
from tools import print_layers

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


def test_the_layers_in_the_architecture_are_those_of_the_contract() -> None:
    assert print_layers.PAGE.read_text(encoding="utf-8") == print_layers.page(), "run tools/print_layers.py --write"
    rooms = {room for layer in print_layers.layers() for room in layer}
    assert rooms == {entry.stem for entry in ENTRIES} - {"__init__"}


def test_ten_questions_are_answered_in_few_files() -> None:
    _, _, section = print_layers.PAGE.read_text(encoding="utf-8").partition("## Ten questions")
    answers = [
        re.findall(r"`([^`]+[.]py)`", line) for line in section.partition("\n## ")[0].splitlines() if "`" in line
    ]
    assert len(answers) == 10
    assert [name for names in answers for name in names if not (ROOT / name).is_file()] == []
    assert max(map(len, answers)) <= 10
    assert sum(map(len, answers)) <= 50
