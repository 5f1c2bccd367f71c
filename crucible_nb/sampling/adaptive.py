"""More where something happens: the rate rises around anomalies and falls back after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling.base import Sampler
from crucible_nb.utils import checks

_SLOW, _FAST = 0.005, 0.1  # smoothing of the baseline and of the mean that is held against it
_WIDTH = np.sqrt(_FAST / (2 - _FAST))  # sd of the fast mean, in sd of one value
_SINGLE = 1.25  # a single value has to be further out than the recent mean
_WARM_UP = 32
_FLOOR = 0.01  # smallest sd believed, on the log scale: 1 %
_OUTCOMES = {"error": 0.0, "failure": 0.0, "success": 1.0}


class Control:
    """A control chart of one metric, on the log scale: is the value, or the recent mean, above what came before?

    Scores against the state before a value, then learns it. Missing and non-positive values are passed over.

    Args:
        limit: Standard deviations of the recent mean that trip it; a single value needs a quarter more.

    References:
        Roberts: Control chart tests based on geometric moving averages. Technometrics 1 (1959).
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.seen = 0
        self.mean, self.variance, self.recent = 0.0, 0.0, 0.0

    def trips(self, values: np.ndarray) -> np.ndarray:
        """Whether each value trips it; may be called with blocks cut anywhere."""
        tripped = np.zeros(len(values), np.bool_)
        with np.errstate(invalid="ignore"):
            known = np.flatnonzero((values > 0) & (values < np.inf))
        if len(known):
            tripped[known] = self._learn(np.log(values[known]))
        return tripped

    def _learn(self, x: np.ndarray) -> np.ndarray:
        if not self.seen:
            self.mean = self.recent = float(x[0])
        mean = np.concatenate(([self.mean], _smoothed(x, _SLOW, self.mean)))
        recent = _smoothed(x, _FAST, self.recent)
        # v' = (1 - a) (v + a d^2): West's update for an exponentially weighted variance
        variance = np.concatenate(
            ([self.variance], _smoothed((1 - _SLOW) * (x - mean[:-1]) ** 2, _SLOW, self.variance))
        )
        sd = np.maximum(np.sqrt(variance[:-1]), _FLOOR)
        far: np.ndarray = np.maximum((x - mean[:-1]) / _SINGLE, (recent - mean[:-1]) / _WIDTH) > self.limit * sd
        far[: max(_WARM_UP - self.seen, 0)] = False
        self.seen += len(x)
        self.mean, self.variance, self.recent = float(mean[-1]), float(variance[-1]), float(recent[-1])
        return far

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        return {"seen": self.seen, "mean": self.mean, "variance": self.variance, "recent": self.recent}


def _smoothed(x: np.ndarray, share: float, before: float) -> np.ndarray:
    """Exponentially weighted means after each value; the same bits however `x` is cut."""
    from scipy.signal import lfilter  # noqa: PLC0415  heavy; imported with the first sampler that needs it

    smooth, _ = lfilter([share], [1.0, share - 1.0], x, zi=[(1 - share) * before])
    return smooth  # type: ignore[no-any-return]


@dataclass(eq=False)
class Adaptive(Sampler):
    """Keep few events in quiet times and many around anomalies.

    The rate depends on what the detectors said of the event and of the `cooldown` events before it. Without a
    detector the sampler watches `metrics` itself, with a control chart. The weights follow the rates, so numbers
    stay unbiased.

    Args:
        base_rate: Probability in quiet times, in (0, 1].
        anomaly_rate: Probability of an anomalous event and of the `cooldown` events after it.
        min_samples: The first events are all kept.
        stratified_rates: Rates in quiet times by outcome: {"error": 1.0, "success": 0.1}; `base_rate` where the
            outcome is unknown.
        cooldown: Events for which the raised rate stays after the last anomaly.
        metrics: What to watch where no detector is at work; larger is worse.
        limit: Standard deviations, on the log scale, that the recent mean may rise there before it is an anomaly; a
            single value may rise by a quarter more.

    Raises:
        ConfigError: A rate is not in (0, 1], or another argument is not what is accepted.

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
        self._controls = {name: Control(self.limit) for name in self.metrics}

    def rates(self, events: EventColumns) -> np.ndarray:
        place = np.arange(self._seen, self._seen + len(events))
        last = np.maximum.accumulate(np.where(self._anomalous(events), place, self._last))
        raised = place - last <= self.cooldown
        rates = np.where(raised, np.maximum(self.anomaly_rate, quiet := self._quiet(events)), quiet)
        rates[place < self.min_samples] = 1.0
        self._seen += len(events)
        self._last = int(last[-1]) if len(last) else self._last
        return rates

    def _quiet(self, events: EventColumns) -> np.ndarray:
        rates = np.full(len(events), self.base_rate)
        if self.stratified_rates:
            success = events["success"]
            for outcome, rate in self.stratified_rates.items():
                rates[success == _OUTCOMES[outcome]] = rate
        return rates

    def _anomalous(self, events: EventColumns) -> np.ndarray:
        if "anomaly" in events:
            return np.asarray(events["anomaly"] == 1)
        tripped = np.zeros(len(events), np.bool_)
        for name, control in self._controls.items():
            if name in events:
                tripped |= control.trips(events[name])
        return tripped

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data."""
        controls = {name: control.to_dict() for name, control in self._controls.items()}
        return {**super().to_dict(), "seen": self._seen, "last": self._last, "controls": controls}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        sampler = super().from_dict(state)
        sampler._seen, sampler._last = state["seen"], state["last"]
        for name, values in state["controls"].items():
            vars(sampler._controls[name]).update(values)
        return sampler
