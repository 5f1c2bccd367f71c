"""Two arms: how their latencies are spread, and by how much each metric differs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crucible_nb.comparison import Comparison, MetricComparison, compare
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook.figures.canvas import canvas, empty, is_skewed
from crucible_nb.notebook.figures.theme import Look, look_of
from crucible_nb.notebook.figures.words import named, number, safe
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

LEVELS = np.arange(1, 200) / 200
"""Quantile levels that are drawn."""
_ABOVE, _ROW, _GAP = 210, 46, 62  # pixels: of latencies, of a metric, between two
_KINDS = ("mean", "total", "p50", "p90", "p95", "p99")
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
    above = [_ABOVE] if spread else []
    pixels = [*above, *[_ROW] * len(found)]
    height = sum(pixels) + _GAP * (len(pixels) - 1)
    gap = _GAP / height if len(pixels) > 1 else 0
    grid = {"rows": len(pixels), "cols": 1, "row_heights": pixels, "vertical_spacing": gap}
    figure = canvas(look, f"{names[1]} against {names[0]}", _said(found, arms), height=height + 130, grid=grid)
    if spread:
        _spread(figure, arms, names, look)
    for place, one in enumerate(found.values(), 1 + len(above)):
        _difference(figure, one, look, place)
    return figure.update_layout(margin={"l": 24, "r": 190})


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


def _difference(figure: go.Figure, one: MetricComparison, look: Look, place: int) -> None:
    """One metric: the difference in its unit, its interval, the margin that would matter, and the verdict in words."""
    at, suffix = {"row": place, "col": 1}, "" if place == 1 else str(place)
    times, unit = _unit(one.metric)
    wanted = [times * value for value in (one.confidence_interval.low, one.estimate, one.confidence_interval.high)]
    margin = times * (one.margin or 0.0)
    reach = 1.15 * max([abs(value) for value in (*wanted, margin) if math.isfinite(value)], default=1.0) or 1.0
    low, estimate, high = (min(max(value, -reach), reach) for value in wanted)
    symbol = "diamond" if one.verdict in _SETTLED else "diamond-open"
    figure.add_scatter(
        x=[low, estimate, high], y=[0, 0, 0], mode="lines+markers", name=safe(one.metric), hoverinfo="text",
        line={"color": look.p50, "width": 2.5}, hovertext=safe(one.why, 200),
        marker={"size": [0, 12, 0], "opacity": 1, "symbol": symbol, "color": look.p50}, **at,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": look.text, "width": 1, "dash": "dot"}, **at)
    if margin:
        figure.add_vrect(x0=-margin, x1=margin, fillcolor=look.shade, line_width=0, layer="below", **at)
    figure.add_annotation(
        text=f"<b>{safe(one.verdict)}</b><br>{number(times * one.control)} → {number(times * one.treatment)} {unit}",
        x=1, y=0, xref=f"x{suffix} domain", yref=f"y{suffix}", xanchor="left", xshift=10, showarrow=False,
        align="left", font={"color": look.text, "size": 12},
    )  # fmt: skip
    label = "<br>".join([safe(one.metric, 30), *([f"<i>{_WANTED[one.direction]}</i>"] if one.direction else [])])
    figure.update_yaxes(tickvals=[0], ticktext=[label], range=[-1, 1], showgrid=False, zeroline=False, **at)
    figure.update_xaxes(range=[-reach, reach], showgrid=True, nticks=7, title_text=_title(unit), **at)


def _unit(metric: str) -> tuple[float, str]:
    """What a value is multiplied by for people, and its unit then."""
    if metric.endswith("_rate"):
        return 100.0, "%"
    column = metric.split("_", 1)[1] if metric.split("_", 1)[0] in _KINDS and "_" in metric else metric
    return 1.0, named(column)[1]


def _title(unit: str) -> str:
    return f"difference, {'points' if unit == '%' else unit}" if unit else "difference"
