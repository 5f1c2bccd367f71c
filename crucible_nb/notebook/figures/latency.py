"""Every event's latency over time, and the median of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import Scale, canvas, dots, empty, is_skewed, label_ends
from crucible_nb.notebook.figures.decimate import BUCKETS, decimate
from crucible_nb.notebook.figures.marks import mark_rows, moments, shade_pauses
from crucible_nb.notebook.figures.rows import Rows
from crucible_nb.notebook.figures.theme import Look, look_of
from crucible_nb.notebook.figures.words import lasting, named, safe, window_of, with_unit

if TYPE_CHECKING:
    from plotly import graph_objects as go


def latency(experiment: Experiment, theme: str | None, log: bool | None) -> go.Figure:
    """See `Plot.latency`."""
    look, rows = look_of(theme), Rows.of(experiment)
    values = rows.values("latency_ms")
    if not np.isfinite(values).any():
        return empty(look, f"{safe(rows.name)}: latency", "no latency is known")
    figure = canvas(look, f"{safe(rows.name)}: latency of each event, ms", "")
    drawn, scale = draw(figure, rows, "latency_ms", look, log=log)
    shade_pauses(figure, rows, look)
    figure.update_xaxes(title_text="UTC").update_yaxes(title_text=with_unit(*named("latency_ms")), **scale.axis)
    said = rows.said(drawn) + ("; the least and the largest of each instant are kept" if drawn < len(values) else "")
    return figure.update_layout(title_subtitle_text=said)


def draw(
    figure: go.Figure, rows: Rows, column: str, look: Look, *, log: bool | None = None, place: int = 0
) -> tuple[int, Scale]:
    """Events, their median (of 0 and 1 the share) over time, and anomalies; says how many are drawn.

    In a subplot (`place`) only anomalies of this column are marked: others have subplots of their own.
    """
    values, within = rows.values(column), {} if not place else {"row": place, "col": 1}
    shown = decimate(rows.times, values, rows.flagged, BUCKETS // 2 if place else BUCKETS)
    log = is_skewed(values) if log is None else log
    scale = Scale.of([values], log=log, zero=True)
    times, names = moments(rows.times[shown]), [safe(name, 40) for name in rows.frame["event"].iloc[shown]]
    figure.add_scatter(
        x=times, y=values[shown], mode="markers", name="events", text=names if len(set(names)) > 1 else names[0],
        hoverinfo="x+y+text", marker={"size": 4, "color": look.p50, "opacity": 0.5}, **within,
    )  # fmt: skip
    window = window_of(int(rows.times[-1] - rows.times[0]))
    share = bool(np.isin(values[np.isfinite(values)], (0, 1)).all())
    extra = () if column == "latency_ms" else (column,)
    table = rows.frame.crucible.windowed_metrics(window, columns=extra)
    middle = table[f"{'mean' if share else 'p50'}_{column}"].to_numpy(np.float64)
    centres = table.index.as_unit("ns").asi8 + int(window.value // 2)
    figure.add_scatter(
        x=moments(centres), y=middle, mode=dots(middle), name="share" if share else "median",
        line={"color": look.p95, "width": 2}, hoverinfo="x+y+name", **within,
    )  # fmt: skip
    word = f"{'share' if share else 'median'}<br>of {lasting(window)}"
    label_ends(figure, [(middle, word, look.p95)], scale, place or 1)
    own = rows.flagged & (rows.frame["anomaly_metric"] == column).to_numpy() if place else rows.flagged
    mark_rows(figure, rows, values, own, look, within)
    return len(shown), scale
