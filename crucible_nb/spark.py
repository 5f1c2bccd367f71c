"""Small pictures of a series as inline SVG: no script, no colours that a theme could hide."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT, EDGE = 220, 44, 5


def spark(values: np.ndarray, label: str, marks: Sequence[tuple[float, str]] = ()) -> str:
    """A line over equal steps; NaN leaves a gap.

    Args:
        values: float64[n].
        label: What it shows, for people who cannot see it.
        marks: Positions in steps and texts of what is out of line.

    Examples:
        >>> import numpy as np
        >>> "2,1 " in spark(np.array([1.0, 2.0]), "latency"), spark(np.full(3, np.nan), "cost")
        (False, '')
    """
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return ""
    low, high = float(values[known].min()), float(values[known].max())
    across = (WIDTH - 2 * EDGE) / max(len(values) - 1, 1)
    up = (HEIGHT - 2 * EDGE) / ((high - low) or 1.0)
    x = EDGE + across * np.arange(len(values))
    y = HEIGHT - EDGE - up * (values - low) if high > low else np.where(np.isfinite(values), HEIGHT / 2, np.nan)
    lines = "".join(_line(x[run], y[run]) for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1))
    points = "".join(_mark(EDGE + across * at, _height(y, at), text) for at, text in marks)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg {size} role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>{lines}{points}</svg>'


def _line(x: np.ndarray, y: np.ndarray) -> str:
    if len(x) == 1:
        return f'<circle cx="{x[0]:.1f}" cy="{y[0]:.1f}" r="1.5" fill="currentColor"/>'
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.3"/>'


def _height(y: np.ndarray, at: float) -> float:
    near = y[min(max(int(at), 0), len(y) - 1)]
    return float(near) if np.isfinite(near) else HEIGHT / 2


def _mark(x: float, y: float, text: str) -> str:
    """A diamond with its number."""
    diamond = f"M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z"
    side, anchor = (x - 6, "end") if x > WIDTH - 24 else (x + 6, "start")
    said = f'<text x="{side:.1f}" y="{max(y, 9) + 3:.1f}" font-size="9" text-anchor="{anchor}" fill="currentColor">'
    return f'<path d="{diamond}" fill="#c8321f" stroke="#fff" stroke-width=".8"/>{said}{escape(text)}</text>'
