"""Numbers that may be looked at as often as one likes; the one place that asks `crucible_nb.stats` for them."""

from __future__ import annotations

import math
from typing import NamedTuple

from crucible_nb.errors import CrucibleError
from crucible_nb.experiment.experiment import Experiment
from crucible_nb.metrics import Metrics
from crucible_nb.notebook import wire
from crucible_nb.stats.sequences import difference, success_sequence

_LOOKS = 60  # remembered of a comparison


class Compared(NamedTuple):
    """What the running comparison compares: a metric, how people call it, its unit, whether more is better."""

    metric: str
    label: str
    unit: str
    up: bool
    asymptotic: bool = False


COMPARED = (
    Compared("success_rate", "success rate", "share", up=True),
    Compared("p50_latency_ms", "latency p50", "ms", up=False),
    Compared("p95_latency_ms", "latency p95", "ms", up=False),
    Compared("mean_cost_usd", "mean cost (asymptotic)", "USD", up=False, asymptotic=True),
)


def success(total: Metrics) -> tuple[float, float]:
    """Bounds of the success rate of a whole run, 95 % over all looks together; NaN until an outcome is known.

    Examples:
        >>> import crucible_nb as cr
        >>> with cr.start("demo") as exp:
        ...     for i in range(50):
        ...         _ = exp.record("call", success=i % 10 > 0)
        >>> low, high = success(exp.metrics())
        >>> low < 0.9 < high
        True
    """
    try:
        sequence = success_sequence(total)
    except CrucibleError:  # not everything so far is there
        return math.nan, math.nan
    return sequence.interval if sequence.n else (math.nan, math.nan)


class Running:
    """The second experiment minus the first, look by look.

    Args:
        control, treatment: The arms.
    """

    def __init__(self, control: Experiment, treatment: Experiment) -> None:
        self.arms = (control, treatment)
        self._trails: dict[str, list[list[float]]] = {}

    def look(self, elapsed: float) -> list[wire.Difference]:
        """A line for each metric that both arms know.

        Args:
            elapsed: Seconds since the beginning, for the trail.
        """
        lines = (self._line(one, elapsed) for one in COMPARED)
        return [line for line in lines if line is not None]

    def _line(self, one: Compared, elapsed: float) -> wire.Difference | None:
        values = [_value(arm, one.metric) for arm in self.arms]
        if any(math.isnan(value) for value in values):
            return None
        line: wire.Difference = {
            "metric": one.label, "unit": one.unit, "values": list(values), "low": None, "high": None,
            "trail": self._trails.setdefault(one.metric, []), "better": None,
        }  # fmt: skip
        try:
            found = difference(*self.arms, one.metric, asymptotic=one.asymptotic)
        except CrucibleError:  # not everything so far is there
            return line
        low, high = found.confidence_interval
        if math.isfinite(low) and math.isfinite(high):
            line["low"], line["high"] = low, high
            self._remember(line["trail"], [elapsed, low, high])
        if found.decided and not one.asymptotic:
            line["better"] = int((found.estimate > 0) == one.up)
        return line

    @staticmethod
    def _remember(trail: list[list[float]], look: list[float]) -> None:
        trail.append(look)
        if len(trail) > _LOOKS:
            del trail[1:-1:2]


def _value(experiment: Experiment, metric: str) -> float:
    metrics = experiment.metrics()
    if metric == "success_rate":
        return metrics.reliability.success_rate
    if metric == "mean_cost_usd":
        return metrics.cost.mean
    return float(getattr(metrics.latency, metric.split("_", maxsplit=1)[0]))
