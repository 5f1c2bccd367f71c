"""HTML of a report: escaped tables, lists and sections; headers say their scope, long words wrap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from crucible_nb.utils.html import Raw


def safe(cell: object) -> str:
    """Escape a text; trusted markup stays as it is."""
    return cell if isinstance(cell, Raw) else escape(str(cell))


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], caption: str, *, texts: Iterable[int] = (0,)
) -> str:
    """Render a table whose first cell of a row is its header; "" without rows.

    Args:
        header: Names of the columns, none of them empty.
        rows: Cells of each row.
        caption: Caption.
        texts: Positions of the columns that hold text; numbers are aligned on the right.

    Examples:
        >>> table(["model", "events"], [["<b>", 3]], "by model").count("&lt;b&gt;")
        1
    """
    left = set(texts)
    classes = [_class(str(name), number=at not in left) for at, name in enumerate(header)]
    lines = []
    for row in rows:
        first, *rest = row
        cells = (f"<td{kind}>{safe(cell)}</td>" for kind, cell in zip(classes[1:], rest, strict=True))
        lines.append(f'<tr><th scope="row">{safe(first)}</th>{"".join(cells)}</tr>')
    if not lines:
        return ""
    head = "".join(f'<th scope="col"{kind}>{safe(name)}</th>' for kind, name in zip(classes, header, strict=True))
    title = f"<caption>{escape(caption)}</caption>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


_WHOLE = ("no.", "severity", "status", "kind", "action", "verdict", "events", "tokens", "success", "n", "p")
"""Columns whose words are short, and never broken."""


def _class(name: str, *, number: bool) -> str:
    names = (["n"] if number else []) + (["k"] if name in _WHOLE else [])
    return f' class="{" ".join(names)}"' if names else ""


def facts(pairs: Mapping[str, object], *, big: bool = False) -> str:
    """Render names and values; with `big`, as cards; "" without any.

    Examples:
        >>> facts({"events": 3})
        '<dl><div><dt>events</dt><dd>3</dd></div></dl>'
    """
    inside = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in pairs.items())
    return f"<dl{_BIG if big else ''}>{inside}</dl>" if inside else ""


_BIG = ' class="cards"'


def section(title: str, *parts: str, level: int = 2) -> str:
    """Render a titled section; "" if all parts are empty.

    Examples:
        >>> section("Windows", ""), section("Windows", "<p>none</p>")
        ('', '<section><h2>Windows</h2><p>none</p></section>')
    """
    inside = "".join(parts)
    return f"<section><h{level}>{escape(title)}</h{level}>{inside}</section>" if inside else ""


def paragraph(text: object) -> str:
    """Render an escaped paragraph; "" for an empty text."""
    return f"<p>{safe(text)}</p>" if text else ""


def points(lines: Iterable[object]) -> str:
    """Render an unordered list of escaped lines; "" without lines."""
    items = "".join(f"<li>{safe(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def exact(value: float, text: str) -> Raw:
    """Render a rounded number that carries its exact value.

    Examples:
        >>> exact(812.4321, "812.4 ms")
        '<data value="812.4321">812.4 ms</data>'
    """
    return Raw(f'<data value="{escape(repr(value))}">{escape(text)}</data>')
