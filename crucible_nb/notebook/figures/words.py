"""Words in figures: plotly reads tags, entities and formulas in them, so names are made harmless."""

from __future__ import annotations

import math
import textwrap

import pandas as pd

from crucible_nb.events.schema import COLUMNS

_LONG = 80
_STEPS = [step * 10**power for power in range(-6, 0) for step in (1, 2, 5)] + [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 7 * 86400,
]  # fmt: skip
_HARMLESS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def safe(text: object, long: int = _LONG) -> str:
    """Any text as plotly shows it literally: one line, not longer than `long`.

    Examples:
        >>> safe("<b>a & b</b>")
        '&lt;b&gt;a &amp; b&lt;/b&gt;'
        >>> safe("word " * 40, long=10)
        'word word…'
    """
    words = " ".join(str(text).split())
    return (words if len(words) <= long else words[: long - 1].rstrip() + "…").translate(_HARMLESS)


def wrapped(text: str, width: int = 90) -> str:
    r"""A sentence as several lines, harmless.

    Examples:
        >>> wrapped("one two < three", width=10)
        'one two &lt;<br>\xa0\xa0\xa0\xa0three'
    """
    lines = textwrap.wrap(" ".join(text.split()), width, subsequent_indent="\xa0" * 4)
    return "<br>".join(line.translate(_HARMLESS) for line in lines)


def number(value: float) -> str:
    """A number for people: four digits, thousands apart.

    Examples:
        >>> number(1234.5), number(0.012344), number(float("nan"))
        ('1,234', '0.01234', '–')
    """
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def plural(count: int, one: str, many: str = "") -> str:
    """A count and the word for it.

    Examples:
        >>> plural(1, "event"), plural(1200, "event"), plural(2, "anomaly", "anomalies")
        ('1 event', '1,200 events', '2 anomalies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def named(column: str) -> tuple[str, str]:
    """What people call a column, and its unit.

    Examples:
        >>> named("latency_ms"), named("loss"), named("train/x")
        (('latency', 'ms'), ('loss', ''), ('train/x', ''))
    """
    unit = COLUMNS[column].unit if column in COLUMNS else ""
    return (column.removesuffix(f"_{unit.lower()}") if unit else column), unit


def with_unit(label: str, unit: str) -> str:
    """A label with its unit after a comma, harmless.

    Examples:
        >>> with_unit("latency", "ms")
        'latency, ms'
    """
    return safe(f"{label}, {unit}" if unit else label)


def window_of(span: int, most: int = 60) -> pd.Timedelta:
    """A round length of windows of which not more than `most` cover `span` nanoseconds.

    Examples:
        >>> window_of(3600 * 10**9)
        Timedelta('0 days 00:01:00')
    """
    step = next((step for step in _STEPS if step * most >= span / 1e9), None)
    seconds = step if step is not None else math.ceil(span / 1e9 / most / 86400) * 86400
    return pd.Timedelta(round(seconds * 1e9), unit="ns")


def lasting(window: pd.Timedelta) -> str:
    """A length of time in one unit.

    Examples:
        >>> lasting(pd.Timedelta("90s")), lasting(pd.Timedelta("2min")), lasting(pd.Timedelta("5ms"))
        ('90 s', '2 min', '5 ms')
    """
    nanoseconds = int(window.as_unit("ns").value)
    units = {"d": 86400 * 10**9, "h": 3600 * 10**9, "min": 60 * 10**9, "s": 10**9, "ms": 10**6, "µs": 10**3}
    unit = next((unit for unit, size in units.items() if nanoseconds % size == 0), "ns")
    return f"{nanoseconds // units.get(unit, 1):,} {unit}"
