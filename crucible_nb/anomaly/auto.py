"""The recommended detector: three rules that earn their place on labelled data, and quiet otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector, Given, distance, number
from crucible_nb.anomaly.recursions import Scores, moments, moments_of, smoothed, spread_of_mean

_SHARE = 0.02  # recent means remember 50 values
_LIMIT, _YOUNG = 3.2, 100  # standard deviations of recent means; after so many values it is twice as wide
_MARGIN, _YOUNG_MARGIN = 0.5, 300  # the same of a value beyond all values so far


class Auto(Detector):
    """Is the value, the recent level or the recent spread out of line with all that the group did so far?

    - Level: the mean of about the last 50 values, 3.2 standard deviations from its own past. One value hardly moves it;
      a shift, a burst or a drift does.
    - Spread: the same of the values' distance from their mean. Values may begin to scatter about the same level.
    - Extreme: a value beyond all values so far, by half a standard deviation.

    A long memory, 10,000 values, makes it quiet: what happened before is no news. A short past is believed less: after
    n values the limits of level and spread are 1 + 100 / n times as wide, that of an extreme 1 + 300 / n times. A new
    level is the normal one once it has filled about a tenth of the memory. Alarms merge into one incident until 300
    rows pass without one.

    Args:
        metrics, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Scales all rules, default 1.
        warm_up: Values of a group before the first score, default 150.

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
        **moments_of("value", "level", "spread"),
        "weight": 0.0,
        "level": 0.0,
        "spread": 0.0,
        "highest": -np.inf,
        "lowest": np.inf,
    }
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
        """What the compiled algorithm is given."""
        return self.threshold, _SHARE, _LIMIT, _YOUNG, _MARGIN, _YOUNG_MARGIN

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        """See `Detector.algorithm`."""
        n, floor = state.n, state.floor
        mean, sd, after = moments("value", x, state, n)
        sd, least = np.maximum(sd, floor), floor * spread_of_mean(_SHARE)
        # the first means of an exponentially weighted sum are of few values: divided by their weight
        weight = smoothed(_SHARE, np.ones(x.shape), state["weight"])
        level = smoothed(_SHARE, x, state["level"])
        spread = smoothed(_SHARE, np.abs(x - mean), state["spread"])
        parts = {"center": mean, "distance": (x - mean) / sd}
        for name, now in (("level", level / weight), ("spread", spread / weight)):
            usual, scale, sums = moments(name, now, state, n)
            parts |= {name: now, f"{name}_usual": usual, f"{name}_far": (now - usual) / np.maximum(scale, least)}
            after |= sums
        high = np.maximum.accumulate(np.concatenate((state["highest"], x), axis=1), axis=1)
        low = np.minimum.accumulate(np.concatenate((state["lowest"], x), axis=1), axis=1)
        seen = np.maximum(state.seen, 1.0)
        beyond = np.maximum(x - high[:, :-1], low[:, :-1] - x) / (_MARGIN * sd)
        parts["extreme"] = beyond / (1 + _YOUNG_MARGIN / seen)
        recent = np.maximum(np.abs(parts["level_far"]), np.abs(parts["spread_far"]))
        parts["recent"] = recent / (_LIMIT * (1 + _YOUNG / seen))
        score = np.maximum(parts["recent"], parts["extreme"]) / self.threshold
        after |= {"weight": weight, "level": level, "spread": spread, "highest": high[:, 1:], "lowest": low[:, 1:]}
        return Scores(score, parts, after)

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        """A sentence for people."""
        recent = max(("level", "spread"), key=lambda name: abs(parts[f"{name}_far"]))
        far, now, usual = (parts[name] for name in (f"{recent}_far", recent, f"{recent}_usual"))
        if parts["extreme"] >= parts["recent"]:
            which, side = ("highest", "above") if parts["distance"] > 0 else ("lowest", "below")
            off = f"{distance(parts['distance'], 'sd')} {side} the mean {number(parts['center'])}"
            return f"{metric} {number(value)} is the {which} ever{group}, {off}"
        side = "above" if far > 0 else "below"
        what = "mean" if recent == "level" else "mean deviation"
        off = f"{number(now)}, {distance(far, 'sd')} {side} the usual {number(usual)}"
        return f"{metric}: the {what} of the last 50 is {off}{group}"
