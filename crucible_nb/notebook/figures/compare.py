"""The figure of a comparison: latency distributions of two arms, and the difference of each metric."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crucible_nb.comparison import Comparison, MetricComparison, compare
from crucible_nb.events.where import Where
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook.figures.canvas import canvas, empty_figure, is_skewed
from crucible_nb.notebook.figures.theme import Palette, palette_of
from crucible_nb.notebook.figures.words import escape, label_and_unit, number
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

LEVELS = np.arange(1, 200) / 200
"""Quantile levels drawn."""
_NOTE_WIDTH, _LINE = 110, 15  # characters of a line of notes, its height in pixels
_DISTRIBUTIONS, _METRIC, _GAP = 210, 46, 62  # heights in pixels: distributions, one metric, space between two
_STATISTICS = ("mean", "total", "p50", "p90", "p95", "p99")
_DIRECTIONS = {"up": "more is better", "down": "less is better"}
_SIGNIFICANT = ("better", "worse", "equivalent", "not worse", "different")


def comparison_figure(control: Experiment, treatment: Any, theme: str | None, options: dict[str, Any]) -> go.Figure:
    """See `Plot.compare`."""
    palette = palette_of(theme)
    if not isinstance(treatment, (Experiment, pd.DataFrame)) or treatment is control:
        raise checks.wrong("other", treatment, "another Experiment, or a DataFrame")
    arms = [_metrics(arm, options.get("where")) for arm in (control, treatment)]
    if not all(arm.events for arm in arms):
        return empty_figure(palette, f"{escape(control.name)}: comparison", "one of the arms has no events yet")
    comparison = compare(control, treatment, **options)
    if not isinstance(comparison, Comparison):  # more than one arm was given
        raise checks.wrong("other", treatment, "one arm")
    names = [escape(comparison.control, 40), escape(comparison.treatment, 40)]
    has_latency = all(arm.latency.count for arm in arms)
    above = [_DISTRIBUTIONS] if has_latency else []
    pixels = [*above, *[_METRIC] * len(comparison)]
    height = sum(pixels) + _GAP * (len(pixels) - 1)
    gap = _GAP / height if len(pixels) > 1 else 0
    grid = {"rows": len(pixels), "cols": 1, "row_heights": pixels, "vertical_spacing": gap}
    title, subtitle = f"{names[1]} against {names[0]}", _subtitle(comparison, arms)
    figure = canvas(palette, title, subtitle, height=height + 130, grid=grid)
    if has_latency:
        _draw_distributions(figure, arms, names, palette)
    for row, result in enumerate(comparison.values(), 1 + len(above)):
        _draw_difference(figure, result, palette, row)
    notes = [*(f"warning: {text}" for text in comparison.warnings), *comparison.exclusions]
    return _add_notes(figure.update_layout(margin={"l": 24, "r": 190}), notes, palette)


def _add_notes(figure: go.Figure, notes: list[str], palette: Palette) -> go.Figure:
    """Write sentences below the panels."""
    lines = [escape(line) for note in notes for line in textwrap.wrap(note, _NOTE_WIDTH)]
    if not lines:
        return figure
    room = _LINE * len(lines)
    figure.add_annotation(
        text="<br>".join(lines), x=0, y=0, xref="paper", yref="paper", xanchor="left", yanchor="top", align="left",
        yshift=-56, showarrow=False, font={"color": palette.text, "size": 11},
    )  # fmt: skip
    below = (figure.layout.margin.b or 80) + room
    return figure.update_layout(height=figure.layout.height + room, margin={"b": below})


def _metrics(arm: Any, where: Where) -> Metrics:
    metrics: Metrics = (arm if isinstance(arm, Experiment) else arm.crucible).metrics(where=where)
    return metrics


def _subtitle(comparison: Comparison, arms: list[Metrics]) -> str:
    first = next(iter(comparison.values()))
    counts = " and ".join(f"{arm.events:,.0f}" for arm in arms)
    return f"{counts} events; bars are {100 * first.confidence:.5g}% intervals of treatment - control"


def _draw_distributions(figure: go.Figure, arms: list[Metrics], names: list[str], palette: Palette) -> None:
    """Draw the cumulative distribution of the latencies of each arm."""
    values = [np.asarray(arm.latency.quantile(LEVELS), np.float64) for arm in arms]
    log = is_skewed(np.concatenate(values))
    colors, dashes = (palette.p50, palette.p95), ("solid", "dash")
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


def _draw_difference(figure: go.Figure, result: MetricComparison, palette: Palette, row: int) -> None:
    """Draw one metric: the difference in its unit, its interval, the margin, and the verdict in words."""
    at, suffix = {"row": row, "col": 1}, "" if row == 1 else str(row)
    factor, unit = _unit(result.metric)
    interval = result.confidence_interval
    values = [factor * value for value in (interval.low, result.estimate, interval.high)]
    margin = factor * (result.margin or 0.0)
    reach = 1.15 * max([abs(value) for value in (*values, margin) if math.isfinite(value)], default=1.0) or 1.0
    low, estimate, high = (value if math.isnan(value) else min(max(value, -reach), reach) for value in values)
    symbol = "diamond" if result.verdict in _SIGNIFICANT else "diamond-open"
    figure.add_scatter(
        x=[low, estimate, high], y=[0, 0, 0], mode="lines+markers", name=escape(result.estimand), hoverinfo="text",
        line={"color": palette.p50, "width": 2.5}, hovertext=escape(result.why, 200),
        marker={"size": [0, 12, 0], "opacity": 1, "symbol": symbol, "color": palette.p50}, **at,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": palette.text, "width": 1, "dash": "dot"}, **at)
    if margin:
        figure.add_vrect(x0=-margin, x1=margin, fillcolor=palette.shade, line_width=0, layer="below", **at)
    change = f"{number(factor * result.control)} → {number(factor * result.treatment)} {unit}"
    if not math.isnan(result.control_over_events):
        over = [number(factor * value) for value in (result.control_over_events, result.treatment_over_events)]
        change += f"<br>over events {' → '.join(over)} {unit}"
    figure.add_annotation(
        text=f"<b>{escape(result.verdict)}</b><br>{change}", x=1, y=0, xref=f"x{suffix} domain", yref=f"y{suffix}",
        xanchor="left", xshift=10, showarrow=False, align="left", font={"color": palette.text, "size": 12},
    )  # fmt: skip
    direction = [f"<i>{_DIRECTIONS[result.direction]}</i>"] if result.direction else []
    label = "<br>".join([escape(result.estimand, 45), *direction])
    figure.update_yaxes(tickvals=[0], ticktext=[label], range=[-1, 1], showgrid=False, zeroline=False, **at)
    figure.update_xaxes(range=[-reach, reach], showgrid=True, nticks=7, title_text=_axis_title(unit), **at)


def _unit(metric: str) -> tuple[float, str]:
    """Return the factor from a value to the unit shown, and that unit."""
    if metric.endswith("_rate"):
        return 100.0, "%"
    column = metric.split("_", 1)[1] if metric.split("_", 1)[0] in _STATISTICS and "_" in metric else metric
    return 1.0, label_and_unit(column)[1]


def _axis_title(unit: str) -> str:
    return f"difference, {'points' if unit == '%' else unit}" if unit else "difference"
