"""Rates per time, as the rates of equal blocks of time: their mean is the rate, and their spread shows its error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.durations import observed_of
from crucible_nb.events.metric_names import EVENTS, Metric
from crucible_nb.events.metric_values import metric_numbers
from crucible_nb.events.sampling_info import check_weights, facts_of
from crucible_nb.events.times import times_of
from crucible_nb.stats.samples.values import Values, require_finite, weights_of
from crucible_nb.utils import checks

LEAST = 10
"""Smallest number of events, and of blocks, that is accepted."""
_MOST = 20
"""Number of blocks if there are many events; more of them would cut through clusters of events."""
_PER_BLOCK = 10


def rate_values(data: Any, metric: Metric, name: str, rule: Any = None) -> Values:
    """The rate of each of several equal blocks of time; the mean over blocks is the rate of all events.

    Blocks make no assumption about how events arrive, at random, in bursts or evenly, as long as what lies a block
    apart is independent. An event is in the block of its time, that of completion. The time is that of
    `observed_of`: from the first start to the last completion, without pauses.

    Args:
        data: DataFrame with a time index or a `time` column.
        metric: Of kind "per_time".
        name: Name of the argument, for messages.
        rule: Approximate width of the blocks; None takes 10 events per block, and 10 to 20 blocks.

    Returns:
        Values of kind "mean" of the blocks.

    Raises:
        SchemaError: No such column.
        StatError: No times, fewer than ten events, or fewer than ten blocks.

    Examples:
        >>> from crucible_nb.events.metric_names import metric_of
        >>> calls = pd.DataFrame(index=pd.date_range("2025-01-01", periods=101, freq="s", tz="UTC"))
        >>> float(rate_values(calls, metric_of("events_per_second"), "data").x.mean())
        1.01

    References:
        Alexopoulos, Seila: Output data analysis, in Banks (ed.): Handbook of Simulation (1998), on batch means.
    """
    observed = observed_of(data) if isinstance(data, pd.DataFrame) else None
    if observed is None or not observed.seconds > 0:
        raise StatError(f"{metric.name}: {name} needs rows with times that differ, a DatetimeIndex or a column `time`")
    check_weights(data)
    x, weight = metric_numbers(data, metric), weights_of(data)
    require_finite(x, metric.column)
    times = times_of(data)
    known = ~np.isnan(x) & (weight > 0) & times.known  # type: ignore[union-attr]
    if int(known.sum()) < LEAST:
        raise StatError(f"{metric.name}: expected at least {LEAST} events with a value, {name} has {int(known.sum())}")
    blocks = _count(observed.stop - observed.start, int(known.sum()), rule, name)
    place = (times.ns[known] - observed.start) / (observed.stop - observed.start)  # type: ignore[union-attr]
    block = np.clip((place * blocks).astype(np.int64), 0, blocks - 1)
    per_block = np.bincount(block, (weight * x)[known], blocks) * _factor(data, metric, weight)
    width = observed.seconds / blocks
    note = f"{int(known.sum()):,} events in {blocks} blocks of {width:.3g} s; blocks are taken as independent"
    return Values(
        metric=metric._replace(kind="mean"), x=per_block * metric.seconds / width, weight=np.ones(blocks),
        missing=int(np.count_nonzero(~known & (weight > 0))), sampled=False, seen=None, rows_weight=float(blocks),
        sized=False, notes=(note,),
    )  # fmt: skip


def _count(span: int, events: int, rule: Any, name: str) -> int:
    if rule is None:
        return min(max(events // _PER_BLOCK, LEAST), _MOST)
    blocks = round(span / checks.duration("resample", rule))
    if blocks < LEAST:
        raise StatError(f"resample={rule!r}: expected at least {LEAST} blocks, {name} has {blocks}; use shorter blocks")
    return blocks


def _factor(frame: pd.DataFrame, metric: Metric, weight: np.ndarray) -> float:
    """Factor from the events that weights represent to their exact number, if that is known."""
    seen, total = facts_of(frame).get("seen"), float(weight.sum())
    return seen / total if metric.column == EVENTS and seen and total > 0 else 1.0
