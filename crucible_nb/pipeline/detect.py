"""The judging stage: detectors see every event, before any is dropped, and write what they say of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any

import numpy as np

from crucible_nb.anomaly import Detector, Incident, Incidents, Verdict
from crucible_nb.anomaly.incidents import LIMIT
from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils.problems import Problems


class DetectionStage:
    """Runs detectors over batches; the largest score of an event is its own.

    Args:
        detectors: With their parameters.
        dictionaries: Column name to the dictionary of its categories.
        notes: Where trouble is counted.

    Attributes:
        incidents: What was found so far.
        new_incidents: Incidents that have begun and that nobody has taken out yet, each with the value it began with.
    """

    def __init__(
        self, detectors: Sequence[Detector], dictionaries: Mapping[str, Categories], problems: Problems
    ) -> None:
        self.detectors = [detector.begin() for detector in detectors]
        self.dictionaries, self.problems = dictionaries, problems
        self.incidents = Incidents(max((detector.cooldown for detector in detectors), default=0))
        self.new_incidents: deque[tuple[Incident, float]] = deque(maxlen=LIMIT)

    def __call__(self, batch: Batch) -> None:
        """Write anomaly, anomaly_score and anomaly_metric of a batch."""
        if not self.detectors:
            return
        events = EventColumns.of_batch(batch, self.dictionaries)
        score, names = np.full(len(batch), np.nan), np.full(len(batch), -1, np.int32)
        reasons: dict[int, Callable[[], str]] = {}
        for detector in self.detectors:
            try:
                found, metric, sentences = _checked(detector.judge(events), detector, len(batch))
            except Exception as error:  # noqa: BLE001  a user's detector must not lose events
                said = f"the detector {detector!r} failed: {type(error).__name__}: {error}"
                self.problems.report("errors", said, len(batch))
                continue
            codes = np.array([self.dictionaries["anomaly_metric"].code(name) for name in detector.metrics], np.int32)
            better = ~np.isnan(found) & ~(found <= score)
            score[better], names[better] = found[better], codes[metric[better]]
            alarms = np.flatnonzero(better & (found >= 1)).tolist()
            reasons |= {i: partial(_sentence, sentences, i, detector.metrics[metric[i]]) for i in alarms}
        flags = score >= 1
        batch.cells["anomaly"] = Column("flag", flags)
        batch.cells["anomaly_score"] = Column("float", score)
        batch.cells["anomaly_metric"] = Column("category", np.where(flags, names, -1).astype(np.int32))
        for i in np.flatnonzero(flags).tolist():
            metric = self.dictionaries["anomaly_metric"].values[names[i]]
            if self.incidents.add(batch.first_seq + i, int(batch.time[i]), float(score[i]), metric, reasons[i]):
                self.new_incidents.append((self.incidents.all[-1], float(events[metric][i])))

    def to_dict(self) -> dict[str, Any]:
        """The state as plain data."""
        begun = [[list(astuple(one)), value] for one, value in self.new_incidents]
        return {
            "detectors": [detector.to_dict() for detector in self.detectors],
            "incidents": self.incidents.to_dict(),
            "begun": begun,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        pairs = zip(self.detectors, state["detectors"], strict=True)
        self.detectors = [detector.from_dict(one) for detector, one in pairs]
        self.incidents.load(state["incidents"])
        self.new_incidents.clear()
        for (start, end, count, peak, metrics, *rest), value in state["begun"]:
            self.new_incidents.append((Incident(start, end, count, peak, tuple(metrics), *rest), value))

    def take_new_incidents(self) -> list[tuple[Incident, float]]:
        """Incidents that have begun since the last time."""
        begun = list(self.new_incidents)
        self.new_incidents.clear()
        return begun


def _checked(verdict: Verdict, detector: Detector, length: int) -> tuple[np.ndarray, np.ndarray, Mapping[int, str]]:
    """What a detector said, if it can be used."""
    score, metric = np.asarray(verdict.score, np.float64), np.asarray(verdict.metric, np.int64)
    if score.shape != (length,) or metric.shape != (length,):
        raise ValueError(f"expected {length} scores and metrics, got {score.shape} and {metric.shape}")
    if (metric[~np.isnan(score)] >= len(detector.metrics)).any() or (metric[~np.isnan(score)] < 0).any():
        raise ValueError(f"expected metrics from 0 to {len(detector.metrics) - 1} where there is a score")
    return score, metric, verdict.reasons


def _sentence(reasons: Mapping[int, str], i: int, metric: str) -> str:
    try:
        return str(reasons[i])
    except Exception:  # noqa: BLE001  a user's detector that flags and cannot say why
        return f"{metric} is out of line"
