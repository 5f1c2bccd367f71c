"""Time blocks: clusters of neighbouring events, for series in which these correlate."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.errors import ConfigError, StatError
from crucible_nb.events.metric_names import Metric, metric_of
from crucible_nb.stats import weighted
from crucible_nb.stats.products import dot
from crucible_nb.stats.samples.rates import LEAST, rate_values
from crucible_nb.stats.samples.values import Values, frame_of, values_of
from crucible_nb.utils import checks

_CORRELATED = 0.1
_FEW_BLOCKS, _FEW_ROWS = 20, 10
_LONGEST = 2**17  # this many values give the correlation of a longer series to 0.003


def lag1(x: np.ndarray) -> float:
    """Correlation of neighbouring values (lag 1); NaN for fewer than three values or constant ones.

    Examples:
        >>> lag1(np.array([1.0, 2.0, 1.0, 2.0]))
        -0.75
    """
    if len(x) < 3:
        return float("nan")
    x = x - x.mean()
    squares = dot(x, x)
    return dot(x[:-1], x[1:]) / squares if squares > 0 else float("nan")


def autocorrelated_size(n: int, correlation: float) -> float:
    """Effective number of independent values among n whose neighbours correlate: n (1 - r) / (1 + r), at most n.

    Exact for a first-order autoregression.

    Examples:
        >>> round(autocorrelated_size(1000, 0.7))
        176

    References:
        Bartlett: Some aspects of the time-correlation problem in regard to tests of significance. JRSS 98 (1935).
    """
    return n * (1 - correlation) / (1 + correlation) if correlation > 0 else float(n)


def correlation_warning(x: np.ndarray, r: float) -> str | None:
    """A warning if the correlation r of neighbours is above 0.1 and significant; otherwise None."""
    if not r > max(_CORRELATED, 2 / np.sqrt(max(len(x), 1))):
        return None
    return (
        f"neighbouring events correlate ({r:.2f}): {len(x):,} of them are worth about "
        f"{autocorrelated_size(len(x), r):,.0f} independent ones, and an interval that takes them as independent is "
        "too narrow"
    )


def neighbours(data: Any, metric: str, values: Values, estimate: float) -> tuple[str | None, float]:
    """Check whether neighbouring events correlate in their influence on the metric.

    The influence on a quantile is being below it, that on a ratio the deviation from it.

    Args:
        data: Source of the values. Only a frame or Series with an ordered index has an order; one with times is sorted.
        metric, values, estimate: Name of the metric, its values in `data`, its estimate.

    Returns:
        A warning (None if there is no correlation), and the correlation; (None, NaN) for data without an order.
    """
    data = frame_of(data)
    if not isinstance(data, (pd.DataFrame, pd.Series)):
        return None, float("nan")
    if not data.index.is_monotonic_increasing:
        if not isinstance(data.index, pd.DatetimeIndex):
            return None, float("nan")
        values = values_of(_sort_by_time(data), metric)
    head = values._replace(x=values.x[:_LONGEST], per=None if values.per is None else values.per[:_LONGEST])
    r = lag1(head.x - estimate * head.per if head.per is not None else weighted.influence(head, estimate))
    return correlation_warning(values.x, r), r


def _sort_by_time(data: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
    """Sort rows by time; rows without a time are left out."""
    if data.index.hasnans:
        data = data[data.index.notna()]
    return data if data.index.is_monotonic_increasing else data.sort_index(kind="stable")


def block_rows(data: Any, metric: str, name: str, rule: Any) -> Values:
    """The rows of a mean, rate, ratio or quantile, clustered by time block.

    The estimate is that of the events, sum / count, however many a block has; only its error is between blocks.

    Args:
        data: DataFrame, Series or experiment with a DatetimeIndex; rows are sorted by time.
        metric: As for `values_of`.
        name: Name of the argument, for messages.
        rule: Width of the blocks in time, as for pandas `resample`.

    Raises:
        StatError: No DatetimeIndex, or fewer than ten blocks.

    References:
        Künsch: The jackknife and the bootstrap for general stationary observations. Annals of Statistics 17 (1989).
    """
    events, blocks = _read_blocks(data, metric, name, rule)
    cluster = np.unique(blocks.codes, return_inverse=True)[1]
    _check_blocks(int(cluster.max(initial=-1)) + 1, rule, name)
    influence = _influence(events)
    center = weighted.mean(influence, events.weight)
    totals = np.bincount(cluster, events.weight * (influence - center))
    text = "the estimate is that of the events, its error is between blocks"
    return events._replace(cluster=cluster, blocks=True, notes=_block_notes(events, influence, totals, rule, text))


def block_values(data: Any, metric: str, name: str, rule: Any) -> Values:
    """The total or quantile of each time block, in order of time; blocks without a value are left out.

    A block without events has no quantile, but a total of 0. The first and the last block, which may be incomplete,
    are left out of totals.

    Args:
        data, metric, name, rule: As for `block_rows`.

    Raises:
        StatError: No DatetimeIndex, or fewer than ten blocks.
    """
    events, blocks = _read_blocks(data, metric, name, rule)
    total = events.metric.kind == "total"
    x = _total_per_block(blocks, events) if total else _quantile_per_block(events, blocks.codes)
    _check_blocks(len(x), rule, name)
    values = events._replace(
        metric=events.metric._replace(kind="mean"), x=x, weight=np.ones(len(x)), sampled=False, seen=None, sized=False,
        rows_weight=float(len(x)), per=None, known=None,
    )  # fmt: skip
    notes = _block_notes(events, _influence(events), x, rule, "the estimate is the mean over blocks")
    few = (f"warning: only {len(x)} blocks",) if len(x) < _FEW_BLOCKS else ()
    return values._replace(notes=(*notes, *few, *(() if total else _small_block_warnings(events, blocks.codes))))


class _Blocks(NamedTuple):
    """Assignment of values to time blocks.

    Attributes:
        codes: int64[n], block of each value.
        rows: int64[blocks], number of rows in each block, with or without a value.
    """

    codes: np.ndarray
    rows: np.ndarray


def _read_blocks(data: Any, metric: str, name: str, rule: Any) -> tuple[Values, _Blocks]:
    width, data = checks.duration("resample", rule), frame_of(data)
    if not isinstance(data, (pd.DataFrame, pd.Series)) or not isinstance(data.index, pd.DatetimeIndex):
        raise StatError(f"resample={rule!r}: {name} needs a DatetimeIndex, got {type(data).__name__} without one")
    data = _sort_by_time(data)
    events = values_of(data, metric, name)
    return events, _assign_blocks(data.index, pd.Timedelta(width, "ns"), events)


def _check_blocks(n: int, rule: Any, name: str) -> None:
    if n < LEAST:
        raise StatError(
            f"resample={rule!r}: expected at least {LEAST} blocks with a value, {name} has {n}; use shorter blocks"
        )


def _assign_blocks(times: pd.DatetimeIndex, width: pd.Timedelta, events: Values) -> _Blocks:
    """Assign values to blocks that begin where pandas `resample` begins them."""
    rows = pd.Series(1, times).resample(width).sum().to_numpy()
    codes = np.repeat(np.arange(len(rows)), rows)
    return _Blocks(codes if events.known is None else codes[events.known], rows)


def _total_per_block(blocks: _Blocks, events: Values) -> np.ndarray:
    count = len(blocks.rows)
    total = np.bincount(blocks.codes, events.weight * events.x, minlength=count)
    complete = (np.bincount(blocks.codes, minlength=count) > 0) | (blocks.rows == 0)
    complete[[0, -1]] = False
    return np.asarray(total[complete])


def _influence(events: Values) -> np.ndarray:
    """Influence of each event on the metric; see `weighted.influence`."""
    estimate = float("nan")
    if events.metric.kind == "quantile":
        estimate = weighted.quantile(events.x, events.weight, events.metric.q)
    elif events.per is not None:
        below = float(events.weight @ events.per)
        if not below > 0:
            raise StatError(f"{events.metric.per} adds up to 0, so {events.metric.name} is unknown; record more")
        estimate = float(events.weight @ events.x) / below
    return weighted.influence(events, estimate)


def _quantile_per_block(events: Values, block: np.ndarray) -> np.ndarray:
    order = np.lexsort((events.x, block))
    x, weight, starts = events.x[order], events.weight[order], np.flatnonzero(np.diff(block, prepend=-1))
    ends, ones, q = np.r_[starts[1:], len(x)], bool((weight == 1).all()), events.metric.q
    return np.array([
        quantile_of_sorted(x[low:high], q, None if ones else weight[low:high])
        for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
    ])  # fmt: skip


def _block_notes(events: Values, influence: np.ndarray, each: np.ndarray, rule: Any, what: str) -> tuple[str, ...]:
    """Notes on the correlation of events and of blocks.

    Args:
        events: The events.
        influence: float64[n], influence of each event.
        each: float64[blocks], what each block contributes to the estimate.
        rule: Width of the blocks.
        what: Sentence on the estimate.
    """
    before, after = lag1(influence), lag1(each)
    notes = [f"{len(events.x):,} events in {len(each):,} blocks of {rule}; {what}"]
    if before > _CORRELATED:
        notes.append(
            f"neighbouring events correlate ({before:.2f}): they are worth about "
            f"{autocorrelated_size(len(events.x), before):,.0f} independent ones"
        )
    if after > _CORRELATED:
        notes.append(f"warning: neighbouring blocks still correlate ({after:.2f}); use longer blocks")
    else:
        notes.append(f"neighbouring blocks do not correlate ({after:.2f})")
    return tuple(notes)


def _small_block_warnings(events: Values, block: np.ndarray) -> tuple[str, ...]:
    """Warn of few rows per block: the quantile of few rows is biased, and so is the mean of such quantiles."""
    metric, weight = events.metric, events.weight
    sums, squares = np.bincount(block, weight), np.bincount(block, weight**2)
    rows = float(np.median(sums[squares > 0] ** 2 / squares[squares > 0]))
    needed = _FEW_ROWS / 2 / min(metric.q, 1 - metric.q)
    if rows >= needed * (1 - 1e-9):
        return ()
    return (
        f"warning: a block has about {rows:,.0f} effective rows; {metric.name} of fewer than {needed:,.0f} is biased: "
        "use longer blocks",
    )


def sample_of(
    data: Any, metric: str, name: str = "data", *, cluster: str | None = None, resample: Any = None
) -> Values:
    """Read the values of a metric: rows, rows clustered by a column or by time block, or the totals of time blocks.

    Args:
        data, metric, name, cluster: As for `values_of`.
        resample: Width of time blocks, e.g. "1min".

    Raises:
        ConfigError: Both cluster and resample are given.
        SchemaError, StatError: See `values_of` and `block_rows`.
    """
    data = frame_of(data)
    found = metric_of(metric, data.columns if isinstance(data, pd.DataFrame) else ())
    if found.kind == "per_time":
        return _rate_of_blocks(data, found, name, resample)
    if resample is None:
        return values_of(data, metric, name, cluster=cluster)
    if cluster is not None:
        raise ConfigError(f"cluster={cluster!r}, resample={resample!r}: expected one of them, got both")
    return (block_values if found.kind == "total" else block_rows)(data, metric, name, resample)


def _rate_of_blocks(data: Any, metric: Metric, name: str, rule: Any) -> Values:
    """Read a rate per time; its errors are between blocks of time, which hold clusters of events as a whole."""
    values = rate_values(data, metric, name, rule)
    r = lag1(values.x)
    if not r > max(_CORRELATED, 2 / np.sqrt(len(values.x))):
        return values
    warning = f"warning: neighbouring blocks correlate ({r:.2f}), so the rate drifts; the interval may be too narrow"
    return values._replace(notes=(*values.notes, warning))
