"""The recommended detector: two rules that earn their place on labelled data, and quiet otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from crucible_nb.anomaly.base import Detector, Scores, State, smoothed
from crucible_nb.anomaly.z_score import MOMENTS, moments

_SHARE = 0.02  # the recent mean remembers 50 values
_LIMIT = 3.0  # its standard deviations, among all recent means so far
_MARGIN = 0.25  # standard deviations by which a value has to exceed all values so far
_YOUNG_LIMIT, _YOUNG_MARGIN = 100, 500  # with so many values behind it, a history has to be exceeded twice as far


class Auto(Detector):
    """Is the recent mean out of line with all recent means so far, or the value beyond all values so far?

    - The mean of about the last 50 values, three standard deviations from its own past. One value hardly moves it;
      a shift, a burst or a drift does.
    - A new extreme of the whole history, by a quarter of a standard deviation.

    A long memory makes it quiet: what happened before is no news. A short history is believed less: both limits are
    wider in the beginning. Alarms merge into one incident until 300 rows pass without one.

    Args:
        metrics, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Scales both rules, default 1.
        warm_up: Values of a group before the first score, default 150.

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.random.default_rng(0).normal(400, 50, 3000)
        >>> latency[2000:2100] += 100
        >>> scores = cr.anomaly.score(latency)
        >>> 2000 <= (scores >= 1).idxmax() < 2020, int((scores >= 1).sum())
        (True, 1)
    """

    state: ClassVar = {
        **MOMENTS,
        **{f"{name}_recent": value for name, value in MOMENTS.items()},
        "highest": -np.inf,
        "lowest": np.inf,
        "weight": 0.0,
        "recent": 0.0,
    }
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

    def algorithm(self, x: np.ndarray, state: State) -> Scores:
        """See `Detector.algorithm`."""
        mean, sd, all_values = moments(x, state)
        high = np.maximum.accumulate(np.concatenate((state["highest"], x), axis=1), axis=1)
        low = np.minimum.accumulate(np.concatenate((state["lowest"], x), axis=1), axis=1)
        beyond = np.maximum(x - high[:, :-1], low[:, :-1] - x) / np.maximum(sd, state["floor"])
        # the first means of an exponentially weighted sum are of few values: divided by their weight
        weight = smoothed(_SHARE, np.ones(x.shape), state["weight"])
        total = smoothed(_SHARE, x, state["recent"])
        recent = total / weight
        center, spread, all_means = moments(recent, state, "_recent")
        shift = (recent - center) / np.maximum(spread, state["floor"])
        seen = np.maximum(state["n"] + np.arange(x.shape[1]), 1.0)
        shifted = np.abs(shift) / (_LIMIT * (1 + _YOUNG_LIMIT / seen))
        extreme = beyond / (_MARGIN * (1 + _YOUNG_MARGIN / seen))
        score = np.fmax(shifted, extreme) / self.threshold
        after = {**all_values, **all_means, "highest": high[:, 1:], "lowest": low[:, 1:]}
        parts = {
            "center": mean,
            "distance": (x - mean) / np.maximum(sd, state["floor"]),
            "shift": shift,
            "recent": recent,
        }
        parts |= {"usual": center, "extreme": np.asarray(extreme >= shifted, np.float64)}
        return Scores(score, parts, {**after, "weight": weight, "recent": total})

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        """A sentence for people."""
        if parts["extreme"]:
            which = "highest" if parts["distance"] > 0 else "lowest"
            side = "above" if parts["distance"] > 0 else "below"
            said = (
                f"is the {which} ever{group}, {abs(parts['distance']):.1f} sd {side} the mean {_said(parts['center'])}"
            )
            return f"{metric} {_said(value)} {said}"
        side = "above" if parts["shift"] > 0 else "below"
        said = f"{_said(parts['recent'])}, {abs(parts['shift']):.1f} sd {side} the usual {_said(parts['usual'])}"
        return f"{metric}: the mean of the last 50 is {said}{group}"


def _said(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
