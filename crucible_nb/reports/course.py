"""Course of a run in a report: charts over round steps, the table of windows, incidents and alerts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crucible_nb.reports.arms import ReportArm
from crucible_nb.reports.charts import MOST_ARMS, chart, letter
from crucible_nb.reports.markup import table
from crucible_nb.reports.steps import FEW, Line, Steps, by_step, round_step, steps_of
from crucible_nb.stats.results import number

_WINDOWS = 16
_INCIDENTS = 20


def charts(arms: Sequence[ReportArm]) -> str:
    """Draw latency, success, cost, events and own columns over steps; several arms over elapsed time."""
    shown = [arm for arm in arms if len(arm.rows)][:MOST_ARMS]
    if not shown:
        return ""
    elapsed = len(arms) > 1
    longest = max(arm.rows.index[-1] - arm.rows.index[0] for arm in shown)
    step = round_step(longest, max(len(arm.rows) for arm in shown))
    columns = list(dict.fromkeys(name for arm in shown for name in arm.own_columns))
    series = [steps_of(arm.rows, step, columns, elapsed=elapsed) for arm in shown]
    names = [f"{letter(at)} {arm.name}" if elapsed else "" for at, arm in enumerate(shown)]
    axis = "elapsed" if elapsed else "time"

    def marked(column: str) -> list[tuple[float, str]]:
        return [] if elapsed else _marks(shown[0], column)

    parts = [
        chart("Latency, ms", _note(series, "latency_ms"), _latency(series, names), axis, marks=marked("latency_ms")),
        chart("Success rate", _note(series, "success"), _success(series, names), axis, marks=marked("success"),
              shares=True),
        chart("Cost per step, USD", _note(series, "cost_usd"), _cost(series, names), axis, marks=marked("cost_usd"),
              totals=True),
        *(_own(shown, series, names, name, axis, marked(name)) for name in columns),
        chart(f"Events per {step}", f"n = {sum(len(arm.rows) for arm in shown):,}, in steps of {step}",
              _totals(series, names, "event_count", "seq"), axis, totals=True, bars=not elapsed),
    ]  # fmt: skip
    inside = "".join(parts)
    return f'<div class="charts">{inside}</div>' if inside else ""


def _marks(arm: ReportArm, column: str) -> list[tuple[float, str]]:
    """Return begin in seconds and number of the last incidents of a column."""
    starts = pd.DatetimeIndex(arm.incidents["start"]).as_unit("ns").asi8 / 1e9
    numbered = enumerate(zip(starts.tolist(), arm.incidents["metrics"], strict=True), 1)
    return [(at, str(number)) for number, (at, metrics) in numbered if column in metrics.split(", ")][-_INCIDENTS:]


def _note(series: Sequence[Steps], column: str) -> str:
    """Say the length of a step and how many values there are."""
    counts = np.concatenate([one.known(column) for one in series])
    known = counts[counts > 0]
    if not len(known):
        return ""
    each = f"{known.min():,.0f}" if known.min() == known.max() else f"{known.min():,.0f} to {known.max():,.0f}"
    few = f"; open dots: fewer than {FEW}" if (known < FEW).any() else ""
    return f"n = {counts.sum():,.0f}, in steps of {series[0].length} with {each} each{few}"


def _latency(series: Sequence[Steps], names: Sequence[str]) -> list[Line]:
    if len(series) == 1:
        [one] = series
        n = one.known("latency_ms")
        return [
            Line(at, name, one.x, one.table[f"{name}_latency_ms"].to_numpy(), n)
            for at, name in enumerate(("p50", "p95"))
        ]
    return [
        Line(at, f"{name}, p95", one.x, one.table["p95_latency_ms"].to_numpy(), one.known("latency_ms"))
        for at, (one, name) in enumerate(zip(series, names, strict=True))
    ]


def _success(series: Sequence[Steps], names: Sequence[str]) -> list[Line]:
    return [
        Line(at, name, one.x, one.table["success_rate"].to_numpy(), one.known("success"))
        for at, (one, name) in enumerate(zip(series, names, strict=True))
    ]


def _cost(series: Sequence[Steps], names: Sequence[str]) -> list[Line]:
    return _totals(series, names, "total_cost_usd", "cost_usd")


def _totals(series: Sequence[Steps], names: Sequence[str], metric: str, column: str) -> list[Line]:
    """Return totals per step: of few values they are as true as of many, so all are on the line."""
    lines = []
    for at, (one, name) in enumerate(zip(series, names, strict=True)):
        values = one.table[metric].to_numpy(np.float64)
        known = one.known(column).any()
        lines.append(
            Line(at, name, one.x, values if known else np.full(len(values), np.nan), np.full(len(values), np.inf))
        )
    return lines


def _own(
    arms: Sequence[ReportArm],
    series: Sequence[Steps],
    names: Sequence[str],
    column: str,
    axis: str,
    marks: Sequence[tuple[float, str]],
) -> str:
    """Draw a column over `step`, where its rows have one, else over time."""
    title = arms[0].words(column, 40)
    with_step = [
        "step" in arm.rows.columns and column in arm.rows.columns and bool(arm.rows["step"].notna().any())
        for arm in arms
    ]
    if all(with_step):
        found = [by_step(arm.rows, column) for arm in arms]
        lines = [
            Line(at, name, *one[:3]) for at, (one, name) in enumerate(zip(found, names, strict=True)) if len(one[0])
        ]
        widths = {one[3] for one in found if len(one[0])}
        note = (
            f"n = {sum(one[2].sum() for one in found):,.0f}, mean of {' or '.join(map(number, sorted(widths)))} steps"
        )
        lines = [line._replace(n=np.full(len(line.n), np.inf)) for line in lines]
        return chart(title, note, lines, "step")
    lines = [
        Line(at, name, one.x, one.table[f"mean_{column}"].to_numpy(), one.known(column))
        for at, (one, name) in enumerate(zip(series, names, strict=True))
        if f"mean_{column}" in one.table.columns
    ]
    present = [one for one in series if column in one.rows.columns]
    return chart(f"{title}, mean", _note(present, column), lines, axis, marks=marks)


def windows(arm: ReportArm) -> str:
    """Render the metrics of round windows, at most 16."""
    rows = arm.rows
    if not len(rows):
        return ""
    length = round_step(rows.index[-1] - rows.index[0], len(rows), _WINDOWS)
    found = arm.experiment.windowed_metrics(length)
    filled = found[found["event_count"] > 0]
    cut = "" if len(filled) <= _WINDOWS + 1 else f", the last {_WINDOWS} of {len(filled):,}"
    filled = filled.tail(_WINDOWS + 1 if not cut else _WINDOWS)
    known = [name for name in _COLUMNS if filled[name].notna().any() and (name != "total_tokens" or filled[name].sum())]
    lines = [[_moment(start), *(_cell(name, row[name]) for name in known)] for start, row in filled.iterrows()]
    left_out = int((found["event_count"] == 0).sum())
    empty = "" if not left_out else f"; {left_out:,} windows without events are left out"
    return table(("begin (UTC)", *(_COLUMNS[name] for name in known)), lines, f"Windows of {length}{cut}{empty}")


_COLUMNS = {
    "event_count": "events", "success_rate": "success", "p50_latency_ms": "p50 ms", "p95_latency_ms": "p95 ms",
    "p99_latency_ms": "p99 ms", "total_cost_usd": "USD", "total_tokens": "tokens",
}  # fmt: skip


def _moment(time: object) -> str:
    """Format a UTC time, without parts of a second that are 0."""
    moment = pd.Timestamp(time)  # type: ignore[arg-type]
    text = f"{moment:%Y-%m-%d %H:%M:%S}"
    return text if not moment.microsecond else f"{text}.{moment.microsecond // 1000:03}"


def _cell(name: str, value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return "–"
    amount = float(value)  # type: ignore[arg-type]
    if name == "success_rate":
        return f"{100 * amount:.4g} %"
    return f"{amount:,.0f}" if name in ("event_count", "total_tokens") and amount.is_integer() else number(amount)


def incidents(arm: ReportArm) -> str:
    """Render the incidents of the detectors, the last 20."""
    found = arm.incidents
    if not len(found):
        return ""
    cut = "" if len(found) <= _INCIDENTS else f", the last {_INCIDENTS}"
    rows = [
        [
            str(at),
            _moment(one.start),
            one.severity,
            f"{one.count:,}",
            arm.words(one.metrics),
            arm.words(one.reason, 200),
        ]
        for at, one in list(enumerate(found.itertuples(index=False), 1))[-_INCIDENTS:]
    ]
    header = ("no.", "begin (UTC)", "severity", "events", "metrics", "reason")
    return table(header, rows, f"{_number_of(len(found), 'incident')}{cut}", texts=(0, 1, 2, 4, 5))


def _number_of(count: int, name: str) -> str:
    return f"{count:,} {name}" + ("" if count == 1 else "s")


def alerts(arm: ReportArm) -> str:
    """Render the alerts of rules and budgets, the last 20."""
    found = arm.experiment.alerts()
    found = found[found["kind"] != "anomaly"]
    cut = "" if len(found) <= _INCIDENTS else f", the last {_INCIDENTS}"
    rows = [
        [_moment(time), one.kind, one.severity, one.action, arm.words(one.reason, 200)]
        for time, one in zip(found.index[-_INCIDENTS:], found.tail(_INCIDENTS).itertuples(index=False), strict=True)
    ]
    header = ("time (UTC)", "kind", "severity", "action", "reason")
    return table(header, rows, f"{_number_of(len(found), 'alert')}{cut}", texts=range(5))


def errors(arm: ReportArm) -> str:
    """Render the most frequent errors of the kept events."""
    rows = arm.rows
    failed = rows[rows["error"].notna()]
    if not len(failed):
        return ""
    counts = failed.groupby("error", observed=True)["weight"].sum().sort_values(ascending=False, kind="stable")
    lines = [[arm.words(name, 160), number(float(count))] for name, count in counts.head(10).items()]
    cut = "" if len(counts) <= 10 else f", the 10 most frequent of {len(counts):,}"
    return table(("error", "events"), lines, f"Errors{cut}")
