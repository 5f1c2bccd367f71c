"""Time blocks: one value a minute in place of thousands of events that resemble their neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.samples.values import Values, frame_of, values_of
from crucible_nb.utils import checks

LEAST = 10
"""Blocks below which nothing is said."""
_CORRELATED = 0.1
_FEW, _THIN = 20, 10
_LOOKED = 2**17  # of a longer series the first values tell its correlation to 0.003


def lag1(x: np.ndarray) -> float:
    """Correlation of neighbours; NaN below three values or without any spread.

    Examples:
        >>> lag1(np.array([1.0, 2.0, 1.0, 2.0]))
        -0.75
    """
    if len(x) < 3:
        return float("nan")
    x = x - x.mean()
    squares = float(x @ x)
    return float(x[:-1] @ x[1:]) / squares if squares > 0 else float("nan")


def independent(n: int, correlation: float) -> float:
    """How many independent values are worth n values whose neighbours correlate: n (1 - r) / (1 + r).

    Of a first-order autoregression; never more than n.

    Examples:
        >>> round(independent(1000, 0.7))
        176

    References:
        Bartlett: Some aspects of the time-correlation problem in regard to tests of significance. JRSS 98 (1935).
    """
    return n * (1 - correlation) / (1 + correlation) if correlation > 0 else float(n)


def correlated(x: np.ndarray, r: float) -> str | None:
    """A sentence where neighbouring values correlate (r) above 0.1 and more than chance makes them."""
    if not r > max(_CORRELATED, 2 / np.sqrt(max(len(x), 1))):
        return None
    return (
        f"neighbouring events correlate ({r:.2f}): {len(x):,} of them are worth about {independent(len(x), r):,.0f} "
        "independent ones, and an interval that takes them as independent is too narrow"
    )


def neighbours(data: Any, metric: str, values: Values, estimate: float) -> tuple[str | None, float]:
    """Whether events that follow each other resemble each other, in what matters for the metric.

    For a quantile that is being below it, for a ratio the distance from it.

    Args:
        data: What the values are of; only a frame or a Series in order of its index is known to have an order, one
            with times is put in order.
        metric, values, estimate: Of the data.

    Returns:
        A sentence (None without correlation), and the correlation; (None, NaN) for data without an order.
    """
    data = frame_of(data)
    if not isinstance(data, (pd.DataFrame, pd.Series)):
        return None, float("nan")
    if not data.index.is_monotonic_increasing:
        if not isinstance(data.index, pd.DatetimeIndex):
            return None, float("nan")
        values = values_of(_in_order(data), metric)
    x = weighted.influence(values, estimate)
    r = lag1(x[:_LOOKED])
    return correlated(x, r), r


def _in_order(data: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
    """By time; rows without a time are left out."""
    if data.index.hasnans:
        data = data[data.index.notna()]
    return data if data.index.is_monotonic_increasing else data.sort_index(kind="stable")


def block_values(data: Any, metric: str, name: str, rule: Any) -> Values:
    """The metric of each time block, in order of time; blocks without a value are left out.

    A block without any event is no value of a mean, a rate or a quantile, but a total of 0. The first and the last
    block, of which only a part may have been seen, are left out of totals.

    Args:
        data: DataFrame, Series or experiment with a DatetimeIndex.
        metric: As for `values_of`; each block has its own mean, rate, quantile, total or ratio.
        name: What the argument is called.
        rule: Width of a block, as pandas `resample` takes it: of a clock, not a number of events.

    Raises:
        StatError: No times, fewer than ten blocks.
    """
    width, data = checks.duration("resample", rule), frame_of(data)
    if not isinstance(data, (pd.DataFrame, pd.Series)) or not isinstance(data.index, pd.DatetimeIndex):
        raise StatError(f"resample={rule!r}: {name} needs a DatetimeIndex, got {type(data).__name__} without one")
    data = _in_order(data)
    events = values_of(data, metric, name)
    block = _lie(data.index, pd.Timedelta(width, "ns"), events)
    x = _blocks(block, events)
    if len(x) < LEAST:
        raise StatError(
            f"resample={rule!r}: expected at least {LEAST} blocks with a value, {name} has {len(x)}; use shorter blocks"
        )
    kept = events._replace(
        metric=events.metric._replace(kind="mean"), x=x, weight=np.ones(len(x)), sampled=False, seen=None, sized=False,
        rows_weight=float(len(x)), per=None, known=None,
    )  # fmt: skip
    return kept._replace(said=_said(events, x, block.of, rule))


class _Lie(NamedTuple):
    """Where values lie: the block of each, and how many rows each block has, with or without a value."""

    of: np.ndarray
    rows: np.ndarray


def _lie(times: pd.DatetimeIndex, width: pd.Timedelta, events: Values) -> _Lie:
    """Pandas says where blocks begin."""
    rows = pd.Series(1, times).resample(width).sum().to_numpy()
    block = np.repeat(np.arange(len(rows)), rows)
    return _Lie(block if events.known is None else block[events.known], rows)


def _blocks(block: _Lie, events: Values) -> np.ndarray:
    """The value of each block."""
    wanted, weight, blocks = events.metric, events.weight, len(block.rows)
    if wanted.kind == "quantile":
        return _quantiles(events, block.of)
    top = np.bincount(block.of, weight * events.x, minlength=blocks)
    if wanted.kind == "total":
        held = (np.bincount(block.of, minlength=blocks) > 0) | (block.rows == 0)
        held[[0, -1]] = False
        return np.asarray(top[held])
    under = np.bincount(block.of, weight * (1.0 if events.per is None else events.per), minlength=blocks)
    return np.asarray(top[under != 0] / under[under != 0])


def _quantiles(events: Values, block: np.ndarray) -> np.ndarray:
    order = np.lexsort((events.x, block))
    x, weight, starts = events.x[order], events.weight[order], np.flatnonzero(np.diff(block, prepend=-1))
    ends, ones, q = np.r_[starts[1:], len(x)], bool((weight == 1).all()), events.metric.q
    return np.array([
        quantile_of_sorted(x[low:high], q, None if ones else weight[low:high])
        for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
    ])  # fmt: skip


def _said(events: Values, x: np.ndarray, block: np.ndarray, rule: Any) -> tuple[str, ...]:
    wanted = events.metric
    estimate = float("nan")
    if wanted.kind == "quantile":
        estimate = weighted.quantile(events.x, events.weight, wanted.q)
    elif events.per is not None:
        estimate = float(events.weight @ events.x / (events.weight @ events.per))
    before, after = lag1(weighted.influence(events, estimate)), lag1(x)
    said = [f"{len(events.x):,} events in {len(x):,} blocks of {rule}; the estimate is the mean over blocks"]
    if before > _CORRELATED:
        said.append(
            f"neighbouring events correlate ({before:.2f}): they are worth about "
            f"{independent(len(events.x), before):,.0f} independent ones"
        )
    if after > _CORRELATED:
        said.append(f"warning: neighbouring blocks still correlate ({after:.2f}); use longer blocks")
    else:
        said.append(f"neighbouring blocks do not correlate ({after:.2f})")
    if len(x) < _FEW:
        said.append(f"warning: only {len(x)} blocks")
    lost = len(np.unique(block)) - len(x) if wanted.kind == "ratio" else 0
    if lost:
        said.append(f"warning: {lost:,} blocks in which {wanted.per} adds up to 0 are left out; use longer blocks")
    return (*said, *_thin(events, block))


def _thin(events: Values, block: np.ndarray) -> tuple[str, ...]:
    """A quantile, a ratio or a weighted mean of few rows is biased, and so is the mean of many such ones."""
    wanted, weight = events.metric, events.weight
    plain = events.per is None and not events.sampled
    if wanted.kind == "total" or (plain and wanted.kind != "quantile"):
        return ()
    sums, squares = np.bincount(block, weight), np.bincount(block, weight**2)
    worth = float(np.median(sums[squares > 0] ** 2 / squares[squares > 0]))
    least = _THIN if wanted.kind != "quantile" else _THIN / 2 / min(wanted.q, 1 - wanted.q)
    if worth >= least * (1 - 1e-9):
        return ()
    return (
        f"warning: a block holds about {worth:,.0f} effective rows, below {least:,.0f} its {wanted.name} is biased; "
        "use longer blocks",
    )


def sample_of(
    data: Any, metric: str, name: str = "data", *, cluster: str | None = None, resample: Any = None
) -> Values:
    """The values that a test speaks about: rows, rows in clusters, or time blocks.

    Args:
        data, metric, name, cluster: As for `values_of`.
        resample: Width of time blocks whose values stand in for the rows, e.g. "1min".

    Raises:
        StatError: Both cluster and resample; see also `values_of` and `block_values`.
    """
    if resample is None:
        return values_of(data, metric, name, cluster=cluster)
    if cluster is not None:
        raise StatError("cluster and resample: expected one of them, got both")
    return block_values(data, metric, name, resample)
