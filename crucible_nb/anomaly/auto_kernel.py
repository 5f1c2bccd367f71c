"""`auto` for one value at a time, compiled by numba (extra `[fast]`): the same bits as `voices`.

Imported only on use. A row holds the state of a group: `base.COMMON`, then `auto_state.STATE`. The settings are
constants of the compiled code, and numba's cache on disk does not see that `auto_state` was edited: then this file has
to be touched as well.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crucible_nb.anomaly import auto_state as own
from crucible_nb.anomaly.auto_state import (
    BLOCK,
    CHANGED,
    EVIDENCE,
    FAST,
    LARGEST,
    LEAST,
    LIMIT,
    MARGIN,
    MOST_STRIDE,
    NORMAL,
    ODDS,
    OFFSETS,
    PARTS,
    PAST,
    PREDICTOR,
    RANK,
    REPEATS,
    REPEATS_TIMES,
    RESTART,
    SETTLED,
    SHARE,
    SLOW,
    SURE,
    SURE_RANKS,
    TREND,
    YOUNG,
    YOUNG_MARGIN,
)  # fmt: skip
from crucible_nb.anomaly.block_maxima import update_limit
from crucible_nb.anomaly.compiled import jit, moments
from crucible_nb.anomaly.rates import add_evidence, update_odds
from crucible_nb.anomaly.recursions import MAX_SCORE, MEMORY

_KEEP, _MAX_SCORE = 1 - 1 / MEMORY, MAX_SCORE
_COUNT, _N, _SIZE, _STEP, _LAST, _RUN = range(6)
_AT = {name: 6 + i for i, name in enumerate(own.STATE)}
_MOVES, _VALUE, _LEVELS, _SPREADS = (_AT[name] for name in ("moves", "value_anchor", "level_anchor", "spread_anchor"))
_WEIGHT, _LEVEL, _SPREAD, _HIGHEST, _LOWEST = (_AT[k] for k in ("weight", "level", "spread", "highest", "lowest"))
_MEAN, _TREND, _FAST, _SLOW, _RANKS, _RANK_SPREAD = (
    _AT[name] for name in ("mean", "trend", "fast", "slow", "ranks", "rank_spread")
)
_REPEATS, _LONGEST, _BINARY, _UP = (_AT[k] for k in ("repeats", "longest", "binary", "up"))
_MAXIMA, _LOG, _LIMITS = _AT["largest_error"], _AT["log_mean_error"], _AT["limit_error"]
_REFRESH, _STORED, _STRIDE, _PLACE, _RANKED = (_AT[k] for k in ("refresh", "stored", "stride", "place", "ranked"))
_PAST, _SORTED = _AT["past_0"], _AT["sorted_0"]
_PART = {name: i for i, name in enumerate(PARTS)}
_RATE_VOICE, _REPEAT_VOICE, _FACTS = _PART["rate"], _PART["repeat"], _PART["mean"]
_SQRT = math.sqrt(SHARE / (2 - SHARE))
_update_limit = jit(update_limit)
_update_odds = jit(update_odds)
_add_evidence = jit(add_evidence)


@jit
def _begin(x: float, row: Any, fixed: float, tiny: float) -> tuple[float, float]:
    """Update the state that all detectors share; return the scale floor and the value before."""
    if row[_COUNT] == 0.0:
        row[_LAST] = row[_MEAN] = row[_FAST] = row[_SLOW] = x
    last, floor = row[_LAST], fixed
    if math.isnan(fixed):
        floor = max(row[_STEP] if row[_STEP] < np.inf else 0.0, tiny)
        if row[_MOVES] < SETTLED:
            floor = max(floor, 0.01 * row[_SIZE] / max(row[_N], 1.0))
    step = abs(x - last)
    if step > 0:
        row[_STEP] = min(row[_STEP], step)
        row[_MOVES] += 1.0
    row[_N] = 1.0 + _KEEP * row[_N]
    row[_SIZE] = abs(x) + _KEEP * row[_SIZE]
    return floor, last


@jit
def _recent(x: float, row: Any, past: float, seen: float, floor: float, parts: Any) -> float:
    """Level, dispersion and extremes; return the standard deviation of the past."""
    keep, at = 1 - SHARE, _FACTS
    mean, sd = moments(x, row, _VALUE, past, row[_N])
    sd = max(sd, floor)
    row[_WEIGHT] = SHARE * 1.0 + keep * row[_WEIGHT]
    row[_LEVEL] = SHARE * x + keep * row[_LEVEL]
    row[_SPREAD] = SHARE * abs(x - mean) + keep * row[_SPREAD]
    wider = LIMIT * (1 + YOUNG / seen)
    parts[at], parts[at + 1] = mean, sd
    for i in range(2):
        now = row[_LEVEL + i] / row[_WEIGHT]
        usual, scale = moments(now, row, _LEVELS + 3 * i, past, row[_N])
        parts[i] = abs((now - usual) / max(scale, floor * _SQRT)) / wider
        parts[at + 2 + 2 * i], parts[at + 3 + 2 * i] = now, usual
    beyond = max(x - row[_HIGHEST], row[_LOWEST] - x) / (MARGIN * sd) / (1 + YOUNG_MARGIN / seen)
    parts[2], parts[at + 6], parts[at + 7] = max(beyond, 0.0), row[_HIGHEST], row[_LOWEST]
    row[_HIGHEST], row[_LOWEST] = max(row[_HIGHEST], x), min(row[_LOWEST], x)
    return sd


@jit
def _predicted(x: float, last: float, row: Any, parts: Any) -> tuple[float, float]:
    """Return the error of the best predictor, and the distance of the fast from the slow mean."""
    line, mean = last + row[_TREND], row[_MEAN]
    error = min(abs(x - last), abs(x - mean), abs(x - line))
    row[_TREND] = TREND * (x - last) + (1 - TREND) * row[_TREND]
    row[_MEAN] = PREDICTOR * x + (1 - PREDICTOR) * mean
    row[_FAST] = FAST * x + (1 - FAST) * row[_FAST]
    slow = row[_SLOW]
    row[_SLOW] = SLOW * x + (1 - SLOW) * slow
    parts[_FACTS + 8], parts[_FACTS + 9], parts[_FACTS + 10] = mean, row[_FAST], slow
    return error, abs(row[_FAST] - slow)


@jit
def _bisect(row: Any, count: int, x: float, right: bool) -> int:
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        if row[_SORTED + middle] < x or (right and row[_SORTED + middle] == x):
            low = middle + 1
        else:
            high = middle
    return low


@jit
def _ranked(x: float, row: Any, parts: Any) -> None:
    """Update the means of the rank of the value in the past, and of its distance from the middle."""
    count = int(row[_RANKED])
    if count:
        left = _bisect(row, count, x, False)
        right = left if left == count or row[_SORTED + left] != x else _bisect(row, count, x, True)
        rank = (left + right) / (2.0 * count) - 0.5
        row[_RANKS] = RANK * rank + (1 - RANK) * row[_RANKS]
        row[_RANK_SPREAD] = RANK * (abs(rank) - 0.25) + (1 - RANK) * row[_RANK_SPREAD]
        parts[_FACTS + 13] = row[_SORTED + count // 2]
    else:
        parts[_FACTS + 13] = np.nan
    parts[_FACTS + 11], parts[_FACTS + 12] = row[_RANKS], row[_RANK_SPREAD]


@jit
def _repeated(x: float, last: float, row: Any, parts: Any) -> None:
    """The run of equal values."""
    if x == last and row[_COUNT] > 0:
        row[_REPEATS] += 1.0
    else:
        row[_LONGEST] = max(row[_LONGEST], row[_REPEATS])
        row[_REPEATS] = 0.0
    voice = row[_REPEATS] / (REPEATS + REPEATS_TIMES * row[_LONGEST]) if row[_MOVES] >= SETTLED else 0.0
    parts[_REPEAT_VOICE] = voice if voice < NORMAL else 0.0
    parts[_FACTS + 14], parts[_FACTS + 15] = row[_REPEATS], row[_LONGEST]


@jit
def _learn_rate(cells: Any) -> None:
    """`rates.learn_rate`."""
    cells[8] = cells[9] / cells[10]
    cells[4], cells[5] = _update_odds(cells[8], cells[10], ODDS)
    cells[6], cells[7] = _update_odds(cells[8], cells[10], 1 / ODDS)


@jit
def _rated(x: float, row: Any, warm: bool, parts: Any) -> None:
    """The rate of a column of 0 and 1: `rates.add_value`."""
    cells, recent, keep = row[_UP : _UP + 12], row[_LEVEL] / row[_WEIGHT], _KEEP
    for i in range(2):
        gain = cells[4 + 2 * i] if x == 1.0 else cells[5 + 2 * i]
        if warm:
            cells[i], cells[2 + i] = _add_evidence(cells[i], cells[2 + i], gain)
    evidence = max(cells[0], cells[1])
    parts[_RATE_VOICE], parts[_FACTS + 16] = evidence / EVIDENCE, cells[8]
    cells[9], cells[10] = x + keep * cells[9], 1.0 + keep * cells[10]
    cells[11] = cells[11] + 1.0 if evidence >= EVIDENCE else 0.0
    if cells[11] >= CHANGED:
        cells[9], cells[10] = recent * RESTART, RESTART
        cells[0] = cells[1] = cells[2] = cells[3] = cells[11] = 0.0
        _learn_rate(cells)


@jit
def _remember(x: float, row: Any) -> None:
    """Store every `stride`-th value of the past; thin it when it is full, until it covers the memory."""
    count = int(row[_COUNT])
    if count & (int(row[_STRIDE]) - 1):  # the stride is a power of 2
        return
    stored = int(row[_STORED])
    if stored == PAST and row[_STRIDE] < MOST_STRIDE:
        for i in range(PAST // 2):
            row[_PAST + i] = row[_PAST + 2 * i]
        stored, row[_STRIDE] = PAST // 2, 2 * row[_STRIDE]
        row[_STORED] = stored
        if count & (int(row[_STRIDE]) - 1):
            return
    if stored < PAST:
        row[_PAST + stored] = x
        row[_STORED] += 1.0
    else:
        row[_PAST + int(row[_PLACE])] = x
        row[_PLACE] = (int(row[_PLACE]) + 1) % PAST


@jit
def _end_block(row: Any) -> None:
    """At the end of a block: limits from its maxima, the odds of a rate, and at times the sorted past."""
    count = row[_COUNT]
    if count >= row[_REFRESH]:
        stored = int(row[_STORED])
        row[_SORTED : _SORTED + stored] = np.sort(row[_PAST : _PAST + stored])
        row[_RANKED] = stored
        row[_REFRESH] = count + min(count // 4, 512.0)
    for i in range(4):
        if count > BLOCK:
            at = _LOG + i
            sure = SURE if i < 2 else SURE_RANKS
            found = _update_limit(row[_MAXIMA + i], row[at], row[at + 4], row[at + 8], sure)
            row[at], row[at + 4], row[at + 8], row[_LIMITS + i] = found
        row[_MAXIMA + i] = 0.0
    if row[_BINARY] == 1.0 and row[_UP + 11] == 0.0:
        _learn_rate(row[_UP : _UP + 12])


@jit
def score_value(x: float, row: Any, warm_up: float, fixed: float, tiny: float, threshold: float, parts: Any) -> float:
    """Score a value against the state of its group and update the state; NaN while warming up."""
    count, past = row[_COUNT], row[_N]
    floor, last = _begin(x, row, fixed, tiny)
    sd = _recent(x, row, past, max(count, 1.0), floor, parts)
    error, drift = _predicted(x, last, row, parts)
    _ranked(x, row, parts)
    found = (
        (error + OFFSETS[0] * floor) / sd, (drift + OFFSETS[1] * floor) / sd,
        abs(row[_RANKS]) + OFFSETS[2], abs(row[_RANK_SPREAD]) + OFFSETS[3],
    )  # fmt: skip
    for i in range(4):
        limit = max(row[_LIMITS + i], LEAST[i] * floor / sd) if i < 2 else row[_LIMITS + i]
        parts[3 + i] = found[i] / limit if i < 2 or sd > floor else 0.0
        row[_MAXIMA + i] = max(row[_MAXIMA + i], found[i])
    _repeated(x, last, row, parts)
    row[_BINARY] = 1.0 if row[_BINARY] == 1.0 and (x in {0.0, 1.0}) else 0.0
    parts[_RATE_VOICE] = 0.0
    if row[_BINARY] == 1.0:
        _rated(x, row, count >= warm_up, parts)
    _remember(x, row)
    row[_LAST], row[_COUNT] = x, count + 1.0
    if int(row[_COUNT]) % BLOCK == 0:
        _end_block(row)
    return min(_sum(parts, row[_BINARY] == 1.0) / threshold, _MAX_SCORE) if count >= warm_up else np.nan


@jit
def _sum(parts: Any, binary: bool) -> float:
    """The eighth root of the sum of the eighth powers of the voices; of a column of 0 and 1 that of the rate alone."""
    if binary:
        return float(parts[_RATE_VOICE])
    total = 0.0
    for i in range(_RATE_VOICE):
        square = min(parts[i], LARGEST)
        square = square * square
        square = square * square
        total += square * square
    return math.sqrt(math.sqrt(math.sqrt(total)))


@jit
def walk(
    x: Any, codes: Any, state: Any, limits: Any, patience: float, score: Any, alarm_index: Any, alarm_parts: Any
) -> int:
    """Score and learn values in their order.

    Args:
        x: Values, NaN where unknown.
        codes: Group number of each value.
        state: One row per group; updated in place.
        limits: Warm-up, floor (NaN for none), smallest possible floor, threshold.
        patience: Number of consecutive anomalies that are not learnt; 0 learns all.
        score: Output: score of each value.
        alarm_index: Output: index of each alarm.
        alarm_parts: Output: the numbers `PARTS` of each alarm.

    Returns:
        The number of alarms.
    """
    before, parts, alarms = np.empty(state.shape[1]), np.empty(alarm_parts.shape[1]), 0
    for i in range(len(x)):
        score[i] = np.nan
        if math.isnan(x[i]):
            continue
        row = state[codes[i]]
        if patience > 0:
            before[:] = row
        score[i] = score_value(x[i], row, limits[0], limits[1], limits[2], limits[3], parts)
        alarm = score[i] >= 1
        if alarm:
            alarm_index[alarms], alarm_parts[alarms] = i, parts
            alarms += 1
        if patience > 0 and alarm and before[_RUN] < patience:
            row[:] = before
            row[_RUN] += 1.0
        elif not alarm:
            row[_RUN] = 0.0
    return alarms
