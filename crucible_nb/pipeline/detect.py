"""The detection stage: detectors score every event, before sampling, and write flag, score and metric."""

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
    """Runs detectors over batches; the score of an event is the largest over the detectors.

    Args:
        detectors: Detectors with their parameters.
        dictionaries: Categories by column name.
        problems: Counter of problems.

    Attributes:
        incidents: All incidents so far.
        new_incidents: Incidents begun since the last `take_new_incidents`, each with the value of its first event.
    """

    def __init__(
        self, detectors: Sequence[Detector], dictionaries: Mapping[str, Categories], problems: Problems
    ) -> None:
        self.detectors = [detector.begin() for detector in detectors]
        self.dictionaries, self.problems = dictionaries, problems
        self.incidents = Incidents(max((detector.cooldown for detector in detectors), default=0))
        self.new_incidents: deque[tuple[Incident, float]] = deque(maxlen=LIMIT)

    def __call__(self, batch: Batch) -> None:
        """Write the columns anomaly, anomaly_score and anomaly_metric of a batch."""
        if not self.detectors:
            return
        events = EventColumns.of_batch(batch, self.dictionaries)
        score, names = np.full(len(batch), np.nan), np.full(len(batch), -1, np.int32)
        reasons: dict[int, Callable[[], str]] = {}
        for detector in self.detectors:
            try:
                scores, metric, sentences = _check_verdict(detector.judge(events), detector, len(batch))
            except Exception as error:  # noqa: BLE001  a failing user-defined detector must not lose events
                message = f"the detector {detector!r} failed: {type(error).__name__}: {error}"
                self.problems.report("errors", message, len(batch))
                continue
            codes = np.array([self.dictionaries["anomaly_metric"].code(name) for name in detector.metrics], np.int32)
            better = ~np.isnan(scores) & ~(scores <= score)
            score[better], names[better] = scores[better], codes[metric[better]]
            alarms = np.flatnonzero(better & (scores >= 1)).tolist()
            reasons |= {i: partial(_reason, sentences, i, detector.metrics[metric[i]]) for i in alarms}
        flags = score >= 1
        batch.cells["anomaly"] = Column("flag", flags)
        batch.cells["anomaly_score"] = Column("float", score)
        batch.cells["anomaly_metric"] = Column("category", np.where(flags, names, -1).astype(np.int32))
        for i in np.flatnonzero(flags).tolist():
            metric = self.dictionaries["anomaly_metric"].values[names[i]]
            if self.incidents.add(batch.first_seq + i, int(batch.time[i]), float(score[i]), metric, reasons[i]):
                self.new_incidents.append((self.incidents.all[-1], float(events[metric][i])))

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {
            "detectors": [detector.to_dict() for detector in self.detectors],
            "incidents": self.incidents.to_dict(),
            "begun": [[list(astuple(incident)), value] for incident, value in self.new_incidents],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        pairs = zip(self.detectors, state["detectors"], strict=True)
        self.detectors = [detector.from_dict(saved) for detector, saved in pairs]
        self.incidents.load(state["incidents"])
        self.new_incidents.clear()
        self.new_incidents.extend((Incident.from_list(incident), value) for incident, value in state["begun"])

    def take_new_incidents(self) -> list[tuple[Incident, float]]:
        """Return and clear the incidents begun since the last call, each with the value of its first event."""
        incidents = list(self.new_incidents)
        self.new_incidents.clear()
        return incidents


def _check_verdict(
    verdict: Verdict, detector: Detector, length: int
) -> tuple[np.ndarray, np.ndarray, Mapping[int, str]]:
    """Check shapes and metrics of a verdict; return scores, metric indices and reasons."""
    score, metric = np.asarray(verdict.score, np.float64), np.asarray(verdict.metric, np.int64)
    if score.shape != (length,) or metric.shape != (length,):
        raise ValueError(f"expected {length} scores and metrics, got {score.shape} and {metric.shape}")
    if (metric[~np.isnan(score)] >= len(detector.metrics)).any() or (metric[~np.isnan(score)] < 0).any():
        raise ValueError(f"expected metrics from 0 to {len(detector.metrics) - 1} where there is a score")
    return score, metric, verdict.reasons


def _reason(reasons: Mapping[int, str], i: int, metric: str) -> str:
    try:
        return str(reasons[i])
    except Exception:  # noqa: BLE001  a user-defined detector may fail to give a reason
        return f"{metric} is anomalous"
