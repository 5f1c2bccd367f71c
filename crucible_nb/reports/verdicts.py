"""Comparison of a report: verdicts, intervals with pictures, the design in words, warnings and methods."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from crucible_nb.comparison import Comparison, Comparisons, MetricComparison, compare
from crucible_nb.errors import StatError
from crucible_nb.reports.arms import ReportArm
from crucible_nb.reports.markup import exact, facts, paragraph, points, section, table
from crucible_nb.reports.words import Words
from crucible_nb.stats.outcome import p_text
from crucible_nb.stats.results import number, percent_text
from crucible_nb.utils.html import Raw
from crucible_nb.utils.pictures import interval_picture

_NOTES = 20


def verdicts(arms: Sequence[ReportArm], arguments: Mapping[str, Any]) -> str:
    """Compare the first arm with each other one, and render what was found; a reason where it cannot be compared."""
    words = arms[0].words
    named = {arm.name if len({one.name for one in arms}) == len(arms) else f"{at + 1} {arm.name}": arm.experiment
             for at, arm in enumerate(arms)}  # fmt: skip
    try:
        found = compare(named, **arguments)
    except StatError as error:
        return section("Comparison", paragraph(words(f"The arms are not compared: {error}", 400)))
    results = list(found.values()) if isinstance(found, Comparisons) else [found]
    return section("Comparison", *(_comparison(one, words) for one in results if isinstance(one, Comparison)))


def _comparison(found: Comparison, words: Words) -> str:
    rows = [
        [words(name, 60), Raw(f"<strong>{metric.verdict}</strong>"), exact(metric.estimate, _known(metric.estimate)),
         Raw(_picture(metric) + _limits(metric)), _p(metric)]
        for name, metric in found.items()
    ]  # fmt: skip
    level = f"{100 * next(iter(found.values())).confidence:.5g} % interval"
    header = ("metric", "verdict", "difference", level, "p")
    title = f"{words(found.treatment)} against {words(found.control)}"
    details = "".join(_metric(name, metric, words) for name, metric in found.items())
    return section(
        title,
        paragraph(words(found.decision, 300) if found.decision else ""),
        table(header, rows, words(found.summary, 300), texts=(0, 1, 3)),
        points(words(note, 400) for note in list(_notes(found))[:_NOTES]),
        details,
        level=3,
    )


def _notes(found: Comparison) -> Iterator[str]:
    yield from found.design
    if found.plan:
        yield found.plan
    yield from found.looked
    yield from (f"warning: {text}" for text in found.warnings)
    yield from found.exclusions


def _metric(name: str, metric: MetricComparison, words: Words) -> str:
    """Render all that is known of one metric: a list rather than a wide table, which paper would cut off."""
    shown: dict[str, Any] = {
        "verdict": Raw(f"<strong>{metric.verdict}</strong>: {escape(words(metric.why, 300))}"),
        "values": f"{_known(metric.control)} (control), {_known(metric.treatment)} (treatment)",
        "difference": f"{_known(metric.estimate)}{_error(metric.standard_error)}, {_limits(metric)}",
        "change": percent_text(metric.relative_change, metric.relative_interval),
        "test": f"{metric.test}, {_p(metric)}" if metric.test else "not tested",
        "effect": "" if math.isnan(metric.effect_size) else f"{metric.effect} {number(metric.effect_size)}",
        "n": f"{metric.n[0]:,} and {metric.n[1]:,}",
        "margin": "" if metric.margin is None else number(metric.margin),
        "correction": metric.correction or "",
        "assumptions": words("; ".join(metric.assumptions), 600),
        "method": words(metric.method, 800),
        "next": words(metric.next_sample or "", 300),
    }
    of_what = f"{name}: {metric.estimand}" if metric.estimand not in ("", name) else name
    return section(words(of_what, 120), facts({name: value for name, value in shown.items() if value}), level=4)


def _error(error: float) -> str:
    return "" if math.isnan(error) else f" (standard error {number(error)})"


def _p(metric: MetricComparison) -> str:
    return p_text(metric.pvalue) if metric.test else "not tested"


def _known(value: float) -> str:
    return "unknown" if math.isnan(value) else number(value)


def _limits(metric: MetricComparison) -> str:
    low, high = metric.confidence_interval
    return "no interval" if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def _picture(metric: MetricComparison) -> str:
    low, high = metric.confidence_interval
    title = f"difference {_known(metric.estimate)}, interval {_limits(metric)}"
    return interval_picture(low, high, metric.estimate, title, metric.margin)
