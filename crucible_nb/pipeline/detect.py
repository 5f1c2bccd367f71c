"""The detection stage: detectors score every event, before sampling, and write flag, score and metric."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.anomaly import Detector, Incident, Incidents, Verdict
from crucible_nb.anomaly.exact_json import encode_floats
from crucible_nb.anomaly.incidents import LIMIT
from crucible_nb.anomaly.tellings import SEVERITIES
from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils.problems import Problems


class Telling(NamedTuple):
    """News of an incident: it has begun, or is clearly worse than what was told of it.

    Attributes:
        time: Time of the event that shows it, UTC nanoseconds.
        metric, value: Its metric and its value of that metric.
        score: Its score.
        reason: Sentence that explains it.
    """

    time: int
    metric: str
    value: float
    score: float
    reason: str


class DetectionStage:
    """Runs detectors over batches; the score of an event is the largest over the detectors.

    Args:
        detectors: Detectors with their parameters.
        dictionaries: Categories by column name.
        problems: Counter of problems.
        notify: Least severity of an incident that is told.

    Attributes:
        incidents: All incidents so far.
        tellings: What is to be told of them since the last `take_tellings`.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        dictionaries: Mapping[str, Categories],
        problems: Problems,
        notify: str = "medium",
    ) -> None:
        self.detectors = [detector.begin() for detector in detectors]
        self.dictionaries, self.problems = dictionaries, problems
        self.incidents = Incidents(max((detector.cooldown for detector in detectors), default=0))
        self.tellings: deque[Telling] = deque(maxlen=LIMIT)
        self._least = SEVERITIES[notify]
        self._heard: int | None = None  # time of the newest telling of the newest incident

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
            time, peak = int(batch.time[i]), float(score[i])
            if told := self.incidents.add(batch.first_seq + i, time, peak, metric, reasons[i]):
                self._tell(told, time, peak, metric, float(events[metric][i]))

    def _tell(self, told: str, time: int, score: float, metric: str, value: float) -> None:
        """Queue what is to be told of the newest incident, unless it is not severe enough."""
        if told == "begin":
            self._heard = None
        if score >= self._least:
            reason = self.incidents.all[-1].reason  # of its highest score, which is this one
            if self._heard is not None:
                reason += f"; worse than told at {pd.Timestamp(self._heard):%Y-%m-%d %H:%M:%S}"
            self.tellings.append(Telling(time, metric, value, score, reason))
            self._heard = time

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {
            "detectors": [detector.to_dict() for detector in self.detectors],
            "incidents": self.incidents.to_dict(),
            "tellings": [list(one._replace(value=encode_floats(one.value))) for one in self.tellings],
            "heard": self._heard,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state of `to_dict`."""
        pairs = zip(self.detectors, state["detectors"], strict=True)
        self.detectors = [detector.from_dict(saved) for detector, saved in pairs]
        self.incidents.load(state["incidents"])
        self.tellings.clear()
        self.tellings.extend(Telling(*one)._replace(value=float(one[2])) for one in state.get("tellings", ()))
        self.tellings.extend(_telling_of(*begun) for begun in state.get("begun", ()))  # of release 0.1
        self._heard = state.get("heard")

    def take_tellings(self) -> list[Telling]:
        """Return and clear what is to be told since the last call."""
        tellings = list(self.tellings)
        self.tellings.clear()
        return tellings


def _telling_of(cells: list[Any], value: float) -> Telling:
    """Return what release 0.1 would tell of an incident."""
    incident = Incident.from_list(cells)
    return Telling(incident.start, incident.metrics[0], value, incident.peak, incident.reason)


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
