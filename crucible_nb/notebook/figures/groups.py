"""The figure of a metric with its interval over groups: a line over numbers, a forest plot over names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.metric_names import Metric, metric_of, unit_of
from crucible_nb.events.where import Where
from crucible_nb.notebook.figures.canvas import Scale, canvas, is_skewed, label_ends
from crucible_nb.notebook.figures.theme import palette_of
from crucible_nb.notebook.figures.words import escape, number, plural
from crucible_nb.stats.estimates.confidence import confidence_interval
from crucible_nb.stats.estimates.grouped import Estimates
from crucible_nb.stats.samples.values import frame_of, is_experiment
from crucible_nb.utils import checks

if TYPE_CHECKING:
    from plotly import graph_objects as go

MOST_ARMS, MOST_GROUPS = 6, 200
_ROW, _ARM_ROW, _AROUND = 34, 14, 150  # heights in pixels: a group, each further arm of it, titles and axis
_ROLES = ("p50", "p95", "p99", "rate", "column", "cost")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")


class Series(NamedTuple):
    """The estimates of one arm.

    Attributes:
        name: Escaped name; "" for a single arm.
        estimates: Its estimates by group.
        color, dash, symbol: How it is drawn.
    """

    name: str
    estimates: Estimates
    color: str
    dash: str
    symbol: str

    def columns(self, factor: float) -> tuple[list[Any], np.ndarray, np.ndarray, np.ndarray]:
        """Values of the groups, estimates, lower and upper limits, times a factor."""
        groups = list(self.estimates)
        found = [self.estimates[group] for group in groups]
        values = np.array([[one.estimate, *one.confidence_interval] for one in found]) * factor
        return [self.estimates.group_values[group] for group in groups], values[:, 0], values[:, 1], values[:, 2]


def figure_by(
    data: Any, metric: str, by: str | None, *, cluster: str | None = None, confidence: float = 0.95,
    log_x: bool | None = None, theme: str | None = None, where: Where = None,
) -> go.Figure:  # fmt: skip
    """See `Plots.by`."""
    palette = palette_of(theme)
    arms = _arms(data, MOST_ARMS if by is not None else MOST_GROUPS)
    options: dict[str, Any] = {"confidence": confidence, "cluster": cluster, "where": where}
    if by is None:
        by, found = "arm", [("", _of_arms(data, arms, metric, options))]
    else:
        found = [(name, confidence_interval(arm, metric, by=by, **options)) for name, arm in arms.items()]
    series = [
        Series(escape(name, 40) if len(found) > 1 else "", estimates,
               getattr(palette, _ROLES[at]), _DASHES[at], _SYMBOLS[at])
        for at, (name, estimates) in enumerate(found)
    ]  # fmt: skip
    meaning = metric_of(metric, frame_of(next(iter(arms.values()))).columns)
    percent = meaning.kind == "rate"
    label = escape(metric) + (", %" if percent else _unit_text(meaning))
    count = sum(one.n for each in series for one in each.estimates.values())
    small = sorted({group for each in series for group in each.estimates.too_small})
    notes = [plural(count, "row"), f"{100 * confidence:.5g}% intervals"]
    notes += [f"too small: {', '.join(escape(group, 20) for group in small)}"] if small else []
    title = f"{escape(metric)} by {escape(by)}"
    values = [value for each in series for value in each.estimates.group_values.values()]
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    factor = 100.0 if percent else 1.0
    if numeric and len(set(values)) > 1:
        figure = canvas(palette, title, ", ".join(notes), height=380)
        return _sweep(figure, series, factor, label, escape(by), log_x=log_x)
    order = list(dict.fromkeys(group for each in series for group in each.estimates.group_values))
    height = _AROUND + len(order) * (_ROW + _ARM_ROW * (len(series) - 1))
    figure = canvas(palette, title, ", ".join(notes), height=height)
    return _forest(figure, series, factor, label, order)


def _unit_text(metric: Metric) -> str:
    unit = unit_of(metric).strip()
    return f", {escape(unit)}" if unit else ""


def _of_arms(data: Any, arms: Mapping[str, Any], metric: str, options: Mapping[str, Any]) -> Estimates:
    """The estimate of each arm, as groups; the keys of a mapping may be numbers."""
    found, small = {}, {}
    for name, arm in arms.items():
        try:
            found[name] = confidence_interval(arm, metric, **options)
        except StatError as error:
            small[name] = str(error)
    if not found:
        raise StatError(f"{metric}: no arm has an estimate: {next(iter(small.values()))}")
    keys = list(data) if isinstance(data, Mapping) else list(arms)
    return Estimates(metric, "arm", found, values=dict(zip(arms, keys, strict=True)), too_small=small)


def _arms(data: Any, most: int) -> dict[str, Any]:
    """The arms by name."""
    if isinstance(data, Mapping):
        arms = {str(name): arm for name, arm in data.items()}
    elif isinstance(data, (list, tuple)):
        arms = {str(getattr(arm, "name", f"arm {i}") if is_experiment(arm) else f"arm {i}"): arm
                for i, arm in enumerate(data, 1)}  # fmt: skip
    else:
        arms = {"": data}
    if not arms or len(arms) > most or (isinstance(data, (list, tuple)) and len(arms) < len(data)):
        raise checks.wrong("data", data, f"1 to {most} arms with names of their own")
    for arm in arms.values():
        if not isinstance(frame_of(arm), pd.DataFrame):
            raise checks.wrong("data", arm, "an experiment, a DataFrame, or a mapping or list of them", StatError)
    return arms


def _sweep(
    figure: go.Figure, series: list[Series], factor: float, label: str, by: str, *, log_x: bool | None
) -> go.Figure:
    """Draw a line over numbers, with error bars."""
    drawn = [(each, *each.columns(factor)) for each in series]
    every = np.unique(np.array([value for _, x, *_ in drawn for value in x], np.float64))
    log = is_log(every) if log_x is None else log_x
    limits = [part[np.isfinite(part)] for _, _, *parts in drawn for part in parts]
    scale = Scale.of(limits, log=is_skewed(np.concatenate(limits)), zero=True)
    for each, x, y, low, high in drawn:
        above, below = _inside(high, y, scale) - y, y - _inside(low, y, scale)
        figure.add_scatter(
            x=np.array(x, np.float64), y=y, mode="lines+markers", name=each.name, hoverinfo="text",
            hovertext=_hover(each, factor), line={"color": each.color, "dash": each.dash, "width": 2},
            marker={"symbol": each.symbol, "size": 8, "color": each.color},
            error_y={"array": above, "arrayminus": below, "color": each.color, "thickness": 1.5, "width": 5},
        )  # fmt: skip
    if len(series) > 1:
        label_ends(figure, [(y, each.name, each.color) for each, _, y, *_ in drawn], scale)
    ticks = {"tickvals": every, "ticktext": [number(value) for value in every]} if len(every) <= 12 else {}
    figure.update_xaxes(title_text=by, type="log" if log else "linear", showgrid=False, **ticks)
    return figure.update_yaxes(title_text=label, **scale.axis)


def is_log(x: np.ndarray) -> bool:
    """Whether numbers are spread like 1, 4, 16, 64: above 0, with steps that grow.

    Examples:
        >>> is_log(np.array([1.0, 4.0, 16.0, 64.0])), is_log(np.array([1.0, 2.0, 3.0, 4.0]))
        (True, False)
    """
    steps = np.diff(x)
    return bool(x.min() > 0 and x.max() >= 8 * x.min() and len(x) > 2 and steps[-1] >= 3 * steps[0])


def _forest(figure: go.Figure, series: list[Series], factor: float, label: str, order: list[str]) -> go.Figure:
    """Draw an interval per name, the first at the top, with the values in words at the right."""
    place = {group: len(order) - 1 - at for at, group in enumerate(order)}
    drawn = [(each, *each.columns(factor)) for each in series]
    scale = Scale.of([part[np.isfinite(part)] for _, _, *parts in drawn for part in parts])
    gap = 0.6 / max(len(series), 1)
    for at, (each, _, y, low, high) in enumerate(drawn):
        shift = gap * ((len(series) - 1) / 2 - at)
        rows = np.array([place[group] for group in each.estimates]) + shift
        above, below = _inside(high, y, scale) - y, y - _inside(low, y, scale)
        figure.add_scatter(
            x=y, y=rows, mode="markers", name=each.name, hoverinfo="text", hovertext=_hover(each, factor),
            marker={"symbol": each.symbol, "size": 9, "color": each.color},
            error_x={"array": above, "arrayminus": below, "color": each.color, "thickness": 2, "width": 4},
        )  # fmt: skip
        for group, row, value in zip(each.estimates, rows, y, strict=True):
            text = f"{each.name} {number(value)}".strip() + f" (n = {each.estimates[group].n:,})"
            figure.add_annotation(
                text=text, x=1, xref="x domain", xanchor="left", xshift=8, y=row, showarrow=False, align="left",
                font={"color": each.color, "size": 11},
            )  # fmt: skip
    figure.update_layout(margin={"r": 190})
    figure.update_yaxes(
        tickvals=list(place.values()), ticktext=[escape(group, 40) for group in place], range=[-0.6, len(order) - 0.4],
        showgrid=False, zeroline=False,
    )  # fmt: skip
    figure.update_xaxes(title_text=label, showgrid=True, **scale.axis)
    return figure


def _inside(limits: np.ndarray, middle: np.ndarray, scale: Scale) -> np.ndarray:
    """Limits, with open sides (infinite, or not above 0 on a logarithmic axis) at the end of the axis."""
    low, high = (10.0**scale.low, 10.0**scale.high) if scale.log else (scale.low, scale.high)
    return np.where(np.isnan(limits), middle, np.clip(limits, low, high))


def _hover(series: Series, factor: float) -> list[str]:
    texts = []
    for group, one in series.estimates.items():
        low, high = (
            "no limit" if math.isinf(limit) else number(factor * limit) for limit in one.confidence_interval
        )  # fmt: skip
        name = f"{series.name}<br>" if series.name else ""
        texts.append(f"{name}{escape(group)}: {number(factor * one.estimate)} ({low} to {high}), n = {one.n:,}")
    return texts
