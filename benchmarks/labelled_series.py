"""Labelled series: real ones, traces of LLM calls and of training with faults put in, and ten of NAB.

Events, windows and the first row that counts are those of `score_events.py`, which lies beside the series.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks import nab
from benchmarks.range_measures import Covered, covered, incidents
from crucible_nb.anomaly.tellings import cap_repeated_alarms

COOLDOWN = 100  # the detectors' default
FOLDER = nab.SHARED.parent / "anomaly"
SETS = {"real": "50 real series", "llm": "23 LLM and training traces", "nab": "ten NAB series"}
REAL = {
    "ms_latency": "latency of a dependency, hourly", "ms_crash": "crash rate, hourly",
    "ms_purchase": "purchases and API requests, hourly", "ms_api": "purchases and API requests, hourly",
    "ms_ingress": "data ingress and database requests, per minute", "ms_mongo": "data ingress and database requests, per minute",
    "kpi": "indicators of web services", "smd": "server metrics", "asd": "server metrics",
}  # fmt: skip
LLM = {
    "latency": "latency", "completion_tokens": "tokens", "prompt_tokens": "tokens", "cost": "cost", "arrivals": "requests in 2 s",
    "error": "error, 0 or 1", "loss": "training loss", "grad_norm": "gradient norm", "step_ms": "step time",
}  # fmt: skip


class Event(NamedTuple):
    """A labelled stretch: its first and last row, the last row at which an alarm finds it, and the kind of fault."""

    first: int
    last: int
    until: int
    kind: str


class Labelled(NamedTuple):
    """A series, what it measures, its events, the windows of NAB, and the first row that counts."""

    name: str
    group: str
    values: pd.Series
    events: list[Event]
    windows: list[tuple[int, int]]
    first: int


@cache
def scorer() -> Any:
    """The module `score_events.py`."""
    spec = importlib.util.spec_from_file_location("score_events", FOLDER / "score_events.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def labelled(name: str) -> list[Labelled]:
    """The series of a set: "real", "llm" or "nab"."""
    if name == "nab":
        return [_of_nab(one) for one in nab.corpus(nab.SHARED)]
    groups, kind_of = (REAL, _group_kind) if name == "real" else (LLM, _faults())
    result = []
    for series, values, events, windows, first in scorer().series(str(FOLDER / name)):
        group = next(text for prefix, text in groups.items() if series.startswith(prefix))
        kinds = [Event(a, b, b + int(np.clip(0.5 * (b - a + 1), 10, 50)), kind_of(series, a, group)) for a, b in events]
        result.append(Labelled(series, group, values, kinds, windows, first))
    return result


def _of_nab(one: nab.Series) -> Labelled:
    events = [Event(first, last, last, Path(one.name).stem) for first, last in one.windows]
    values = one.values.set_axis(pd.DatetimeIndex(one.times))
    return Labelled(one.name, Path(one.name).stem, values, events, one.windows, min(int(0.15 * len(values)), 750))


def _group_kind(series: str, row: int, group: str) -> str:
    return group


def _faults() -> Callable[[str, int, str], str]:
    rows = pd.read_csv(FOLDER / "llm" / "events.csv")
    kinds = {(one.series, int(one.first_row)): str(one.fault) for one in rows.itertuples()}
    return lambda series, row, group: f"{group}: {kinds[series, row]}"


class Outcome(NamedTuple):
    """What a method did on one series.

    Attributes:
        delays: Rows from the beginning of each event to the alarm; None where it was missed.
        swallowed: Whether each event was flagged, but only within an incident told before.
        right, wrong: Number of alarms in events and outside.
        rows: Number of rows that count.
        nab: Raw score of NAB, standard profile.
        ranges: Range-based precision and recall, of incidents.
    """

    delays: list[int | None]
    swallowed: list[bool]
    right: int
    wrong: int
    rows: int
    nab: float
    ranges: Covered


def outcome(score: np.ndarray, one: Labelled, cooldown: int = COOLDOWN) -> Outcome:
    """Judge raw scores (1.0 is the threshold) of a series; alarms are what is told, as by `cr.anomaly.score`."""
    alarms = np.flatnonzero(cap_repeated_alarms(score, cooldown) >= 1)
    alarms = alarms[alarms >= one.first]
    flags = score >= 1
    flags[: one.first] = False
    right, delays, swallowed = np.zeros(len(alarms), bool), list[int | None](), list[bool]()
    for event in one.events:
        inside = (alarms >= event.first) & (alarms <= event.until)
        right |= inside
        delays.append(int(alarms[inside][0]) - event.first if inside.any() else None)
        swallowed.append(not inside.any() and bool(flags[event.first : event.until + 1].any()))
    spans = [(event.first, event.last) for event in one.events]
    found = covered(spans, incidents(flags, cooldown))
    points = float(scorer().nab(alarms, one.windows))
    return Outcome(delays, swallowed, int(right.sum()), int((~right).sum()), len(score) - one.first, points, found)


class Summary(NamedTuple):
    """All outcomes of a set: NAB score, precision and recall of alarms, F1 (%), and the rest."""

    nab: float
    precision: float
    recall: float
    f1: float
    wrong: float
    delay: float
    swallowed: float
    ranges: Covered


def summary(found: list[Outcome], series: list[Labelled]) -> Summary:
    """Sum up the outcomes of a set as `score_events.judge` does; `wrong` is per 1,000 rows, `swallowed` in percent."""
    delays = [delay for one in found for delay in one.delays]
    hits = [delay for delay in delays if delay is not None]
    windows, right, wrong = (
        sum(each)
        for each in zip(*((len(s.windows), o.right, o.wrong) for s, o in zip(series, found, strict=True)), strict=True)
    )
    p, r = 100 * right / max(right + wrong, 1), 100 * len(hits) / max(len(delays), 1)
    return Summary(
        nab=50 * (sum(one.nab for one in found) + windows) / max(windows, 1),
        precision=p,
        recall=r,
        f1=2 * p * r / max(p + r, 1e-9),
        wrong=1000 * wrong / sum(one.rows for one in found),
        delay=float(np.median(hits)) if hits else float("nan"),
        swallowed=100 * sum(sum(one.swallowed) for one in found) / max(len(delays), 1),
        ranges=sum((one.ranges for one in found), Covered()),
    )
