"""Models that are fitted to a sample of past events and score all metrics together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from crucible_nb.anomaly.base import Detector, Verdict, is_valid
from crucible_nb.anomaly.exact_json import decode_floats, encode_floats
from crucible_nb.anomaly.texts import format_limit, format_number
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils import checks

_FIRST = 256
_SAMPLE = 2048

Model = Callable[[np.ndarray], np.ndarray]


class Refitted(Detector):
    """Base class of detectors with a fitted model, such as scikit-learn's and PyOD's; a subclass defines `fit`.

    The model is refitted at 256, 512, 1,024, ... events, on at most 2,048 past events at regular intervals. Missing
    metrics are replaced by their median. Groups (`by`) are not supported: make them a metric, or use one detector per
    group.

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
        """Fit a model to float64[n, metrics]; return a function that scores float64[m, metrics], high for anomalies."""
        raise NotImplementedError(f"{type(self).__name__} has no fit()")

    def start(self) -> None:
        """Set up the state before the first event."""
        super().start()
        self._count, self._stride = 0, 1
        self._retained = np.empty((0, len(self.metrics)))
        self._model: Model | None = None
        self._sample = np.empty((0, len(self.metrics)))
        self._medians = np.zeros(len(self.metrics))

    def judge(self, events: EventColumns) -> Verdict:
        x = np.stack([events[metric] for metric in self.metrics], axis=1)
        x[~is_valid(x)] = np.nan
        known = np.flatnonzero(~np.isnan(x).all(axis=1))
        score, distance, done = np.full(len(events), np.nan), np.zeros(x.shape), 0
        while done < len(known):
            stop = min(len(known), done + _next_fit(self._count) - self._count)
            rows = known[done:stop]
            if self._model is not None:
                score[rows] = self._model(np.where(np.isnan(x[rows]), self._medians, x[rows])) / self.threshold
                distance[rows] = np.abs(x[rows] - self._medians) / np.maximum(self._mads, 1e-100)
            self._learn(x[rows])
            done = stop
        raw, score = score, self._calibrate(self.metrics[0], score, np.zeros(len(events), np.int64))
        alarms = np.flatnonzero(score >= 1).tolist()
        reasons = {i: self._reason(x[i], raw[i] * self.threshold, score[i]) for i in alarms}
        furthest = np.where(np.isnan(distance), -1.0, distance).argmax(axis=1)  # among the known metrics
        return Verdict(score, np.where(np.isnan(score), -1, furthest), reasons)

    def _reason(self, values: np.ndarray, own: float, score: float) -> str:
        """Build the reason of an alarm, with the known metrics."""
        known = np.flatnonzero(~np.isnan(values)).tolist()
        metrics = ", ".join(f"{self.metrics[k]} {format_number(values[k])}" for k in known)
        return f"{metrics} is an odd combination ({own:.3g}, {format_limit(own, score)})"

    def _learn(self, rows: np.ndarray) -> None:
        """Retain every stride-th event; if there are too many, drop every second one and double the stride."""
        index = np.arange(self._count, self._count + len(rows))
        self._retained = np.concatenate((self._retained, rows[index % self._stride == 0]))
        self._count += len(rows)
        while len(self._retained) > _SAMPLE:
            self._retained, self._stride = self._retained[::2], self._stride * 2
        if self._count == _next_fit(self._count - 1):
            self._medians = np.array([_median(column) for column in self._retained.T])
            self._refit(np.where(np.isnan(self._retained), self._medians, self._retained))

    def _refit(self, sample: np.ndarray) -> None:
        self._sample = sample
        self._mads = np.median(np.abs(sample - self._medians), axis=0)
        self._model = self.fit(sample)

    def to_dict(self) -> dict[str, Any]:
        """Return the running state as plain data; the model is represented by its sample."""
        arrays = (self._retained, self._medians, self._sample)
        return {**super().to_dict(), "fitted": [self._count, self._stride, *map(encode_floats, arrays)]}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """Return a running copy that continues from the result of `to_dict`; the model is fitted again."""
        detector = super().from_dict(state)
        detector._count, detector._stride, retained, medians, sample = state["fitted"]
        detector._retained = decode_floats(retained).reshape(-1, len(self.metrics))
        detector._medians = decode_floats(medians)
        if sample:
            detector._refit(decode_floats(sample))
        return detector


def _median(column: np.ndarray) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if len(known) else 0.0


def _next_fit(count: int) -> int:
    """Return the next number of events after `count` at which the model is fitted."""
    at = _FIRST
    while at <= count:
        at *= 2
    return at
