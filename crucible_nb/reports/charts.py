"""Charts of a report: SVG with axes, round ticks, a legend and a text for screen readers; no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import numpy as np
import pandas as pd

from crucible_nb.reports.steps import FEW, Line, nice
from crucible_nb.stats.results import number

_WIDTH, _HEIGHT = 400, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 8, 20
_TICKS = 4
_CHARACTER = 5.8  # width of a digit
_CLOCK = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 43200, 86400, 2 * 86400, 7 * 86400)
LETTERS = "ABCDEF"
MOST_ARMS = len(LETTERS)
"""Number of arms that have a colour and a dash of their own."""


def chart(
    title: str,
    note: str,
    lines: Sequence[Line],
    axis: str,
    *,
    marks: Sequence[tuple[float, str]] = (),
    shares: bool = False,
    totals: bool = False,
    bars: bool = False,
) -> str:
    """Draw lines over one axis, with title, legend and note above; "" if nothing is known.

    Args:
        title: What is drawn, and its unit.
        note: Steps and numbers of events.
        lines: The lines.
        axis: "time" (x in seconds since 1970), "elapsed" (seconds) or "step".
        marks: Position and number of each incident.
        shares: Whether y is a share, which is written in percent.
        totals: Whether y is a total per step, whose axis begins at 0.
        bars: Whether the single line is drawn as bars.
    """
    known = [line for line in lines if np.isfinite(line.y).any()]
    if not known:
        return ""
    low, high = _limits(known, shares=shares, totals=totals)
    width = _width_of_step(known)
    left = min(float(line.x[0]) for line in known)
    right = max(float(line.x[-1]) for line in known) + width
    area = _Area(left, right, low, high)
    grid = _grid(area, axis, shares=shares)
    drawn = "".join(_bars(line, area, width) if bars else _line(line, area, width) for line in known)
    signs = _marks([(area.x(at), text) for at, text in sorted(marks) if left <= at <= right])
    spoken = f"{title}. " + "; ".join(_spoken(line, shares=shares) for line in known)
    legend = "" if len(known) == 1 and not known[0].name else "<br>" + " ".join(map(_legend, known))
    svg = (
        f'<svg class="wide" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(spoken)}">'
        f"{grid}{drawn}{signs}</svg>"
    )
    return f"<figure><figcaption><strong>{escape(title)}</strong><br>{escape(note)}{legend}</figcaption>{svg}</figure>"


class _Area:
    """Scales of a chart."""

    def __init__(self, left: float, right: float, low: float, high: float) -> None:
        self.left, self.right, self.low, self.high = left, right, low, high

    def x(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - self.left) / ((self.right - self.left) or 1.0)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - self.low) / ((self.high - self.low) or 1.0)


def _limits(lines: Sequence[Line], *, shares: bool, totals: bool) -> tuple[float, float]:
    """Return the ends of the y axis: round, and of the points on lines, unless all points have few values."""
    firm = [line.y[np.isfinite(line.y) & (line.n >= FEW)] for line in lines]
    values = (
        np.concatenate(firm) if any(map(len, firm)) else np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    )
    low, high = float(values.min()), float(values.max())
    if totals:
        low = min(low, 0.0)
    unit = nice(max(high - low, abs(high) * 1e-3, 1e-12) / _TICKS)
    low, high = math.floor(low / unit) * unit, math.ceil(high / unit * (1 + 1e-12)) * unit
    if high <= low:
        high = low + unit
    return (max(low, 0.0), min(high, 1.0)) if shares else (low, high)


def _width_of_step(lines: Sequence[Line]) -> float:
    return max((float(np.diff(line.x).min()) for line in lines if len(line.x) > 1), default=1.0)


def _grid(area: _Area, axis: str, *, shares: bool) -> str:
    parts = []
    for value in _ticks(area.low, area.high):
        y = area.y(value)
        text = f"{100 * value:.4g} %" if shares else number(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{escape(text)}</text>')
    places = _ticks(area.left, area.right) if axis == "step" else _round_times(area.left, area.right)
    label, free = _labels(axis, places), 0.0
    for value in places:
        x, text = area.x(value), label(value)
        half = _CHARACTER * len(text) / 2
        center = min(max(x, half), _WIDTH - half)
        parts.append(f'<path class="grid" d="M{x:.1f} {_HEIGHT - _BOTTOM}v4"/>')
        if center - half >= free:
            parts.append(f'<text x="{center:.1f}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(text)}</text>')
            free = center + half + 8
    return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    unit = nice(max(high - low, 1e-300) / _TICKS)
    first = math.ceil(low / unit - 1e-9)
    return [at * unit for at in range(first, math.floor(high / unit + 1e-9) + 1)]


def _round_times(left: float, right: float) -> list[float]:
    """Return up to six round moments, in seconds."""
    span = right - left
    unit: float = next((unit for unit in _CLOCK if span / unit <= 5), 0) if span > 2 else nice(span / _TICKS)
    unit = unit or 86400 * nice(span / 86400 / _TICKS)
    first = math.ceil(left / unit - 1e-9)
    return [at * unit for at in range(first, math.floor(right / unit + 1e-9) + 1)]


def _labels(axis: str, places: Sequence[float]) -> Callable[[float], str]:
    unit = places[1] - places[0] if len(places) > 1 else 1.0
    if axis == "step":
        return number
    if axis == "elapsed":
        name, size = next(((name, size) for name, size in _UNITS if unit >= size), ("ms", 1e-3))
        return lambda value: f"{value / size:.6g} {name}"
    form = "%Y-%m-%d" if unit >= 86400 else "%H:%M" if unit >= 60 else "%H:%M:%S"
    if unit >= 1:
        return lambda value: f"{pd.Timestamp(round(value), unit='s'):{form}}"
    return lambda value: f"{pd.Timestamp(round(value * 1e9)):%H:%M:%S.%f}"[:-3]


_UNITS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def _line(line: Line, area: _Area, width: float) -> str:
    """Draw the points with enough values as a line with gaps, the others as open dots."""
    x = [area.x(at + width / 2) for at in line.x.tolist()]
    y = [area.y(min(max(value, area.low), area.high)) for value in line.y.tolist()]
    known = np.isfinite(line.y)
    firm = np.flatnonzero(known & (line.n >= FEW))
    runs = np.split(firm, np.flatnonzero(np.diff(firm) > 1) + 1) if len(firm) else []
    parts = [_run([(x[at], y[at]) for at in run.tolist()], line.arm) for run in runs]
    dots = (f'<circle class="s s{line.arm} few" cx="{x[at]:.1f}" cy="{y[at]:.1f}" r="2.5"/>'
            for at in np.flatnonzero(known & (line.n < FEW)).tolist())  # fmt: skip
    return "".join(parts) + "".join(dots)


def _run(points: Sequence[tuple[float, float]], arm: int) -> str:
    if len(points) == 1:
        [(x, y)] = points
        return f'<circle class="s{arm} dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="s s{arm}" points="{path}"/>'


def _bars(line: Line, area: _Area, width: float) -> str:
    bottom = area.y(0.0)
    path = "".join(
        f"M{area.x(at):.1f} {bottom:.1f}V{area.y(value):.1f}H{area.x(at + width):.1f}V{bottom:.1f}z"
        for at, value in zip(line.x.tolist(), line.y.tolist(), strict=True)
        if value > 0
    )
    return f'<path class="bar" d="{path}"/>'


def _marks(marks: Sequence[tuple[float, str]]) -> str:
    """Draw a diamond for each incident at the top, and its number where there is room."""
    parts, free = [], 0.0
    for at, (x, text) in enumerate(marks):
        parts.append(f'<path class="mark" d="M{x:.1f} 1l4 4l-4 4l-4 -4z"/>')
        width = 6 + _CHARACTER * len(text)
        following = marks[at + 1][0] if at + 1 < len(marks) else _WIDTH + 4.0
        if x + width < following - 4:
            parts.append(f'<text x="{x + 6:.1f}" y="9">{escape(text)}</text>')
        elif x - width > free:
            parts.append(f'<text x="{x - 6:.1f}" y="9" text-anchor="end">{escape(text)}</text>')
        free = x + 6
    return "".join(parts)


def _spoken(line: Line, *, shares: bool) -> str:
    values = line.y[np.isfinite(line.y)]
    first, last, low, high = (
        f"{100 * value:.4g} %" if shares else number(value)
        for value in (float(values[0]), float(values[-1]), float(values.min()), float(values.max()))
    )
    name = f"{line.name}: " if line.name else ""
    return f"{name}from {first} to {last}, lowest {low}, highest {high}"


def _legend(line: Line) -> str:
    key = f'<svg class="key" width="22" height="8" aria-hidden="true"><path class="s s{line.arm}" d="M0 4H22"/></svg>'
    return f"<span>{key} {escape(line.name)}</span>"


def letter(arm: int) -> str:
    """Return the letter of an arm, or its number where letters end."""
    return LETTERS[arm] if arm < MOST_ARMS else str(arm + 1)
