"""Small inline SVG pictures for the reprs of results: a series over time, a distribution, an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.utils import html

_LABELS = {"latency_ms": "latency ms", "success": "success rate"}
_STEPS = 60  # points of a sparkline over time
_BINS = 40  # bins of a distribution


class _Size(NamedTuple):
    """Size of a picture in pixels, and the margin around its content."""

    width: int
    height: int
    margin: int


_SPARKLINE = _Size(220, 44, 5)
_INTERVAL = _Size(120, 18, 6)


def pictures(frame: pd.DataFrame) -> list[str]:
    """Draw latency and success rate of an experiment's rows over time, if they are known.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("pictures", clock="events") as exp:
        ...     for i in range(4):
        ...         _ = exp.record("call", latency_ms=100.0 + i, time=i)
        >>> [picture.startswith("<figure><figcaption>latency ms, 100 to 103") for picture in pictures(exp.df)]
        [True]
    """
    return [picture for picture in (_column_picture(frame, name) for name in _LABELS) if picture]


def _column_picture(frame: pd.DataFrame, name: str) -> str:
    """Draw one column over time; "" with fewer than two known values."""
    if len(frame) < 2:
        return ""
    times = frame.index.asi8  # type: ignore[attr-defined]
    values, weights = (frame[column].to_numpy(np.float64, na_value=np.nan) for column in (name, "weight"))
    means = binned_means(times, values, weights)
    known = means[np.isfinite(means)]
    if len(known) < 2:
        return ""
    low, high = float(known.min()), float(known.max())
    limits = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    title = f"{_LABELS[name]}, {limits}"
    return html.figure(sparkline(means, title), title)


def binned_means(times: np.ndarray, values: np.ndarray, weights: np.ndarray, steps: int = _STEPS) -> np.ndarray:
    """Return weighted means over equal steps of time; NaN for steps without values.

    Args:
        times: int64[n], ns, in order.
        values: float64[n], NaN where missing.
        weights: float64[n].
        steps: Number of steps.

    Examples:
        >>> import numpy as np
        >>> binned_means(np.array([0, 1, 9]), np.array([1.0, 3.0, 5.0]), np.ones(3), steps=2).tolist()
        [2.0, 5.0]
        >>> binned_means(np.array([], np.int64), np.array([]), np.array([])).size
        0
    """
    if not len(times):
        return np.empty(0)
    width = max(int(times[-1] - times[0]), 1) / steps
    step = np.minimum((times - times[0]) / width, steps - 1).astype(np.int64)
    known = np.isfinite(values)
    known_weights = np.where(known, weights, 0.0)
    sums = np.bincount(step, known_weights * np.where(known, values, 0.0), steps)
    counts = np.bincount(step, known_weights, steps)
    means = np.full(steps, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def histogram(quantile: Callable[[Any], Any], bins: int = _BINS) -> tuple[np.ndarray, float, float]:
    """Approximate a histogram from quantiles; return its counts, the minimum and the 99th percentile.

    Args:
        quantile: Callable (array of probabilities) -> their quantiles.
        bins: Number of equal bins between the minimum and the 99th percentile.

    Examples:
        >>> import numpy as np
        >>> counts, low, high = histogram(lambda q: 100 * q, bins=2)
        >>> (counts / counts.sum()).round(2).tolist(), low, high
        ([0.5, 0.5], 0.0, 99.0)
    """
    values = np.asarray(quantile(np.linspace(0, 0.99, 10 * bins)), np.float64)
    low, high = float(values[0]), float(values[-1])
    if not np.isfinite([low, high]).all() or low == high:
        return np.empty(0), low, high
    return np.histogram(values, bins, (low, high))[0].astype(np.float64), low, high


def sparkline(values: np.ndarray, label: str, marks: Sequence[tuple[float, str]] = ()) -> str:
    """Draw a line over equal steps; NaN leaves a gap.

    Args:
        values: float64[n].
        label: Description for screen readers.
        marks: Positions (in steps) and texts of anomalies.

    Examples:
        >>> import numpy as np
        >>> "2,1 " in sparkline(np.array([1.0, 2.0]), "latency"), sparkline(np.full(3, np.nan), "cost")
        (False, '')
    """
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return ""
    width, height, margin = _SPARKLINE
    low, high = float(values[known].min()), float(values[known].max())
    per_step = (width - 2 * margin) / max(len(values) - 1, 1)
    per_unit = (height - 2 * margin) / ((high - low) or 1.0)
    x = margin + per_step * np.arange(len(values))
    y = height - margin - per_unit * (values - low) if high > low else np.where(np.isfinite(values), height / 2, np.nan)
    lines = "".join(_line(x[run], y[run]) for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1))
    points = "".join(_mark(margin + per_step * at, _height_at(y, at), text) for at, text in marks)
    return _svg(_SPARKLINE, label, lines + points)


def _line(x: np.ndarray, y: np.ndarray) -> str:
    if len(x) == 1:
        return f'<circle cx="{x[0]:.1f}" cy="{y[0]:.1f}" r="1.5" fill="currentColor"/>'
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.3"/>'


def _height_at(y: np.ndarray, at: float) -> float:
    height = y[min(max(int(at), 0), len(y) - 1)]
    return float(height) if np.isfinite(height) else _SPARKLINE.height / 2


def _mark(x: float, y: float, text: str) -> str:
    """Draw a diamond and its text."""
    diamond = f"M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z"
    side, anchor = (x - 6, "end") if x > _SPARKLINE.width - 24 else (x + 6, "start")
    label = f'<text x="{side:.1f}" y="{max(y, 9) + 3:.1f}" font-size="9" text-anchor="{anchor}" fill="currentColor">'
    return f'<path d="{diamond}" fill="#c8321f" stroke="#fff" stroke-width=".8"/>{label}{escape(text)}</text>'


def interval_picture(low: float, high: float, estimate: float, label: str, margin: float | None = None) -> str:
    """Draw an interval with a dot at the estimate, an upright line at zero, and dotted lines at the margin.

    Args:
        low, high: Ends of the interval; an infinite end runs out of the picture.
        estimate: Position of the dot.
        label: Description for screen readers.
        margin: Smallest relevant difference; None for none.

    Examples:
        >>> interval_picture(1.0, 3.0, 2.0, "2 (1 to 3)").count("<circle"), interval_picture(float("nan"), 3.0, 2.0, "")
        (1, '')
    """
    if math.isnan(low) or math.isnan(high) or not math.isfinite(estimate):
        return ""
    width, height, edge = _INTERVAL
    margins = [-margin, margin] if margin else []
    ends = [end for end in (low, high) if math.isfinite(end)]
    shown = [0.0, estimate, *margins, *ends]
    left, right = min(shown), max(shown)
    if right == left:
        left, right = left - 1, right + 1

    def x(value: float) -> float:
        if math.isinf(value):
            return width if value > 0 else 0.0
        return edge + (width - 2 * edge) * (value - left) / (right - left)

    center = height / 2
    dotted = "".join(_upright(x(at), ' stroke-dasharray="1 2"') for at in margins)
    caps = "".join(f'<path d="M{x(end):.1f} {center - 3}v6" stroke="currentColor"/>' for end in ends)
    line = f'<path d="M{x(low):.1f} {center}H{x(high):.1f}" stroke="currentColor" stroke-width="1.5"/>'
    dot = f'<circle cx="{x(estimate):.1f}" cy="{center}" r="3" fill="currentColor"/>'
    return _svg(_INTERVAL, label, f"{_upright(x(0.0))}{dotted}{line}{caps}{dot}")


def _upright(x: float, style: str = "") -> str:
    return f'<path d="M{x:.1f} 1V{_INTERVAL.height - 1}" stroke="currentColor" stroke-opacity=".55"{style}/>'


def _svg(size: _Size, label: str, content: str) -> str:
    text = escape(label)
    box = f'width="{size.width}" height="{size.height}" viewBox="0 0 {size.width} {size.height}"'
    return f'<svg {box} role="img" aria-label="{text}"><title>{text}</title>{content}</svg>'
