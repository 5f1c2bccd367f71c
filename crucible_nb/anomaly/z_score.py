"""Distance from the mean of the past in standard deviations."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector, Given
from crucible_nb.anomaly.recursions import Scores, initial_moments, moments_before


class ZScore(Detector):
    """Distance from the mean of the group's past, in standard deviations of that past.

    The past is about the last 10,000 values, so a new level becomes normal.

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Distance at which the score is 1.0, in standard deviations, default 3.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.r_[np.tile([90.0, 110.0], 50), 500.0]
        >>> float(cr.anomaly.score(latency, cr.anomaly.ZScore()).iloc[-1]) > 1
        True

    References:
        Shewhart: Economic Control of Quality of Manufactured Product. Van Nostrand (1931).
    """

    state: ClassVar = initial_moments("value")
    restorable: ClassVar[bool] = True
    kernel: ClassVar[int] = 0

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        mean, sd, after = moments_before("value", x, state, state.n)
        distance = (x - mean) / np.maximum(sd, state.floor)
        return Scores(np.abs(distance) / self.threshold, {"center": mean, "distance": distance}, after)
