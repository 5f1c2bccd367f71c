"""Numbers of a report: cards, estimates with intervals, groups, and every number to its last digit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crucible_nb.errors import CrucibleError
from crucible_nb.metrics import Metrics
from crucible_nb.reports.arms import ReportArm
from crucible_nb.reports.markup import exact, facts, points, table
from crucible_nb.stats.estimates.confidence import Estimate, confidence_interval
from crucible_nb.stats.results import number
from crucible_nb.utils.html import Raw

_GROUPS = 20
_ESTIMATED = ("success_rate", "mean_latency_ms", "p50_latency_ms", "p95_latency_ms", "mean_cost_usd")
_UNKNOWN = "unknown"


def cards(arm: ReportArm) -> str:
    """Render the main numbers; each carries its exact value."""
    return facts(dict(_main(arm.metrics)), big=True)


def _main(metrics: Metrics) -> Iterator[tuple[str, Raw]]:
    latency, cost, known, rates = metrics.latency, metrics.cost, metrics.reliability, metrics.summary
    yield "events", exact(metrics.events, f"{metrics.events:,}" + (" (estimated)" if metrics.estimated else ""))
    if not math.isnan(rates.events_per_second):
        yield "events per second", exact(rates.events_per_second, number(rates.events_per_second))
    if known.total_requests:
        yield "success", exact(known.success_rate, f"{100 * known.success_rate:.5g} % of {known.total_requests:,.6g}")
    if latency.count:
        bound = "exact" if latency.exact else f"within {latency.error_bound:.2%}"
        for name in ("p50", "p95", "p99"):
            yield f"latency {name} ({bound})", exact(getattr(latency, name), f"{number(getattr(latency, name))} ms")
        yield "latency mean", exact(latency.mean, f"{number(latency.mean)} ms")
    if cost.count:
        yield "cost", exact(cost.total, f"{number(cost.total)} USD")
        yield "cost per 1,000 requests", exact(cost.per_1k_requests, f"{number(cost.per_1k_requests)} USD")
    if metrics.tokens.total > 0:
        yield "tokens", exact(metrics.tokens.total, f"{metrics.tokens.total:,.0f}")


def overview(arms: Sequence[ReportArm]) -> str:
    """Render a table with one line per arm."""
    header = ("arm", "status", "events", "success", "p50 ms", "p95 ms", "p99 ms", "USD")
    rows = [[arm.name, arm.facts["status"], *_line(arm.metrics)] for arm in arms]
    return table(header, rows, "Main numbers of the arms", texts=(0, 1))


def _line(metrics: Metrics) -> list[Raw]:
    latency = metrics.latency
    rate = metrics.reliability.success_rate
    numbers = (latency.p50, latency.p95, latency.p99, metrics.cost.total)
    known = (True, True, True, bool(metrics.cost.count))
    return [
        exact(metrics.events, f"{metrics.events:,}"),
        exact(rate, _text(100 * rate) + (" %" if rate == rate else "")),
        *(exact(value, _text(value) if is_known else "–") for value, is_known in zip(numbers, known, strict=True)),
    ]


def _text(value: float) -> str:
    return "–" if math.isnan(value) else number(value)


def estimates(arms: Sequence[ReportArm]) -> tuple[str, list[str]]:
    """Render estimates with 95 % intervals; return them, and the sentences on their methods."""
    rows, methods, notes = [], dict[str, None](), dict[str, None]()
    for metric in _ESTIMATED:
        for arm in arms:
            found = _estimate(arm, metric)
            if found is None:
                continue
            low, high = found.confidence_interval
            name = metric if len(arms) == 1 else f"{metric}, {arm.name}"
            shown = Raw(f"{exact(low, number(low))} to {exact(high, number(high))}")
            rows.append([name, exact(found.estimate, number(found.estimate)), shown, f"{found.n:,}"])
            methods[f"{metric}: {found.method} interval"] = None
            notes |= dict.fromkeys(f"{name}: {text}" for text in (*found.warnings, *found.exclusions))
    found_table = table(("metric", "estimate", "95 % interval", "n"), rows, "About the process that made the events")
    return found_table + points(arms[0].words(note, 300) for note in list(notes)[:_GROUPS]), list(methods)


def _estimate(arm: ReportArm, metric: str) -> Estimate | None:
    """Compute an estimate; None where nothing or too little is known."""
    column = "success" if metric == "success_rate" else metric.partition("_")[2]
    if not len(arm.rows) or not arm.rows[column].notna().any():
        return None
    try:
        found: Estimate = confidence_interval(arm.rows, metric, of="process")
    except CrucibleError:
        return None
    return None if math.isnan(found.confidence_interval.low) else found


def groups(arm: ReportArm) -> str:
    """Render the numbers of each event and of each model, the largest groups first."""
    return "".join(_group(arm, by) for by in ("event", "model"))


def _group(arm: ReportArm, by: str) -> str:
    found = sorted(arm.experiment.metrics(by=by).items(), key=lambda pair: -pair[1].events)
    known = [(key, metrics) for key, metrics in found if isinstance(key, str)]
    if not known or (by == "event" and len(known) < 2):
        return ""
    header = (by, "events", "success", "p50 ms", "p95 ms", "p99 ms", "USD")
    rows = [[arm.words(key), *_line(metrics)] for key, metrics in known[:_GROUPS]]
    cut = "" if len(known) <= _GROUPS else f", the {_GROUPS} largest of {len(known):,}"
    return table(header, rows, f"By {by}{cut}")


def all_numbers(arms: Sequence[ReportArm]) -> str:
    """Render every number of `exp.metrics()` to its last digit, with one column per arm."""
    flat = [dict(_flat(arm.metrics.to_dict())) for arm in arms]
    names = list(dict.fromkeys(name for one in flat for name in one))
    rows = [[arms[0].words(name), *(one.get(name, "–") for one in flat)] for name in names[:_NUMBERS]]
    cut = "" if len(names) <= _NUMBERS else f", the first {_NUMBERS} of {len(names):,}"
    header = ("number", *(arm.name for arm in arms)) if len(arms) > 1 else ("number", "value")
    return table(header, rows, f"exp.metrics(), to the last digit{cut}")


_NUMBERS = 80


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield f"{prefix}{name}", " to ".join(_UNKNOWN if one is None else str(one) for one in value)
        else:
            unknown = value is None or (isinstance(value, float) and math.isnan(value))
            yield f"{prefix}{name}", _UNKNOWN if unknown else repr(value)
