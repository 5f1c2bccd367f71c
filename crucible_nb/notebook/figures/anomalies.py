"""The figure of anomalies: flagged events, the span of each anomaly and its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crucible_nb.events.where import Where
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import canvas, empty_figure
from crucible_nb.notebook.figures.data import FigureData
from crucible_nb.notebook.figures.latency import draw_events
from crucible_nb.notebook.figures.marks import plotly_times, shade_pauses
from crucible_nb.notebook.figures.theme import Palette, palette_of
from crucible_nb.notebook.figures.words import escape, label_and_unit, plural, with_unit, wrap
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

_COLUMNS = ["start", "severity", "reason", "count"]
_MAX_LISTED = 8
_MAX_CHARTS = 4
_LINE_HEIGHT = 17  # pixels


def anomalies(experiment: Experiment, metric: str | None, theme: str | None, where: Where = None) -> go.Figure:
    """See `Plot.anomalies`."""
    palette, data = palette_of(theme), FigureData.of(experiment, where)
    title = f"{escape(data.name)}: anomalies"
    columns = _columns(data, metric)
    if not columns:
        return empty_figure(palette, title, "no numeric column has values")
    height = 130 + 210 * len(columns)
    grid = {"rows": len(columns), "cols": 1, "shared_xaxes": True, "vertical_spacing": 0.08}
    figure = canvas(palette, title, "", height=height, grid=grid)
    drawn = 0
    for row, column in enumerate(columns, 1):
        count, scale = draw_events(figure, data, column, palette, row=row)
        drawn = max(drawn, count)
        figure.update_yaxes(title_text=with_unit(*label_and_unit(column)), **scale.axis, row=row, col=1)
    _draw_bands(figure, data, palette)
    shade_pauses(figure, data, palette)
    figure.update_xaxes(title_text="UTC", row=len(columns), col=1)
    subtitle = data.counts_text(drawn)
    if not data.has_detector:
        subtitle += "; no detector was on: cr.start(anomaly='auto')"
    _list_reasons(figure, data, palette, height)
    return figure.update_layout(title_subtitle_text=subtitle)


def _columns(data: FigureData, metric: str | None) -> list[str]:
    """Return the given metric; else the anomalous columns, most frequent first; else the latency."""
    if metric is not None:
        return list(checks.columns("metric", metric, data.frame.columns))
    counts = data.frame["anomaly_metric"].value_counts()
    anomalous = [str(name) for name, count in counts.items() if count and name in data.frame.columns]
    columns = anomalous[:_MAX_CHARTS] or ["latency_ms"]
    return [name for name in columns if np.isfinite(data.values(name)).any()]


def _draw_bands(figure: go.Figure, data: FigureData, palette: Palette) -> None:
    """Shade the span of each anomaly from its first to its last flagged event, also where no row was kept."""
    times = (data.incidents[side].astype("datetime64[ns, UTC]").to_numpy(np.int64) for side in ("start", "end"))
    band = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "opacity": 0.16}
    band |= {"fillcolor": palette.anomaly, "line": {"width": 1, "color": palette.anomaly}}
    spans = zip(*(np.datetime_as_string(plotly_times(each), "us").tolist() for each in times), strict=True)
    figure.update_layout(shapes=[{**band, "x0": start, "x1": end} for start, end in spans])


def _list_reasons(figure: go.Figure, data: FigureData, palette: Palette, height: int) -> None:
    """List the reasons of the last anomalies below the charts."""
    last = data.incidents.iloc[-_MAX_LISTED:]
    if not len(last):
        return
    lines = [
        f"{i + 1}  {start:%H:%M:%S}  {severity}, {plural(count, 'event')}: {reason}"
        for i, start, severity, reason, count in last[_COLUMNS].itertuples(name=None)
    ]
    if len(data.incidents) > _MAX_LISTED:
        lines.insert(0, f"the last {_MAX_LISTED} of {len(data.incidents):,}:")
    text = "<br>".join(wrap(line, 100) for line in lines)
    extra = _LINE_HEIGHT * (text.count("<br>") + 1)
    figure.add_annotation(
        text=text, x=0, y=0, xref="paper", yref="paper", xanchor="left", yanchor="top", xshift=-52, yshift=-58,
        align="left", showarrow=False, font={"size": 12, "color": palette.text},
    )  # fmt: skip
    figure.update_layout(height=height + extra, margin_b=66 + extra)
