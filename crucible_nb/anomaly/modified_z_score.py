"""How many robust standard deviations from the median of the recent past."""

from __future__ import annotations

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

    def read(self, values: np.ndarray) -> tuple[float, ...]:
        """Median and robust standard deviation."""
        median = middle(np.sort(values), 0.5)
        off = np.sort(np.abs(values - median))
        scale = 1.4826 * middle(off, 0.5) or 1.2533 * float(off.mean())
        return median, max(scale, self.floor_of(values))

    def distance(self, x: np.ndarray, base: tuple[float, ...]) -> np.ndarray:
        """In robust standard deviations."""
        return np.asarray((x - base[0]) / base[1])
