"""The recommended detector: nine rules, each limited by what is ordinary for its own series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from crucible_nb.anomaly.auto_reasons import sentence
from crucible_nb.anomaly.auto_state import PARTS, PAST, STATE
from crucible_nb.anomaly.base import COMMON, Detector, Lookup, Reasons, Verdict, is_valid
from crucible_nb.anomaly.faults import SCORE as FAULT_SCORE
from crucible_nb.anomaly.faults import Faults, fault_sentence
from crucible_nb.anomaly.kernel import KERNEL
from crucible_nb.anomaly.missing import Missing, missing_sentence
from crucible_nb.anomaly.rates import RECOVERY, better_sign
from crucible_nb.anomaly.silence import METRIC as SILENCE
from crucible_nb.anomaly.silence import Silence, Silences
from crucible_nb.anomaly.voices import Piece
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils import checks

SENSITIVITIES = {"low": 1.25, "normal": 1.0, "high": 0.85}
"""Factor of all limits."""

_PLACE = {name: i for i, name in enumerate((*COMMON, *STATE)) if not name.startswith(("past_", "sorted_"))}
_PAST = len(_PLACE)
_CHUNK, _CHUNK_NORMAL = 8192, 128  # with learn="normal" a piece is scored again after each anomaly


class Auto(Detector):
    """Detector of most that can happen to a metric, with few false alarms on series of any shape.

    Nine rules ("voices") speak, each 1.0 at its limit; half-convinced ones add up: the score is the eighth root of the
    sum of their eighth powers.

    - Level, dispersion: the mean of about the last 50 values, or of their distances from the mean, is 3.4 standard
      deviations from its own past.
    - Extreme: a value exceeds all values so far by a standard deviation.
    - Error: how far the value is from the nearest of three predictions: the last value, a mean, a line.
    - Drift: the distance of a fast mean (7 values) from a slow one (100).
    - Shift, spread of ranks: the mean rank of the last 20 values in the long past; how far ranks are from the middle.
    - Repeat: the same value more than 20 + 4 times as often in a row as ever before.
    - Rate, for columns of 0 and 1 in place of all others: evidence that ones are five times as frequent, or a fifth. A
      change for the better (more `success`, fewer `error`, by the name of the column) is of low severity.

    Values given as NaN or infinite after `warm_up` finite ones are critical, until they are 1 % of the values. Events
    without the metric count against those that carried it (see `missing`), and gaps without events are found by the
    first event after them (see `silence`), if times are known.

    The limits of error, drift, shift and spread of ranks are what they reach in ordinary blocks of 80 values of their
    own series (see `block_maxima`), so a tame series gets low limits and a wild one high limits. The memory is 10,000
    values, for limits about 4,000. The scale is at least the smallest step, and 1 % of the mean size until 50 steps
    were seen.

    Args:
        metrics, floor, by, learn, cooldown, false_alarm_rate: See `Detector`.
        threshold: Factor that scales the limits of all rules, default 1.
        warm_up: Number of values of a group before the first score, default 150.
        sensitivity: "low" (limits 1.25 times as wide), "normal", or "high" (0.85 times).

    Examples:
        >>> import numpy as np
        >>> import crucible_nb as cr
        >>> latency = np.random.default_rng(0).normal(400, 50, 3000)
        >>> latency[2000:2100] += 100
        >>> scores = cr.anomaly.score(latency)
        >>> 2000 <= (scores >= 1).idxmax() < 2020
        True

    References:
        Roberts: Control chart tests based on geometric moving averages. Technometrics 1 (1959).
        Page: Continuous inspection schemes. Biometrika 41 (1954).
        Lavin, Ahmad: Evaluating real-time anomaly detection algorithms: the Numenta anomaly benchmark. ICMLA (2015).
    """

    state: ClassVar = STATE
    restorable: ClassVar[bool] = True
    default: ClassVar[float] = 1.0
    sensitivity = "normal"  # of detectors pickled by release 0.1

    def __init__(
        self,
        metrics: str | Sequence[str] = ("latency_ms", "cost_usd"),
        threshold: float | None = None,
        *,
        warm_up: int = 150,
        sensitivity: str = "normal",
        **options: Any,
    ) -> None:
        super().__init__(metrics, threshold, warm_up=warm_up, **options)
        self.sensitivity = checks.one_of("sensitivity", sensitivity, SENSITIVITIES)

    def start(self) -> None:
        """Set up the state before the first event."""
        super().start()
        self._faults = {metric: Faults(self.warm_up) for metric in self.metrics}
        self._missing = {metric: Missing(self.warm_up, self._limit) for metric in self.metrics}
        self._silences = Silences(self.warm_up, self._limit)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.metrics, SILENCE)

    def judge(self, events: EventColumns) -> Verdict:
        self._carried = np.zeros(len(events), np.bool_)
        self._given = {metric: events.faults(metric) for metric in self.metrics}
        self._labels = events.labels("event")
        verdict = super().judge(events)
        found = self._silences.judge(events, self._carried)
        silent = {i: one for i, one in found.items() if not verdict.score[i] >= one.score}
        self.lengths = {i: one.gap for i, one in silent.items()}
        if not silent:
            return verdict
        verdict.score[list(silent)] = [one.score for one in silent.values()]
        verdict.metric[list(silent)] = len(self.metrics)
        said = {i: one.reason for i, one in silent.items()}
        builders = dict.fromkeys(verdict.reasons, verdict.reasons.__getitem__) | dict.fromkeys(said, said.__getitem__)
        return verdict._replace(reasons=Reasons(builders))

    def silences(self, now: int) -> list[Silence]:
        return self._silences.look(now)

    def newest(self, event: str) -> int | None:
        return self._silences.newest(event)

    def _score_metric(self, metric: str, x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Lookup]:
        state = self._states[metric]
        if new := len(self._groups) - len(state):
            state = self._states[metric] = np.concatenate((state, np.tile(self._initial, (new, 1))))
        valid = is_valid(x)
        if KERNEL.ready_for(len(x)) and type(self) is Auto:
            score, at, parts = self._score_compiled_rows(np.where(valid, x, np.nan), codes, state)
        else:
            score, at, parts = self._score_groups(x, codes, valid, state)

        self._lower_recoveries(metric, score, at, parts)
        faults = self._faults[metric].judge(valid, self._given[metric], codes)
        score[list(faults)] = FAULT_SCORE
        lacking = np.isnan(x) & ~self._given[metric]
        missing = self._missing[metric].judge(lacking, codes, *self._labels)
        score[list(missing)] = [one.score for one in missing.values()]
        self._carried |= ~lacking

        def lookup(event: int) -> dict[str, Any]:
            if event in faults:
                return {"finite": float(faults[event])}
            if event in missing:
                return {"missing": missing[event]}
            return dict(zip(PARTS, parts[int(np.searchsorted(at, event))].tolist(), strict=True))

        return score, lookup

    @staticmethod
    def _lower_recoveries(metric: str, score: np.ndarray, at: np.ndarray, parts: np.ndarray) -> None:
        """Make a rate that changes for the better, as the name of its column says it, an anomaly of low severity."""
        sign = better_sign(metric)
        if sign and len(at):
            rate, now, usual = (parts[:, PARTS.index(name)] for name in ("rate", "level_now", "rate_usual"))
            better = at[(rate >= 1) & (np.sign(now - usual) == sign)]
            score[better] = np.minimum(score[better], RECOVERY)

    @property
    def _limit(self) -> float:
        return self.threshold * SENSITIVITIES[self.sensitivity]

    def _score_compiled_rows(self, x: np.ndarray, codes: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, ...]:
        return KERNEL.walk_auto(
            x=np.ascontiguousarray(x),
            codes=codes,
            state=state,
            parts=len(PARTS),
            warm_up=self.warm_up,
            floor=self.floor,
            threshold=self._limit,
            patience=self.PATIENCE if self.learn == "normal" else 0,
        )

    def _score_groups(
        self, x: np.ndarray, codes: np.ndarray, valid: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Score group by group; return the scores, the events of the alarms, and their parts."""
        score, parts = np.full(len(x), np.nan), np.empty((len(x), len(PARTS)))
        for code in np.unique(codes[valid]).tolist():
            members = np.flatnonzero(valid & (codes == code))
            done, most = 0, _CHUNK_NORMAL if self.learn == "normal" else _CHUNK
            while done < len(members):
                done += self._score_some(x, members[done : done + most], state[code], score, parts)
        at = np.flatnonzero(score >= 1)
        return score, at, parts[at]

    def _score_some(
        self, x: np.ndarray, members: np.ndarray, row: np.ndarray, score: np.ndarray, parts: np.ndarray
    ) -> int:
        """Score the first of these events of a group and learn them; return their number.

        With learn="normal" these are the events before the first anomaly, or one anomaly.
        """
        before = row.copy() if self.learn == "normal" else row
        piece = self._piece(x[members], row)
        alarms = np.flatnonzero(piece.score >= 1)
        count = len(members)
        if self.learn == "normal":
            run = before[_PLACE["run"]]
            if len(alarms) and (alarms[0] > 0 or run < self.PATIENCE):
                count = max(int(alarms[0]), 1)
                row[:] = before
                if alarms[0] > 0:
                    piece, run = self._piece(x[members[:count]], row), 0.0
                else:
                    run += 1
            elif len(alarms):
                count = int(np.argmin(np.append(piece.score >= 1, False)))
                row[:] = before
                piece = self._piece(x[members[:count]], row)
            row[_PLACE["run"]] = run if len(alarms) else 0.0
        score[members[:count]] = piece.score[:count]
        found = np.flatnonzero(piece.score[:count] >= 1)
        for i, name in enumerate(PARTS):
            parts[members[found], i] = piece.parts[name][found]
        return count

    def _piece(self, values: np.ndarray, row: np.ndarray) -> Piece:
        views = {name: row[at : at + 1].reshape(1, 1) for name, at in _PLACE.items()}
        views["past"], views["sorted"] = row[None, _PAST : _PAST + PAST], row[None, _PAST + PAST :]
        return Piece(values, views, self.warm_up, self.floor, self._limit)

    def reason(self, metric: str, value: float, parts: Mapping[str, Any], group: str) -> str:
        if "missing" in parts:
            return missing_sentence(metric, parts["missing"], group)
        if "finite" in parts:
            return fault_sentence(metric, value, int(parts["finite"]), group)
        return sentence(metric, value, parts, group)

    def to_dict(self) -> dict[str, Any]:
        return {
            **super().to_dict(),
            "faults": {metric: one.to_dict() for metric, one in self._faults.items()},
            "missing": {metric: one.to_dict() for metric, one in self._missing.items()},
            "silences": self._silences.to_dict(),
        }

    def from_dict(self, state: dict[str, Any]) -> Self:
        """Return a running copy that continues from the result of `to_dict`; a state of release 0.1 begins anew."""
        width = len(COMMON) + len(STATE)
        if any(len(row) != width for rows in state["states"].values() for row in rows):
            return self.begin()
        detector = super().from_dict(state)
        for metric, faults in state["faults"].items():
            detector._faults[metric].load(faults)
        for metric, missing in state.get("missing", {}).items():  # states from before these rules have none
            detector._missing[metric].load(missing)
        detector._silences.load(state.get("silences", []))
        return detector
