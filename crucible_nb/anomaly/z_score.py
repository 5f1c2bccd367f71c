"""How many standard deviations from the mean of the past."""

from __future__ import annotations

import numpy as np

from crucible_nb.anomaly.base import Detector, Scores, State, before_each, running_sum


def moments(x: np.ndarray, state: State, name: str = "") -> tuple[np.ndarray, np.ndarray, State]:
    """Mean and standard deviation (n - 1) of all values before each, and the sums after each.

    Sums are of differences to the first value, so an offset costs no digits.

    Args:
        x: float64[g, m].
        state: n, anchor, sum and square of the group, under names that end in `name`.
        name: To tell several apart.
    """
    n = state[f"n{name}"] + np.arange(1, x.shape[1] + 1)
    anchor = np.where(state[f"n{name}"] > 0, state[f"anchor{name}"], x[:, :1])
    total = running_sum(state[f"sum{name}"], x - anchor)
    square = running_sum(state[f"square{name}"], (x - anchor) ** 2)
    past, mean, squares = n - 1, before_each(state[f"sum{name}"], total), before_each(state[f"square{name}"], square)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = mean / past
        variance = (squares - past * mean**2) / (past - 1)
    sd = np.sqrt(np.maximum(np.nan_to_num(variance), 0.0))
    full = np.broadcast_to(anchor, x.shape)
    return mean + anchor, sd, {f"n{name}": n, f"anchor{name}": full, f"sum{name}": total, f"square{name}": square}


MOMENTS = {"n": 0.0, "anchor": 0.0, "sum": 0.0, "square": 0.0}


class ZScore(Detector):
    """Distance from the mean of the group's past, in its standard deviations.

    Args:
        metrics, warm_up, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Standard deviations, default 3.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.r_[np.tile([90.0, 110.0], 50), 500.0]
        >>> float(cr.anomaly.score(latency, cr.anomaly.ZScore()).iloc[-1]) > 1
        True

    References:
        Shewhart: Economic Control of Quality of Manufactured Product. Van Nostrand (1931).
    """

    state = MOMENTS

    def algorithm(self, x: np.ndarray, state: State) -> Scores:
        """See `Detector.algorithm`."""
        mean, sd, after = moments(x, state)
        distance = (x - mean) / np.maximum(sd, state["floor"])
        return Scores(np.abs(distance) / self.threshold, {"center": mean, "distance": distance}, after)
