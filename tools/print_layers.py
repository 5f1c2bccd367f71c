"""Print the layers of crucible_nb as a table, from the import contract and the rooms' docstrings.

`--write` keeps it in docs/architecture.md; tests/test_layout.py checks that it is up to date.
"""

from __future__ import annotations

import argparse
import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- layers -->", "<!-- end -->"


def layers() -> list[list[str]]:
    """The rooms of each layer, the top first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [line.split(" | ") for line in contracts[0]["layers"]]


def purpose(room: str) -> str:
    """First line of the docstring of a room or module."""
    path = ROOT / "crucible_nb" / room
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text())) or "").splitlines()[0]


def table() -> str:
    """The layers as a Markdown table."""
    found = layers()
    rows = ["| layer | room | purpose |", "|--:|---|---|"]
    for number, rooms in zip(range(len(found), 0, -1), found, strict=True):
        rows += [f"| {number} | `{room}` | {purpose(room)} |" for room in rooms]
    return "\n".join(rows)


def page() -> str:
    """The page of the architecture with the table as it is now."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the table in docs/architecture.md")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(table())
