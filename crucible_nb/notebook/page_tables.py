"""Tables of the dashboard: classes of errors, and the slowest and dearest events of the window."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.experiment.experiment import Experiment, row_facts
from crucible_nb.notebook import wire
from crucible_nb.notebook.top_rows import LEVELS, TOP, Entry, ErrorCounts, TopRows

_ERRORS = 8  # classes listed
_LONG = 48  # characters of a text
_MAX_BYTES = 3_900
_TEXTS: tuple[str, ...] = ("event", "model", "error")
_IDS: tuple[str, ...] = ("sample_id", "session_id", "user_id")
_TRACE = "trace_id"
_TRACE_LENGTH = 16  # characters of a trace id, of which exp.trace takes a beginning
_RANKED = {"slowest": "latency_ms", "dearest": "cost_usd"}


class PageTables:
    """Collects the rows of the tables of one experiment, each event once.

    Args:
        experiment: The experiment.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._errors = {name: ErrorCounts(name) for name in LEVELS}
        self._top = {name: {level: TopRows(level) for level in LEVELS} for name in _RANKED}
        self._known: dict[tuple[int, int], dict[str, Any]] = {}

    def add(self, writer: int, rows: dict[str, np.ndarray], errors: tuple[np.ndarray, list[str]]) -> None:
        """Add new rows of a writer, and index and class of those with an error."""
        at, classes = errors
        for name, column in _RANKED.items():
            if not np.isnan(rows[column]).all():
                for top in self._top[name].values():
                    top.add(rows["time"], rows[column], writer, rows["seq"])
        if len(at):
            for counts in self._errors.values():
                counts.add(rows["time"][at], classes, rows["weight"][at])

    def read(self, level: str, start: int, stop: int) -> wire.ArmTables:
        """Return the tables of a window.

        Args:
            level: Name of the buckets, as in `wire.WINDOWS`.
            start, stop: Ends of the window in UTC nanoseconds, to the width of a bucket.
        """
        errors = self._errors[level].total(start, stop).most_common(_ERRORS)
        ranked = {name: self._top[name][level].largest(start, stop) for name in _RANKED}
        self._look_up([entry for entries in ranked.values() for entry in entries])
        return {
            "errors": [[_cut(name), round(count, 1)] for name, count in errors],
            "slowest": [self._row(entry) for entry in ranked["slowest"]],
            "dearest": [self._row(entry) for entry in ranked["dearest"]],
        }

    def _look_up(self, entries: list[Entry]) -> None:
        wanted = [(writer, seq) for _, _, writer, seq in entries]
        new = [key for key in dict.fromkeys(wanted) if key not in self._known]
        found = dict(zip(new, row_facts(self._experiment, new), strict=True)) if new else {}
        self._known = {key: self._known[key] if key in self._known else found[key] for key in wanted}

    def _row(self, entry: Entry) -> wire.ListedRow:
        value, time, writer, seq = entry
        return _listed_row(value, time / 1e6, seq, self._known[writer, seq])


def rows_of_span(experiment: Experiment, start: int, stop: int) -> wire.ArmTables:
    """Return the tables of a span that a user has selected, from its kept rows.

    Args:
        experiment: The experiment.
        start, stop: Ends of the span in UTC nanoseconds.
    """
    frame = experiment.query_window(start=start, end=stop)
    assert isinstance(frame, pd.DataFrame)
    failed = frame[frame["error"].notna()]
    errors = failed.groupby("error", observed=True)["weight"].sum().sort_values(ascending=False)[:_ERRORS]
    return {
        "errors": [[_cut(str(name)), round(float(count), 1)] for name, count in errors.items()],
        "slowest": _listed(frame, "latency_ms"),
        "dearest": _listed(frame, "cost_usd"),
    }


def _listed(frame: pd.DataFrame, column: str) -> list[wire.ListedRow]:
    found: list[wire.ListedRow] = []
    for time, row in frame.nlargest(TOP, column).iterrows():
        facts = {name: str(row[name]) for name in (*_TEXTS, *_IDS, _TRACE) if name in row and pd.notna(row[name])}
        moment = pd.Timestamp(time).value / 1e6  # type: ignore[arg-type]
        found.append(_listed_row(float(row[column]), moment, int(row["seq"]), facts))
    return found


def _listed_row(value: float, moment: float, seq: int, facts: dict[str, Any]) -> wire.ListedRow:
    """Return a row of a list from the known texts of an event."""
    texts, ids = ({name: _cut(facts[name]) for name in names if name in facts} for names in (_TEXTS, _IDS))
    row: wire.ListedRow = {"value": float(f"{value:.6g}"), "time": moment, "seq": seq, "texts": texts, "ids": ids}
    if _TRACE in facts:
        row["trace"] = facts[_TRACE][:_TRACE_LENGTH]
    return row


def fitting(arms: list[wire.ArmTables]) -> list[wire.ArmTables]:
    """Shorten the tables until they fit into `_MAX_BYTES`."""
    keep = TOP
    while keep > 1 and len(json.dumps(arms)) > _MAX_BYTES:
        keep -= 1
        arms = [
            {"errors": one["errors"][: keep + 2], "slowest": one["slowest"][:keep], "dearest": one["dearest"][:keep]}
            for one in arms
        ]
    return arms


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
