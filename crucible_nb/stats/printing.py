"""Tables of texts as plain text, Markdown and LaTeX; every cell is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crucible_nb.stats.results import latex_text
from crucible_nb.utils.text import plain

_HYPHEN = re.compile(r"(?<![\w.)}-])-(?=\d)")


def text_table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    """Lines of a table with columns of equal width; the last column is not padded.

    Examples:
        >>> text_table([["a", "1"], ["long", "2"]], ["arm", "n"])
        ['arm   n', 'a     1', 'long  2']
    """
    cells = [[plain(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header) - 1)]
    return [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in cells
    ]


def markdown_table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    r"""A Markdown table.

    Examples:
        >>> print(markdown_table([["a|b", "1"]], ["arm", "n"]))
        | arm | n |
        |---|---|
        | a\|b | 1 |
    """
    lines = [f"| {' | '.join(plain(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in [header, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def latex_table(
    rows: Sequence[Sequence[str]], header: Sequence[str], notes: Sequence[str] = (), columns: str | None = None
) -> str:
    r"""A LaTeX tabular with the rules of booktabs; notes are rows below it, a rule is above each new first cell.

    Negative numbers have a minus sign, not a hyphen.

    Args:
        rows, header: Texts, which are escaped.
        notes: Sentences.
        columns: Alignment; None is left for the first column, and right for the others.

    Examples:
        >>> print(latex_table([["p95_latency_ms", "3"]], ["metric", "n"]))
        % needs \usepackage{booktabs}
        \begin{tabular}{lr}
        \toprule
        metric & n \\
        \midrule
        p95\_latency\_ms & 3 \\
        \bottomrule
        \end{tabular}
    """
    head, *lines = [" & ".join(latex_text(plain(cell)) for cell in row) + r" \\" for row in [header, *rows]]
    lines = [_HYPHEN.sub("$-$", line) for line in lines]
    firsts = [row[0] for row in rows]
    grouped = len(set(firsts)) < len(firsts)
    body = [
        rf"\midrule{chr(10)}{line}" if grouped and at and firsts[at] != firsts[at - 1] else line
        for at, line in enumerate(lines)
    ]
    align = columns or "l" + "r" * (len(header) - 1)
    below = [
        rf"\multicolumn{{{len(header)}}}{{p{{\linewidth}}}}{{\footnotesize {latex_text(plain(note))}}} \\"
        for note in notes
    ]
    return "\n".join([
        r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{align}}}", r"\toprule", head, r"\midrule", *body,
        r"\bottomrule", *below, r"\end{tabular}",
    ])  # fmt: skip
