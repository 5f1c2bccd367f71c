"""The figure of many runs: a column over steps or time, a line for each run, or mean and band of each group of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError, SchemaError
from crucible_nb.events.columns import numbers_of
from crucible_nb.events.where import Where, select
from crucible_nb.experiment.attach import attach
from crucible_nb.experiment.session import experiments
from crucible_nb.notebook.figures.canvas import Scale, canvas, is_skewed, label_ends
from crucible_nb.notebook.figures.theme import Palette, palette_of
from crucible_nb.notebook.figures.words import escape, plural
from crucible_nb.stats.samples.values import frame_of, is_experiment
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

MOST_RUNS = 200
_POINTS = 400  # of a line: more are means over equal parts of the axis
_GRID = 200  # points of a mean over runs
_NAMED = 8  # lines with a name at their end
_ROLES = ("p50", "p95", "p99", "rate", "column", "cost", "success")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")


class RunLine(NamedTuple):
    """The line of one run.

    Attributes:
        name: Name of the run.
        group: Value of `group_by`; None without.
        x: float64[n], ascending.
        y: float64[n], mean of the column at each x.
    """

    name: str
    group: Any
    x: np.ndarray
    y: np.ndarray


def figure_of_runs(
    runs: Any, column: str, x: str, group_by: str | None, theme: str | None, where: Where, log: bool | None
) -> go.Figure:
    """See `Plots.runs`."""
    palette = palette_of(theme)
    lines = [_line(name, run, column, x, group_by, where) for name, run in _named(runs)]
    drawn = [line for line in lines if len(line.x)]
    if not drawn:
        raise SchemaError(f"no run has values of {column!r} over {x!r}{checks.suggestion(column, _columns(runs))}")
    missing = len(lines) - len(drawn)
    notes = [plural(len(drawn), "run"), *([f"{missing} without values"] if missing else [])]
    axis = "seconds since the start" if x == "elapsed" else escape(x)
    title = escape(column) if group_by is None else f"{escape(column)} by {escape(group_by)}"
    if group_by is not None:
        notes.append("mean ± standard deviation between runs")
    figure = canvas(palette, title, ", ".join(notes), height=420)
    ends = _draw_runs(figure, drawn, palette) if group_by is None else _draw_groups(figure, drawn, palette)
    values = [line.y for line in drawn]
    scale = Scale.of(values, log=is_skewed(np.concatenate(values)) if log is None else log)
    if len(ends) <= _NAMED:
        label_ends(figure, ends, scale)
    figure.update_yaxes(title={"text": escape(column)}, **scale.axis)
    times = {"type": "date"} if x == "time" else {}
    return figure.update_xaxes(title={"text": axis}, **times).update_layout(hovermode="closest", margin={"r": 130})


def _named(runs: Any) -> list[tuple[str, Any]]:
    """Return the runs with their names; those of a store by its path."""
    if isinstance(runs, (str, Path)):
        found = experiments(runs)
        runs = [attach(identity, runs, "read") for identity in found.index[found["status"] != "unreadable"]]
    elif isinstance(runs, Mapping):
        return _checked(runs, [(str(name), run) for name, run in runs.items()])
    elif is_experiment(runs) or isinstance(runs, pd.DataFrame) or not isinstance(runs, Sequence):
        runs = [runs]
    return _checked(runs, [(getattr(run, "name", None) or f"run {i}", run) for i, run in enumerate(runs, 1)])


def _checked(given: Any, named: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    known = all(is_experiment(run) or isinstance(run, pd.DataFrame) for _, run in named)
    if not named or not known or len(named) > MOST_RUNS:
        accepted = f"1 to {MOST_RUNS} experiments or DataFrames, as a list or a mapping, or the folder of a store"
        raise checks.wrong("runs", given, accepted)
    return named


def _columns(runs: Any) -> list[str]:
    return list(dict.fromkeys(str(name) for _, run in _named(runs) for name in frame_of(run).columns))


def _line(name: str, run: Any, column: str, x: str, group_by: str | None, where: Where) -> RunLine:
    rows = select(frame_of(run), where)
    group = None if group_by is None else _group(run, rows, group_by)
    if column not in rows.columns or (x not in rows.columns and x not in ("time", "elapsed")):
        return RunLine(name, group, np.empty(0), np.empty(0))
    y, at = numbers_of(rows[column], column), _positions(rows, x)
    known = np.isfinite(y) & np.isfinite(at)
    means = pd.Series(y[known]).groupby(at[known]).mean()
    values, steps = means.to_numpy(), means.index.to_numpy(np.float64)
    if len(steps) > _POINTS:
        part = np.minimum(((steps - steps[0]) / (steps[-1] - steps[0]) * _POINTS).astype(np.int64), _POINTS - 1)
        grouped = pd.DataFrame({"x": steps, "y": values}).groupby(part).mean()
        steps, values = grouped["x"].to_numpy(), grouped["y"].to_numpy()
    return RunLine(name, group, steps, values)


def _positions(rows: pd.DataFrame, x: str) -> np.ndarray:
    """Return the positions on the axis: values of a column, ms since 1970, or seconds since the first row."""
    if x in rows.columns:
        return numbers_of(rows[x], x)
    if not isinstance(rows.index, pd.DatetimeIndex):
        raise SchemaError(f"x={x!r}: the rows have no times; expected one of {', '.join(map(str, rows.columns))}")
    nanoseconds = rows.index.as_unit("ns").asi8
    zero = 0 if x == "time" or not len(nanoseconds) else int(nanoseconds.min())
    found: np.ndarray = (nanoseconds - zero) / (1e6 if x == "time" else 1e9)
    return found


def _group(run: Any, rows: pd.DataFrame, group_by: str) -> Any:
    """Return the value of `metadata`, of a fact such as condition, or of a column that is the same in all rows."""
    if is_experiment(run):
        if group_by in run.metadata:
            return run.metadata[group_by]
        if group_by in ("name", "condition"):
            return getattr(run, group_by)
    values: list[Any] = rows[group_by].dropna().unique().tolist() if group_by in rows.columns else []
    if len(values) == 1:
        return values[0]
    if len(values) > 1:
        raise ConfigError(f"group_by={group_by!r}: a run has {len(values)} values of it; a group is one of whole runs")
    return None


def _draw_runs(figure: go.Figure, lines: Sequence[RunLine], palette: Palette) -> list[tuple[np.ndarray, str, str]]:
    ends = []
    few = len(lines) <= _NAMED
    for i, line in enumerate(lines):
        color = getattr(palette, _ROLES[i % len(_ROLES)])
        name = escape(line.name, 40)
        figure.add_scatter(
            x=line.x, y=line.y, mode="lines" if len(line.x) > 1 else "markers", name=name,
            opacity=1.0 if few else 0.55, hovertemplate=f"{name}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
            line={"color": color, "width": 1.8 if few else 1.1, "dash": _DASHES[i // len(_ROLES) % len(_DASHES)]},
        )  # fmt: skip
        ends.append((line.y, name, color))
    return ends


def _draw_groups(figure: go.Figure, lines: Sequence[RunLine], palette: Palette) -> list[tuple[np.ndarray, str, str]]:
    groups: dict[str, list[RunLine]] = {}
    for line in sorted(lines, key=lambda one: (not isinstance(one.group, (int, float)), _order(one.group))):
        groups.setdefault("none" if line.group is None else f"{line.group}", []).append(line)
    ends = []
    for i, (label, members) in enumerate(groups.items()):
        color = getattr(palette, _ROLES[i % len(_ROLES)])
        x, mean, spread = mean_of_runs(members)
        name = f"{escape(label, 30)} (n = {len(members)})"
        if len(members) > 1:
            figure.add_scatter(
                x=np.concatenate((x, x[::-1])), y=np.concatenate((mean + spread, (mean - spread)[::-1])),
                mode="lines", fill="toself", line={"width": 0, "color": color}, opacity=0.25, hoverinfo="skip",
                name=f"{name}, band",
            )  # fmt: skip
        figure.add_scatter(
            x=x, y=mean, mode="lines" if len(x) > 1 else "markers", name=name,
            line={"color": color, "width": 2, "dash": _DASHES[i % len(_DASHES)]},
            hovertemplate=f"{name}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
        ends.append((mean, name, color))
    return ends


def mean_of_runs(lines: Sequence[RunLine]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions, and mean and standard deviation of the runs that have reached each.

    Runs are interpolated linearly between their own points; the positions are those of the runs, at most `_GRID`.

    Examples:
        >>> one, two = (RunLine("", None, np.array([0.0, 2.0]), np.array(y)) for y in ([1.0, 3.0], [3.0, 5.0]))
        >>> x, mean, spread = mean_of_runs([one, two])
        >>> x.tolist(), mean.tolist(), spread.round(3).tolist()
        ([0.0, 2.0], [2.0, 4.0], [1.414, 1.414])
    """
    x = np.unique(np.concatenate([line.x for line in lines]))
    if len(x) > _GRID:
        x = np.linspace(x[0], x[-1], _GRID)
    values = np.stack([np.interp(x, line.x, line.y, left=np.nan, right=np.nan) for line in lines])
    count = np.isfinite(values).sum(axis=0)
    x, values, count = x[count > 0], values[:, count > 0], count[count > 0]
    mean = np.nansum(values, axis=0) / count
    squares = np.nansum((values - mean) ** 2, axis=0)
    return x, mean, np.sqrt(np.divide(squares, count - 1, out=np.zeros(len(x)), where=count > 1))


def _order(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else str(value)
