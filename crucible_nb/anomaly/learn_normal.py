"""Learning from normal values only: an anomaly is scored and forgotten, unless so many follow that they are the normal.

The first pass takes every value for normal; from its first anomaly on, a group is gone through anew: anomalies in a
row are all held against the same past, at once, and what follows is learnt up to the next anomaly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crucible_nb.anomaly.recursions import Scores, State

_CHUNK = 512

Score = Callable[[np.ndarray, State], Scores]


def normal(score: Score, patience: int, x: np.ndarray, state: State, counts: np.ndarray, found: Scores) -> Scores:
    """Score and learn values of some groups, as if one by one.

    Args:
        score: Scores values that are all learnt.
        patience: Anomalies in a row that are not learnt.
        x: float64[g, m], of which the first `counts` of each row are real.
        state: Before the first value, with `run`: the anomalies in a row so far.
        counts: int[g].
        found: What `score` says of them all.
    """
    found.after["run"] = np.zeros(x.shape)
    inside = np.arange(x.shape[1]) < counts[:, None]
    some = np.flatnonzero(((found.score >= 1) & inside).any(axis=1)).tolist()
    if some:
        found = Scores(found.score, _copies(found.parts, x.shape), _copies(found.after, x.shape))
    for i in some:
        one = Scores(found.score[i : i + 1], _row(found.parts, i), _row(found.after, i))
        _walk(score, patience, x[i : i + 1, : counts[i]], _row(state, i), one)
    return found


def _walk(score: Score, patience: int, x: np.ndarray, state: State, found: Scores) -> None:
    """One group; what does not hold in `found` is written over."""
    done = _learnt(found, found, patience, state["run"][0, 0], 0)
    while done < x.shape[1]:
        now = {name: column[:, done - 1 : done] for name, column in found.after.items()} if done else state
        run, take = int(now["run"][0, 0]), 0
        if run < patience:
            take = _passed_over(score, x[:, done : done + patience - run], now, found, done)
        if not take:
            take = _learnt(score(x[:, done : done + _CHUNK], now), found, patience, run, done)
        done += take


def _passed_over(score: Score, x: np.ndarray, state: State, found: Scores, start: int) -> int:
    """Anomalies in a row that are not learnt: all are held against the same past. Returns how many."""
    each = score(x.T, {name: np.repeat(column, x.shape[1], axis=0) for name, column in state.items()})
    take = int(np.argmin(np.append(each.score[:, 0] >= 1, False)))
    at = slice(start, start + take)
    found.score[:, at] = each.score[:take].T
    for name, column in each.parts.items():
        found.parts[name][:, at] = column[:take].T
    for name, column in state.items():
        found.after[name][:, at] = column
    found.after["run"][:, at] = state["run"] + np.arange(1, take + 1)
    return take


def _learnt(some: Scores, found: Scores, patience: int, run: float, start: int) -> int:
    """Values that are rightly learnt, up to the first anomaly that is not. Returns how many."""
    alarms = np.append(some.score[0, : found.score.shape[1] - start] >= 1, False)
    streak = int(np.argmin(alarms)) if run >= patience else 0  # a new level
    later = np.flatnonzero(alarms[streak:])
    take = streak + int(later[0]) if len(later) else len(alarms) - 1
    at = slice(start, start + take)
    if some is not found:
        found.score[:, at] = some.score[:, :take]
        for into, of in ((found.parts, some.parts), (found.after, some.after)):
            for name, column in of.items():
                into[name][:, at] = column[:, :take]
    found.after["run"][:, at] = np.where(np.arange(take) < streak, run, 0.0)
    return take


def _copies(columns: State, shape: tuple[int, ...]) -> State:
    return {name: np.array(np.broadcast_to(column, shape)) for name, column in columns.items()}


def _row(columns: State, i: int) -> State:
    return {name: column[i : i + 1] for name, column in columns.items()}
