"""What is out of line, marked by shape, number and words; and spans that were paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crucible_nb.notebook.figures.rows import Rows
from crucible_nb.notebook.figures.theme import Look
from crucible_nb.notebook.figures.words import wrapped

if TYPE_CHECKING:
    from plotly import graph_objects as go


def moments(nanoseconds: Any) -> np.ndarray:
    """UTC times as plotly takes them."""
    return np.asarray(nanoseconds, np.int64).view("M8[ns]")


def mark_rows(
    figure: go.Figure, rows: Rows, values: np.ndarray, flagged: np.ndarray, look: Look, place: dict[str, int]
) -> None:
    """Open diamonds at flagged rows; the first of each anomaly has its number, where there is room for it."""
    at = np.flatnonzero(flagged & np.isfinite(values))
    if len(at):
        incident = rows.incident_of(at)
        first = np.flatnonzero(np.r_[True, incident[1:] != incident[:-1]] & (incident >= 0))
        texts = [""] * len(at)
        room = _with_room(rows.times[at[first]], 0.015 * max(rows.ended - rows.began, 1))
        for mark, shown in zip(first.tolist(), room, strict=True):
            texts[mark] = str(incident[mark] + 1) if shown else ""
        _mark(figure, moments(rows.times[at]), values[at], texts, rows.reasons(at), look, place)


def mark_incidents(
    figure: go.Figure, rows: Rows, height: float, look: Look, place: dict[str, int], apart: float = 0.025
) -> None:
    """A diamond where each anomaly began, at one height; with its number where there is room for it.

    Args:
        apart: Share of the time axis that a number takes.
    """
    found = rows.incidents
    if len(found):
        reasons = zip(found["severity"], found["reason"], strict=True)
        told = [f"anomaly {i}, {severity}: {wrapped(reason, 60)}" for i, (severity, reason) in enumerate(reasons, 1)]
        times = found["start"].astype("datetime64[ns, UTC]").to_numpy(np.int64)
        room = _with_room(times, apart * max(rows.ended - rows.began, 1))
        numbers = [str(i) if shown else "" for i, shown in enumerate(room, 1)]
        _mark(figure, moments(times), np.full(len(found), height), numbers, told, look, place)


def _with_room(times: np.ndarray, apart: float) -> list[bool]:
    """Which of these are far enough after the last one that was."""
    shown, last = [], -np.inf
    for time in times.tolist():
        shown.append(time - last >= apart)
        last = time if shown[-1] else last
    return shown


def _mark(
    figure: go.Figure, x: np.ndarray, y: np.ndarray, texts: list[str], told: list[str], look: Look,
    place: dict[str, int],
) -> None:  # fmt: skip
    figure.add_scatter(
        x=x, y=y, mode="markers+text", name="anomalies", text=texts, textposition="top center", cliponaxis=False,
        textfont={"color": look.anomaly, "size": 13, "weight": "bold"}, hovertext=told, hoverinfo="x+y+text",
        marker={
            "symbol": "diamond-open", "size": [10 if text else 7 for text in texts], "color": look.anomaly,
            "line": {"width": 1.6}, "opacity": 1,
        }, **place,
    )  # fmt: skip


def shade_pauses(figure: go.Figure, rows: Rows, look: Look, **place: Any) -> None:
    """Grey where nothing was collected, with the word for it."""
    whole = max(rows.ended - rows.began, 1)
    for span in rows.pauses:
        share = (span.right.value - span.left.value) / whole
        if share > 0.001:
            figure.add_vrect(
                x0=span.left.tz_localize(None), x1=span.right.tz_localize(None), fillcolor=look.shade, line_width=0,
                layer="below", annotation_text="paused" if share > 0.05 else "", annotation_font_size=10,
                annotation_font_color=look.text, annotation_position="bottom left", **place,
            )  # fmt: skip
