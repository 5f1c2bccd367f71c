"""The judging stage: detectors see every event, before any is dropped, and write what they say of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from crucible_nb.anomaly import Detector, Incident, Incidents
from crucible_nb.cells import Batch, Cells, Dictionary
from crucible_nb.notes import Notes
from crucible_nb.seen import Events


class Judging:
    """Runs detectors over batches; the largest score of an event is its own.

    Args:
        detectors: With their parameters.
        dictionaries: Column name to the dictionary of its categories.
        notes: Where trouble is counted.

    Attributes:
        incidents: What was found so far.
        begun: Incidents that have begun and that nobody has taken out yet.
    """

    def __init__(self, detectors: Sequence[Detector], dictionaries: Mapping[str, Dictionary], notes: Notes) -> None:
        self.detectors = [detector.begin() for detector in detectors]
        self.dictionaries, self.notes = dictionaries, notes
        self.incidents = Incidents(max((detector.cooldown for detector in detectors), default=0))
        self.begun: deque[Incident] = deque(maxlen=1000)

    def __call__(self, batch: Batch) -> None:
        """Write anomaly, anomaly_score and anomaly_metric of a batch."""
        if not self.detectors:
            return
        events = Events.of_batch(batch, self.dictionaries)
        score, names = np.full(len(batch), np.nan), np.full(len(batch), -1, np.int32)
        reasons: dict[int, Callable[[], str]] = {}
        for detector in self.detectors:
            try:
                verdict = detector.judge(events)
            except Exception as error:  # noqa: BLE001  a user's detector must not lose events
                said = f"the detector {detector!r} failed: {type(error).__name__}: {error}"
                self.notes.say("errors", said)
                continue
            codes = np.array([self.dictionaries["anomaly_metric"].code(name) for name in detector.metrics], np.int32)
            better = ~np.isnan(verdict.score) & ~(verdict.score <= score)
            score[better], names[better] = verdict.score[better], codes[verdict.metric[better]]
            reasons |= {i: partial(verdict.reasons.__getitem__, i) for i in verdict.reasons if better[i]}
        flags = score >= 1
        batch.cells["anomaly"] = Cells("flag", flags)
        batch.cells["anomaly_score"] = Cells("float", score)
        batch.cells["anomaly_metric"] = Cells("category", np.where(flags, names, -1).astype(np.int32))
        for i in np.flatnonzero(flags).tolist():
            metric = self.dictionaries["anomaly_metric"].values[names[i]]
            if self.incidents.add(batch.first_seq + i, int(batch.time[i]), float(score[i]), metric, reasons[i]):
                self.begun.append(self.incidents.all[-1])

    def take(self) -> list[Incident]:
        """Incidents that have begun since the last time."""
        begun = list(self.begun)
        self.begun.clear()
        return begun
