"""Level shifts: small deviations on one side that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector, Given
from crucible_nb.anomaly.ewma import baseline
from crucible_nb.anomaly.recursions import Scores, spread_of_mean
from crucible_nb.utils import checks

_CLIP = 4.0  # one spike is no shift


class CUSUM(Detector):
    """Sum of the deviations beyond `slack` from a slow baseline, on each side; one spike counts at most 4 sd.

    The baseline moves on, so that a new level becomes the normal one.

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Standard deviations that have to add up, default 12.
        slack: Standard deviations of each value that do not count.
        share: Weight of the newest value in the baseline.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.random.default_rng(0).normal(100, 10, 600)
        >>> latency[400:] += 20
        >>> scores = cr.anomaly.score(latency, cr.anomaly.CUSUM())
        >>> 400 < (scores >= 1).idxmax() < 420
        True

    References:
        Page: Continuous inspection schemes. Biometrika 41 (1954).
    """

    state: ClassVar = {"mean": 0.0, "variance": 0.0, "up": 0.0, "down": 0.0}
    kernel: ClassVar[int] = 2
    default: ClassVar[float] = 12.0

    def __init__(
        self,
        metrics: str | Sequence[str] = ("latency_ms", "cost_usd"),
        threshold: float | None = None,
        *,
        slack: float = 0.5,
        share: float = 0.01,
        warm_up: int = 100,
        **options: Any,
    ) -> None:
        super().__init__(metrics, threshold, warm_up=warm_up, **options)
        self.slack = checks.number("slack", slack, ge=0)
        self.share = checks.number("share", share, gt=0, lt=1)

    def params(self) -> tuple[float, ...]:
        """What the compiled algorithm is given."""
        return self.threshold, self.share, self.slack, _CLIP, self.warm_up / 2, spread_of_mean(self.share)

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        """See `Detector.algorithm`."""
        mean, sd, after = baseline(x, state, self.share)
        least = state.floor * spread_of_mean(self.share)  # of many values: a step between two is no measure of them
        z = np.clip((x - mean) / np.maximum(sd, least), -_CLIP, _CLIP)
        z = np.where(state.seen >= self.warm_up / 2, z, 0.0)  # a baseline of a few values is none
        up, down = reflected(state["up"], z - self.slack), reflected(state["down"], -z - self.slack)
        total = np.maximum(up, down)
        parts = {"center": mean, "distance": np.where(up >= down, total, -total)}
        return Scores(total / self.threshold, parts, {**after, "up": up, "down": down})

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        """A sentence for people."""
        side = "above" if parts["distance"] > 0 else "below"
        what = f"{abs(parts['distance']):.0f} sd have added up {side} the mean {parts['center']:,.4g}"
        return f"{metric} has shifted: {what}{group}, now {value:,.4g}"


def reflected(before: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """S = max(0, S + step) along the last axis, from the value before the first step.

    A plain loop, 30 ns a value: a sum minus its own minimum would be one numpy call, but its bits would depend on
    where the block began.
    """
    return np.stack([_reflected(float(start[0]), row) for start, row in zip(before, steps, strict=True)])


def _reflected(level: float, steps: np.ndarray) -> np.ndarray:
    result = []
    for step in steps.tolist():
        level += step
        if level < 0.0:  # noqa: PLR1730  max() would cost twice as much
            level = 0.0
        result.append(level)
    return np.array(result)
