"""Anytime-valid intervals for the dashboard; the only module of the notebook that asks `crucible_nb.stats`."""

from __future__ import annotations

import math
from typing import NamedTuple

from crucible_nb.errors import CrucibleError
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook import wire
from crucible_nb.stats.sequences import difference, success_sequence

_MOMENT = 0.2  # seconds within which two intervals are of the same moment
_TRAIL_LENGTH = 60  # earlier intervals kept per metric


class ComparedMetric(NamedTuple):
    """A metric of the running comparison.

    Attributes:
        metric: Name as in `cr.compare`.
        label: Name shown to the user.
        unit: "share", "ms" or "USD".
        up: Whether higher is better.
        asymptotic: Whether the interval is valid only asymptotically; then no arm is called better.
    """

    metric: str
    label: str
    unit: str
    up: bool
    asymptotic: bool = False


COMPARED_METRICS = (
    ComparedMetric("success_rate", "success rate", "share", up=True),
    ComparedMetric("p50_latency_ms", "latency p50", "ms", up=False),
    ComparedMetric("p95_latency_ms", "latency p95", "ms", up=False),
    ComparedMetric("mean_cost_usd", "mean cost (asymptotic)", "USD", up=False, asymptotic=True),
)


def success_interval(total: Metrics) -> tuple[float, float]:
    """Return an anytime-valid 95 % interval of the success rate of a whole run; NaN while no outcome is known.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     for i in range(50):
        ...         _ = exp.record("call", success=i % 10 > 0)
        >>> low, high = success_interval(exp.metrics())
        >>> low < 0.9 < high
        True
    """
    try:
        sequence = success_sequence(total)
    except CrucibleError:  # the events came with weights, or some are missing
        return math.nan, math.nan
    return sequence.interval if sequence.n else (math.nan, math.nan)


class RunningComparison:
    """Another experiment minus the first, updated at every keyframe.

    Args:
        control, treatment: The two arms.
        arm: Index of the treatment.
    """

    def __init__(self, control: Experiment, treatment: Experiment, arm: int = 1) -> None:
        self.arms, self.arm = (control, treatment), arm
        self._trails: dict[str, list[list[float]]] = {}

    def update(self, elapsed: float) -> list[wire.Difference]:
        """Return a line for each metric that is known in both arms.

        Args:
            elapsed: Seconds since the start, for the trail.
        """
        lines = (self._difference(metric, elapsed) for metric in COMPARED_METRICS)
        return [line for line in lines if line is not None]

    def _difference(self, compared: ComparedMetric, elapsed: float) -> wire.Difference | None:
        values = [_value(arm, compared.metric) for arm in self.arms]
        if any(math.isnan(value) for value in values):
            return None
        line: wire.Difference = {
            "arm": self.arm, "metric": compared.label, "unit": compared.unit, "values": list(values),
            "low": None, "high": None, "trail": self._trails.setdefault(compared.metric, []), "better": None,
        }  # fmt: skip
        try:
            sequence = difference(*self.arms, compared.metric, asymptotic=compared.asymptotic)
        except CrucibleError:  # the events came with weights, or some are missing
            return line
        low, high = sequence.confidence_interval
        if math.isfinite(low) and math.isfinite(high):
            line["low"], line["high"] = low, high
            self._append(line["trail"], [elapsed, low, high])
        if sequence.decided and not compared.asymptotic:
            line["better"] = self.arm if (sequence.estimate > 0) == compared.up else 0
        return line

    @staticmethod
    def _append(trail: list[list[float]], interval: list[float]) -> None:
        """Append an interval, in place of one of the same moment; a full trail drops every second entry."""
        if trail and interval[0] - trail[-1][0] < _MOMENT:
            trail.pop()
        trail.append(interval)
        if len(trail) > _TRAIL_LENGTH:
            del trail[1:-1:2]


def _value(experiment: Experiment, metric: str) -> float:
    metrics = experiment.metrics()
    if metric == "success_rate":
        return metrics.reliability.success_rate
    if metric == "mean_cost_usd":
        return metrics.cost.mean
    return float(getattr(metrics.latency, metric.split("_", maxsplit=1)[0]))
