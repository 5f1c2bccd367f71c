"""Markers of anomalies, by shape, number and text, and shaded paused spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crucible_nb.notebook.figures.data import FigureData
from crucible_nb.notebook.figures.theme import Palette
from crucible_nb.notebook.figures.words import wrap

if TYPE_CHECKING:
    from plotly import graph_objects as go


def plotly_times(nanoseconds: Any) -> np.ndarray:
    """Convert UTC nanoseconds to naive datetimes, as plotly expects."""
    return np.asarray(nanoseconds, np.int64).view("M8[ns]")


def mark_rows(
    figure: go.Figure, data: FigureData, values: np.ndarray, flagged: np.ndarray, palette: Palette,
    subplot: dict[str, int],
) -> None:  # fmt: skip
    """Draw open diamonds at flagged rows; the first of each anomaly shows its number if it fits."""
    at = np.flatnonzero(flagged & np.isfinite(values))
    if len(at):
        incident = data.incident_of(at)
        first = np.flatnonzero(np.r_[True, incident[1:] != incident[:-1]] & (incident >= 0))
        texts = [""] * len(at)
        fits = _numbers_that_fit(data.times[at[first]], 0.015 * max(data.end - data.start, 1))
        for mark, fit in zip(first.tolist(), fits, strict=True):
            texts[mark] = str(incident[mark] + 1) if fit else ""
        _draw_marks(figure, plotly_times(data.times[at]), values[at], texts, data.reasons(at), palette, subplot)


def mark_incidents(
    figure: go.Figure, data: FigureData, height: float, palette: Palette, subplot: dict[str, int], gap: float = 0.025
) -> None:
    """Draw a diamond at the start of each anomaly, with its number if it fits.

    Args:
        figure: The figure to change.
        data: Data of the experiment.
        height: Vertical position of the diamonds, a data value.
        palette: Colours.
        subplot: Row and column of the subplot; {} without subplots.
        gap: Minimum distance between two numbers, as a fraction of the time axis.
    """
    incidents = data.incidents
    if len(incidents):
        reasons = zip(incidents["severity"], incidents["reason"], strict=True)
        texts = [f"anomaly {i}, {severity}: {wrap(reason, 60)}" for i, (severity, reason) in enumerate(reasons, 1)]
        times = incidents["start"].astype("datetime64[ns, UTC]").to_numpy(np.int64)
        fits = _numbers_that_fit(times, gap * max(data.end - data.start, 1))
        numbers = [str(i) if fit else "" for i, fit in enumerate(fits, 1)]
        _draw_marks(figure, plotly_times(times), np.full(len(incidents), height), numbers, texts, palette, subplot)


def _numbers_that_fit(times: np.ndarray, gap: float) -> list[bool]:
    """Tell for each time whether it is at least `gap` after the previous one that fits."""
    fits, last = [], -np.inf
    for time in times.tolist():
        fits.append(time - last >= gap)
        last = time if fits[-1] else last
    return fits


def _draw_marks(
    figure: go.Figure, x: np.ndarray, y: np.ndarray, texts: list[str], hover: list[str], palette: Palette,
    subplot: dict[str, int],
) -> None:  # fmt: skip
    figure.add_scatter(
        x=x, y=y, mode="markers+text", name="anomalies", text=texts, textposition="top center", cliponaxis=False,
        textfont={"color": palette.anomaly, "size": 13, "weight": "bold"}, hovertext=hover, hoverinfo="x+y+text",
        marker={
            "symbol": "diamond-open", "size": [10 if text else 7 for text in texts], "color": palette.anomaly,
            "line": {"width": 1.6}, "opacity": 1,
        }, **subplot,
    )  # fmt: skip


def shade_pauses(figure: go.Figure, data: FigureData, palette: Palette, **subplot: Any) -> None:
    """Shade paused spans, with a label where it fits."""
    whole = max(data.end - data.start, 1)
    for span in data.pauses:
        fraction = (span.right.value - span.left.value) / whole
        if fraction > 0.001:
            figure.add_vrect(
                x0=span.left.tz_localize(None), x1=span.right.tz_localize(None), fillcolor=palette.shade, line_width=0,
                layer="below", annotation_text="paused" if fraction > 0.05 else "", annotation_font_size=10,
                annotation_font_color=palette.text, annotation_position="bottom left", **subplot,
            )  # fmt: skip
