"""Models that score and learn one event at a time, such as river's."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from crucible_nb.anomaly.base import Detector, Verdict, is_valid
from crucible_nb.anomaly.texts import format_limit, format_number
from crucible_nb.events.event_columns import EventColumns


class Model(Protocol):
    """The interface of an anomaly detector in river."""

    def score_one(self, x: dict[str, float]) -> float:
        """Score an event; higher is more anomalous."""
        ...

    def learn_one(self, x: dict[str, float]) -> Any:
        """Update the model with an event."""
        ...


class OneByOne(Detector):
    """Base class of detectors with a model that scores one event, then learns it; a subclass defines `model`.

    Events that lack one of the metrics are skipped. The running time is that of the model. The state of a third-party
    model is not saved, so a resumed experiment starts a new model.

    Args:
        metrics, warm_up, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Score of the model that counts as an anomaly.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import crucible_nb as cr
        >>> class Record:
        ...     highest = 0.0
        ...     def score_one(self, x):
        ...         return x["loss"] / max(self.highest, 1.0)
        ...     def learn_one(self, x):
        ...         self.highest = max(self.highest, x["loss"])
        >>> class Records(cr.anomaly.OneByOne):
        ...     def model(self):
        ...         return Record()
        >>> loss = np.r_[np.tile([1.0, 2.0], 20), 9.0]
        >>> scores = cr.anomaly.score(pd.DataFrame({"loss": loss}), Records("loss", threshold=3.0))
        >>> np.flatnonzero(scores >= 1).tolist()
        [40]
    """

    def model(self) -> Model:
        """Create a new model, before its first event."""
        raise NotImplementedError(f"{type(self).__name__} has no model()")

    def start(self) -> None:
        """Set up the state before the first event."""
        super().start()
        self._models: dict[int, tuple[Model, list[int]]] = {}

    def judge(self, events: EventColumns) -> Verdict:
        x, codes = np.stack([events[metric] for metric in self.metrics], axis=1), self._groups.codes(events)
        raw = np.full(len(events), np.nan)
        for i in np.flatnonzero(is_valid(x).all(axis=1)).tolist():
            raw[i] = self._score_event(int(codes[i]), dict(zip(self.metrics, x[i].tolist(), strict=True)))
        score, reasons = self._calibrate(self.metrics[0], raw, codes), {}
        for i in np.flatnonzero(score >= 1).tolist():
            values = ", ".join(f"{name} {format_number(v)}" for name, v in zip(self.metrics, x[i], strict=True))
            own, group = raw[i] * self.threshold, self._groups.describe(int(codes[i]))
            reasons[i] = f"{values} scores {format_number(own)}{group}, {format_limit(own, score[i])}"
        return Verdict(score, np.where(np.isnan(score), -1, 0), reasons)

    def _score_event(self, group: int, values: dict[str, float]) -> float:
        model, counts = (
            self._models[group] if group in self._models else self._models.setdefault(group, (self.model(), [0, 0]))
        )
        score = model.score_one(values) / self.threshold if counts[0] >= self.warm_up else float("nan")
        counts[0] += 1
        counts[1] = counts[1] + 1 if score >= 1 else 0
        if self.learn == "always" or counts[1] == 0 or counts[1] > self.PATIENCE:
            model.learn_one(values)
        return score
