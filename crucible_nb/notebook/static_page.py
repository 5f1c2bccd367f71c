"""A static dashboard: one line of text, or HTML with a table and SVG pictures, without scripts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np
import pandas as pd

from crucible_nb.anomaly.tellings import SEVERITIES
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook.page_state import PageState, series_names
from crucible_nb.utils.html import table
from crucible_nb.utils.pictures import sparkline

_MAX_LISTED = 10
_TITLES = {"p95": "latency p95, ms", "rate": "events/s", "success": "success rate", "cost": "USD per hour"}


def line(experiments: Iterable[Experiment], severity: str = "low") -> str:
    """Summarise the state of experiments in one line of text, with their incidents from a severity on.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     _ = exp.record("llm.request", latency_ms=812.4, success=True, cost_usd=0.5)
        >>> line([exp])
        "'demo', stopped, 1 events, p95 812.4 ms, success 100 %, 0.5 USD"
    """
    return "; ".join(_line(experiment, severity) for experiment in experiments)


def _line(experiment: Experiment, severity: str) -> str:
    facts, metrics = experiment.summary(), experiment.metrics()
    target = "" if experiment.sample_size is None else f" of {experiment.sample_size:,}"
    parts = [repr(experiment.name), facts["status"], f"{facts['total_events']:,}{target} events"]
    if metrics.latency.count:
        parts.append(f"p95 {number(metrics.latency.p95)} ms")
    if metrics.reliability.total_requests:
        parts.append(f"success {number(100 * metrics.reliability.success_rate)} %")
    if metrics.cost.count:
        parts.append(f"{number(metrics.cost.total)} USD")
    incidents = int((experiment.anomalies()["peak"] >= SEVERITIES[severity]).sum())
    if incidents:
        parts.append(f"{incidents} anomal{'y' if incidents == 1 else 'ies'}")
    return ", ".join(parts)


def number(value: float) -> str:
    """Format a number with four digits and a thousands separator; a dash if unknown.

    Examples:
        >>> number(1234.5), number(0.012345), number(float("nan"))
        ('1,234', '0.01235', '–')
    """
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def page(states: Sequence[PageState]) -> str:
    """Render a table of the experiments' facts and metrics, small charts over time, and the anomalies."""
    experiments = [state.experiment for state in states]
    for state in states:
        state.update_all_bins()
    metrics = [experiment.metrics() for experiment in experiments]
    names = ["", *(experiment.name for experiment in experiments)] if len(experiments) > 1 else []
    rows = [[label, *map(cell, states, metrics)] for label, cell in _FACTS.items()]
    known = [row for row in rows if any(cell != "–" for cell in row[1:])]
    title = " against ".join(experiment.name for experiment in experiments)
    pictures = "".join(map(_pictures, states))
    return (
        f'<div class="crucible-static"><style>{_STYLE}</style>{table(known, names, title)}'
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin-top:8px">{pictures}</div>'
        f"{''.join(map(_anomalies, states))}</div>"
    )


_STYLE = (
    ".crucible-static{font-size:13px;font-variant-numeric:tabular-nums}"
    ".crucible-static table{border-collapse:collapse;margin:0 0 8px;font-size:12px}"
    ".crucible-static caption{text-align:left;font-weight:600;padding:2px 8px;white-space:nowrap}"
    ".crucible-static :is(th,td){text-align:left;padding:2px 8px;border-bottom:1px solid rgba(128,128,128,.35)}"
    ".crucible-static figcaption{font-size:12px;padding-left:4px}"
)


def _elapsed(state: PageState, _: Metrics) -> str:
    facts = state.facts
    times = f"{number(facts['active_duration'])} s active of {number(facts['wall_clock_duration'])} s"
    return times if not facts["pause_count"] else f"{times}, paused {facts['pause_count']} times"


def _count(state: PageState, _: Metrics) -> str:
    progress = state.facts["progress"]
    count = f"{state.facts['total_events']:,}"
    return count if progress is None else f"{count} of {state.facts['sample_size']:,} ({progress:.0%})"


def _latency(_: PageState, metrics: Metrics) -> str:
    latency = metrics.latency
    return " / ".join(map(number, (latency.p50, latency.p95, latency.p99))) + " ms" if latency.count else "–"


def _cost(_: PageState, metrics: Metrics) -> str:
    spent, rate = metrics.cost.total, metrics.summary.cost_per_hour
    return f"{number(spent)} USD, {number(rate)} USD per hour" if metrics.cost.count else "–"


def _success(_: PageState, metrics: Metrics) -> str:
    known = metrics.reliability
    return f"{number(100 * known.success_rate)} % of {number(known.total_requests)}" if known.total_requests else "–"


_FACTS: dict[str, Callable[[PageState, Metrics], str]] = {
    "status": lambda state, _: state.facts["status"],
    "time": _elapsed,
    "events": _count,
    "events/s": lambda _, metrics: number(metrics.summary.events_per_second),
    "success": _success,
    "latency p50 / p95 / p99": _latency,
    "cost": _cost,
    "tokens": lambda _, metrics: number(metrics.tokens.total),
}


def _pictures(state: PageState) -> str:
    bins = state.bins["all"]
    first = max(bins.base, bins.oldest)
    picked = state.default_columns
    values = state.series(bins, first, picked)
    figures = []
    for name, column in zip(series_names(picked), values.T, strict=True):
        title = _TITLES.get(name) or (name[5:] if name.startswith("mean:") else None)
        if title is not None and np.isfinite(column).any():
            metric = _METRICS.get(name, title)
            incidents = [(i, incident) for i, incident in state.incidents if metric in incident.metrics]
            marks = [(incident.start / bins.width - first, str(i)) for i, incident in incidents[-_MAX_LISTED:]]
            figures.append(_figure(column, f"{state.experiment.name}: {title}", title, marks))
    return "".join(figures)


_METRICS = {"p95": "latency_ms", "success": "success", "cost": "cost_usd", "rate": ""}


def _figure(values: np.ndarray, label: str, title: str, marks: Sequence[tuple[float, str]]) -> str:
    known = values[np.isfinite(values)]
    limits = f"{number(float(known.min()))} to {number(float(known.max()))}"
    picture = sparkline(values, f"{label}, {limits}", marks)
    return f'<figure style="margin:0"><figcaption>{escape(title)}: {limits}</figcaption>{picture}</figure>'


def _anomalies(state: PageState) -> str:
    rows = [
        [i, f"{pd.Timestamp(one.start):%H:%M:%S}", one.severity, one.count, ", ".join(one.metrics), one.reason]
        for i, one in state.incidents
    ]
    if not rows:
        return ""
    shown = rows[-_MAX_LISTED:]
    more = f" (the last {_MAX_LISTED})" if len(rows) > _MAX_LISTED else ""
    header = ("no.", "UTC", "severity", "events", "metrics", "reason")
    return table(shown, header, f"{len(rows)} anomalies in {state.experiment.name}{more}")
