"""Origin of the numbers of a report: how events were sampled, what was lost, and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from crucible_nb.experiment.experiment import log_of
from crucible_nb.reports.arms import ReportArm
from crucible_nb.reports.markup import facts, paragraph, points

_ITEMS = 30

_LOSSES = {
    "evicted_events": "rows left memory (max_events); metrics count them",
    "errors": "events could not be recorded",
    "misfits": "values did not fit their column and are in `metadata`",
    "refused": "events could not be written to the store",
    "lost": "events and files of the store cannot be read",
    "twins": "calls were recorded by two libraries and are counted once",
    "dropped_spans": "spans were dropped (the queue was full, or they could not be mapped)",
    "dropped_attributes": "attributes were dropped by the limit of the sender",
}


_WEIGHED = (
    "Metrics count every event; charts, windows, estimates and comparisons weigh the kept rows by 1 / the probability "
    "of having been kept."
)


def sampling(arm: ReportArm) -> str:
    """Render how the rows were sampled."""
    known, words = arm.facts, arm.words
    total, kept = known["total_events"], known["kept_events"]
    shown: dict[str, Any] = {
        "events": f"{total:,}",
        "rows kept": f"{kept:,}" + (f" ({kept / total:.4g} of all)" if 0 < kept < total else ""),
        "sampling": "every event is kept" if known["sampling"] is None else words(known["sampling"], 200),
    }
    if known["sampling"] is not None:
        shown["seed"] = str(known["seed"])
        shown["effective number of rows"] = f"{known['effective_sample_size']:,.1f}"
        strata = list((known["strata"] or {}).items())[:_ITEMS]
        shown |= {f"stratum {words(label, 40)}": _stratum(counts) for label, counts in strata}
    return facts(shown) + paragraph(_WEIGHED if kept < total else "")


def _stratum(counts: Any) -> str:
    return (
        ", ".join(f"{name} {count:,}" for name, count in counts.items()) if isinstance(counts, Mapping) else str(counts)
    )


def losses(arm: ReportArm) -> str:
    """Render what was lost, with numbers; or that nothing was."""
    lines = list(_losses(arm))
    return points(lines) if lines else paragraph("Nothing was lost: no event failed, was refused or left memory.")


def _losses(arm: ReportArm) -> Iterator[str]:
    for name, sentence in _LOSSES.items():
        if arm.facts.get(name):
            yield f"{arm.facts[name]:,} {sentence}."
    if arm.facts["paused_duration"]:
        count, seconds = arm.facts["pause_count"], arm.facts["paused_duration"]
        yield f"Nothing was collected for {seconds:,.3f} s ({count} pauses, or no process)."
    unpriced = arm.experiment.unpriced()
    for model, count in list(unpriced.items())[:_ITEMS]:
        yield f"{count:,} events of {arm.words(model, 60)} have tokens but no price; their cost is unknown."
    if len(unpriced) > _ITEMS:
        yield f"{len(unpriced) - _ITEMS:,} more models have no price."


def provenance(arm: ReportArm) -> str:
    """Render the facts of the experiment; its id only if it is in a store, where it can be found by it."""
    exp, known, words = arm.experiment, arm.facts, arm.words
    planned = exp.planned
    prices = log_of(exp).stream.pipeline.prices
    shown = {
        "name": words(exp.name, 200),
        "id": exp.id if arm.is_stored else "",
        "status": known["status"],
        "condition": words(exp.condition or "", 200),
        "hypothesis": words(exp.hypothesis or "", 400),
        "tags": words(", ".join(exp.tags), 400),
        "started": _time(known["started_at"]),
        "stopped": _time(known["stopped_at"]),
        "duration": f"{known['wall_clock_duration']:,.3f} s, active {known['active_duration']:,.3f} s",
        "target": "" if known["sample_size"] is None else f"{known['sample_size']:,} events",
        "unit": words(exp.unit or ""),
        "cluster": words(exp.cluster or ""),
        "plan": "" if planned is None else words(planned, 400),
        "price table": words(prices.date or "") if arm.metrics.cost.count else "",
    }
    details = {
        f"metadata: {words(name, 60)}": words.value(name, value) for name, value in list(exp.metadata.items())[:_ITEMS]
    }
    more = len(exp.metadata) - _ITEMS
    return facts({name: value for name, value in shown.items() if value} | details) + paragraph(
        f"{more:,} more entries of metadata are left out." if more > 0 else ""
    )


def _time(moment: pd.Timestamp | None) -> str:
    return "" if moment is None else moment.isoformat(sep=" ")
