"""Escaped HTML as pure strings, for the reprs of results: no script, nothing fetched, the colours of the host."""

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
    """Markup that is safe as it stands, such as a picture of ours; all else is escaped."""

    __slots__ = ()


def table(rows: Iterable[Sequence[object]], header: Sequence[object] = (), caption: str = "") -> str:
    """A plain table; every cell, header and the caption are escaped.

    Examples:
        >>> table([("<b>", Raw("<svg/>"))])
        '<table class="crucible"><tbody><tr><td>&lt;b&gt;</td><td><svg/></td></tr></tbody></table>'
    """

    def line(cells: Sequence[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{_safe(cell)}</{tag}>" for cell in cells) + "</tr>"

    head = f"<thead>{line(header, 'th')}</thead>" if header else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(line(row, "td") for row in rows)
    return f'<table class="crucible">{title}{head}<tbody>{body}</tbody></table>'


def points(lines: Iterable[object]) -> str:
    """An unordered list, each line escaped; nothing for no lines."""
    items = "".join(f"<li>{escape(str(line))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def figure(picture: str, caption: str) -> str:
    """A picture of ours below its escaped caption; nothing for no picture."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{picture}</figure>" if picture else ""


def row(parts: Iterable[str]) -> str:
    """Markup of ours side by side; nothing for nothing."""
    inside = "".join(parts)
    return f'<div class="crucible-row">{inside}</div>' if inside else ""


def view(*parts: str) -> str:
    """Markup of ours with the look of all reprs: colours of JupyterLab's or VS Code's theme, else those around it."""
    return f'<div class="crucible-view"><style>{_STYLE}</style>{"".join(parts)}</div>'


def _safe(cell: object) -> str:
    return cell if isinstance(cell, Raw) else escape(str(cell))
