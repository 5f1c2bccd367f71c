"""Small charts of everything a run has, side by side: by windows of time, of one experiment or of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import Scale, canvas, dots, empty, label_ends
from crucible_nb.notebook.figures.marks import mark_incidents, moments, shade_pauses
from crucible_nb.notebook.figures.quantiles import DASHES
from crucible_nb.notebook.figures.rows import Rows
from crucible_nb.notebook.figures.theme import Look, look_of
from crucible_nb.notebook.figures.words import lasting, safe, window_of
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

_HOUR = 3600.0


class Arm(NamedTuple):
    """One experiment by windows."""

    rows: Rows
    table: pd.DataFrame
    x: np.ndarray


class Line(NamedTuple):
    """One series of a chart."""

    name: str
    x: np.ndarray
    values: np.ndarray
    color: str
    dash: str


def panels(
    experiments: Sequence[Experiment], window: Any, columns: Sequence[str] | str, theme: str | None
) -> go.Figure:
    """See `Plot.windows`; two experiments are drawn over the seconds since each began."""
    look = look_of(theme)
    looks = [Rows.of(one) for one in experiments]
    title = " against ".join(safe(rows.name) for rows in looks)
    if not any(len(rows.frame) for rows in looks):
        return empty(look, title, "no events yet")
    known = [rows for rows in looks if len(rows.frame)]
    length = window_of(max(int(rows.times[-1] - rows.times[0]) for rows in known)) if window is None else window
    arms = [_arm(rows, length, columns, together=len(looks) > 1) for rows in known]
    charts = {name: lines for name, lines in _charts(arms, look).items() if _any(lines)}
    count = len(charts)
    down = -(-count // 2)
    grid = {
        "rows": down, "cols": min(count, 2), "subplot_titles": [safe(name) for name in charts],
        "horizontal_spacing": 0.2, "vertical_spacing": 66 / (210 * down) if down > 1 else 0,
    }  # fmt: skip
    span = arms[0].table["window_end"].iloc[0] - arms[0].table.index[0]
    said = "; ".join(rows.said() if len(looks) == 1 else f"{safe(rows.name)}: {rows.said()}" for rows in looks)
    title += f": windows of {lasting(span)}, {'UTC' if len(looks) == 1 else 'seconds since each began'}"
    figure = canvas(look, title, said, height=140 + 210 * down, grid=grid)
    for place, (name, lines) in enumerate(charts.items(), 1):
        _draw(figure, place, name, lines, arms, look)
    figure.update_layout(margin={"t": 96, "b": 44, "r": 72 if len(looks) == 1 else 120})
    return figure.update_annotations(selector={"yanchor": "bottom"}, font_size=13)


def _arm(rows: Rows, window: Any, columns: Sequence[str] | str, *, together: bool) -> Arm:
    wanted = [name for name in checks.columns("columns", columns, rows.frame.columns) if rows.values(name) is not None]
    table = rows.frame.crucible.windowed_metrics(window, columns=wanted)
    starts = pd.DatetimeIndex(table.index).as_unit("ns").asi8
    return Arm(rows, table, (starts - rows.began) / 1e9 if together else moments(starts))


def _charts(arms: Sequence[Arm], look: Look) -> dict[str, list[Line]]:
    """All charts by their titles, also those of which nothing is known."""
    one = len(arms) == 1
    quantiles = tuple(DASHES) if one else ("p95",)
    charts: dict[str, list[Line]] = {"latency, ms" if one else "latency p95, ms": []}
    for name in quantiles:
        charts[next(iter(charts))] += _lines(arms, f"{name}_latency_ms", name if one else "", look, name)
    for title, (role, read) in _RATES.items():
        charts[title] = _lines(arms, read, "", look, role)
    standard = {"p50_latency_ms", "p95_latency_ms", "p99_latency_ms", "mean_latency_ms"}
    extra = dict.fromkeys(str(name) for arm in arms for name in arm.table if str(name).startswith("mean_"))
    for column in (name for name in extra if name not in standard):
        charts[f"mean of {column.removeprefix('mean_')}"] = _lines(arms, column, "", look, "column")
    return charts


_RATES: dict[str, tuple[str, Any]] = {
    "events/s": ("rate", lambda arm: arm.table["event_count"].to_numpy(np.float64) / arm.rows.active(arm.table)),
    "success, %": ("success", lambda arm: 100 * arm.table["success_rate"].to_numpy(np.float64)),
    "cost, USD an hour": (
        "cost",
        lambda arm: _HOUR * arm.table["total_cost_usd"].to_numpy(np.float64) / arm.rows.active(arm.table),
    ),
}


def _lines(arms: Sequence[Arm], read: Any, name: str, look: Look, role: str) -> list[Line]:
    """A line an arm; arms have colours, dashes and names of their own."""
    made = []
    for number, arm in enumerate(arms):
        if isinstance(read, str):
            values = arm.table[read].to_numpy(np.float64) if read in arm.table else np.full(len(arm.x), np.nan)
        else:
            values = read(arm)
        one = len(arms) == 1
        color = getattr(look, role if one else ("p50", "p95")[number])
        dash = DASHES.get(name, "solid") if one else ("solid", "dash")[number]
        made.append(Line(name if one else arm.rows.name, arm.x, values, color, dash))
    return made


def _any(lines: Sequence[Line]) -> bool:
    return any(np.isfinite(line.values).any() for line in lines)


def _draw(figure: go.Figure, place: int, name: str, lines: Sequence[Line], arms: Sequence[Arm], look: Look) -> None:
    across = len(figure._grid_ref[0])
    at = {"row": (place - 1) // across + 1, "col": (place - 1) % across + 1}
    scale = Scale.of([line.values for line in lines], zero=not name.startswith(("success", "mean of")))
    marked = len(arms) == 1 and name.startswith("latency") and len(arms[0].rows.incidents)
    scale = scale.with_room() if marked else scale
    for line in lines:
        figure.add_scatter(
            x=line.x, y=line.values, mode=dots(line.values), name=safe(line.name or name), hoverinfo="x+y+name",
            line={"color": line.color, "dash": line.dash, "width": 2}, **at,
        )  # fmt: skip
    label_ends(figure, [(line.values, safe(line.name, 14), line.color) for line in lines if line.name], scale, place)
    if len(arms) == 1:
        shade_pauses(figure, arms[0].rows, look, **at)
    if marked:
        mark_incidents(figure, arms[0].rows, scale.top, look, at, apart=0.07)
    figure.update_yaxes(**scale.axis, **at)
    figure.update_xaxes(nticks=5, **at)
