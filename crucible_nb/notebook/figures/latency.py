"""The figure of latencies: each event over time, with the median."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crucible_nb.events.where import Where
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import Scale, canvas, empty_figure, is_skewed, label_ends, line_mode
from crucible_nb.notebook.figures.data import FigureData
from crucible_nb.notebook.figures.decimate import BUCKETS, decimate
from crucible_nb.notebook.figures.marks import mark_rows, plotly_times, shade_pauses
from crucible_nb.notebook.figures.theme import Palette, palette_of
from crucible_nb.notebook.figures.words import choose_window, escape, format_duration, label_and_unit, with_unit

if TYPE_CHECKING:
    from plotly import graph_objects as go


def latency(experiment: Experiment, theme: str | None, log: bool | None, where: Where = None) -> go.Figure:
    """See `Plot.latency`."""
    palette, data = palette_of(theme), FigureData.of(experiment, where)
    values = data.values("latency_ms")
    if not np.isfinite(values).any():
        return empty_figure(palette, f"{escape(data.name)}: latency", "no latency is known")
    figure = canvas(palette, f"{escape(data.name)}: latency of each event, ms", "")
    drawn, scale = draw_events(figure, data, "latency_ms", palette, log=log)
    shade_pauses(figure, data, palette)
    figure.update_xaxes(title_text="UTC")
    figure.update_yaxes(title_text=with_unit(*label_and_unit("latency_ms")), **scale.axis)
    subtitle = data.counts_text(drawn)
    if drawn < len(values):
        subtitle += "; the minimum and maximum of each instant are kept"
    return figure.update_layout(title_subtitle_text=subtitle)


def draw_events(
    figure: go.Figure, data: FigureData, column: str, palette: Palette, *, log: bool | None = None, row: int = 0
) -> tuple[int, Scale]:
    """Draw a column: its events, their median over time (of a 0/1 column the proportion), and the anomalies.

    Args:
        figure: The figure to change.
        data: Data of the experiment.
        column: Numeric column.
        palette: Colours.
        log: Logarithmic axis; None for skewed values only.
        row: Row of the subplot, where only anomalies of this column are marked; 0 without subplots.

    Returns:
        The number of points drawn, and the scale of the vertical axis.
    """
    values, within = data.values(column), {} if not row else {"row": row, "col": 1}
    shown = decimate(data.times, values, data.flagged, BUCKETS // 2 if row else BUCKETS)
    log = is_skewed(values) if log is None else log
    scale = Scale.of([values], log=log, zero=True)
    times, names = plotly_times(data.times[shown]), [escape(name, 40) for name in data.frame["event"].iloc[shown]]
    figure.add_scatter(
        x=times, y=values[shown], mode="markers", name="events", text=names if len(set(names)) > 1 else names[0],
        hoverinfo="x+y+text", marker={"size": 4, "color": palette.p50, "opacity": 0.5}, **within,
    )  # fmt: skip
    window = choose_window(int(data.times[-1] - data.times[0]))
    binary = bool(np.isin(values[np.isfinite(values)], (0, 1)).all())
    name, statistic = ("proportion", "mean") if binary else ("median", "p50")
    extra = () if column == "latency_ms" else (column,)
    table = data.frame.crucible.windowed_metrics(window, columns=extra)
    center = table[f"{statistic}_{column}"].to_numpy(np.float64)
    times = plotly_times(table.index.as_unit("ns").asi8 + int(window.value // 2))
    figure.add_scatter(
        x=times, y=center, mode=line_mode(center), name=name,
        line={"color": palette.p95, "width": 2}, hoverinfo="x+y+name", **within,
    )  # fmt: skip
    label_ends(figure, [(center, f"{name}<br>of {format_duration(window)}", palette.p95)], scale, row or 1)
    flagged = data.flagged & (data.frame["anomaly_metric"] == column).to_numpy() if row else data.flagged
    mark_rows(figure, data, values, flagged, palette, within)
    return len(shown), scale
