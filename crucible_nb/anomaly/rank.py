"""A threshold for a requested false alarm rate: a rank among past scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crucible_nb.accumulators import LogHistogram
from crucible_nb.anomaly.recursions import JUST_BELOW, MAX_SCORE

_STEP = 1024
_BUDGET_RATE, _MAX_BUDGET = 1.25, 32.0


class Ranks:
    """Divide scores by a quantile of the past scores of their group, so that 1.0 is exceeded at the requested rate.

    A score is an alarm if it is larger than all but a proportion `rate` of the past scores. The quantile is recomputed
    at fixed counts of scores, so it does not depend on where a block ends; scores are NaN before 1 / rate - 1 of them.

    Ranks hold the rate only for a stationary distribution of scores. Real scores drift as the detector learns, and
    occur in clusters. So there is also a budget: every score adds 1.25 times `rate`, every alarm takes 1, and at most
    32 are saved. An alarm beyond the budget is scored just below 1.

    Args:
        rate: Proportion of rows that may be flagged.

    References:
        Laxhammar, Falkman: Conformal prediction for distribution-independent anomaly detection in streaming vessel
        data. StreamKDD (2010).
    """

    def __init__(self, rate: float | None) -> None:
        self.rate = rate or 0.0
        self._past: dict[int, LogHistogram] = {}
        self._limit: dict[int, float] = {}
        self._budget: dict[int, tuple[float, int]] = {}

    def calibrate(self, score: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Convert the scores of consecutive events, NaN where missing, by the past of their groups."""
        result = np.full(len(score), np.nan)
        known = np.flatnonzero(~np.isnan(score))
        for group in np.unique(codes[known]).tolist():
            at = known[codes[known] == group]
            result[at] = self._calibrate_group(group, score[at])
        return result

    def _calibrate_group(self, group: int, score: np.ndarray) -> np.ndarray:
        past = self._past.setdefault(group, LogHistogram())
        result, done = np.full(len(score), np.nan), 0
        while done < len(score):
            stop = min(len(score), done + self._next_refresh(past.count) - past.count)
            part = score[done:stop]
            limit = self._limit.get(group)
            if limit is not None:
                result[done:stop] = self._apply_budget(group, past.count, np.minimum(part / limit, MAX_SCORE))
            past.update(part)
            if past.count == self._next_refresh(past.count - 1):
                self._limit[group] = self._compute_limit(past)
            done = stop
        return result

    def _apply_budget(self, group: int, count: int, score: np.ndarray) -> np.ndarray:
        """Lower the alarms beyond the budget to just below 1, in place."""
        saved, last = self._budget.get(group, (1.0, count))
        for i in np.flatnonzero(score >= 1).tolist():
            saved, last = min(saved + _BUDGET_RATE * self.rate * (count + i - last), _MAX_BUDGET), count + i
            if saved >= 1:
                saved -= 1
            else:
                score[i] = JUST_BELOW
        self._budget[group] = saved, last
        return score

    def _next_refresh(self, count: int) -> int:
        """Return the next count after `count` at which the quantile is recomputed."""
        at = max(math.ceil(1 / self.rate - 1), 1)
        while at <= count:
            at += min(max(at // 4, 1), _STEP)
        return at

    def _compute_limit(self, past: LogHistogram) -> float:
        q = min(math.ceil((past.count + 1) * (1 - self.rate)) / past.count, 1.0)
        # twice the error bound, so that scores equal to the limit raise no alarm
        return max(float(past.quantile(q)) * (1 + 2 * past.relative_error_bound), 1e-300)

    def to_dict(self) -> list[list[Any]]:
        """Return the state as plain data."""
        budget = {group: list(saved) for group, saved in self._budget.items()}
        return [
            [group, past.to_dict(), self._limit.get(group), budget.get(group)] for group, past in self._past.items()
        ]

    def load(self, state: list[list[Any]]) -> None:
        """Restore a state of `to_dict`."""
        self._past = {group: LogHistogram.from_dict(past) for group, past, _, _ in state}
        self._limit = {group: limit for group, _, limit, _ in state if limit is not None}
        self._budget = {group: (saved[0], saved[1]) for group, _, _, saved in state if saved is not None}
