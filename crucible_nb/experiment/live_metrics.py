"""Metrics of an experiment: in total, by group, over a window. Reading never changes its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from crucible_nb.metrics import GROUPS, GroupState, LiveState, Metrics, block_of, state_of_block
from crucible_nb.metrics.frames import ActiveTime, group_metrics_of, metrics_of
from crucible_nb.metrics.sum_table import EVENTS
from crucible_nb.pipeline.buffer import BufferSlice
from crucible_nb.pipeline.pipeline import Pipeline

FEW = 4096
"""Number of rows up to which exact metrics cost no more than a merge of panes."""


def lives_of(pipelines: Sequence[Pipeline]) -> list[LiveState]:
    """Return the live metric state of each writer, over all events."""
    return [one.measure.state() for one in pipelines]


def total_metrics(lives: Sequence[LiveState], life: ActiveTime, now: int) -> Metrics:
    """Compute metrics over all events of all writers."""
    return metrics_of(_merged([live.total for live in lives]).copy(), life, (life.started, now))


def _merged(states: Sequence[GroupState]) -> GroupState:
    """Merge the states of several writers; a single state is returned as it is."""
    return reduce(GroupState.merge, states)


def group_metrics(pipelines: Sequence[Pipeline], life: ActiveTime, by: str) -> dict[Any, Metrics] | None:
    """Compute metrics over all events of each group of a column that is counted live; None for other columns."""
    if not any(grouping.name == by for grouping in pipelines[0].measure.groupings):
        return None
    by_label: dict[Any, list[GroupState]] = {}
    for pipeline in pipelines:
        for name, state in _groups(pipeline, by):
            by_label.setdefault(name, []).append(state)
    for last in (_OTHERS, None):  # shown last
        if last in by_label:
            by_label[last] = by_label.pop(last)
    return {name: group_metrics_of(_merged(states), life) for name, states in by_label.items()}


_OTHERS = "(other groups)"


def _groups(pipeline: Pipeline, by: str) -> Iterator[tuple[Any, GroupState]]:
    """Yield label and state of every group of one writer that has events; label None is for no group."""
    measure = pipeline.measure
    index = next(i for i, grouping in enumerate(measure.groupings) if grouping.name == by)
    tally, labels = measure.state().groups[index], measure.groupings[index].labels()[:GROUPS]
    names = [None, *labels, _OTHERS]
    for row in [*range(1, len(tally)), 0]:
        if tally.table.counts[EVENTS, row]:
            yield names[row], tally.merge_groups(np.array([row]))


def window_metrics(
    pipelines: Sequence[Pipeline], lives: Sequence[LiveState], life: ActiveTime, start: int, stop: int
) -> Metrics:
    """Compute metrics of the events in [start, stop], of all writers.

    Exact from the rows if they are few or the window is not a live one; else from the live panes, and the rows of the
    pane that the start cuts. If those rows were evicted, the window begins at the next pane.
    """
    windows = [_window(*pair, start, stop) for pair in zip(pipelines, lives, strict=True)]
    states, edges, partial = zip(*windows, strict=True)
    return metrics_of(_merged(states), life, (max(edges), stop), estimated=any(partial))


def _window(pipeline: Pipeline, live: LiveState, start: int, stop: int) -> tuple[GroupState, int, bool]:
    """Return the state of a window of one writer, its start, and whether rows are missing from it."""
    rows = pipeline.buffer.slice(start, stop + 1)
    whole = pipeline.complete or (not pipeline.sample.is_sampling and rows.oldest is not None and rows.oldest <= start)
    ring = live.windows.get(stop - start)
    newest = int(live.total.table.span[1, 0])
    if ring is None or newest > stop or (whole and len(rows.times) <= FEW):
        return _rows(rows), start, not whole
    edge = -(-start // ring.width) * ring.width
    state = ring.merge_panes(edge, (stop // ring.width + 1) * ring.width)
    if whole:
        state = _rows(pipeline.buffer.slice(start, edge)).merge(state)
        edge = start
    return state, edge, False


def _rows(rows: BufferSlice) -> GroupState:
    """Return the exact state of rows in the buffer."""
    return state_of_block(block_of(lambda name: rows.numbers(name) if len(rows.times) else None, rows.times))
