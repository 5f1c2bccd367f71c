"""A static dashboard: one line of text, or HTML with a table and SVG pictures, without scripts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape

import numpy as np

from crucible_nb.anomaly.tellings import SEVERITIES
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook import wire
from crucible_nb.notebook.page_state import PageState, series_names
from crucible_nb.notebook.static_chart import LETTERS, StillLine, still_chart, swatch
from crucible_nb.utils.html import table
from crucible_nb.utils.text import of_planned

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
    count = of_planned(facts["total_events"], experiment.sample_size, share=False)
    parts = [repr(experiment.name), facts["status"], f"{count} events"]
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


def page(states: Sequence[PageState], compared: Sequence[wire.Difference] = ()) -> str:
    """Render a table of the experiments' facts and metrics, the running comparison, charts over time, and anomalies."""
    experiments = [state.experiment for state in states]
    for state in states:
        state.update_all_bins()
    metrics = [experiment.metrics() for experiment in experiments]
    names = ["", *map(_arm_name, range(len(experiments)), experiments)] if len(experiments) > 1 else []
    rows = [[label, *map(cell, states, metrics)] for label, cell in _FACTS.items()]
    known = [row for row in rows if any(cell != "–" for cell in row[1:])]
    title = " against ".join(experiment.name for experiment in experiments)
    return (
        f'<div class="crucible-static"><style>{_STYLE}</style>{table(known, names, title)}'
        f"{_comparison(compared, experiments)}{_pictures(states)}{''.join(map(_anomalies, states))}</div>"
    )


def _arm_name(arm: int, experiment: Experiment) -> str:
    return f"{LETTERS[arm]} {experiment.name}"


def clock(moment: int) -> str:
    """Format a time in UTC nanoseconds as the local time of day, with the name of its zone.

    Examples:
        >>> clock(0).startswith("1970"), "UTC" in clock(0)
        (False, True)
    """
    return f"{_local(moment):%H:%M:%S} {zone(moment)}"


def zone(moment: int) -> str:
    """Return the local zone at a time as "UTC" or "UTC+02:00"."""
    offset = f"{_local(moment):%z}"
    return "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"


def _local(moment: int) -> datetime:
    return datetime.fromtimestamp(moment // 10**9, UTC).astimezone()


def _comparison(lines: Sequence[wire.Difference], experiments: Sequence[Experiment]) -> str:
    """Render the running comparison with its verdicts."""
    if not lines:
        return ""
    rows = [_compared(line) for line in lines]
    header = ("metric", "A", "other", "difference", "95 % interval, valid at any time", "verdict")
    names = ", ".join(map(_arm_name, range(len(experiments)), experiments))
    return table(rows, header, f"Running comparison: {names}")


def _compared(line: wire.Difference) -> list[str]:
    scale, unit = _SCALES[line["unit"]]
    first, other = (math.nan if value is None else value for value in line["values"])
    low, high = line["low"], line["high"]
    interval = "not known yet" if low is None or high is None else f"{_signed(low * scale)} to {_signed(high * scale)}"
    verdict = "undecided" if line["better"] is None else f"{LETTERS[line['better']]} is better"
    letter, level = LETTERS[line["arm"]], "%" if unit == "points" else unit
    values = [f"{number(first * scale)} {level}", f"{letter} {number(other * scale)} {level}"]
    return [line["metric"], *values, f"{_signed((other - first) * scale)} {unit}", interval, verdict]


_SCALES = {"share": (100.0, "points"), "ms": (1.0, "ms"), "USD": (1.0, "USD")}


def _signed(value: float) -> str:
    return (
        number(value) if not math.isfinite(value) or value == 0 else f"{'+' if value > 0 else '−'}{number(abs(value))}"
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
    return of_planned(state.facts["total_events"], state.facts["sample_size"])


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


def _pictures(states: Sequence[PageState]) -> str:
    """Draw a chart of each series that is known in any arm, with a line for each arm."""
    picked = list(dict.fromkeys(name for state in states for name in state.default_columns))
    names = series_names(picked)
    firsts = [max(state.bins["all"].base, state.bins["all"].oldest) for state in states]
    values = [state.series(state.bins["all"], first, picked) for state, first in zip(states, firsts, strict=True)]
    figures = []
    for i, name in enumerate(names):
        title = _TITLES.get(name) or (name[5:] if name.startswith("mean:") else None)
        if title is None:
            continue
        lines = [
            StillLine(arm, columns[:, i], _marks(state, first, _METRICS.get(name, title)))
            for arm, (state, first, columns) in enumerate(zip(states, firsts, values, strict=True))
            if np.isfinite(columns[:, i]).any()
        ]
        if lines:
            figures.append(_figure(lines, title, states))
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin-top:8px">{"".join(figures)}</div>'


def _marks(state: PageState, first: int, metric: str) -> list[tuple[float, str]]:
    incidents = [(i, incident) for i, incident in state.incidents if metric in incident.metrics]
    width = state.bins["all"].width
    return [(incident.start / width - first, str(i)) for i, incident in incidents[-_MAX_LISTED:]]


_METRICS = {"p95": "latency_ms", "success": "success", "cost": "cost_usd", "rate": ""}


def _figure(lines: Sequence[StillLine], title: str, states: Sequence[PageState]) -> str:
    limits = []
    for line in lines:
        known = line.values[np.isfinite(line.values)]
        limits.append(f"{number(float(known.min()))} to {number(float(known.max()))}")
    spoken = [
        f"{states[line.arm].experiment.name}: {title}, {limit}" for line, limit in zip(lines, limits, strict=True)
    ]
    if len(states) == 1:
        caption = f"{escape(title)}: {limits[0]}"
    else:
        named = (f"{swatch(line.arm)} {limit}" for line, limit in zip(lines, limits, strict=True))
        caption = f"{escape(title)}<br>{'<br>'.join(named)}"
    picture = still_chart(lines, "; ".join(spoken))
    return f'<figure style="margin:0"><figcaption>{caption}</figcaption>{picture}</figure>'


def _anomalies(state: PageState) -> str:
    rows = [
        [i, f"{_local(one.start):%H:%M:%S}", one.severity, one.count, ", ".join(one.metrics), one.reason]
        for i, one in state.incidents
    ]
    if not rows:
        return ""
    shown = rows[-_MAX_LISTED:]
    more = f" (the last {_MAX_LISTED})" if len(rows) > _MAX_LISTED else ""
    header = ("no.", f"time, {zone(state.incidents[-1][1].start)}", "severity", "events", "metrics", "reason")
    return table(shown, header, f"{len(rows)} anomalies in {state.experiment.name}{more}")
