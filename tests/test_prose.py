"""Docstrings open with what a thing does or is, not with a riddle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import crucible_nb

ROOT = Path(crucible_nb.__file__).parent
RIDDLES = {"what", "who", "whoever", "whom", "nobody", "somebody", "those", "such", "others", "of"}


def docstrings() -> Iterator[tuple[str, str]]:
    """All docstrings of the package, with their places; a text behind an assignment is one too."""
    for path in sorted(ROOT.rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            body = getattr(node, "body", None)
            for statement in body if isinstance(body, list) else ():
                value = statement.value if isinstance(statement, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield f"{path.relative_to(ROOT)}:{statement.lineno}", value.value


def opens_with_a_riddle(text: str) -> bool:
    word = re.match(r"\W*(\w+)", text)
    return word is not None and word[1].lower() in RIDDLES


def test_at_most_two_percent_open_with_a_riddle() -> None:
    found = list(docstrings())
    riddles = [f"{place}: {text.splitlines()[0]}" for place, text in found if opens_with_a_riddle(text)]
    assert len(riddles) <= 0.02 * len(found), "\n".join(riddles)


def test_a_riddle_is_seen() -> None:
    assert opens_with_a_riddle("What a sampler says of some events.")
    assert opens_with_a_riddle("\n    Of the coins.")
    assert not opens_with_a_riddle("Rebuild a sampler from its description.")
    assert not opens_with_a_riddle("Offset of a block.")
