"""The recommended detector: three rules chosen on labelled data, with few false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector, Given, format_distance, format_number
from crucible_nb.anomaly.recursions import Scores, exponential_means, initial_moments, moments_before, sd_of_mean

_SHARE = 0.02  # weight of the newest value in recent means: about the last 50 values
_LIMIT, _YOUNG = 3.2, 100  # limit of recent means in sd; number of values at which the limit is twice as wide
_MARGIN, _YOUNG_MARGIN = 0.5, 300  # the same for a value outside the range of all values so far


class Auto(Detector):
    """Detector of changes in level, dispersion and range, each compared with the whole past of the group.

    - Level: the mean of about the last 50 values is 3.2 standard deviations from its own past. One value hardly moves
      this mean; a shift, a burst or a drift does.
    - Dispersion: the same rule for the distance of the values from their mean, at any level.
    - Extreme: a value exceeds all values so far by half a standard deviation.

    A long memory, 10,000 values, gives few false alarms: patterns that occurred before raise none. After only n values
    the limits of level and dispersion are wider by 1 + 100 / n, that of an extreme by 1 + 300 / n. A new level becomes
    normal after about a tenth of the memory. Alarms merge into one incident until 300 rows pass without one.

    Args:
        metrics, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Factor that scales the limits of all rules, default 1.
        warm_up: Number of values of a group before the first score, default 150.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.random.default_rng(0).normal(400, 50, 3000)
        >>> latency[2000:2100] += 100
        >>> scores = cr.anomaly.score(latency)
        >>> 2000 <= (scores >= 1).idxmax() < 2020, int((scores >= 1).sum())
        (True, 1)

    References:
        Roberts: Control chart tests based on geometric moving averages. Technometrics 1 (1959).
        Lavin, Ahmad: Evaluating real-time anomaly detection algorithms: the Numenta anomaly benchmark. ICMLA (2015).
    """

    state: ClassVar = {
        **initial_moments("value", "level", "spread"),
        "weight": 0.0,
        "level": 0.0,
        "spread": 0.0,
        "highest": -np.inf,
        "lowest": np.inf,
    }
    restorable: ClassVar[bool] = True
    kernel: ClassVar[int] = 3
    default: ClassVar[float] = 1.0

    def __init__(
        self,
        metrics: str | Sequence[str] = ("latency_ms", "cost_usd"),
        threshold: float | None = None,
        *,
        warm_up: int = 150,
        **options: Any,
    ) -> None:
        super().__init__(metrics, threshold, warm_up=warm_up, **options)

    def params(self) -> tuple[float, ...]:
        return self.threshold, _SHARE, _LIMIT, _YOUNG, _MARGIN, _YOUNG_MARGIN

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        n, floor = state.n, state.floor
        mean, sd, after = moments_before("value", x, state, n)
        sd, mean_floor = np.maximum(sd, floor), floor * sd_of_mean(_SHARE)
        # dividing by the sum of weights corrects the first exponentially weighted means, which cover few values
        weight = exponential_means(_SHARE, np.ones(x.shape), state["weight"])
        level = exponential_means(_SHARE, x, state["level"])
        spread = exponential_means(_SHARE, np.abs(x - mean), state["spread"])
        parts = {"center": mean, "distance": (x - mean) / sd}
        for name, recent in (("level", level / weight), ("spread", spread / weight)):
            center, scale, sums = moments_before(name, recent, state, n)
            far = (recent - center) / np.maximum(scale, mean_floor)
            parts |= {name: recent, f"{name}_usual": center, f"{name}_far": far}
            after |= sums
        high = np.maximum.accumulate(np.concatenate((state["highest"], x), axis=1), axis=1)
        low = np.minimum.accumulate(np.concatenate((state["lowest"], x), axis=1), axis=1)
        seen = np.maximum(state.seen, 1.0)
        excess = np.maximum(x - high[:, :-1], low[:, :-1] - x) / (_MARGIN * sd)
        parts["extreme"] = excess / (1 + _YOUNG_MARGIN / seen)
        furthest = np.maximum(np.abs(parts["level_far"]), np.abs(parts["spread_far"]))
        parts["recent"] = furthest / (_LIMIT * (1 + _YOUNG / seen))
        score = np.maximum(parts["recent"], parts["extreme"]) / self.threshold
        after |= {"weight": weight, "level": level, "spread": spread, "highest": high[:, 1:], "lowest": low[:, 1:]}
        return Scores(score, parts, after)

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        rule = max(("level", "spread"), key=lambda name: abs(parts[f"{name}_far"]))
        far, recent, center = (parts[name] for name in (f"{rule}_far", rule, f"{rule}_usual"))
        if parts["extreme"] >= parts["recent"]:
            extreme, side = ("highest", "above") if parts["distance"] > 0 else ("lowest", "below")
            offset = f"{format_distance(parts['distance'], 'sd')} {side} the mean {format_number(parts['center'])}"
            return f"{metric} {format_number(value)} is the {extreme} ever{group}, {offset}"
        side = "above" if far > 0 else "below"
        statistic = "mean" if rule == "level" else "mean deviation"
        offset = f"{format_number(recent)}, {format_distance(far, 'sd')} {side} the usual {format_number(center)}"
        return f"{metric}: the {statistic} of the last 50 is {offset}{group}"
