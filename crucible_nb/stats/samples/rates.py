"""Rates per time, as the rates of equal blocks of time: their mean is the rate, and their spread shows its error."""

from __future__ import annotations

import math
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
_PIECES = 5
"""Pieces of a block; their covariances show what blocks do not: events of one session on both sides of an edge."""
_LAGS = (1.0, 1.0, 0.5)
"""Weights of the covariances of pieces one, two and three apart; as precise as the spread of the blocks."""
_LEAST_SPREAD = 0.25


def rate_values(data: Any, metric: Metric, name: str, rule: Any = None) -> Values:
    """The rate of each of several equal blocks of time; the mean over blocks is the rate of all events.

    Blocks make no assumption about how events arrive, at random, in bursts or evenly, as long as what lies half a block
    apart is independent. Their deviations from the rate are scaled to the variance that the covariances of fifths of
    blocks add up to: sessions across the edge of two blocks make these correlate, even arrivals make them too
    different. Blocks of a given width are not scaled. An event is in the block of its time, that of completion. The
    time is that of `observed_of`: from the first start to the last completion, without pauses.

    Args:
        data: DataFrame with a time index or a `time` column.
        metric: Of kind "per_time".
        name: Name of the argument, for messages.
        rule: Approximate width of the blocks, whose rates are returned as they are; None takes 10 events per block, and
            10 to 20 blocks.

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
        Politis, Romano: Bias-corrected nonparametric spectral estimation. Journal of Time Series Analysis 16 (1995),
        on windows that are flat at lag 0.
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
    pieces = _PIECES * blocks
    piece = np.clip((place * pieces).astype(np.int64), 0, pieces - 1)
    per_piece = np.bincount(piece, (weight * x)[known], pieces) * _factor(data, metric, weight)
    per_block = per_piece.reshape(blocks, _PIECES).sum(axis=1)
    if rule is None:
        per_block = _with_spread(per_block, _variance_of_total(per_piece))
    width = observed.seconds / blocks
    apart = "half a block apart" if rule is None else "in different blocks"
    note = f"{int(known.sum()):,} events in {blocks} blocks of {width:.3g} s; events {apart} are taken as independent"
    return Values(
        metric=metric._replace(kind="mean"), x=per_block * metric.seconds / width, weight=np.ones(blocks),
        missing=int(np.count_nonzero(~known & (weight > 0))), sampled=False, seen=None, rows_weight=float(blocks),
        sized=False, notes=(note,),
    )  # fmt: skip


def _variance_of_total(x: np.ndarray) -> float:
    """Variance of the sum of consecutive values, from their covariances up to three apart."""
    n, away = len(x), x - x.mean()
    squares = float(away @ away) + 2 * sum(
        weight * float(away[:-lag] @ away[lag:]) for lag, weight in enumerate(_LAGS, start=1)
    )
    return squares / (1 - (1 + 2 * sum(_LAGS)) / n)  # what subtracting the mean takes away


def _with_spread(x: np.ndarray, variance: float) -> np.ndarray:
    """Scale the deviations from the mean, so that the sum of independent values has this variance; none below 0.

    Examples:
        >>> _with_spread(np.array([1.0, 2.0, 3.0]), 3 * 0.25).round(9).tolist()  # a standard deviation of 0.5, was 1
        [1.5, 2.0, 2.5]
    """
    spread = float(x.var(ddof=1)) * len(x)
    if not spread > 0:
        return x
    mean, factor = float(x.mean()), math.sqrt(max(variance / spread, _LEAST_SPREAD))
    least = float(x.min())
    if factor > 1 and least >= 0:
        factor = min(factor, mean / (mean - least))
    return x + (factor - 1) * (x - mean)


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
