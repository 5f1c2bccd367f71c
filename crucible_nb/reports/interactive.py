"""Figures of a report that can be zoomed: plotly, embedded once, and nothing else that runs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from crucible_nb.errors import CrucibleError
from crucible_nb.reports.arms import ReportArm
from crucible_nb.reports.words import Words

_DRAW = """\
for (const at of document.querySelectorAll("div.plot")) {
  const figure = JSON.parse(document.getElementById(at.dataset.figure).textContent);
  Plotly.newPlot(at, figure.data, figure.layout, {responsive: true, displaylogo: false});
}
"""


class Interactive(NamedTuple):
    """Figures, the scripts that draw them, and what the page's policy has to allow for it.

    Attributes:
        figures: HTML of the figures; "" if there is nothing to draw.
        scripts: HTML of the scripts, for the end of the page.
        policy: Part of the policy that allows these scripts, by their digests, and the styles that plotly sets.
    """

    figures: str = ""
    scripts: str = ""
    policy: str = ""


def interactive(arms: Sequence[ReportArm]) -> Interactive:
    """Draw the figures of one arm, or the quantiles of each arm."""
    parts, data = [], []
    for at, (title, figure) in enumerate(_figures(arms)):
        name = f"figure-{at}"
        content = json.dumps(_cleaned(json.loads(figure.to_json()), arms[0].words)).replace("<", "\\u003c")
        parts.append(f'<div class="plot" role="figure" aria-label="{escape(title)}" data-figure="{name}"></div>')
        data.append(f'<script type="application/json" id="{name}">{content}</script>')
    if not parts:
        return Interactive()
    from plotly.offline import get_plotlyjs  # noqa: PLC0415  only for pages that are interactive

    programs = [str(get_plotlyjs()), _DRAW]
    scripts = "".join(data) + "".join(f"<script>{program}</script>" for program in programs)
    digests = " ".join(f"'sha256-{_digest(program)}'" for program in programs)
    return Interactive("".join(parts), scripts, f"script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:")


def _digest(program: str) -> str:
    return base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()


def _figures(arms: Sequence[ReportArm]) -> Iterator[tuple[str, Any]]:
    """Yield title and figure of what can be drawn."""
    for arm in arms:
        for kind in ("latency", "windows") if len(arms) == 1 else ("latency",):
            if not len(arm.rows):
                continue
            try:
                yield f"{arm.name}: {kind}", getattr(arm.experiment.plot, kind)()
            except CrucibleError:  # without latencies there is nothing to draw
                continue


def _cleaned(value: Any, words: Words) -> Any:
    """Return plain data whose texts have no secrets; encoded arrays stay as they are."""
    if isinstance(value, dict):
        return {key: one if key == "bdata" else _cleaned(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one, words) for one in value]
    return words.plain("text", value) if isinstance(value, str) else value
