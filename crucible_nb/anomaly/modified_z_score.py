"""How many robust standard deviations from the median of the recent past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from crucible_nb.anomaly.windowed import Windowed, middle


class ModifiedZScore(Windowed):
    """Distance from the median of the group's last 256 values in units of 1.4826 MAD.

    Where more than half the values are alike the MAD is 0; then the mean absolute deviation, 1.2533 times, is the
    unit.

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Robust standard deviations, default 3.5.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.r_[np.tile([90.0, 100.0, 110.0], 50), 400.0]
        >>> float(cr.anomaly.score(latency, cr.anomaly.ModifiedZScore()).iloc[-1]) > 1
        True

    References:
        Iglewicz, Hoaglin: How to Detect and Handle Outliers. ASQC (1993).
    """

    default: ClassVar[float] = 3.5
    unit: ClassVar[str] = "robust sd"
    middle: ClassVar[str] = "median"

    def read(self, values: np.ndarray, step: float) -> tuple[float, ...]:
        """Median and robust standard deviation."""
        median = middle(np.sort(values), 0.5)
        off = np.sort(np.abs(values - median))
        mad = 1.4826 * middle(off, 0.5)
        return median, max(mad or 1.2533 * float(off.mean()), self.floor_of(values, step)), float(mad == 0)

    def rule(self, base: tuple[float, ...]) -> float:
        """1 where more than half the values were alike, so that the MAD was 0."""
        return base[2]

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        """A sentence for people."""
        said = super().reason(metric, value, parts, group)
        return f"{said} (by the mean deviation: most values were alike)" if parts["rule"] else said

    def distance(self, x: np.ndarray, base: tuple[float, ...]) -> np.ndarray:
        """In robust standard deviations."""
        return np.asarray((x - base[0]) / base[1])
