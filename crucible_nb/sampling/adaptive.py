"""Adaptive sampling: the rate rises around anomalies and falls back afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Sampler
from crucible_nb.utils import checks

_SLOW, _FAST = 0.005, 0.1  # weight of the newest value in the baseline and in the recent mean
_WIDTH = np.sqrt(_FAST / (2 - _FAST))  # sd of the recent mean, in sd of one value
_SINGLE = 1.25  # factor of the limit for a single value, relative to the recent mean
_WARM_UP = 32
_FLOOR = 0.01  # smallest accepted sd, on the log scale: 1 %
_OUTCOMES = {"error": 0.0, "failure": 0.0, "success": 1.0}


class ControlChart:
    """A control chart of one metric on the log scale: it alarms if the value or the recent mean is above the baseline.

    Each value is compared with the state before it, then learnt. Missing and non-positive values are skipped.

    Args:
        limit: Distance of the recent mean at which it alarms, in standard deviations; a single value needs 25 % more.

    References:
        Roberts: Control chart tests based on geometric moving averages. Technometrics 1 (1959).
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.seen = 0
        self.mean, self.variance, self.recent = 0.0, 0.0, 0.0

    def detect(self, values: np.ndarray) -> np.ndarray:
        """Return whether each value raises an alarm; blocks may end anywhere."""
        alarms = np.zeros(len(values), np.bool_)
        with np.errstate(invalid="ignore"):
            known = np.flatnonzero((values > 0) & (values < np.inf))
        if len(known):
            alarms[known] = self._learn(np.log(values[known]))
        return alarms

    def _learn(self, x: np.ndarray) -> np.ndarray:
        if not self.seen:
            self.mean = self.recent = float(x[0])
        mean = np.concatenate(([self.mean], _exponential_means(x, _SLOW, self.mean)))
        recent = _exponential_means(x, _FAST, self.recent)
        # v' = (1 - a) (v + a d^2): West's update for an exponentially weighted variance
        squares = (1 - _SLOW) * (x - mean[:-1]) ** 2
        variance = np.concatenate(([self.variance], _exponential_means(squares, _SLOW, self.variance)))
        sd = np.maximum(np.sqrt(variance[:-1]), _FLOOR)
        far: np.ndarray = np.maximum((x - mean[:-1]) / _SINGLE, (recent - mean[:-1]) / _WIDTH) > self.limit * sd
        far[: max(_WARM_UP - self.seen, 0)] = False
        self.seen += len(x)
        self.mean, self.variance, self.recent = float(mean[-1]), float(variance[-1]), float(recent[-1])
        return far

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {"seen": self.seen, "mean": self.mean, "variance": self.variance, "recent": self.recent}


def _exponential_means(x: np.ndarray, alpha: float, before: float) -> np.ndarray:
    """Compute the exponentially weighted mean after each value; the same bits wherever `x` is cut."""
    from scipy.signal import lfilter  # noqa: PLC0415  heavy; imported with the first sampler that needs it

    means, _ = lfilter([alpha], [1.0, alpha - 1.0], x, zi=[(1 - alpha) * before])
    return means  # type: ignore[no-any-return]


@dataclass(eq=False)
class Adaptive(Sampler):
    """Keep few events in quiet times and many around anomalies.

    The rate depends on the flags of the detectors for the event and the `cooldown` events before it. Without a detector
    the sampler monitors `metrics` itself, with a control chart. The weights follow the rates, so estimates stay
    unbiased.

    Args:
        base_rate: Probability in quiet times, in (0, 1].
        anomaly_rate: Probability of an anomalous event and of the `cooldown` events after it.
        min_samples: Number of first events that are all kept.
        stratified_rates: Rates in quiet times by outcome, such as {"error": 1.0, "success": 0.1}; `base_rate` applies
            where the outcome is unknown.
        cooldown: Number of events after an anomaly for which the raised rate applies.
        metrics: Metrics to monitor without a detector; larger is worse.
        limit: Increase of the recent mean that counts as an anomaly without a detector, in standard deviations on the
            log scale; a single value needs 25 % more.

    Raises:
        ConfigError: A rate is not in (0, 1], or another argument is not accepted.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> latency = np.tile([90.0, 100.0, 110.0], 1000)
        >>> latency[2000] = 10_000.0
        >>> rows = cr.sampling.sample(pd.DataFrame({"latency_ms": latency}), cr.sampling.Adaptive(base_rate=0.05))
        >>> rows.index[:1000].tolist() == list(range(1000)), rows.loc[2000:2050, "weight"].tolist() == [1.0] * 51
        (True, True)
    """

    base_rate: float = 0.1
    anomaly_rate: float = 1.0
    min_samples: int = 1000
    stratified_rates: Mapping[str, float] | None = None
    cooldown: int = 50
    metrics: Sequence[str] = field(default=("latency_ms", "cost_usd"))
    limit: float = 4.0
    restorable = True

    def __post_init__(self) -> None:
        self.base_rate = checks.number("base_rate", self.base_rate, gt=0, le=1)
        self.anomaly_rate = checks.number("anomaly_rate", self.anomaly_rate, gt=0, le=1)
        self.min_samples = checks.whole("min_samples", self.min_samples)
        self.cooldown = checks.whole("cooldown", self.cooldown)
        self.metrics = checks.texts("metrics", self.metrics)
        self.limit = checks.number("limit", self.limit, gt=0)
        for outcome, rate in checks.mapping("stratified_rates", self.stratified_rates).items():
            checks.one_of("stratified_rates", outcome, _OUTCOMES)
            checks.number(f"stratified_rates[{outcome!r}]", rate, gt=0, le=1)

    def start(self) -> None:
        self._seen, self._last = 0, -(2**62)
        self._charts = {name: ControlChart(self.limit) for name in self.metrics}

    def rates(self, events: EventColumns) -> np.ndarray:
        index = np.arange(self._seen, self._seen + len(events))
        last = np.maximum.accumulate(np.where(self._anomalous(events), index, self._last))
        raised = index - last <= self.cooldown
        quiet = self._quiet_rates(events)
        rates = np.where(raised, np.maximum(self.anomaly_rate, quiet), quiet)
        rates[index < self.min_samples] = 1.0
        self._seen += len(events)
        self._last = int(last[-1]) if len(last) else self._last
        return rates

    def _quiet_rates(self, events: EventColumns) -> np.ndarray:
        rates = np.full(len(events), self.base_rate)
        if self.stratified_rates:
            success = events["success"]
            for outcome, rate in self.stratified_rates.items():
                rates[success == _OUTCOMES[outcome]] = rate
        return rates

    def _anomalous(self, events: EventColumns) -> np.ndarray:
        if "anomaly" in events:
            return np.asarray(events["anomaly"] == 1)
        alarms = np.zeros(len(events), np.bool_)
        for name, chart in self._charts.items():
            if name in events:
                alarms |= chart.detect(events[name])
        return alarms

    def to_dict(self) -> dict[str, Any]:
        charts = {name: chart.to_dict() for name, chart in self._charts.items()}
        return {**super().to_dict(), "seen": self._seen, "last": self._last, "controls": charts}

    def from_dict(self, state: dict[str, Any]) -> Self:
        sampler = super().from_dict(state)
        sampler._seen, sampler._last = state["seen"], state["last"]
        for name, values in state["controls"].items():
            vars(sampler._charts[name]).update(values)
        return sampler
