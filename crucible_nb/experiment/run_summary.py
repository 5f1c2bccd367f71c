"""The summary of one run: its facts, the values of its metrics, and a small line of its main metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import CrucibleError
from crucible_nb.experiment.experiment import Experiment, log_of
from crucible_nb.metrics import Metrics
from crucible_nb.store.catalog import created_ns
from crucible_nb.store.layout import ExperimentFolder
from crucible_nb.store.summaries import write_summary
from crucible_nb.utils.interrupts import let_pass
from crucible_nb.utils.pictures import binned_means

ENDED = ("stopped", "failed", "archived")
_POINTS = 32  # of the small line
_MANY = 2_000_000  # rows from which no line is drawn when the run ends
_MAIN = ("val_loss", "loss", "accuracy", "score")
_TIMES = ("started_at", "stopped_at")
_KEPT = (
    "name", "status", "condition", "tags", "metadata", "hypothesis", *_TIMES, "total_events", "kept_events",
    "wall_clock_duration", "active_duration", "errors",
)  # fmt: skip


def summarise(
    experiment: Experiment, rows: Callable[[], pd.DataFrame], facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the summary of a run as plain data.

    Args:
        experiment: The run.
        rows: Gives its kept rows.
        facts: Its facts; None for those of `Experiment.summary`.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo", clock="events") as exp:
        ...     for step in range(3):
        ...         _ = exp.record("train.step", loss=1 / (1 + step), step=step, time=step)
        >>> summary = summarise(exp, exp.frame)
        >>> summary["values"]["min_loss"], summary["main"]["metric"]
        (0.3333333333333333, 'loss')
    """
    facts = facts or experiment.summary()
    kept = {name: facts[name] for name in _KEPT}
    for name in _TIMES:
        kept[name] = None if kept[name] is None else pd.Timestamp(kept[name]).isoformat()
    metrics = experiment.metrics()
    values = _values(experiment, metrics)
    main = _main(metrics)
    small = facts["kept_events"] <= _MANY and bool(main)
    return {
        "facts": kept,
        "values": {name: value for name, value in values.items() if math.isfinite(value)},
        "columns": list(metrics.columns),
        "main": {"metric": main, "line": _line(rows(), main) if small else []},
    }


def facts_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a summary, with times as Timestamps."""
    facts = dict(summary["facts"])
    for name in _TIMES:
        facts[name] = None if facts[name] is None else pd.Timestamp(facts[name]).as_unit("ns")
    return facts


def _values(experiment: Experiment, metrics: Metrics) -> dict[str, float]:
    """Return the values that are counted over every event, by the names of metrics."""
    found: dict[str, float] = {
        "event_count": float(metrics.events), "success_rate": metrics.reliability.success_rate,
        "total_cost_usd": metrics.cost.total, "mean_cost_usd": metrics.cost.mean,
        "total_tokens": float(metrics.tokens.total),
    }  # fmt: skip
    counted: dict[str, Any] = {"latency_ms": metrics.latency, **metrics.columns}
    for name, column in counted.items():
        found |= {f"{kind}_{name}": float(getattr(column, kind)) for kind in ("mean", "min", "max")}
        if column.exact:
            found |= {f"p{q}_{name}": float(column.quantile(q / 100)) for q in (50, 95, 99)}
        newest = experiment.last(name)
        if isinstance(newest, (int, float)):
            found[f"last_{name}"] = float(newest)
    return found


def _main(metrics: Metrics) -> str:
    """Return the column that a small line is drawn of: the loss of a training, else the latency, else any."""
    own = list(metrics.columns)
    for word in _MAIN:
        near = [name for name in own if name == word or name.split("/")[-1] == word]
        if near:
            return near[0]
    return "latency_ms" if metrics.latency.count else own[0] if own else ""


def _line(rows: pd.DataFrame, column: str) -> list[float | None]:
    """Return the means of a column over equal steps of time, with four digits; None where it has no value."""
    if column not in rows.columns or len(rows) < 2:
        return []
    values, weights = (rows[name].to_numpy(np.float64, na_value=np.nan) for name in (column, "weight"))
    means = binned_means(rows.index.asi8, values, weights, _POINTS)  # type: ignore[attr-defined]
    return [float(f"{mean:.4g}") if math.isfinite(mean) else None for mean in means.tolist()]


def leave_summary(experiment: Experiment) -> None:
    """Write the summary of an experiment of this process that has ended; what fails is rebuilt by a later listing.

    So is the summary of a run with `max_events`: how many rows it keeps depends here on when its journals were sealed.
    """
    log = log_of(experiment)
    location = log.location
    try:
        if location is None or experiment.status not in ENDED or log.config.max_events is not None:
            return
        folder = ExperimentFolder(location)
        write_summary(folder, {"created": created_ns(folder), **summarise(experiment, experiment.frame)})
    except Exception as error:  # noqa: BLE001  telemetry never breaks the code it measures
        let_pass(error)


def rebuild_summary(
    folder: ExperimentFolder, experiment: Experiment, rows: Callable[[], pd.DataFrame], facts: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the summary of an experiment of a store that was read, and write it if it has ended."""
    try:
        content = {"created": created_ns(folder), **summarise(experiment, rows, facts)}
    except CrucibleError as error:
        let_pass(error)
        return None
    if facts["status"] in ENDED:  # a store may be read-only
        write_summary(folder, content)
    return content
