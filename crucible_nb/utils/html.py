"""Escaped HTML for the reprs of results: no scripts, no external resources, the colours of the host page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """\
.crucible-view{--crucible-line:#d5d5d5;overflow-x:auto;font-variant-numeric:tabular-nums;
color:var(--jp-content-font-color1,var(--vscode-foreground,inherit))}
@media(prefers-color-scheme:dark){.crucible-view{--crucible-line:#4d4d4d}}
.crucible-view table.crucible{border-collapse:collapse;border:none;
min-width:min(24em,100%);margin:0 0 .4em;color:inherit}
.crucible-view caption{text-align:left;font-weight:600;padding:.2em 0;color:inherit}
.crucible-view :is(td,th){text-align:left;vertical-align:top;padding:.15em .9em .15em 0;background:none;
border:none;border-bottom:1px solid var(--jp-border-color2,var(--crucible-line))}
.crucible-view :is(td,th,caption,figcaption,li){unicode-bidi:plaintext;overflow-wrap:break-word;max-width:42em}
.crucible-view td .crucible-row{flex-wrap:nowrap}
.crucible-view .crucible-row{display:flex;flex-wrap:wrap;gap:.3em 1.5em}
.crucible-view figure{margin:0}.crucible-view figcaption{font-size:.9em}
"""


class Raw(str):
    """Trusted markup, such as a generated picture, that is not escaped."""

    __slots__ = ()


def table(rows: Iterable[Sequence[object]], header: Sequence[object] = (), caption: str = "") -> str:
    """Render a plain table; cells, headers and the caption are escaped, and an empty header is an ordinary cell.

    Examples:
        >>> table([("<b>", Raw("<svg/>"))])
        '<table class="crucible"><tbody><tr><td>&lt;b&gt;</td><td><svg/></td></tr></tbody></table>'
    """

    def line(cells: Sequence[object], tag: str) -> str:
        tags = (tag if cell else "td" for cell in map(str, cells))
        return (
            "<tr>" + "".join(f"<{tag}>{_safe(cell)}</{tag}>" for cell, tag in zip(cells, tags, strict=True)) + "</tr>"
        )

    head = f"<thead>{line(header, 'th')}</thead>" if header else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(line(row, "td") for row in rows)
    return f'<table class="crucible">{title}{head}<tbody>{body}</tbody></table>'


def points(lines: Iterable[object]) -> str:
    """Render an unordered list of escaped lines; "" without lines."""
    items = "".join(f"<li>{escape(str(line))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def figure(picture: str, caption: str) -> str:
    """Render trusted markup of a picture below its escaped caption; "" without a picture."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{picture}</figure>" if picture else ""


def row(parts: Iterable[str]) -> str:
    """Render trusted markup side by side; "" without parts."""
    inside = "".join(parts)
    return f'<div class="crucible-row">{inside}</div>' if inside else ""


def view(*parts: str) -> str:
    """Render trusted markup in the style of all reprs: colours of JupyterLab's or VS Code's theme, else inherited."""
    return f'<div class="crucible-view"><style>{_STYLE}</style>{"".join(parts)}</div>'


def _safe(cell: object) -> str:
    return cell if isinstance(cell, Raw) else escape(str(cell))
