"""Isolation forest: unusual combinations of several metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from crucible_nb.anomaly.refitted import Model, Refitted
from crucible_nb.utils import checks
from crucible_nb.utils.optional import need

_LARGEST = 3e38  # scikit-learn computes in float32


class IsolationForest(Refitted):
    """Isolation score of an event among a sample of earlier events, over all metrics together.

    The fewer random splits isolate an event, the higher its score. Refitted at 256, 512, 1,024, ... events, see
    `Refitted`.

    Args:
        metrics, cooldown, false_alarm_rate: See `Detector`.
        threshold: Isolation score in (0, 1) at which the score is 1.0, default 0.65; an average event has 0.5.
        trees: Number of trees.
        seed: Seed of the forest.

    Raises:
        ConfigError: scikit-learn is not installed (extra `anomaly`).

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> rng = np.random.default_rng(0)
        >>> frame = pd.DataFrame({"latency_ms": rng.normal(100, 10, 600)})
        >>> frame["completion_tokens"] = frame.latency_ms * 2 + rng.normal(0, 1, 600)
        >>> frame.loc[550] = [150.0, 20.0]
        >>> forest = cr.anomaly.IsolationForest(["latency_ms", "completion_tokens"])
        >>> scores = cr.anomaly.score(frame, forest, cooldown=0)
        >>> bool(scores.iloc[550] >= 1), int((scores >= 1).sum()) < 10
        (True, True)

    References:
        Liu, Ting, Zhou: Isolation forest. ICDM (2008).
    """

    restorable: ClassVar[bool] = True
    default: ClassVar[float] = 0.65

    def __init__(
        self,
        metrics: str | Sequence[str] = ("latency_ms", "cost_usd"),
        threshold: float | None = None,
        *,
        trees: int = 100,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(metrics, threshold, **options)
        self.trees, self.seed = checks.whole("trees", trees, ge=1), checks.whole("seed", seed)
        _ensemble()  # a missing scikit-learn is an error here, not at the first fit

    def fit(self, sample: np.ndarray) -> Model:
        forest = _ensemble().IsolationForest(n_estimators=self.trees, random_state=self.seed)
        forest.fit(np.clip(sample, -_LARGEST, _LARGEST))
        return lambda rows: np.asarray(-forest.score_samples(np.clip(rows, -_LARGEST, _LARGEST)))


def _ensemble() -> Any:
    return need("sklearn.ensemble", "anomaly", "an isolation forest")
