"""Two arms: how their latencies are spread, and by how much each metric differs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crucible_nb import checks
from crucible_nb.comparison import Comparison, MetricComparison, compare
from crucible_nb.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook.figures.canvas import canvas, empty, is_skewed
from crucible_nb.notebook.figures.theme import Look, look_of
from crucible_nb.notebook.figures.words import number, safe

if TYPE_CHECKING:
    from plotly import graph_objects as go

LEVELS = np.arange(1, 200) / 200
"""Quantile levels that are drawn."""
_ROW = 44  # pixels a metric
_WANTED = {"up": "more is better", "down": "less is better"}
_SETTLED = ("better", "worse", "equivalent", "not worse", "different")


def compared(control: Experiment, treatment: Any, theme: str | None, options: dict[str, Any]) -> go.Figure:
    """See `Plot.compare`."""
    look = look_of(theme)
    if not isinstance(treatment, (Experiment, pd.DataFrame)) or treatment is control:
        raise checks.wrong("other", treatment, "another Experiment, or a DataFrame")
    arms = [control.metrics(), treatment.metrics() if isinstance(treatment, Experiment) else _frame(treatment)]
    if not all(arm.events for arm in arms):
        return empty(look, f"{safe(control.name)}: comparison", "one of the arms has no events yet")
    found = compare(control, treatment, **options)
    if not isinstance(found, Comparison):  # a single arm was given
        raise checks.wrong("other", treatment, "one arm")
    names = [safe(found.control, 40), safe(found.treatment, 40)]
    spread = all(arm.latency.count for arm in arms)
    above = 230 if spread else 0
    height = 190 + above + _ROW * len(found)
    share = above / (height - 190) if spread else 0.0
    grid: dict[str, Any] = {"rows": 2 if spread else 1, "cols": 1}
    grid |= {"row_heights": [share, 1 - share], "vertical_spacing": 110 / height} if spread else {}
    figure = canvas(look, f"{names[1]} against {names[0]}", _said(found, arms), height=height, grid=grid)
    if spread:
        _spread(figure, arms, names, look)
    _forest(figure, found, look, 2 if spread else 1)
    return figure.update_layout(margin={"l": 24, "r": 210})


def _frame(frame: pd.DataFrame) -> Metrics:
    metrics: Metrics = frame.crucible.metrics()
    return metrics


def _said(found: Comparison, arms: list[Metrics]) -> str:
    first = next(iter(found.values()))
    counts = " and ".join(f"{arm.events:,.0f}" for arm in arms)
    return f"{counts} events; bars are {first.confidence:.0%} intervals of treatment - control"


def _spread(figure: go.Figure, arms: list[Metrics], names: list[str], look: Look) -> None:
    """The share of events that took no longer, of each arm."""
    values = [np.asarray(arm.latency.quantile(LEVELS), np.float64) for arm in arms]
    log = is_skewed(np.concatenate(values))
    colors, dashes = (look.p50, look.p95), ("solid", "dash")
    for name, quantiles, color, dash in zip(names, values, colors, dashes, strict=True):
        figure.add_scatter(
            x=quantiles, y=100 * LEVELS, mode="lines", name=name, hoverinfo="x+y+name",
            line={"color": color, "dash": dash, "width": 2}, row=1, col=1,
        )  # fmt: skip
    right = sorted(range(2), key=lambda arm: float(values[arm][len(LEVELS) // 2]))
    for arm, (level, anchor) in zip(right, ((0.8, "right"), (0.2, "left")), strict=True):
        at = float(values[arm][round(level * 200) - 1])
        figure.add_annotation(
            text=names[arm], x=math.log10(at) if log and at > 0 else at, y=100 * level, xanchor=anchor, showarrow=False,
            xshift=-8 if anchor == "right" else 8, font={"color": colors[arm], "size": 13}, row=1, col=1,
        )  # fmt: skip
    figure.update_xaxes(title_text="latency, ms", type="log" if log else "linear", row=1, col=1)
    figure.update_yaxes(title_text="events, %", range=[0, 101], row=1, col=1)


def _forest(figure: go.Figure, found: Comparison, look: Look, place: int) -> None:
    """A row a metric: the difference in per cent of the control, its interval, and the verdict in words."""
    at = {"row": place, "col": 1}
    scaled = {metric: [_percent(one, value) for value in (one.estimate, *one.confidence_interval)]
              for metric, one in found.items()}  # fmt: skip
    known = [abs(value) for row in scaled.values() for value in row if math.isfinite(value)] or [1.0]
    reach = 1.15 * max(known) or 1.0
    figure.add_vline(x=0, line={"color": look.text, "width": 1, "dash": "dot"}, **at)
    for y, (metric, one) in enumerate(found.items()):
        estimate, low, high = (min(max(value, -reach), reach) for value in scaled[metric])
        settled = one.verdict in _SETTLED
        figure.add_scatter(
            x=[low, estimate, high], y=[y, y, y], mode="lines+markers", name=safe(metric), hoverinfo="text",
            line={"color": look.p99, "width": 2}, hovertext=safe(one.why, 200),
            marker={"size": [0, 11, 0], "symbol": "diamond" if settled else "diamond-open", "color": look.p99}, **at,
        )  # fmt: skip
        figure.add_annotation(
            text=f"<b>{safe(one.verdict)}</b><br>{number(one.control)} → {number(one.treatment)}", x=1, y=y,
            xref=f"x{'' if place == 1 else place} domain", yref=f"y{'' if place == 1 else place}", xanchor="left",
            xshift=10, showarrow=False, align="left", font={"color": look.text, "size": 12},
        )  # fmt: skip
    wanted = [f"<br><i>{_WANTED[one.direction]}</i>" if one.direction in _WANTED else "" for one in found.values()]
    labels = [safe(metric, 30) + word for metric, word in zip(found, wanted, strict=True)]
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=labels,
        range=[len(labels) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        **at,
    )
    figure.update_xaxes(title_text="difference, % of the control", range=[-reach, reach], showgrid=True, **at)


def _percent(one: MetricComparison, value: float) -> float:
    return 100 * value / abs(one.control) if one.control else math.copysign(math.inf, value) if value else 0.0
