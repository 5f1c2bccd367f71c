"""Latency quantiles over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import Scale, canvas, dots, empty, is_skewed, label_ends
from crucible_nb.notebook.figures.marks import mark_incidents, moments, shade_pauses
from crucible_nb.notebook.figures.rows import Rows
from crucible_nb.notebook.figures.theme import look_of
from crucible_nb.notebook.figures.words import lasting, safe, window_of

if TYPE_CHECKING:
    from plotly import graph_objects as go

DASHES = {"p50": "solid", "p95": "dash", "p99": "dot"}


def quantiles(experiment: Experiment, window: Any, theme: str | None, log: bool | None) -> go.Figure:
    """See `Plot.quantiles`."""
    look, rows = look_of(theme), Rows.of(experiment)
    if not np.isfinite(rows.values("latency_ms")).any():
        return empty(look, f"{safe(rows.name)}: latency quantiles", "no latency is known")
    length = window_of(int(rows.times[-1] - rows.times[0])) if window is None else window
    table = rows.frame.crucible.windowed_metrics(length)
    series = {name: table[f"{name}_latency_ms"].to_numpy(np.float64) for name in DASHES}
    scale = Scale.of(series.values(), log=is_skewed(series["p99"]) if log is None else log, zero=True)
    scale = scale.with_room() if len(rows.incidents) else scale
    title = f"{safe(rows.name)}: latency quantiles of {lasting(table['window_end'].iloc[0] - table.index[0])}, ms"
    figure = canvas(look, title, rows.said())
    for name, values in series.items():
        figure.add_scatter(
            x=moments(table.index.as_unit("ns").asi8), y=values, mode=dots(values), name=name,
            line={"color": getattr(look, name), "dash": DASHES[name], "width": 2}, hoverinfo="x+y+name",
        )  # fmt: skip
    label_ends(figure, [(values, name, getattr(look, name)) for name, values in series.items()], scale)
    mark_incidents(figure, rows, scale.top, look, {})
    shade_pauses(figure, rows, look)
    figure.update_xaxes(title_text="UTC, beginning of the window")
    return figure.update_yaxes(title_text="latency, ms", **scale.axis)
