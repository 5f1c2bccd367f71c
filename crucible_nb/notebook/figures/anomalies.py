"""What was out of line, where, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import canvas, empty
from crucible_nb.notebook.figures.latency import draw
from crucible_nb.notebook.figures.marks import moments, shade_pauses
from crucible_nb.notebook.figures.rows import Rows
from crucible_nb.notebook.figures.theme import Look, look_of
from crucible_nb.notebook.figures.words import named, plural, safe, with_unit, wrapped
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

_COLUMNS = ["start", "severity", "reason", "count"]
_LISTED = 8
_CHARTS = 4
_LINE = 17  # pixels


def anomalies(experiment: Experiment, metric: str | None, theme: str | None) -> go.Figure:
    """See `Plot.anomalies`."""
    look, rows = look_of(theme), Rows.of(experiment)
    title = f"{safe(rows.name)}: anomalies"
    columns = _columns(rows, metric)
    if not columns:
        return empty(look, title, "no number that could be out of line is known")
    height = 130 + 210 * len(columns)
    grid = {"rows": len(columns), "cols": 1, "shared_xaxes": True, "vertical_spacing": 0.08}
    figure = canvas(look, title, "", height=height, grid=grid)
    drawn = 0
    for place, column in enumerate(columns, 1):
        count, scale = draw(figure, rows, column, look, place=place)
        drawn = max(drawn, count)
        figure.update_yaxes(title_text=with_unit(*named(column)), **scale.axis, row=place, col=1)
    _bands(figure, rows, look)
    shade_pauses(figure, rows, look)
    figure.update_xaxes(title_text="UTC", row=len(columns), col=1)
    said = rows.said(drawn) if rows.watched else f"{rows.said(drawn)}; no detector was on: cr.start(anomaly='auto')"
    _list(figure, rows, look, height)
    return figure.update_layout(title_subtitle_text=said)


def _columns(rows: Rows, metric: str | None) -> list[str]:
    """The metric asked for; else those that were out of line, the most often first; else the latency."""
    if metric is not None:
        return list(checks.columns("metric", metric, rows.frame.columns))
    counts = rows.frame["anomaly_metric"].value_counts()
    found = [str(name) for name, count in counts.items() if count and name in rows.frame.columns]
    wanted = found[:_CHARTS] or ["latency_ms"]
    return [name for name in wanted if np.isfinite(rows.values(name)).any()]


def _bands(figure: go.Figure, rows: Rows, look: Look) -> None:
    """From the first to the last flagged event of each anomaly, behind everything; also where no row was kept."""
    times = (rows.incidents[side].astype("datetime64[ns, UTC]").to_numpy(np.int64) for side in ("start", "end"))
    band = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "opacity": 0.16}
    band |= {"fillcolor": look.anomaly, "line": {"width": 1, "color": look.anomaly}}
    spans = zip(*(np.datetime_as_string(moments(each), "us").tolist() for each in times), strict=True)
    figure.update_layout(shapes=[{**band, "x0": start, "x1": end} for start, end in spans])


def _list(figure: go.Figure, rows: Rows, look: Look, height: int) -> None:
    """The reasons of the last anomalies, under the charts."""
    found = rows.incidents.iloc[-_LISTED:]
    if not len(found):
        return
    told = [
        f"{i + 1}  {start:%H:%M:%S}  {severity}, {plural(count, 'event')}: {reason}"
        for i, start, severity, reason, count in found[_COLUMNS].itertuples(name=None)
    ]
    if len(rows.incidents) > _LISTED:
        told.insert(0, f"the last {_LISTED} of {len(rows.incidents):,}:")
    text = "<br>".join(wrapped(line, 100) for line in told)
    room = _LINE * (text.count("<br>") + 1)
    figure.add_annotation(
        text=text, x=0, y=0, xref="paper", yref="paper", xanchor="left", yanchor="top", xshift=-52, yshift=-58,
        align="left", showarrow=False, font={"size": 12, "color": look.text},
    )  # fmt: skip
    figure.update_layout(height=height + room, margin_b=66 + room)
