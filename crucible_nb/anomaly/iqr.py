"""Distance outside the quartiles of the recent past."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from crucible_nb.anomaly.windowed import Windowed, quantile_of_sorted


class IQR(Windowed):
    """Distance outside the quartiles of the group's last 256 values, in interquartile ranges.

    It cannot judge columns of 0 and 1, whose quartiles are mostly equal: use `Auto` or `CUSUM`.

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Distance from the nearer quartile at which the score is 1.0, in interquartile ranges, default 3
            (Tukey's "far out").

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.r_[np.tile([90.0, 100.0, 110.0], 50), 400.0]
        >>> float(cr.anomaly.score(latency, cr.anomaly.IQR()).iloc[-1]) > 1
        True

    References:
        Tukey: Exploratory Data Analysis. Addison-Wesley (1977).
    """

    restorable: ClassVar[bool] = True
    default: ClassVar[float] = 3.0
    unit: ClassVar[str] = "interquartile ranges"
    middle: ClassVar[str] = "quartiles about"

    def read(self, values: np.ndarray, step: float) -> tuple[float, ...]:
        """Compute median, lower and upper quartile, and interquartile range."""
        ordered = np.sort(values)
        low, median, high = (quantile_of_sorted(ordered, q) for q in (0.25, 0.5, 0.75))
        return median, low, high, max(high - low, self.floor_of(values, step))

    def distance(self, x: np.ndarray, base: tuple[float, ...]) -> np.ndarray:
        """Compute distances in interquartile ranges; 0 between the quartiles."""
        _, low, high, width = base
        return np.asarray(np.where(x > high, x - high, np.minimum(x - low, 0.0)) / width)
