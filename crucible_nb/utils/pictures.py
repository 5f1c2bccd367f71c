"""Small inline SVG pictures of a series, a distribution or an interval, for the reprs of results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.utils import html

_SHOWN = {"latency_ms": "latency ms", "success": "success rate"}


def pictures(frame: pd.DataFrame) -> list[str]:
    """Latency and success rate over time, as far as they are known.

    Args:
        frame: Of an experiment.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("pictures", clock="events") as exp:
        ...     for i in range(4):
        ...         _ = exp.record("call", latency_ms=100.0 + i, time=i)
        >>> [picture.startswith("<figure><figcaption>latency ms, 100 to 103") for picture in pictures(exp.df)]
        [True]
    """
    drawn = (figure(frame, name) for name in _SHOWN)
    return [one for one in drawn if one]


def figure(frame: pd.DataFrame, name: str) -> str:
    """One column over time; "" where there is nothing to see."""
    if len(frame) < 2:
        return ""
    times = frame.index.asi8  # type: ignore[attr-defined]
    values, weights = (frame[one].to_numpy(np.float64, na_value=np.nan) for one in (name, "weight"))
    means = trend(times, values, weights)
    known = means[np.isfinite(means)]
    if len(known) < 2:
        return ""
    low, high = float(known.min()), float(known.max())
    spread = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    title = f"{_SHOWN[name]}, {spread}"
    return html.figure(spark(means, title), title)


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


STEPS = 60


def trend(times: np.ndarray, values: np.ndarray, weights: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Weighted means over equal steps of time; NaN where there is nothing.

    Args:
        times: int64[n], ns, in order.
        values: float64[n], NaN where missing.
        weights: float64[n].
        steps: How many.

    Examples:
        >>> import numpy as np
        >>> trend(np.array([0, 1, 9]), np.array([1.0, 3.0, 5.0]), np.ones(3), steps=2).tolist()
        [2.0, 5.0]
        >>> trend(np.array([], np.int64), np.array([]), np.array([])).size
        0
    """
    if not len(times):
        return np.empty(0)
    width = max(int(times[-1] - times[0]), 1) / steps
    places = np.minimum((times - times[0]) / width, steps - 1).astype(np.int64)
    known = np.isfinite(values)
    amounts = np.where(known, weights, 0.0)
    sums = np.bincount(places, amounts * np.where(known, values, 0.0), steps)
    counts = np.bincount(places, amounts, steps)
    means = np.full(steps, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def density(quantile: Callable[[Any], Any], steps: int = 40) -> tuple[np.ndarray, float, float]:
    """How often values fall into equal steps between the least and the 99th percentile, and those two.

    Args:
        quantile: Callable (array of fractions) -> their quantiles.
        steps: How many.

    Examples:
        >>> import numpy as np
        >>> found, low, high = density(lambda q: 100 * q, steps=2)
        >>> (found / found.sum()).round(2).tolist(), low, high
        ([0.5, 0.5], 0.0, 99.0)
    """
    values = np.asarray(quantile(np.linspace(0, 0.99, 10 * steps)), np.float64)
    low, high = float(values[0]), float(values[-1])
    if not np.isfinite([low, high]).all() or low == high:
        return np.empty(0), low, high
    return np.histogram(values, steps, (low, high))[0].astype(np.float64), low, high


_WHISKER_WIDTH, _WHISKER_HEIGHT, _WHISKER_EDGE = 120, 18, 6


def whisker(low: float, high: float, estimate: float, label: str, margin: float | None = None) -> str:
    """A line from low to high with a dot at the estimate; zero is upright, a margin dotted.

    Args:
        low, high: Of the interval; an infinite end runs out of the picture.
        estimate: Where the dot is.
        label: The same in words.
        margin: What would matter.

    Examples:
        >>> whisker(1.0, 3.0, 2.0, "2 (1 to 3)").count("<circle"), whisker(float("nan"), 3.0, 2.0, "")
        (1, '')
    """
    if math.isnan(low) or math.isnan(high) or not math.isfinite(estimate):
        return ""
    marks = [0.0, estimate, *([-margin, margin] if margin else []), *filter(math.isfinite, (low, high))]
    least, most = min(marks), max(marks)
    if most == least:
        least, most = least - 1, most + 1

    def place(value: float) -> float:
        if math.isinf(value):
            return _WHISKER_WIDTH if value > 0 else 0.0
        return _WHISKER_EDGE + (_WHISKER_WIDTH - 2 * _WHISKER_EDGE) * (value - least) / (most - least)

    middle = _WHISKER_HEIGHT / 2
    dotted = "".join(_upright(place(at), ' stroke-dasharray="1 2"') for at in ([-margin, margin] if margin else []))
    ends = "".join(
        f'<path d="M{place(at):.1f} {middle - 3}v6" stroke="currentColor"/>' for at in (low, high) if math.isfinite(at)
    )
    size, said = (
        f'width="{_WHISKER_WIDTH}" height="{_WHISKER_HEIGHT}" viewBox="0 0 {_WHISKER_WIDTH} {_WHISKER_HEIGHT}"',
        escape(label),
    )
    return (
        f'<svg {size} role="img" aria-label="{said}"><title>{said}</title>{_upright(place(0.0))}{dotted}'
        f'<path d="M{place(low):.1f} {middle}H{place(high):.1f}" stroke="currentColor" stroke-width="1.5"/>{ends}'
        f'<circle cx="{place(estimate):.1f}" cy="{middle}" r="3" fill="currentColor"/></svg>'
    )


def _upright(x: float, more: str = "") -> str:
    return f'<path d="M{x:.1f} 1V{_WHISKER_HEIGHT - 1}" stroke="currentColor" stroke-opacity=".55"{more}/>'
