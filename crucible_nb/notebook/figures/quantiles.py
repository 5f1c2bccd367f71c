"""The figure of latency quantiles over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crucible_nb.events.where import Where
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import Scale, canvas, empty_figure, is_skewed, label_ends, line_mode
from crucible_nb.notebook.figures.data import FigureData
from crucible_nb.notebook.figures.marks import mark_incidents, plotly_times, shade_pauses
from crucible_nb.notebook.figures.theme import palette_of
from crucible_nb.notebook.figures.words import choose_window, escape, format_duration

if TYPE_CHECKING:
    from plotly import graph_objects as go

DASHES = {"p50": "solid", "p95": "dash", "p99": "dot"}


def quantiles(
    experiment: Experiment, window: Any, theme: str | None, log: bool | None, where: Where = None
) -> go.Figure:
    """See `Plot.quantiles`."""
    palette, data = palette_of(theme), FigureData.of(experiment, where)
    if not np.isfinite(data.values("latency_ms")).any():
        return empty_figure(palette, f"{escape(data.name)}: latency quantiles", "no latency is known")
    length = choose_window(int(data.times[-1] - data.times[0])) if window is None else window
    table = data.frame.crucible.windowed_metrics(length)
    series = {name: table[f"{name}_latency_ms"].to_numpy(np.float64) for name in DASHES}
    scale = Scale.of(series.values(), log=is_skewed(series["p99"]) if log is None else log, zero=True)
    scale = scale.with_room() if len(data.incidents) else scale
    span = table["window_end"].iloc[0] - table.index[0]
    title = f"{escape(data.name)}: latency quantiles of {format_duration(span)}, ms"
    figure = canvas(palette, title, data.counts_text())
    for name, values in series.items():
        figure.add_scatter(
            x=plotly_times(table.index.as_unit("ns").asi8), y=values, mode=line_mode(values), name=name,
            line={"color": getattr(palette, name), "dash": DASHES[name], "width": 2}, hoverinfo="x+y+name",
        )  # fmt: skip
    label_ends(figure, [(values, name, getattr(palette, name)) for name, values in series.items()], scale)
    mark_incidents(figure, data, scale.top, palette, {})
    shade_pauses(figure, data, palette)
    figure.update_xaxes(title_text="UTC, start of the window")
    return figure.update_yaxes(title_text="latency, ms", **scale.axis)
