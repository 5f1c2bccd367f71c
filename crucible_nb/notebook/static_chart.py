"""Small SVG charts of the still picture: one line for each arm, named and told apart by colour and dash."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

_WIDTH, _HEIGHT, _MARGIN = 220, 44, 5
_POINTS = 64  # points of a line: few enough that a saved notebook stays small
_COLORS = ("currentColor", "#bf6a1a", "#2a8f84", "#a04fb0", "#94781f", "#c0504d")
_DASHES = ("", "5 3", "2 2", "7 2 2 2", "9 3", "1 3")
LETTERS = "ABCDEF"


class StillLine(NamedTuple):
    """One line of a chart.

    Attributes:
        arm: Index of the arm.
        values: float64[n] over equal steps of time; NaN leaves a gap.
        marks: Positions (in steps) and numbers of anomalies.
    """

    arm: int
    values: np.ndarray
    marks: Sequence[tuple[float, str]]


def still_chart(lines: Sequence[StillLine], label: str) -> str:
    """Draw lines on one scale.

    Args:
        lines: The lines, with at least one known value together.
        label: Description for screen readers.

    Examples:
        >>> picture = still_chart([StillLine(0, np.array([1.0, 2.0]), []), StillLine(1, np.array([2.0, 3.0]), [])], "x")
        >>> picture.count("<polyline"), picture.count("stroke-dasharray")
        (2, 1)
    """
    known = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    low, high = float(known.min()), float(known.max())
    drawn = "".join(_drawn(line, low, high) for line in lines)
    text = escape(label)
    box = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg {box} role="img" aria-label="{text}">{drawn}</svg>'


def swatch(arm: int) -> str:
    """Return a short line in the colour and dash of an arm, with its letter."""
    stroke = f'<path d="M0 5H18" {_stroke(arm)}/>'
    return f'<svg width="18" height="10" aria-hidden="true">{stroke}</svg> {LETTERS[arm]}'


def _stroke(arm: int) -> str:
    dash = f' stroke-dasharray="{_DASHES[arm]}"' if _DASHES[arm] else ""
    return f'fill="none" stroke="{_COLORS[arm]}" stroke-width="1.3"{dash}'


def _drawn(line: StillLine, low: float, high: float) -> str:
    values, at = _thinned(line.values)
    per_step = (_WIDTH - 2 * _MARGIN) / max(len(line.values) - 1, 1)
    x = _MARGIN + per_step * at
    scale = (_HEIGHT - 2 * _MARGIN) / ((high - low) or 1.0)
    y = _HEIGHT - _MARGIN - scale * (values - low) if high > low else np.where(np.isfinite(values), _HEIGHT / 2, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(known) else []
    parts = [_run(x[run], y[run], line.arm) for run in runs]
    return "".join(parts) + "".join(_mark(_MARGIN + per_step * where, text) for where, text in line.marks)


def _thinned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `_POINTS` values and positions: of each group of neighbours the one farthest from the mean."""
    size = -(-len(values) // _POINTS)
    if size <= 1:
        return values, np.arange(len(values))
    padded = np.concatenate((values, np.full(-len(values) % size, np.nan))).reshape(-1, size)
    known = np.isfinite(padded)
    center = np.nanmean(values) if np.isfinite(values).any() else 0.0
    pick = np.argmax(np.where(known, np.abs(padded - center), -1.0), axis=1)
    rows = np.arange(len(padded))
    return np.where(known.any(axis=1), padded[rows, pick], np.nan), rows * size + pick


def _run(x: np.ndarray, y: np.ndarray, arm: int) -> str:
    if len(x) == 1:
        return f'<circle cx="{x[0]:.0f}" cy="{y[0]:.1f}" r="1.5" fill="{_COLORS[arm]}"/>'
    points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'<polyline points="{points}" {_stroke(arm)}/>'


def _mark(x: float, text: str) -> str:
    """Draw a diamond at the top, and its number."""
    side, anchor = (x - 6, "end") if x > _WIDTH - 24 else (x + 6, "start")
    label = f'<text x="{side:.0f}" y="9" font-size="9" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'
    return f'<path d="M{x:.0f} 1l4 4l-4 4l-4 -4z" fill="#c8321f" stroke="#fff" stroke-width=".8"/>{label}'
