"""Texts in figures. plotly interprets tags, entities and formulas, so names are escaped."""

from __future__ import annotations

import math
import textwrap

import pandas as pd

from crucible_nb.events.schema import COLUMNS

_MAX_LENGTH = 80
_STEPS = [step * 10**power for power in range(-6, 0) for step in (1, 2, 5)] + [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 7 * 86400,
]  # fmt: skip
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def escape(text: object, max_length: int = _MAX_LENGTH) -> str:
    """Escape a text so that plotly shows it literally, on one line of at most `max_length` characters.

    Examples:
        >>> escape("<b>a & b</b>")
        '&lt;b&gt;a &amp; b&lt;/b&gt;'
        >>> escape("word " * 40, max_length=10)
        'word word…'
    """
    words = " ".join(str(text).split())
    shown = words if len(words) <= max_length else words[: max_length - 1].rstrip() + "…"
    return shown.translate(_ESCAPES)


def wrap(text: str, width: int = 90) -> str:
    r"""Escape a sentence and wrap it into several lines.

    Examples:
        >>> wrap("one two < three", width=10)
        'one two &lt;<br>\xa0\xa0\xa0\xa0three'
    """
    lines = textwrap.wrap(" ".join(text.split()), width, subsequent_indent="\xa0" * 4)
    return "<br>".join(line.translate(_ESCAPES) for line in lines)


def number(value: float) -> str:
    """Format a number with four digits and a thousands separator; a dash if unknown.

    Examples:
        >>> number(1234.5), number(0.012344), number(float("nan"))
        ('1,234', '0.01234', '–')
    """
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def plural(count: int, one: str, many: str = "") -> str:
    """Format a count with its noun in the singular or plural.

    Examples:
        >>> plural(1, "event"), plural(1200, "event"), plural(2, "anomaly", "anomalies")
        ('1 event', '1,200 events', '2 anomalies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def label_and_unit(column: str) -> tuple[str, str]:
    """Return the label of a column, without its unit, and the unit.

    Examples:
        >>> label_and_unit("latency_ms"), label_and_unit("loss"), label_and_unit("train/x")
        (('latency', 'ms'), ('loss', ''), ('train/x', ''))
    """
    unit = COLUMNS[column].unit if column in COLUMNS else ""
    return (column.removesuffix(f"_{unit.lower()}") if unit else column), unit


def with_unit(label: str, unit: str) -> str:
    """Escape a label, followed by a comma and its unit.

    Examples:
        >>> with_unit("latency", "ms")
        'latency, ms'
    """
    return escape(f"{label}, {unit}" if unit else label)


def choose_window(span: int, max_windows: int = 60) -> pd.Timedelta:
    """Choose a round window length so that at most `max_windows` cover `span` nanoseconds.

    Examples:
        >>> choose_window(3600 * 10**9)
        Timedelta('0 days 00:01:00')
    """
    step = next((step for step in _STEPS if step * max_windows >= span / 1e9), None)
    seconds = step if step is not None else math.ceil(span / 1e9 / max_windows / 86400) * 86400
    return pd.Timedelta(round(seconds * 1e9), unit="ns")


def format_duration(window: pd.Timedelta) -> str:
    """Format a duration in one unit.

    Examples:
        >>> [format_duration(pd.Timedelta(text)) for text in ("90s", "2min", "5ms")]
        ['90 s', '2 min', '5 ms']
    """
    nanoseconds = int(window.as_unit("ns").value)
    units = {"d": 86400 * 10**9, "h": 3600 * 10**9, "min": 60 * 10**9, "s": 10**9, "ms": 10**6, "µs": 10**3}
    unit = next((unit for unit, size in units.items() if nanoseconds % size == 0), "ns")
    return f"{nanoseconds // units.get(unit, 1):,} {unit}"
