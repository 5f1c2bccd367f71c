"""The dashboard without a browser at work: one line of text, or a table and pictures that need no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np
import pandas as pd

from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook.page_state import Reader, series_of
from crucible_nb.utils.html import table
from crucible_nb.utils.pictures import spark

_LISTED = 10
_TITLES = {"p95": "latency p95, ms", "rate": "events/s", "success": "success rate", "cost": "USD an hour"}


def line(experiments: Iterable[Experiment]) -> str:
    """Where experiments stand, in one line of text.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=812.4, success=True, cost_usd=0.5)
        >>> line([exp])
        "'demo', stopped, 1 events, p95 812.4 ms, success 100 %, 0.5 USD"
    """
    return "; ".join(_line(one) for one in experiments)


def _line(experiment: Experiment) -> str:
    facts, metrics = experiment.summary(), experiment.metrics()
    target = "" if experiment.sample_size is None else f" of {experiment.sample_size:,}"
    parts = [repr(experiment.name), facts["status"], f"{facts['total_events']:,}{target} events"]
    if metrics.latency.count:
        parts.append(f"p95 {number(metrics.latency.p95)} ms")
    if metrics.reliability.total_requests:
        parts.append(f"success {number(100 * metrics.reliability.success_rate)} %")
    if metrics.cost.count:
        parts.append(f"{number(metrics.cost.total)} USD")
    found = len(experiment.anomalies())
    if found:
        parts.append(f"{found} anomal{'y' if found == 1 else 'ies'}")
    return ", ".join(parts)


def number(value: float) -> str:
    """A number for people: four digits, thousands apart, a dash for what nobody knows.

    Examples:
        >>> number(1234.5), number(0.012345), number(float("nan"))
        ('1,234', '0.01235', '–')
    """
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def page(readers: Sequence[Reader]) -> str:
    """A table of where the experiments stand, small pictures of how they got there, and what was out of line."""
    experiments = [reader.experiment for reader in readers]
    for reader in readers:
        reader.settle()
    metrics = [one.metrics() for one in experiments]
    names = ["", *(one.name for one in experiments)] if len(experiments) > 1 else []
    rows = [[label, *map(tell, readers, metrics)] for label, tell in _FACTS.items()]
    known = [row for row in rows if any(cell != "–" for cell in row[1:])]
    title = " against ".join(one.name for one in experiments)
    pictures = "".join(_pictures(reader) for reader in readers)
    return (
        f'<div class="crucible-static"><style>{_STYLE}</style>{table(known, names, title)}'
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin-top:8px">{pictures}</div>'
        f"{''.join(map(_anomalies, readers))}</div>"
    )


_STYLE = (
    ".crucible-static{font-size:13px;font-variant-numeric:tabular-nums}"
    ".crucible-static table{border-collapse:collapse;margin:0 0 8px;font-size:12px}"
    ".crucible-static caption{text-align:left;font-weight:600;padding:2px 8px;white-space:nowrap}"
    ".crucible-static :is(th,td){text-align:left;padding:2px 8px;border-bottom:1px solid rgba(128,128,128,.35)}"
    ".crucible-static figcaption{font-size:12px;padding-left:4px}"
)


def _elapsed(reader: Reader, _: Metrics) -> str:
    facts = reader.facts
    said = f"{number(facts['active_duration'])} s active of {number(facts['wall_clock_duration'])} s"
    return said if not facts["pause_count"] else f"{said}, paused {facts['pause_count']} times"


def _count(reader: Reader, _: Metrics) -> str:
    progress = reader.facts["progress"]
    said = f"{reader.facts['total_events']:,}"
    return said if progress is None else f"{said} of {reader.facts['sample_size']:,} ({progress:.0%})"


def _latency(_: Reader, metrics: Metrics) -> str:
    one = metrics.latency
    return " / ".join(map(number, (one.p50, one.p95, one.p99))) + " ms" if one.count else "–"


def _cost(_: Reader, metrics: Metrics) -> str:
    spent, rate = metrics.cost.total, metrics.summary.cost_per_hour
    return f"{number(spent)} USD, {number(rate)} USD an hour" if metrics.cost.count else "–"


def _success(_: Reader, metrics: Metrics) -> str:
    known = metrics.reliability
    return f"{number(100 * known.success_rate)} % of {number(known.total_requests)}" if known.total_requests else "–"


_FACTS: dict[str, Callable[[Reader, Metrics], str]] = {
    "status": lambda reader, _: reader.facts["status"],
    "time": _elapsed,
    "events": _count,
    "events/s": lambda _, metrics: number(metrics.summary.events_per_second),
    "success": _success,
    "latency p50 / p95 / p99": _latency,
    "cost": _cost,
    "tokens": lambda _, metrics: number(metrics.tokens.total),
}


def _pictures(reader: Reader) -> str:
    bins = reader.bins["all"]
    first = max(bins.base, bins.oldest)
    picked = reader.telling
    values = reader.series(bins, first, picked)
    drawn = []
    for name, column in zip(series_of(picked), values.T, strict=True):
        title = _TITLES.get(name) or (name[5:] if name.startswith("mean:") else None)
        if title is not None and np.isfinite(column).any():
            metric = _METRICS.get(name, title)
            marks = [(one.start / bins.width - first, str(i)) for i, one in reader.incidents if metric in one.metrics]
            drawn.append(_figure(column, f"{reader.experiment.name}: {title}", title, marks[-_LISTED:]))
    return "".join(drawn)


_METRICS = {"p95": "latency_ms", "success": "success", "cost": "cost_usd", "rate": ""}


def _figure(values: np.ndarray, label: str, title: str, marks: Sequence[tuple[float, str]]) -> str:
    known = values[np.isfinite(values)]
    spread = f"{number(float(known.min()))} to {number(float(known.max()))}"
    picture = spark(values, f"{label}, {spread}", marks)
    return f'<figure style="margin:0"><figcaption>{escape(title)}: {spread}</figcaption>{picture}</figure>'


def _anomalies(reader: Reader) -> str:
    rows = [
        [i, f"{pd.Timestamp(one.start):%H:%M:%S}", one.severity, one.count, ", ".join(one.metrics), one.reason]
        for i, one in reader.incidents
    ]
    if not rows:
        return ""
    shown = rows[-_LISTED:]
    more = f" (the last {_LISTED})" if len(rows) > _LISTED else ""
    header = ("no.", "UTC", "severity", "events", "metrics", "reason")
    return table(shown, header, f"{len(rows)} anomalies in {reader.experiment.name}{more}")
