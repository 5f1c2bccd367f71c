"""The algorithms for one value at a time, compiled by numba (extra `[fast]`): the same bits as the numpy versions.

Groups and learn="normal" cost nothing here. Imported only on use. The state of a group is a row: `base.COMMON` first,
then the detector's own `state` in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np

from crucible_nb.anomaly.recursions import MAX_SCORE, MEMORY

_KEEP, _MAX_SCORE = 1 - 1 / MEMORY, MAX_SCORE
_COUNT, _N, _SIZE, _STEP, _LAST, _RUN, _OWN = range(7)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(kernel: Kernel) -> Kernel:
    """Compile at the first call and cache the result on disk."""
    return cast("Kernel", nb.njit(cache=True, nogil=True, error_model="numpy")(kernel))


@jit
def moments(x: float, row: Any, at: int, past: float, n: float) -> tuple[float, float]:
    """`recursions.moments_before` of the series whose state begins at `at`."""
    if past == 0.0:
        row[at] = x
    offset = x - row[at]
    mean = row[at] + row[at + 1] / max(past, 1.0)
    sd = np.sqrt(row[at + 2] / max(past - 1.0, 1.0))
    row[at + 1] = offset + _KEEP * row[at + 1]
    row[at + 2] = (x - mean) * (x - mean) * (1 - 1 / n) + _KEEP * row[at + 2]
    return mean, sd


@jit
def _z_score(x: float, row: Any, past: float, floor: float, params: Any) -> float:
    mean, sd = moments(x, row, _OWN, past, row[_N])
    return float(abs((x - mean) / max(sd, floor)) / params[0])


@jit
def _baseline(x: float, row: Any, seen: float, share: float) -> tuple[float, float]:
    """`ewma.baseline`: mean and sd before the value."""
    mean = x if seen == 0.0 else row[_OWN]
    sd = np.sqrt(row[_OWN + 1])
    keep = 1 - share
    row[_OWN] = share * x + keep * mean
    row[_OWN + 1] = share * (keep * ((x - mean) * (x - mean))) + keep * row[_OWN + 1]
    return mean, sd


@jit
def _ewma(x: float, row: Any, seen: float, floor: float, params: Any) -> float:
    mean, sd = _baseline(x, row, seen, params[1])
    return float(abs((x - mean) / max(sd, floor)) / params[0])


@jit
def _cusum(x: float, row: Any, seen: float, floor: float, params: Any) -> float:
    threshold, share, slack, clip, begin = params[0], params[1], params[2], params[3], params[4]
    mean, sd = _baseline(x, row, seen, share)
    z = min(max((x - mean) / max(sd, floor * params[5]), -clip), clip)
    z = z if seen >= begin else 0.0
    row[_OWN + 2] = max(row[_OWN + 2] + (z - slack), 0.0)
    row[_OWN + 3] = max(row[_OWN + 3] + (-z - slack), 0.0)
    return float(max(row[_OWN + 2], row[_OWN + 3]) / threshold)


@jit
def _common(value: float, row: Any, fixed: float, tiny: float) -> float:
    """Update the state that all detectors share; return the smallest accepted scale before the value."""
    step = row[_STEP] if np.isfinite(row[_STEP]) else 0.0
    floor = max(step, 0.01 * row[_SIZE] / max(row[_N], 1.0), tiny) if np.isnan(fixed) else fixed
    change = abs(value - row[_LAST])
    if change > 0:
        row[_STEP] = min(row[_STEP], change)
    row[_COUNT] += 1
    row[_N] = 1.0 + _KEEP * row[_N]
    row[_SIZE] = abs(value) + _KEEP * row[_SIZE]
    row[_LAST] = value
    return floor


@jit
def _score(kind: int, x: float, row: Any, past: float, seen: float, floor: float, params: Any) -> float:
    if kind == 0:
        return _z_score(x, row, past, floor, params)
    if kind == 1:
        return _ewma(x, row, seen, floor, params)
    return _cusum(x, row, seen, floor, params)


@jit
def walk(
    kind: int,
    x: Any,
    codes: Any,
    state: Any,
    params: Any,
    limits: Any,
    patience: float,
    score: Any,
    alarm_index: Any,
    alarm_state: Any,
) -> int:
    """Score and learn values in their order.

    Args:
        kind: Number of the algorithm: 0 z-score, 1 EWMA, 2 CUSUM.
        x: Values, NaN where unknown.
        codes: Group number of each value.
        state: One row per group; updated in place.
        params: Parameters of the algorithm.
        limits: Warm-up, floor (NaN for none) and smallest possible floor.
        patience: Number of consecutive anomalies that are not learnt; 0 learns all.
        score: Output: score of each value.
        alarm_index: Output: index of each alarm.
        alarm_state: Output: state before each alarm.

    Returns:
        The number of alarms.
    """
    warm_up, fixed, tiny = limits[0], limits[1], limits[2]
    before, alarms = np.empty(state.shape[1]), 0
    for i in range(len(x)):
        value = x[i]
        score[i] = np.nan
        if np.isnan(value):
            continue
        row = state[codes[i]]
        before[:] = row
        seen, past = row[_COUNT], row[_N]
        floor = _common(value, row, fixed, tiny)
        result = min(_score(kind, value, row, past, seen, floor, params), _MAX_SCORE)
        if seen >= warm_up:
            score[i] = result
        alarm = seen >= warm_up and result >= 1
        if alarm:
            alarm_index[alarms] = i
            alarm_state[alarms] = before
            alarms += 1
        run = before[_RUN]
        if alarm and run < patience:
            row[:] = before
            row[_RUN] = run + 1
        elif not alarm:
            row[_RUN] = 0.0
    return alarms
