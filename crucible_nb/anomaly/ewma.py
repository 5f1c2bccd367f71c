"""Distance from the recent mean in recent standard deviations: a threshold that follows the series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector, Given
from crucible_nb.anomaly.recursions import Scores, State, exponential_means, shift_by_one
from crucible_nb.utils import checks


def baseline(x: np.ndarray, state: State, share: float) -> tuple[np.ndarray, np.ndarray, State]:
    """Return the exponentially weighted mean and sd before each value, and the state after each."""
    start = np.where(state["count"] == 0, x[:, :1], state["mean"])
    after = exponential_means(share, x, start)
    mean = shift_by_one(start, after)
    # v' = (1 - a) (v + a d^2), with d the distance to the mean before the value
    variance = exponential_means(share, (1 - share) * (x - mean) ** 2, state["variance"])
    return mean, np.sqrt(shift_by_one(state["variance"], variance)), {"mean": after, "variance": variance}


class EWMA(Detector):
    """Distance from the exponentially weighted mean before the value, in equally weighted standard deviations.

    A value is scored before it is learnt: a score against a mean that already contains the value could never exceed
    1 / sqrt(share).

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Distance at which the score is 1.0, in standard deviations, default 4.
        share: Weight of the newest value, in (0, 1); the memory is about 1 / share values.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> rising = np.arange(300.0) + np.tile([0.0, 3.0], 150)
        >>> rising[250] += 50
        >>> cr.anomaly.score(rising, cr.anomaly.EWMA(share=0.1)).idxmax()
        250

    References:
        Roberts: Control chart tests based on geometric moving averages. Technometrics 1 (1959).
        West: Updating mean and variance estimates. CACM 22 (1979).
    """

    state: ClassVar = {"mean": 0.0, "variance": 0.0}
    restorable: ClassVar[bool] = True
    kernel: ClassVar[int] = 1
    default: ClassVar[float] = 4.0
    middle = "recent mean"

    def __init__(
        self,
        metrics: str | Sequence[str] = ("latency_ms", "cost_usd"),
        threshold: float | None = None,
        *,
        share: float = 0.02,
        **options: Any,
    ) -> None:
        super().__init__(metrics, threshold, **options)
        self.share = checks.number("share", share, gt=0, lt=1)

    def params(self) -> tuple[float, ...]:
        return self.threshold, self.share

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        mean, sd, after = baseline(x, state, self.share)
        distance = (x - mean) / np.maximum(sd, state.floor)
        return Scores(np.abs(distance) / self.threshold, {"center": mean, "distance": distance}, after)
