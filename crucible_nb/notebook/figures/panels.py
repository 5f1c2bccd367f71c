"""The figure of small charts side by side, by time windows, of one experiment or of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.events.where import Where
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.notebook.figures.canvas import Scale, canvas, empty_figure, label_ends, line_mode
from crucible_nb.notebook.figures.data import FigureData
from crucible_nb.notebook.figures.marks import mark_incidents, plotly_times, shade_pauses
from crucible_nb.notebook.figures.quantiles import DASHES
from crucible_nb.notebook.figures.theme import Palette, palette_of
from crucible_nb.notebook.figures.words import choose_window, escape, format_duration

if TYPE_CHECKING:
    from plotly import graph_objects as go

_HOUR = 3600.0
_ARM_ROLES, _ARM_DASHES = ("p50", "p95"), ("solid", "dash")


class Arm(NamedTuple):
    """One experiment by windows.

    Attributes:
        data: Data of the experiment.
        table: Result of `windowed_metrics`.
        x: Start of each window: a time, or seconds since the start.
        named: Names of metrics in the table that are no columns of the data.
    """

    data: FigureData
    table: pd.DataFrame
    x: np.ndarray
    named: tuple[str, ...] = ()


class Line(NamedTuple):
    """One series of a chart."""

    name: str
    x: np.ndarray
    values: np.ndarray
    color: str
    dash: str


def panels(
    experiments: Sequence[Experiment], window: Any, columns: Sequence[str] | str, theme: str | None,
    where: Where = None,
) -> go.Figure:  # fmt: skip
    """See `Plot.windows`; two experiments are drawn over the seconds since each started."""
    palette = palette_of(theme)
    sources = [FigureData.of(experiment, where) for experiment in experiments]
    single = len(sources) == 1
    title = " against ".join(escape(data.name) for data in sources)
    known = [data for data in sources if len(data.frame)]
    if not known:
        return empty_figure(palette, title, "no events yet")
    length = choose_window(max(int(data.times[-1] - data.times[0]) for data in known)) if window is None else window
    arms = [_arm(data, length, columns, relative=not single) for data in known]
    charts = {name: lines for name, lines in _charts(arms, palette).items() if _has_values(lines)}
    rows, cols = -(-len(charts) // 2), min(len(charts), 2)
    grid = {
        "rows": rows, "cols": cols, "subplot_titles": [escape(name) for name in charts],
        "horizontal_spacing": 0.2, "vertical_spacing": 66 / (210 * rows) if rows > 1 else 0,
    }  # fmt: skip
    span = arms[0].table["window_end"].iloc[0] - arms[0].table.index[0]
    title += f": windows of {format_duration(span)}, {'UTC' if single else 'seconds since each began'}"
    subtitle = "; ".join(("" if single else f"{escape(data.name)}: ") + data.counts_text() for data in sources)
    figure = canvas(palette, title, subtitle, height=140 + 210 * rows, grid=grid)
    for i, (name, lines) in enumerate(charts.items()):
        _draw(figure, (i // cols + 1, i % cols + 1), i + 1, name, lines, arms, palette)
    figure.update_layout(margin={"t": 96, "b": 44, "r": 72 if single else 120})
    return figure.update_annotations(selector={"yanchor": "bottom"}, font_size=13)


def _arm(data: FigureData, window: Any, columns: Sequence[str] | str, *, relative: bool) -> Arm:
    names = [columns] if isinstance(columns, str) else list(columns)
    named = tuple(name for name in names if name not in data.frame.columns)
    for name in names:
        if name not in named:
            data.values(name)  # raises for a column that is not numeric
    table = data.frame.crucible.windowed_metrics(window, columns=names)
    starts = pd.DatetimeIndex(table.index).as_unit("ns").asi8
    return Arm(data, table, (starts - data.start) / 1e9 if relative else plotly_times(starts), named)


def _charts(arms: Sequence[Arm], palette: Palette) -> dict[str, list[Line]]:
    """Return the lines of all charts by title, also of charts without values."""
    single = len(arms) == 1
    quantiles = tuple(DASHES) if single else ("p95",)
    charts: dict[str, list[Line]] = {"latency, ms" if single else "latency p95, ms": []}
    for name in quantiles:
        charts[next(iter(charts))] += _lines(arms, f"{name}_latency_ms", name if single else "", palette, name)
    for title, (role, read) in _RATES.items():
        charts[title] = _lines(arms, read, "", palette, role)
    standard = {"p50_latency_ms", "p95_latency_ms", "p99_latency_ms", "mean_latency_ms"}
    means = dict.fromkeys(str(name) for arm in arms for name in arm.table if str(name).startswith("mean_"))
    for column in (name for name in means if name not in standard):
        charts[f"mean of {column.removeprefix('mean_')}"] = _lines(arms, column, "", palette, "column")
    for name in dict.fromkeys(name for arm in arms for name in arm.named):
        charts[name] = _lines(arms, name, "", palette, "column")
    return charts


def _per_second(arm: Arm, column: str) -> np.ndarray:
    values: np.ndarray = arm.table[column].to_numpy(np.float64) / arm.data.active_seconds(arm.table)
    return values


_RATES: dict[str, tuple[str, Any]] = {
    "events/s": ("rate", lambda arm: _per_second(arm, "event_count")),
    "success, %": ("success", lambda arm: 100 * arm.table["success_rate"].to_numpy(np.float64)),
    "cost, USD per hour": ("cost", lambda arm: _HOUR * _per_second(arm, "total_cost_usd")),
}


def _lines(arms: Sequence[Arm], read: Any, name: str, palette: Palette, role: str) -> list[Line]:
    """Return one line per arm; two arms differ in colour, dash and name."""
    single = len(arms) == 1
    lines = []
    for i, arm in enumerate(arms):
        if isinstance(read, str):
            values = arm.table[read].to_numpy(np.float64) if read in arm.table else np.full(len(arm.x), np.nan)
        else:
            values = read(arm)
        color = getattr(palette, role if single else _ARM_ROLES[i])
        dash = DASHES.get(name, "solid") if single else _ARM_DASHES[i]
        lines.append(Line(name if single else arm.data.name, arm.x, values, color, dash))
    return lines


def _has_values(lines: Sequence[Line]) -> bool:
    return any(np.isfinite(line.values).any() for line in lines)


def _draw(
    figure: go.Figure, cell: tuple[int, int], subplot: int, name: str, lines: Sequence[Line], arms: Sequence[Arm],
    palette: Palette,
) -> None:  # fmt: skip
    at = {"row": cell[0], "col": cell[1]}
    scale = Scale.of([line.values for line in lines], zero=not name.startswith(("success", "mean of")))
    marked = len(arms) == 1 and name.startswith("latency") and len(arms[0].data.incidents)
    scale = scale.with_room() if marked else scale
    for line in lines:
        figure.add_scatter(
            x=line.x, y=line.values, mode=line_mode(line.values), name=escape(line.name or name), hoverinfo="x+y+name",
            line={"color": line.color, "dash": line.dash, "width": 2}, **at,
        )  # fmt: skip
    labels = [(line.values, escape(line.name, 14), line.color) for line in lines if line.name]
    label_ends(figure, labels, scale, subplot)
    if len(arms) == 1:
        shade_pauses(figure, arms[0].data, palette, **at)
    if marked:
        mark_incidents(figure, arms[0].data, scale.top, palette, at, gap=0.07)
    figure.update_yaxes(**scale.axis, **at)
    figure.update_xaxes(nticks=5, **at)
