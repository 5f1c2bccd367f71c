"""The algorithms one value at a time, compiled by numba (extra `[fast]`): the bits of the numpy ones.

Groups and learn="normal" cost nothing here. Imported only where it is used. The state of a group is a row:
`base.COMMON` first, then the detector's own `state` in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np

from crucible_nb.anomaly.recursions import MEMORY, MOST

_KEEP, _MOST = 1 - 1 / MEMORY, MOST
_COUNT, _N, _SIZE, _STEP, _LAST, _RUN, _OWN = range(7)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(kernel: Kernel) -> Kernel:
    """Compile at the first call, and keep the result on disk."""
    return cast("Kernel", nb.njit(cache=True, nogil=True, error_model="numpy")(kernel))


@jit
def _moments(x: float, now: Any, at: int, past: float, n: float) -> tuple[float, float]:
    """`past.moments` of the series kept at `at`."""
    if past == 0.0:
        now[at] = x
    off = x - now[at]
    mean = now[at] + now[at + 1] / max(past, 1.0)
    sd = np.sqrt(now[at + 2] / max(past - 1.0, 1.0))
    now[at + 1] = off + _KEEP * now[at + 1]
    now[at + 2] = (x - mean) * (x - mean) * (1 - 1 / n) + _KEEP * now[at + 2]
    return mean, sd


@jit
def _z_score(x: float, now: Any, past: float, floor: float, params: Any) -> float:
    mean, sd = _moments(x, now, _OWN, past, now[_N])
    return float(abs((x - mean) / max(sd, floor)) / params[0])


@jit
def _baseline(x: float, now: Any, seen: float, share: float) -> tuple[float, float]:
    """`ewma.baseline`: mean and sd before the value."""
    mean = x if seen == 0.0 else now[_OWN]
    sd = np.sqrt(now[_OWN + 1])
    keep = 1 - share
    now[_OWN] = share * x + keep * mean
    now[_OWN + 1] = share * (keep * ((x - mean) * (x - mean))) + keep * now[_OWN + 1]
    return mean, sd


@jit
def _ewma(x: float, now: Any, seen: float, floor: float, params: Any) -> float:
    mean, sd = _baseline(x, now, seen, params[1])
    return float(abs((x - mean) / max(sd, floor)) / params[0])


@jit
def _cusum(x: float, now: Any, seen: float, floor: float, params: Any) -> float:
    threshold, share, slack, clip, begin = params[0], params[1], params[2], params[3], params[4]
    mean, sd = _baseline(x, now, seen, share)
    z = min(max((x - mean) / max(sd, floor * params[5]), -clip), clip)
    z = z if seen >= begin else 0.0
    now[_OWN + 2] = max(now[_OWN + 2] + (z - slack), 0.0)
    now[_OWN + 3] = max(now[_OWN + 3] + (-z - slack), 0.0)
    return float(max(now[_OWN + 2], now[_OWN + 3]) / threshold)


@jit
def _auto(x: float, now: Any, past: float, seen: float, floor: float, params: Any) -> float:
    threshold, share, limit, young, margin = params[0], params[1], params[2], params[3], params[4]
    keep, at = 1 - share, _OWN + 9
    mean, sd = _moments(x, now, _OWN, past, now[_N])
    sd, least = max(sd, floor), floor * np.sqrt(share / (2 - share))
    now[at] = share * 1.0 + keep * now[at]
    now[at + 1] = share * x + keep * now[at + 1]
    now[at + 2] = share * abs(x - mean) + keep * now[at + 2]
    far = 0.0
    for i in range(1, 3):
        recent = now[at + i] / now[at]
        usual, scale = _moments(recent, now, _OWN + 3 * i, past, now[_N])
        far = max(far, abs((recent - usual) / max(scale, least)))
    seen = max(seen, 1.0)
    extreme = max(x - now[at + 3], now[at + 4] - x) / (margin * sd) / (1 + params[5] / seen)
    now[at + 3] = max(now[at + 3], x)
    now[at + 4] = min(now[at + 4], x)
    return float(max(far / (limit * (1 + young / seen)), extreme) / threshold)


@jit
def _common(value: float, now: Any, fixed: float, tiny: float) -> float:
    """What every detector learns of a value; the smallest scale believed before it."""
    step = now[_STEP] if np.isfinite(now[_STEP]) else 0.0
    floor = max(step, 0.01 * now[_SIZE] / max(now[_N], 1.0), tiny) if np.isnan(fixed) else fixed
    away = abs(value - now[_LAST])
    if away > 0:
        now[_STEP] = min(now[_STEP], away)
    now[_COUNT] += 1
    now[_N] = 1.0 + _KEEP * now[_N]
    now[_SIZE] = abs(value) + _KEEP * now[_SIZE]
    now[_LAST] = value
    return floor


@jit
def _score(kind: int, x: float, now: Any, past: float, seen: float, floor: float, params: Any) -> float:
    if kind == 0:
        return _z_score(x, now, past, floor, params)
    if kind == 1:
        return _ewma(x, now, seen, floor, params)
    if kind == 2:
        return _cusum(x, now, seen, floor, params)
    return _auto(x, now, past, seen, floor, params)


@jit
def walk(
    kind: int, x: Any, codes: Any, state: Any, params: Any, given: Any, patience: float, score: Any, where: Any, at: Any
) -> int:
    """Score and learn values in their order.

    Args:
        kind: 0 z-score, 1 EWMA, 2 CUSUM, 3 auto.
        x, codes: Values, NaN where unknown, and their groups.
        state: One row a group; moves on.
        params: Of the algorithm.
        given: Warm-up, floor (NaN for none), tiny.
        patience: Anomalies in a row that are not learnt; 0 learns all.
        score: Written.
        where, at: Written: places of the alarms, and the states before them.

    Returns:
        The number of alarms.
    """
    warm_up, fixed, tiny = given[0], given[1], given[2]
    before, alarms = np.empty(state.shape[1]), 0
    for i in range(len(x)):
        value = x[i]
        score[i] = np.nan
        if np.isnan(value):
            continue
        now = state[codes[i]]
        before[:] = now
        seen, past = now[_COUNT], now[_N]
        floor = _common(value, now, fixed, tiny)
        found = min(_score(kind, value, now, past, seen, floor, params), _MOST)
        if seen >= warm_up:
            score[i] = found
        alarm = seen >= warm_up and found >= 1
        if alarm:
            where[alarms] = i
            at[alarms] = before
            alarms += 1
        run = before[_RUN]
        if alarm and run < patience:
            now[:] = before
            now[_RUN] = run + 1
        elif not alarm:
            now[_RUN] = 0.0
    return alarms
