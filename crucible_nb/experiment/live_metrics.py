"""Looking: metrics of an experiment in total, by group, over a window. Reads, never advances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from crucible_nb.metrics import GROUPS, Live, Metrics, Tally, block_of, tally_of
from crucible_nb.metrics.frames import metrics_of
from crucible_nb.pipeline.buffer import BufferSlice
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.pipeline.pipeline import Pipeline

FEW = 4096
"""Rows whose exact metrics cost no more than a fold of panes."""


def lives_of(pipelines: Sequence[Pipeline]) -> list[Live]:
    """What every event so far amounts to, of each writer."""
    return [one.measure.exact_state() for one in pipelines]


def total_metrics(lives: Sequence[Live], life: Lifecycle, now: int) -> Metrics:
    """Metrics over every event so far, of all writers."""
    return metrics_of(_merged([live.total for live in lives]), life, (life.started, now))


def _merged(states: Sequence[Tally]) -> Tally:
    """States of several writers as one; that of one alone as it is."""
    return reduce(Tally.merge, states)


def group_metrics(pipelines: Sequence[Pipeline], life: Lifecycle, now: int, by: str) -> Metrics | None:
    """Metrics by a column that is counted live, over every event; None when it is not."""
    if not any(grouping.name == by for grouping in pipelines[0].measure.groupings):
        return None
    found: dict[Any, list[Tally]] = {}
    for pipeline in pipelines:
        for name, state in _groups(pipeline, by):
            found.setdefault(name, []).append(state)
    for last in (_OTHERS, None):  # shown last
        if last in found:
            found[last] = found.pop(last)
    span = (life.started, now)
    groups = {name: metrics_of(_merged(states), life, span) for name, states in found.items()}
    return total_metrics(lives_of(pipelines), life, now).grouped(groups, (by,))


_OTHERS = "(other groups)"


def _groups(pipeline: Pipeline, by: str) -> Iterator[tuple[Any, Tally]]:
    """Label and state of every group of one writer in which anything happened; None is for no group."""
    measure = pipeline.measure
    place = next(i for i, grouping in enumerate(measure.groupings) if grouping.name == by)
    tally, labels = measure.exact_state().groups[place], measure.groupings[place].labels()[:GROUPS]
    names = [None, *labels, _OTHERS]
    for row in [*range(1, len(tally)), 0]:
        if tally.panel.sums[0, row] > 0:
            yield names[row], tally.fold(np.array([row]))


def window_metrics(
    pipelines: Sequence[Pipeline], lives: Sequence[Live], life: Lifecycle, start: int, stop: int
) -> Metrics:
    """Metrics of the events in [start, stop], of all writers.

    Exact from the rows where they are few or the window is not a live one; else from the live panes, with the
    rows of the pane that the window cuts. Where those rows left memory the window begins at the next pane.
    """
    found = [_window(*one, start, stop) for one in zip(pipelines, lives, strict=True)]
    edge = max(one[1] for one in found)
    estimated = any(one[2] for one in found)
    return metrics_of(_merged([one[0] for one in found]), life, (edge, stop), estimated=estimated)


def _window(pipeline: Pipeline, live: Live, start: int, stop: int) -> tuple[Tally, int, bool]:
    """State of the window of one writer, where it begins, and whether rows are missing from it."""
    rows = pipeline.buffer.slice(start, stop + 1)
    whole = pipeline.complete or (not pipeline.sample.is_sampling and rows.oldest is not None and rows.oldest <= start)
    ring = live.rings.get(stop - start)
    newest = int(live.total.panel.span[1, 0])
    if ring is None or newest > stop or (whole and len(rows.times) <= FEW):
        return _rows(rows), start, not whole
    edge = -(-start // ring.width) * ring.width
    state = ring.fold(edge, (stop // ring.width + 1) * ring.width)
    if whole:
        state = _rows(pipeline.buffer.slice(start, edge)).merge(state)
        edge = start
    return state, edge, False


def _rows(rows: BufferSlice) -> Tally:
    """Return the exact state of rows in the buffer."""
    return tally_of(block_of(lambda name: rows.numbers(name) if len(rows.times) else None, rows.times))
