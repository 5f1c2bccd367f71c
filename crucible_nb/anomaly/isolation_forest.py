"""Odd combinations of several metrics at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb import checks
from crucible_nb.anomaly.base import Detector, Verdict
from crucible_nb.optional import need
from crucible_nb.seen import Events

_FIRST = 256
_SAMPLE = 2048


class IsolationForest(Detector):
    """How few random cuts isolate an event from a sample of earlier ones, over all metrics together.

    Fitted anew at 256, 512, 1,024, ... events on at most 2,048 of the past, evenly spread over it. Missing metrics
    count as their median. Groups (`by`) are not supported: make them a metric, or use one detector a group.

    Args:
        metrics, cooldown, false_alarm_rate: See `Detector`.
        threshold: Isolation score in (0, 1) that counts as an anomaly, default 0.65; 0.5 is an average event.
        trees: Number of trees.
        seed: Of the forest.

    Raises:
        ConfigError: scikit-learn is not installed (extra `anomaly`).

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> rng = np.random.default_rng(0)
        >>> frame = pd.DataFrame({"latency_ms": rng.normal(100, 10, 600)})
        >>> frame["completion_tokens"] = frame.latency_ms * 2 + rng.normal(0, 1, 600)
        >>> frame.loc[550] = [150.0, 20.0]
        >>> forest = cr.anomaly.IsolationForest(["latency_ms", "completion_tokens"])
        >>> scores = cr.anomaly.score(frame, forest, cooldown=0)
        >>> bool(scores.iloc[550] >= 1), int((scores >= 1).sum()) < 10
        (True, True)

    References:
        Liu, Ting, Zhou: Isolation forest. ICDM (2008).
    """

    default: ClassVar[float] = 0.65

    def __init__(
        self,
        metrics: str | Sequence[str] = ("latency_ms", "cost_usd"),
        threshold: float | None = None,
        *,
        trees: int = 100,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(metrics, threshold, **options)
        if self.by:
            raise checks.wrong("by", list(self.by), "no groups for an isolation forest")
        self.trees, self.seed = checks.whole("trees", trees, least=1), checks.whole("seed", seed)
        self._make = need("sklearn.ensemble", "anomaly", "an isolation forest").IsolationForest

    def start(self) -> None:
        """Set up the state before the first event."""
        super().start()
        self._count, self._stride = 0, 1
        self._past = np.empty((0, len(self.metrics)))
        self._forest: Any = None
        self._sample = np.empty((0, len(self.metrics)))
        self._usual = np.zeros(len(self.metrics))

    def judge(self, events: Events) -> Verdict:
        """Judge consecutive events; blocks may end anywhere."""
        x = np.stack([events[metric] for metric in self.metrics], axis=1)
        x[~np.isfinite(x)] = np.nan
        known = np.flatnonzero(~np.isnan(x).all(axis=1))
        score, done = np.full(len(events), np.nan), 0
        while done < len(known):
            stop = min(len(known), done + _next(self._count) - self._count)
            rows = known[done:stop]
            if self._forest is not None:
                filled = np.where(np.isnan(x[rows]), self._usual, x[rows])
                score[rows] = -self._forest.score_samples(filled) / self.threshold
            self._learn(x[rows])
            done = stop
        if self.false_alarm_rate:
            ranks = self._ranks[self.metrics[0]]
            score = ranks.calibrated(score[None], np.array([len(score)]), np.zeros(1, np.int64))[0]
        which = np.where(np.isnan(score), -1, 0)
        reasons = {}
        for i in np.flatnonzero(score >= 1).tolist():
            off = np.abs(np.nan_to_num(x[i] - self._usual)) / np.maximum(self._spread, 1e-300)
            which[i] = int(off.argmax())
            said = ", ".join(f"{name} {value:,.4g}" for name, value in zip(self.metrics, x[i], strict=True))
            reasons[i] = (
                f"{said} is an odd combination ({score[i] * self.threshold:.2f} of 1, {self.threshold:g} is the limit)"
            )
        return Verdict(score, which, reasons)

    def _learn(self, rows: np.ndarray) -> None:
        """Keep every stride-th event; when there are too many, every second of those."""
        place = np.arange(self._count, self._count + len(rows))
        self._past = np.concatenate((self._past, rows[place % self._stride == 0]))
        self._count += len(rows)
        while len(self._past) > _SAMPLE:
            self._past, self._stride = self._past[::2], self._stride * 2
        if self._count == _next(self._count - 1):
            self._fit()

    def _fit(self) -> None:
        with np.errstate(all="ignore"):
            self._usual = np.nan_to_num(np.array([_median(column) for column in self._past.T]))
        self._grow(np.where(np.isnan(self._past), self._usual, self._past))

    def _grow(self, sample: np.ndarray) -> None:
        self._sample = sample
        self._spread = np.median(np.abs(sample - self._usual), axis=0)
        self._forest = self._make(n_estimators=self.trees, random_state=self.seed).fit(sample)

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data; the forest is grown again from it."""
        forest = [self._count, self._stride, self._past.tolist(), self._usual.tolist(), self._sample.tolist()]
        return {**super().to_dict(), "forest": forest}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        detector = super().from_dict(state)
        detector._count, detector._stride, past, usual, sample = state["forest"]
        detector._past = np.array(past, np.float64).reshape(-1, len(self.metrics))
        detector._usual = np.array(usual)
        if sample:
            detector._grow(np.array(sample))
        return detector


def _median(column: np.ndarray) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if len(known) else 0.0


def _next(count: int) -> int:
    at = _FIRST
    while at <= count:
        at *= 2
    return at
