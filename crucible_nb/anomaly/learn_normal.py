"""Learning from normal values only: anomalies are scored but not learnt, until so many follow that they are normal.

The first pass learns every value. From its first anomaly on, a group is processed again: consecutive anomalies are all
scored against the same past, in one call, and the values after them are learnt up to the next anomaly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crucible_nb.anomaly.recursions import Scores, State

_CHUNK = 512

Score = Callable[[np.ndarray, State], Scores]


def learn_normal(score: Score, patience: int, x: np.ndarray, state: State, counts: np.ndarray, first: Scores) -> Scores:
    """Score and learn the values of several groups, with the result of processing one value at a time.

    Args:
        score: Function that scores values and learns all of them.
        patience: Number of consecutive anomalies that are not learnt.
        x: Values, float64[g, m]; the first `counts` of each row are valid.
        state: State before the first value, with `run`: the number of consecutive anomalies so far.
        counts: Number of values of each group, int[g].
        first: Result of `score` for all values.
    """
    first.after["run"] = np.zeros(x.shape)
    inside = np.arange(x.shape[1]) < counts[:, None]
    rows = np.flatnonzero(((first.score >= 1) & inside).any(axis=1)).tolist()
    if not rows:
        return first
    result = Scores(first.score, _copy(first.parts, x.shape), _copy(first.after, x.shape))
    for i in rows:
        row = Scores(result.score[i : i + 1], _row(result.parts, i), _row(result.after, i))
        _correct_group(score, patience, x[i : i + 1, : counts[i]], _row(state, i), row)
    return result


def _correct_group(score: Score, patience: int, x: np.ndarray, state: State, result: Scores) -> None:
    """Replace the scores and states of one group that depend on learnt anomalies."""
    done = _accept(result, result, patience, state["run"][0, 0], 0)
    while done < x.shape[1]:
        before = {name: column[:, done - 1 : done] for name, column in result.after.items()} if done else state
        run, count = int(before["run"][0, 0]), 0
        if run < patience:
            count = _skip_anomalies(score, x[:, done : done + patience - run], before, result, done)
        if not count:
            count = _accept(score(x[:, done : done + _CHUNK], before), result, patience, run, done)
        done += count


def _skip_anomalies(score: Score, x: np.ndarray, state: State, result: Scores, start: int) -> int:
    """Score consecutive anomalies, all against the same past, without learning them; return their number."""
    each = score(x.T, {name: np.repeat(column, x.shape[1], axis=0) for name, column in state.items()})
    count = int(np.argmin(np.append(each.score[:, 0] >= 1, False)))
    at = slice(start, start + count)
    result.score[:, at] = each.score[:count].T
    for name, column in each.parts.items():
        result.parts[name][:, at] = column[:count].T
    for name, column in state.items():
        result.after[name][:, at] = column
    result.after["run"][:, at] = state["run"] + np.arange(1, count + 1)
    return count


def _accept(scores: Scores, result: Scores, patience: int, run: float, start: int) -> int:
    """Copy scores up to the first anomaly that must not be learnt; return the number of accepted values."""
    alarms = np.append(scores.score[0, : result.score.shape[1] - start] >= 1, False)
    streak = int(np.argmin(alarms)) if run >= patience else 0  # a new level
    later = np.flatnonzero(alarms[streak:])
    count = streak + int(later[0]) if len(later) else len(alarms) - 1
    at = slice(start, start + count)
    if scores is not result:
        result.score[:, at] = scores.score[:, :count]
        for target, source in ((result.parts, scores.parts), (result.after, scores.after)):
            for name, column in source.items():
                target[name][:, at] = column[:, :count]
    result.after["run"][:, at] = np.where(np.arange(count) < streak, run, 0.0)
    return count


def _copy(columns: State, shape: tuple[int, ...]) -> State:
    return {name: np.array(np.broadcast_to(column, shape)) for name, column in columns.items()}


def _row(columns: State, i: int) -> State:
    return {name: column[i : i + 1] for name, column in columns.items()}
