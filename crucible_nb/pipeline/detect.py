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
from crucible_nb.anomaly.silence import METRIC as SILENCE
from crucible_nb.anomaly.silence import Silence
from crucible_nb.anomaly.tellings import SEVERITIES, severity_of
from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils.problems import Problems

_LATER = -2  # code of a silence: it has none before the first


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
        active: Function that subtracts the pauses from times; None: times are not judged.
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
        self._silent: dict[str, tuple[float, int]] = {}  # score and time last told of silences that last, by event
        self.active: Callable[[np.ndarray], np.ndarray] | None = None

    def __call__(self, batch: Batch) -> None:
        """Write the columns anomaly, anomaly_score and anomaly_metric of a batch."""
        if not self.detectors:
            return
        times = None if self.active is None else self.active(batch.time)
        events = EventColumns.of_batch(batch, self.dictionaries, times)
        score, names = np.full(len(batch), np.nan), np.full(len(batch), -1, np.int32)
        reasons: dict[int, Callable[[], str]] = {}
        lengths: dict[int, float] = {}
        code = self.dictionaries["anomaly_metric"].code
        for detector in self.detectors:
            try:
                scores, metric, sentences = _check_verdict(detector.judge(events), detector, len(batch))
            except Exception as error:  # noqa: BLE001  a failing user-defined detector must not lose events
                message = f"the detector {detector!r} failed: {type(error).__name__}: {error}"
                self.problems.report("errors", message, len(batch))
                continue
            codes = np.array([_LATER if name == SILENCE else code(name) for name in detector.names], np.int32)
            better = ~np.isnan(scores) & ~(scores <= score)
            score[better], names[better] = scores[better], codes[metric[better]]
            alarms = np.flatnonzero(better & (scores >= 1)).tolist()
            lengths |= detector.lengths
            reasons |= {i: partial(_reason, sentences, i, detector.names[metric[i]]) for i in alarms}
        flags = score >= 1
        if (silent := flags & (names == _LATER)).any():
            names[silent] = code(SILENCE)
        batch.cells["anomaly"] = Column("flag", flags)
        batch.cells["anomaly_score"] = Column("float", score)
        batch.cells["anomaly_metric"] = Column("category", np.where(flags, names, -1).astype(np.int32))
        ended = self._end_silences(batch)
        for i in np.flatnonzero(flags).tolist():
            metric = self.dictionaries["anomaly_metric"].values[names[i]]
            time, peak = int(batch.time[i]), float(score[i])
            if told := self.incidents.add(batch.first_seq + i, time, peak, metric, reasons[i]):
                heard = ended.get(i) if metric == SILENCE else None
                if heard is not None and severity_of(peak) == severity_of(heard[0]):
                    self._heard = heard[1]  # it was told while it lasted
                else:
                    value = lengths[i] if metric == SILENCE else float(events[metric][i])
                    self._tell(told, time, peak, metric, value)

    def _end_silences(self, batch: Batch) -> dict[int, tuple[float, int]]:
        """Forget the silences that end; return what was told of each, by its first event."""
        ended: dict[int, tuple[float, int]] = {}
        if self._silent:
            cells = batch.cells.get("event")
            codes = np.full(len(batch), -1) if cells is None else cells.values
            for name in list(self._silent):
                at = np.flatnonzero(codes == self.dictionaries["event"].find(name or None))
                if len(at):
                    ended[int(at[0])] = self._silent.pop(name)
        return ended

    def _tell(self, told: str, time: int, score: float, metric: str, value: float) -> None:
        """Queue what is to be told of the newest incident, unless it is not severe enough."""
        if told == "begin":
            self._heard = None
        if score >= self._least:
            reason = self.incidents.all[-1].reason  # of its highest score, which is this one
            self._queue(Telling(time, metric, value, score, reason), self._heard)
            self._heard = time

    def _queue(self, telling: Telling, heard: int | None) -> None:
        worse = "" if heard is None else f"; worse than told at {pd.Timestamp(heard):%Y-%m-%d %H:%M:%S}"
        self.tellings.append(telling._replace(reason=telling.reason + worse))

    def silences(self, now: int) -> list[Silence]:
        """Return the silences at a moment that are to be told: new ones, and those of a higher severity than told.

        Args:
            now: That moment, active UTC nanoseconds.
        """
        longest: dict[str, Silence] = {}
        for detector in self.detectors:
            for one in detector.silences(now):
                if one.event not in longest or one.score > longest[one.event].score:
                    longest[one.event] = one
        return [one for one in longest.values() if one.score >= self._least and self._is_news(one)]

    def _is_news(self, one: Silence) -> bool:
        told = self._silent.get(one.event)
        return told is None or (one.score > told[0] and severity_of(one.score) != severity_of(told[0]))

    def hear(self, time: int, silence: Silence) -> None:
        """Tell of a silence while it lasts, unless it has just ended.

        Args:
            time: Moment at which it was noticed, UTC nanoseconds.
            silence: What was noticed.
        """
        if silence.since in {detector.newest(silence.event) for detector in self.detectors}:
            telling = Telling(time, SILENCE, silence.gap, silence.score, silence.reason)
            self._queue(telling, self._silent.get(silence.event, (0.0, None))[1])
            self._silent[silence.event] = silence.score, time

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {
            "detectors": [detector.to_dict() for detector in self.detectors],
            "incidents": self.incidents.to_dict(),
            "tellings": [list(one._replace(value=encode_floats(one.value))) for one in self.tellings],
            "heard": self._heard,
            "silent": [[name, *told] for name, told in self._silent.items()],
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
        self._silent = {str(name): (float(score), int(time)) for name, score, time in state.get("silent", ())}

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
    if (metric[~np.isnan(score)] >= len(detector.names)).any() or (metric[~np.isnan(score)] < 0).any():
        raise ValueError(f"expected metrics from 0 to {len(detector.names) - 1} where there is a score")
    return score, metric, verdict.reasons


def _reason(reasons: Mapping[int, str], i: int, metric: str) -> str:
    try:
        return str(reasons[i])
    except Exception:  # noqa: BLE001  a user-defined detector may fail to give a reason
        return f"{metric} is anomalous"
