"""Time blocks: one value a minute in place of thousands of events that resemble their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crucible_nb import checks
from crucible_nb.errors import StatError
from crucible_nb.stats import weighted
from crucible_nb.stats.values import Values, frame_of, values_of

LEAST = 10
"""Blocks below which nothing is said."""
_CORRELATED = 0.1
_FEW = 20


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


def correlated(x: np.ndarray) -> str | None:
    """A sentence where neighbouring values correlate above 0.1 and more than chance makes them."""
    r = lag1(x)
    if not r > max(_CORRELATED, 2 / np.sqrt(max(len(x), 1))):
        return None
    return (
        f"neighbouring events correlate ({r:.2f}): {len(x):,} of them are worth about {independent(len(x), r):,.0f} "
        "independent ones, and an interval that takes them as independent is too narrow"
    )


def block_values(data: Any, metric: str, name: str, rule: Any) -> Values:
    """The metric of each time block, in order of time; blocks without a value are left out.

    Args:
        data: DataFrame, Series or experiment with a DatetimeIndex.
        metric: As for `values_of`; each block has its own mean, rate, quantile, total or ratio.
        name: What the argument is called.
        rule: Width of a block, as pandas `resample` takes it.

    Raises:
        StatError: No times, fewer than ten blocks.
    """
    width, data = checks.duration("resample", rule), frame_of(data)
    if not isinstance(data, (pd.DataFrame, pd.Series)) or not isinstance(data.index, pd.DatetimeIndex):
        raise StatError(f"resample={rule!r}: {name} needs a DatetimeIndex, got {type(data).__name__} without one")
    frame = data.to_frame("value") if isinstance(data, pd.Series) else data
    if not frame.index.is_monotonic_increasing:
        frame = frame.sort_index(kind="stable")
    events = values_of(frame["value"] if isinstance(data, pd.Series) else frame, metric, name)
    x = _blocks(frame, pd.Timedelta(width, "ns"), events, is_series=isinstance(data, pd.Series))
    if len(x) < LEAST:
        raise StatError(
            f"resample={rule!r}: expected at least {LEAST} blocks with a value, {name} has {len(x)}; use shorter blocks"
        )
    kept = events._replace(
        metric=events.metric._replace(kind="mean"), x=x, weight=np.ones(len(x)), sampled=False, seen=None, sized=False,
        rows_weight=float(len(x)), per=None,
    )  # fmt: skip
    return kept._replace(said=_said(events, x, rule))


def _blocks(frame: pd.DataFrame, width: pd.Timedelta, events: Values, *, is_series: bool) -> np.ndarray:
    wanted = events.metric
    column = frame["value" if is_series else wanted.column].astype("Float64")
    weight = frame["weight"].astype("float64") if "weight" in frame.columns else pd.Series(1.0, frame.index)
    weight = weight.where(column.notna().to_numpy(), 0.0)
    if wanted.kind == "quantile":
        cut = column.to_frame("x").assign(w=weight).dropna().resample(width)
        return np.array([
            weighted.quantile(one.x.to_numpy(np.float64), one.w.to_numpy(), wanted.q) for _, one in cut if len(one)
        ])  # fmt: skip
    top = (column.fillna(0) * weight).resample(width).sum().to_numpy(np.float64)
    if wanted.kind == "total":
        held = weight.resample(width).count().to_numpy() > 0
        return np.asarray(top[held])
    below = weight if wanted.per is None else frame[wanted.per].astype("Float64").fillna(0) * weight
    under = below.resample(width).sum().to_numpy(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((top / under)[under > 0])


def _said(events: Values, x: np.ndarray, rule: Any) -> tuple[str, ...]:
    before, after = lag1(events.x), lag1(x)
    said = [f"{len(events.x):,} events in {len(x):,} blocks of {rule}"]
    if before > _CORRELATED:
        said.append(
            f"neighbouring events correlate ({before:.2f}): they are worth about "
            f"{independent(len(events.x), before):,.0f} independent ones"
        )
    if after > _CORRELATED:
        said.append(f"warning: neighbouring blocks still correlate ({after:.2f}); use longer blocks")
    elif len(x) < _FEW:
        said.append(f"warning: only {len(x)} blocks")
    return tuple(said)


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
