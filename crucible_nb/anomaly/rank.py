"""A threshold that holds an asked rate of false alarms: a rank among the scores of the past."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crucible_nb.accumulators import LogHistogram
from crucible_nb.anomaly.recursions import BELOW, MOST

_STEP = 1024
_MORE, _SAVED = 1.25, 32.0


class Ranks:
    """Divides scores by the quantile of the past scores of their group, so that 1.0 is passed at the asked rate.

    A score passes when it is larger than all but a share `rate` of the past ones. The quantile is read anew at fixed
    counts of scores, so it does not depend on where a block ends; there is none before 1 / rate - 1 scores.

    Ranks hold the rate while the scores stay what they are. They do not quite: scores drift with what was learnt, and
    come in clusters. So there is a budget too: every score adds 1.25 times `rate` to it, every alarm takes 1, and at
    most 32 are saved up. An alarm that it does not allow is scored just below 1.

    Args:
        rate: Share of rows that may pass.

    References:
        Laxhammar, Falkman: Conformal prediction for distribution-independent anomaly detection in streaming vessel
        data. StreamKDD (2010).
    """

    def __init__(self, rate: float | None) -> None:
        self.rate = rate or 0.0
        self._past: dict[int, LogHistogram] = {}
        self._limit: dict[int, float] = {}
        self._budget: dict[int, tuple[float, int]] = {}

    def calibrated(self, score: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Scores of consecutive events, NaN where there is none, against the past of their groups."""
        result = np.full(len(score), np.nan)
        there = np.flatnonzero(~np.isnan(score))
        for row in np.unique(codes[there]).tolist():
            at = there[codes[there] == row]
            result[at] = self._one(row, score[at])
        return result

    def _one(self, row: int, score: np.ndarray) -> np.ndarray:
        past = self._past.setdefault(row, LogHistogram())
        result, done = np.full(len(score), np.nan), 0
        while done < len(score):
            stop = min(len(score), done + self._next(past.count) - past.count)
            part = score[done:stop]
            limit = self._limit.get(row)
            if limit is not None:
                result[done:stop] = self._afforded(row, past.count, np.minimum(part / limit, MOST))
            past.update(part)
            if past.count == self._next(past.count - 1):
                self._limit[row] = self._read(past)
            done = stop
        return result

    def _afforded(self, row: int, count: int, score: np.ndarray) -> np.ndarray:
        """Scores of which those that the budget does not allow are just below 1."""
        saved, last = self._budget.get(row, (1.0, count))
        for i in np.flatnonzero(score >= 1).tolist():
            saved, last = min(saved + _MORE * self.rate * (count + i - last), _SAVED), count + i
            if saved >= 1:
                saved -= 1
            else:
                score[i] = BELOW
        self._budget[row] = saved, last
        return score

    def _next(self, count: int) -> int:
        """The count after `count` at which the quantile is read."""
        at = max(math.ceil(1 / self.rate - 1), 1)
        while at <= count:
            at += min(max(at // 4, 1), _STEP)
        return at

    def _read(self, past: LogHistogram) -> float:
        share = min(math.ceil((past.count + 1) * (1 - self.rate)) / past.count, 1.0)
        # ties with the limit pass no more than they should
        return max(float(past.quantile(share)) * (1 + 2 * past.relative_error_bound), 1e-300)

    def to_dict(self) -> list[list[Any]]:
        """The state as plain data."""
        budget = {row: list(saved) for row, saved in self._budget.items()}
        return [[row, past.to_dict(), self._limit.get(row), budget.get(row)] for row, past in self._past.items()]

    def load(self, state: list[list[Any]]) -> None:
        """Take a state over."""
        self._past = {row: LogHistogram.from_dict(past) for row, past, _, _ in state}
        self._limit = {row: limit for row, _, limit, _ in state if limit is not None}
        self._budget = {row: (saved[0], saved[1]) for row, _, _, saved in state if saved is not None}
