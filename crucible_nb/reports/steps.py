"""Series of a report: metrics over round steps of time, with enough events in each to mean something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.windows import windowed_metrics

MOST_STEPS = 60
EVENTS_PER_STEP = 30
"""Mean number of events per step, below which steps get longer."""
FEW = 10
"""Number of values below which a step is drawn as an open dot, off the line."""

_ROUND = (
    "1ms", "2ms", "5ms", "10ms", "20ms", "50ms", "100ms", "200ms", "500ms", "1s", "2s", "5s", "10s", "20s", "30s",
    "1min", "2min", "5min", "10min", "30min", "1h", "2h", "6h", "12h", "1D", "2D", "7D", "28D", "91D", "364D", "3640D",
)  # fmt: skip


def round_step(span: pd.Timedelta, events: int, most: int = MOST_STEPS) -> str:
    """Choose the shortest round step of which at most `most` cover the span, with 30 events in each on average.

    Examples:
        >>> import pandas as pd
        >>> round_step(pd.Timedelta("50s"), 100_000), round_step(pd.Timedelta("50s"), 100)
        ('1s', '20s')
    """
    steps = max(min(most, events // EVENTS_PER_STEP), 1)
    return next((step for step in _ROUND if span / pd.Timedelta(step) <= steps), _ROUND[-1])


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        arm: Index of the arm, for colour and dash.
        name: Name in the legend.
        x: float64[n], in units of the axis.
        y: float64[n], NaN where unknown.
        n: float64[n], number of values behind each point.
    """

    arm: int
    name: str
    x: np.ndarray
    y: np.ndarray
    n: np.ndarray


class Steps(NamedTuple):
    """Metrics of one arm over steps.

    Attributes:
        x: float64[n]: begin of each step in seconds, since 1970 or since the first event.
        table: The windows, as `windowed_metrics` returns them.
        rows: The kept events.
        length: Length of a step.
    """

    x: np.ndarray
    table: pd.DataFrame
    rows: pd.DataFrame
    length: str

    def known(self, name: str) -> np.ndarray:
        """float64[n]: number of kept events with a value of a column, by step."""
        starts = self.table.index.asi8  # type: ignore[attr-defined]
        times = self.rows.index[self.rows[name].notna()].asi8  # type: ignore[attr-defined]
        at = np.searchsorted(starts, times, "right") - 1
        return np.bincount(np.maximum(at, 0), minlength=len(starts)).astype(np.float64)


def steps_of(rows: pd.DataFrame, step: str, columns: Sequence[str], *, elapsed: bool) -> Steps:
    """Compute the metrics of each step.

    Args:
        rows: Kept events, at least one.
        step: Length of a step.
        columns: Further numeric columns.
        elapsed: Whether steps begin with the first event, and are counted from it.
    """
    present = [name for name in columns if name in rows.columns]
    origin: Any = "start" if elapsed else "start_day"
    table = windowed_metrics(rows, step, columns=present, origin=origin)
    x = table.index.as_unit("ns").asi8 / 1e9  # type: ignore[attr-defined]
    return Steps(x - x[0] if elapsed else x, table, rows, step)


def by_step(rows: pd.DataFrame, name: str, most: int = MOST_STEPS) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Compute the mean of a column over round ranges of the column `step`.

    Returns:
        x (begin of each range), mean, number of values, width of a range.

    Examples:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"step": [0, 1, 2, 3], "loss": [4.0, 3.0, 2.0, 1.0]})
        >>> x, mean, n, width = by_step(rows, "loss", most=2)
        >>> x.tolist(), mean.tolist(), n.tolist(), width
        ([0.0, 2.0], [3.5, 1.5], [2.0, 2.0], 2.0)
    """
    step = rows["step"].to_numpy(np.float64, na_value=np.nan)
    values = rows[name].to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(step) & np.isfinite(values) & (np.abs(step) < 2**53)
    step, values = step[known], values[known]
    if not len(step):
        return np.empty(0), np.empty(0), np.empty(0), 1.0
    width = max(nice(float(step.max() - step.min() + 1) / most), 1.0)
    first = np.floor(step.min() / width)
    at = (np.floor(step / width) - first).astype(np.int64)
    weight = rows["weight"].to_numpy(np.float64)[known] if "weight" in rows.columns else np.ones(len(at))
    counts = np.bincount(at).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(at, weight * values) / np.bincount(at, weight)
    return (first + np.arange(len(counts))) * width, means, counts, width


def nice(amount: float) -> float:
    """Return the smallest of 1, 2, 5, 10, ... times a power of ten that is at least an amount above 0.

    Examples:
        >>> nice(0.03), nice(7.0)
        (0.05, 10.0)
    """
    power = 10.0 ** np.floor(np.log10(amount))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= amount * (1 - 1e-12)))
