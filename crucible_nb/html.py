"""Escaped HTML as pure strings, for the reprs of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(rows: Iterable[Sequence[object]], header: Sequence[object] = (), caption: str = "") -> str:
    """A plain table; every cell, header and the caption are escaped."""

    def line(cells: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    head = f"<thead>{line(header, 'th')}</thead>" if header else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(line(row, "td") for row in rows)
    return f'<table class="crucible">{title}{head}<tbody>{body}</tbody></table>'


def points(lines: Iterable[object]) -> str:
    """An unordered list, each line escaped; nothing for no lines."""
    items = "".join(f"<li>{escape(str(line))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
