"""Puts measured tables into docs/reliability.md, between the comments that name them."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def put(name: str, table: str) -> None:
    """Replace the table of that name."""
    text = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{PAGE} has no place for {name!r}")
    PAGE.write_text(pattern.sub(lambda found: found[1] + table + "\n" + found[2], text), encoding="utf-8")
