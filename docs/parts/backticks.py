"""Docstrings are written for a terminal: single backticks stand for code, names with a trailing `_` for themselves."""

from __future__ import annotations

import re
from typing import Any

_SINGLE = re.compile(r"(?<![`:\w])`([^`\n]+)`(?![`_\w])")
_STARS = re.compile(r"(?<![\w*\\])(\*{1,2})(?=[\w.])")
_GROUP = re.compile(r" {4}(\w+(?:, \w+)+):")
_REFERENCE = re.compile(r"(?<![`\w.])(\w+)_(?![`\w])")


def to_rest(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Rewrite the lines of one docstring in place: `x` becomes a literal."""
    if what in {"property", "attribute"} and lines and lines[-1].startswith(":type: "):
        lines[0] = (
            f"{lines.pop().removeprefix(':type: ')}: {lines[0]}"  # napoleon took "Number of rows: ..." for a type
        )
    for i, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        parts = re.split(r"(``[^`]*``)", _SINGLE.sub(_literal, line))
        lines[i] = "".join(part if part.startswith("``") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    """Escape what reST would take for a reference or for emphasis."""
    escaped = _STARS.sub(lambda match: match[1].replace("*", r"\*"), _REFERENCE.sub(r"\1\\_", text))
    return escaped.replace("|", r"\|")


def _literal(match: re.Match[str]) -> str:
    return f"``{match[1]}``"


def split_groups(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Give each of several attributes that share a description ("low, high: bounds") an entry of its own."""
    found, inside, block = [], False, []
    for line in [*lines, "END"]:
        header = bool(line) and not line.startswith(" ")
        if inside and (header or _GROUP.match(line) or re.match(r" {4}\S", line)):
            found += _split(block)
            block = []
        if header:
            inside = line == "Attributes:"
        (block if inside and not header else found).append(line)
    lines[:] = found[:-1]


def _split(block: list[str]) -> list[str]:
    match = _GROUP.match(block[0]) if block else None
    if match is None:
        return block
    names, text = match[1].split(", "), block[0][match.end() :]
    return [line for name in names for line in (f"    {name}:{text}", *block[1:])]


def setup(app: Any) -> None:
    """Connect to autodoc."""
    app.connect("autodoc-process-docstring", split_groups, priority=400)  # before napoleon reads the sections
    app.connect("autodoc-process-docstring", to_rest)
