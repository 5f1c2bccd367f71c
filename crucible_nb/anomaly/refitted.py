"""Models that are fitted to a sample of the past and score events by all metrics together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from crucible_nb.anomaly.base import Detector, Verdict, known, limit, number
from crucible_nb.anomaly.exact_json import numbers, plain
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils import checks

_FIRST = 256
_SAMPLE = 2048

Model = Callable[[np.ndarray], np.ndarray]


class Refitted(Detector):
    """A detector around any model with a fit and a score, scikit-learn's and PyOD's alike; a subclass has `fit`.

    Fitted anew at 256, 512, 1,024, ... events on at most 2,048 of the past, evenly spread over it. Missing metrics
    count as their median. Groups (`by`) are not supported: make them a metric, or use one detector a group.

    Args:
        metrics, cooldown, false_alarm_rate: See `Detector`.
        threshold: Score of the model that counts as an anomaly.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> class Farthest(cr.anomaly.Refitted):
        ...     def fit(self, sample):
        ...         middle, spread = sample.mean(axis=0), sample.std(axis=0)
        ...         return lambda rows: np.abs((rows - middle) / spread).max(axis=1)
        >>> frame = pd.DataFrame({"loss": np.tile([1.0, 2.0, 3.0], 200)})
        >>> frame.loc[500, "loss"] = 40.0
        >>> scores = cr.anomaly.score(frame, Farthest("loss", threshold=6.0))
        >>> np.flatnonzero(scores >= 1).tolist()
        [500]
    """

    def __init__(
        self, metrics: str | Sequence[str] = ("latency_ms", "cost_usd"), threshold: float | None = None, **options: Any
    ) -> None:
        super().__init__(metrics, threshold, **options)
        if self.by:
            raise checks.wrong("by", list(self.by), "no groups for a detector of all metrics together")

    def fit(self, sample: np.ndarray) -> Model:
        """Fit a model to float64[n, metrics]; what it returns scores float64[m, metrics], larger is odder."""
        raise NotImplementedError(f"{type(self).__name__} has no fit()")

    def start(self) -> None:
        """Set up the state before the first event."""
        super().start()
        self._count, self._stride = 0, 1
        self._past = np.empty((0, len(self.metrics)))
        self._model: Model | None = None
        self._sample = np.empty((0, len(self.metrics)))
        self._usual = np.zeros(len(self.metrics))

    def judge(self, events: EventColumns) -> Verdict:
        """Judge consecutive events; blocks may end anywhere."""
        x = np.stack([events[metric] for metric in self.metrics], axis=1)
        x[~known(x)] = np.nan
        there = np.flatnonzero(~np.isnan(x).all(axis=1))
        score, off, done = np.full(len(events), np.nan), np.zeros(x.shape), 0
        while done < len(there):
            stop = min(len(there), done + _next(self._count) - self._count)
            rows = there[done:stop]
            if self._model is not None:
                score[rows] = self._model(np.where(np.isnan(x[rows]), self._usual, x[rows])) / self.threshold
                off[rows] = np.abs(x[rows] - self._usual) / np.maximum(self._spread, 1e-100)
            self._learn(x[rows])
            done = stop
        raw, score = score, self._calibrated(self.metrics[0], score, np.zeros(len(events), np.int64))
        reasons = {i: self._said(x[i], raw[i] * self.threshold, score[i]) for i in np.flatnonzero(score >= 1).tolist()}
        furthest = np.where(np.isnan(off), -1.0, off).argmax(axis=1)  # of those that are there
        return Verdict(score, np.where(np.isnan(score), -1, furthest), reasons)

    def _said(self, values: np.ndarray, own: float, score: float) -> str:
        """The reason of an alarm, with the metrics that are there."""
        there = np.flatnonzero(~np.isnan(values)).tolist()
        said = ", ".join(f"{self.metrics[k]} {number(values[k])}" for k in there)
        return f"{said} is an odd combination ({own:.3g}, {limit(own, score)})"

    def _learn(self, rows: np.ndarray) -> None:
        """Keep every stride-th event; when there are too many, every second of those."""
        place = np.arange(self._count, self._count + len(rows))
        self._past = np.concatenate((self._past, rows[place % self._stride == 0]))
        self._count += len(rows)
        while len(self._past) > _SAMPLE:
            self._past, self._stride = self._past[::2], self._stride * 2
        if self._count == _next(self._count - 1):
            self._usual = np.array([_median(column) for column in self._past.T])
            self._refit(np.where(np.isnan(self._past), self._usual, self._past))

    def _refit(self, sample: np.ndarray) -> None:
        self._sample = sample
        self._spread = np.median(np.abs(sample - self._usual), axis=0)
        self._model = self.fit(sample)

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data; the model is fitted again to its sample."""
        fitted = [self._count, self._stride, *(plain(x) for x in (self._past, self._usual, self._sample))]
        return {**super().to_dict(), "fitted": fitted}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        detector = super().from_dict(state)
        detector._count, detector._stride, past, usual, sample = state["fitted"]
        detector._past = numbers(past).reshape(-1, len(self.metrics))
        detector._usual = numbers(usual)
        if sample:
            detector._refit(numbers(sample))
        return detector


def _median(column: np.ndarray) -> float:
    there = column[~np.isnan(column)]
    return float(np.median(there)) if len(there) else 0.0


def _next(count: int) -> int:
    at = _FIRST
    while at <= count:
        at *= 2
    return at
