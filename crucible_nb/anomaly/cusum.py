"""Level shifts: cumulative sums of small deviations on one side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector, Given
from crucible_nb.anomaly.ewma import baseline
from crucible_nb.anomaly.recursions import Scores, sd_of_mean
from crucible_nb.utils import checks

_CLIP = 4.0  # a single spike is not a shift


class CUSUM(Detector):
    """Cumulative sum of the deviations beyond `slack` from a slow baseline, on each side; a value adds at most 4 sd.

    The baseline follows the values, so that a new level becomes normal.

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Cumulative sum at which the score is 1.0, in standard deviations, default 12.
        slack: Part of each deviation that is not counted, in standard deviations.
        share: Weight of the newest value in the baseline, in (0, 1).

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
    restorable: ClassVar[bool] = True
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
        return self.threshold, self.share, self.slack, _CLIP, self.warm_up / 2, sd_of_mean(self.share)

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        mean, sd, after = baseline(x, state, self.share)
        mean_floor = state.floor * sd_of_mean(self.share)  # the floor of one value, scaled to the mean of many
        z = np.clip((x - mean) / np.maximum(sd, mean_floor), -_CLIP, _CLIP)
        z = np.where(state.seen >= self.warm_up / 2, z, 0.0)  # a baseline of few values is not used
        up, down = cumulative_sums(state["up"], z - self.slack), cumulative_sums(state["down"], -z - self.slack)
        total = np.maximum(up, down)
        parts = {"center": mean, "distance": np.where(up >= down, total, -total)}
        return Scores(total / self.threshold, parts, {**after, "up": up, "down": down})

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        side = "above" if parts["distance"] > 0 else "below"
        total = f"{abs(parts['distance']):.0f} sd have added up {side} the mean {parts['center']:,.4g}"
        return f"{metric} has shifted: {total}{group}, now {value:,.4g}"


def cumulative_sums(before: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Compute S = max(0, S + step) along the last axis, from the value before the first step.

    A plain loop, 30 ns per value: a sum minus its own minimum would be one numpy call, but its bits would depend on
    where the block starts.
    """
    return np.stack([_cumulative_sum(float(start[0]), row) for start, row in zip(before, steps, strict=True)])


def _cumulative_sum(level: float, steps: np.ndarray) -> np.ndarray:
    result = []
    for step in steps.tolist():
        level += step
        if level < 0.0:  # noqa: PLR1730  max() would cost twice as much
            level = 0.0
        result.append(level)
    return np.array(result)
