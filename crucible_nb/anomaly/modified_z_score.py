"""Distance from the median of the recent past in robust standard deviations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from crucible_nb.anomaly.windowed import Windowed, quantile_of_sorted


class ModifiedZScore(Windowed):
    """Distance from the median of the group's last 256 values in units of 1.4826 MAD.

    If more than half of the values are equal, the MAD is 0; the unit is then 1.2533 times the mean absolute deviation.
    It cannot judge columns of 0 and 1, of which most values are equal: use `Auto` or `CUSUM`.

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Distance at which the score is 1.0, in robust standard deviations, default 3.5.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.r_[np.tile([90.0, 100.0, 110.0], 50), 400.0]
        >>> float(cr.anomaly.score(latency, cr.anomaly.ModifiedZScore()).iloc[-1]) > 1
        True

    References:
        Iglewicz, Hoaglin: How to Detect and Handle Outliers. ASQC (1993).
    """

    restorable: ClassVar[bool] = True
    default: ClassVar[float] = 3.5
    unit: ClassVar[str] = "robust sd"
    middle: ClassVar[str] = "median"

    def read(self, values: np.ndarray, step: float) -> tuple[float, ...]:
        """Compute median, robust standard deviation, and whether the MAD was 0."""
        median = quantile_of_sorted(np.sort(values), 0.5)
        deviations = np.sort(np.abs(values - median))
        mad = 1.4826 * quantile_of_sorted(deviations, 0.5)
        return median, max(mad or 1.2533 * float(deviations.mean()), self.floor_of(values, step)), float(mad == 0)

    def rule(self, base: tuple[float, ...]) -> float:
        """Return 1 if more than half of the values were equal, so that the MAD was 0."""
        return base[2]

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        sentence = super().reason(metric, value, parts, group)
        return f"{sentence} (by the mean deviation: most values were alike)" if parts["rule"] else sentence

    def distance(self, x: np.ndarray, base: tuple[float, ...]) -> np.ndarray:
        """Compute distances in robust standard deviations."""
        return np.asarray((x - base[0]) / base[1])
