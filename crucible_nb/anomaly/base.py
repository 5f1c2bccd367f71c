"""Base class of the detectors: score every value against the past of its group, then learn it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from crucible_nb.anomaly.discoveries import Discoveries
from crucible_nb.anomaly.exact_json import decode_floats, encode_floats
from crucible_nb.anomaly.groups import Groups
from crucible_nb.anomaly.kernel import KERNEL
from crucible_nb.anomaly.learn_normal import learn_normal
from crucible_nb.anomaly.rank import Ranks
from crucible_nb.anomaly.recursions import (
    MAX_SCORE,
    Count,
    Scores,
    State,
    count_remembered,
    discounted_sums,
    import_scipy,
    shift_by_one,
)
from crucible_nb.anomaly.silence import Silence
from crucible_nb.anomaly.texts import format_distance, format_number
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils import checks

Parts = dict[str, float]
Lookup = Callable[[int], Parts]
Learn = Literal["always", "normal"]
_TINY, _HUGE = 1e-100, 1e100
_LARGEST = 1e300  # scores are clipped to it before ranking: an infinite score would make the ranks useless


class Given(dict[str, np.ndarray]):
    """Input of an algorithm: the state before the first value, and the counts and scales before each value.

    Attributes:
        n: Number of remembered values, for `recursions.moments_before`.
        seen: Number of values of the group before each value, float64[g, m].
        floor: Smallest accepted scale for each value, float64[g, m].
    """

    def __init__(self, state: State, n: Count, seen: np.ndarray, floor: np.ndarray) -> None:
        super().__init__(state)
        self.n, self.seen, self.floor = n, seen, floor


class Verdict(NamedTuple):
    """Result of a detector for consecutive events.

    Attributes:
        score: Largest score over the metrics, float64[n]; 1.0 is the threshold; NaN while warming up.
        metric: Index of the metric with that score in `Detector.names`, int64[n]; -1 while the score is unknown.
        reasons: {event: sentence} for scores of 1 or more; a sentence is built on access.
    """

    score: np.ndarray
    metric: np.ndarray
    reasons: Mapping[int, str]


class Reasons(Mapping[int, str]):
    """Sentences by event, built on access because few are ever read.

    Args:
        builders: Function that builds the sentence of each event.
    """

    def __init__(self, builders: dict[int, Callable[[int], str]]) -> None:
        self._builders = builders

    def __getitem__(self, event: int) -> str:
        return self._builders[event](event)

    def __iter__(self) -> Iterator[int]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)


class Detector:
    """Base class of detectors of one-dimensional metrics; a subclass defines `state` and `algorithm`.

    An instance holds parameters only; `begin` returns a running copy, so one instance serves many experiments. Scores
    depend on the past of an event's group, never on where a block ends. Missing and infinite values are neither scored
    nor learnt.

    Args:
        metrics: Columns to score.
        threshold: Distance at which the score is 1.0, in the detector's own unit. None: its default.
        warm_up: Number of values of a group before the first score.
        floor: Smallest accepted scale, in the unit of the metric. None: the larger of the smallest step between
            consecutive values and 1 % of their mean size.
        by: Columns whose groups have separate baselines.
        learn: "always", or "normal": anomalies are not learnt, unless the last `PATIENCE` values were all anomalies,
            so that a new level becomes normal.
        cooldown: Number of rows without an anomaly that end an incident.
        false_alarm_rate: Proportion of rows that may be flagged; the threshold is then a rank among past scores, and
            scores are NaN until there are enough past scores.
        false_discovery_rate: Proportion of false alarms among the groups flagged at a moment; for many groups
            (`by`), see `Discoveries`. Excludes `false_alarm_rate`.

    Raises:
        ConfigError: An argument is not accepted.

    Attributes:
        state: Initial state of a group: name to value before the first value.
        kernel: Number of the compiled algorithm that equals `algorithm`; not inherited.
        restorable: Whether `to_dict` holds the whole running state; not inherited. A class that does not declare it is
            restorable if it defines `to_dict` and `from_dict` itself.
        unit: Name of one unit of distance in a reason.
        middle: Name of the center of the baseline in a reason.
        lengths: Of the events judged last, {event: seconds} of the silences that end.
    """

    state: ClassVar[Mapping[str, float]] = {}
    default: ClassVar[float] = 3.0
    unit: ClassVar[str] = "sd"
    middle: ClassVar[str] = "mean"
    kernel: ClassVar[int]
    restorable: ClassVar[bool]
    lengths: Mapping[int, float] = MappingProxyType({})
    PATIENCE: ClassVar[int] = 32

    def __init__(
        self,
        metrics: str | Sequence[str] = ("latency_ms", "cost_usd"),
        threshold: float | None = None,
        *,
        warm_up: int = 32,
        floor: float | None = None,
        by: str | Sequence[str] = (),
        learn: Learn = "always",
        cooldown: int = 100,
        false_alarm_rate: float | None = None,
        false_discovery_rate: float | None = None,
    ) -> None:
        self.metrics = (metrics,) if isinstance(metrics, str) else checks.texts("metrics", metrics)
        if not self.metrics:
            raise checks.wrong("metrics", metrics, "at least one column")
        self.threshold = self.default if threshold is None else checks.number("threshold", threshold, gt=0)
        self.warm_up = checks.whole("warm_up", warm_up, ge=2)
        self.floor = None if floor is None else checks.number("floor", floor, ge=0)
        self.by = (by,) if isinstance(by, str) else checks.texts("by", by)
        self.learn = checks.one_of("learn", learn, ("always", "normal"))
        self.cooldown = checks.whole("cooldown", cooldown)
        self.false_alarm_rate = _check_rate("false_alarm_rate", false_alarm_rate)
        self.false_discovery_rate = _check_rate("false_discovery_rate", false_discovery_rate)
        if self.false_alarm_rate and self.false_discovery_rate:
            raise checks.wrong("false_discovery_rate", false_discovery_rate, "None beside a false_alarm_rate")

    def __repr__(self) -> str:
        arguments = [f"{list(self.metrics)}", f"threshold={self.threshold:g}"]
        arguments += [f"by={list(self.by)}"] if self.by else []
        arguments += [f"false_alarm_rate={self.false_alarm_rate:g}"] if self.false_alarm_rate else []
        arguments += [f"false_discovery_rate={self.false_discovery_rate:g}"] if self.false_discovery_rate else []
        return f"{type(self).__name__}({', '.join(arguments)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names that an anomaly can have: the metrics, of some detectors more."""
        return self.metrics

    def begin(self) -> Self:
        """Return a running copy, before its first event."""
        detector = copy(self)
        detector.start()
        return detector

    def start(self) -> None:
        """Set up the state before the first event."""
        import_scipy()
        self._initial = np.array([*COMMON.values(), *self.state.values()])
        self._names = (*COMMON, *self.state)
        self._groups = Groups(self.by)
        self._states = {metric: np.empty((0, len(self._names))) for metric in self.metrics}
        self._ranks = {metric: ranks for metric in self.metrics if (ranks := self._calibration()) is not None}

    def _calibration(self) -> Ranks | Discoveries | None:
        if self.false_discovery_rate:
            return Discoveries(self.false_discovery_rate)
        return Ranks(self.false_alarm_rate) if self.false_alarm_rate else None

    def params(self) -> tuple[float, ...]:
        """Return the parameters of the compiled algorithm."""
        return (self.threshold,)

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        """Score values, each against the state before it, and compute the state after each.

        Args:
            x: Values, float64[g, m], one row per group, oldest first.
            state: State before the first value, float64[g, 1] by the names of `state`, and for each value:
                `state.n`, `state.seen`, `state.floor`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no algorithm()")

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        """Build the sentence that explains why the value is anomalous."""
        side = "above" if value >= parts["center"] else "below"
        offset = f"{format_distance(parts['distance'], self.unit)} {side}"
        return f"{metric} {format_number(value)} is {offset} the {self.middle} {format_number(parts['center'])}{group}"

    # -- running ----------------------------------------------------------------------------------------------------

    def silences(self, now: int) -> list[Silence]:  # noqa: ARG002
        """Return the silences that last at a moment, in active UTC nanoseconds; none for most detectors."""
        return []

    def newest(self, event: str) -> int | None:  # noqa: ARG002
        """Return the active time of the newest event of a name, None if this detector does not learn its gaps."""
        return None

    def judge(self, events: EventColumns) -> Verdict:
        """Score consecutive events; blocks may end anywhere."""
        n, codes = len(events), self._groups.codes(events)
        best, best_metric = np.full(n, np.nan), np.full(n, -1)
        builders: dict[int, Callable[[int], str]] = {}
        for index, metric in enumerate(self.metrics):
            x = events[metric]
            score, lookup = self._score_metric(metric, x, codes)
            score = self._calibrate(metric, score, codes)
            better = ~np.isnan(score) & ~(score <= best)
            best[better], best_metric[better] = score[better], index
            alarms = np.flatnonzero(better & (score >= 1))
            builders |= dict.fromkeys(alarms.tolist(), self._reason_builder(metric, x, codes, lookup))
        return Verdict(best, best_metric, Reasons(builders))

    def _reason_builder(self, metric: str, x: np.ndarray, codes: np.ndarray, lookup: Lookup) -> Callable[[int], str]:
        return lambda i: self.reason(metric, float(x[i]), lookup(i), self._groups.describe(int(codes[i])))

    def _calibrate(self, metric: str, score: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Convert the algorithm's scores to the requested error rate, if any, and limit them to `MAX_SCORE`."""
        if metric in self._ranks:
            score = self._ranks[metric].calibrate(np.clip(score, -_LARGEST, _LARGEST), codes)
        return np.asarray(np.minimum(score, MAX_SCORE))

    def _score_metric(self, metric: str, x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Lookup]:
        """Return the score of each event for one metric, and a function that gives the parts of a reason."""
        state = self._states[metric]
        if new := len(self._groups) - len(state):
            state = self._states[metric] = np.concatenate((state, np.tile(self._initial, (new, 1))))
        valid = is_valid(x)
        if KERNEL.ready_for(len(x)) and "kernel" in vars(type(self)) and metric not in self._ranks:
            return self._score_compiled(np.where(valid, x, np.nan), codes, state)
        score, batches = np.full(len(x), np.nan), []
        for rows, members, counts in self._groups.batches(valid, codes):
            values, before = x[members], self._by_name(state[rows])
            scores = self._score_rows(values, before)
            if self.learn == "normal":
                scores = learn_normal(self._score_rows, self.PATIENCE, values, before, counts, scores)
            last = np.arange(len(rows)), counts - 1
            state[rows] = np.stack([scores.after[name][last] for name in self._names], axis=1)
            inside = np.arange(members.shape[1]) < counts[:, None]
            score[members[inside]] = scores.score[inside]
            batches.append((members, inside, scores.parts))

        def lookup(event: int) -> Parts:
            for members, inside, columns in batches:
                for i, j in np.argwhere((members == event) & inside).tolist():
                    return {name: float(np.broadcast_to(c, members.shape)[i, j]) for name, c in columns.items()}
            raise KeyError(event)

        return score, lookup

    def _score_compiled(self, x: np.ndarray, codes: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Lookup]:
        """Do the same with the compiled kernel; the parts are computed from the states before the alarms."""
        score, alarm_index, alarm_state = KERNEL.walk(
            kind=self.kernel,
            x=x,
            codes=codes,
            state=state,
            params=self.params(),
            warm_up=self.warm_up,
            floor=self.floor,
            patience=self.PATIENCE if self.learn == "normal" else 0,
        )

        def lookup(event: int) -> Parts:
            row = int(np.searchsorted(alarm_index, event))
            parts = self._score_rows(x[None, event : event + 1], self._by_name(alarm_state[row : row + 1])).parts
            return {name: float(np.broadcast_to(column, (1, 1))[0, 0]) for name, column in parts.items()}

        return score, lookup

    def _by_name(self, state: np.ndarray) -> State:
        return {name: state[:, k : k + 1] for k, name in enumerate(self._names)}

    def _score_rows(self, x: np.ndarray, state: State) -> Scores:
        """Run the algorithm, update the common state, and set scores to NaN while warming up."""
        seen = state["count"] + np.arange(x.shape[1])
        n, common = count_remembered(state["n"], x.shape[1]), _common(x, state)
        scores = self.algorithm(x, Given(state, n, seen, self._floor(n, common, state)))
        score = np.where(seen >= self.warm_up, np.minimum(scores.score, MAX_SCORE), np.nan)
        after = {"run": np.broadcast_to(state["run"], x.shape), "n": n.after, "count": seen + 1, **common}
        return Scores(score, scores.parts, {**scores.after, **after})

    def _floor(self, n: Count, common: State, state: State) -> np.ndarray:
        """Return the smallest accepted scale before each value."""
        if self.floor is not None:
            return np.full(n.after.shape, max(self.floor, _TINY))
        size, step = (shift_by_one(state[name], common[name]) for name in ("size", "step"))
        step[step == np.inf] = 0.0
        return np.asarray(np.maximum(np.maximum(step, 0.01 * size / n.before), _TINY))

    def to_dict(self) -> dict[str, Any]:
        """Return the running state as plain data that strict JSON represents exactly."""
        states = {metric: encode_floats(state) for metric, state in self._states.items()}
        ranks = {metric: ranks.to_dict() for metric, ranks in self._ranks.items()}
        return {"groups": self._groups.to_dict(), "states": states, "ranks": ranks}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """Return a running copy that continues from the result of `to_dict`."""
        detector = self.begin()
        detector._groups.load(state["groups"])
        for metric, rows in state["states"].items():
            detector._states[metric] = decode_floats(rows).reshape(-1, len(detector._names))
        for metric, ranks in state["ranks"].items():
            detector._ranks[metric].load(ranks)
        return detector


COMMON = {"count": 0.0, "n": 0.0, "size": 0.0, "step": np.inf, "last": np.nan, "run": 0.0}
"""State of a group that all detectors share, before the first value."""


def _common(x: np.ndarray, state: State) -> State:
    """Return the common state of the groups after each value."""
    steps = np.abs(np.diff(np.concatenate((state["last"], x), axis=1), axis=1))
    steps = np.where(steps > 0, steps, np.inf)  # also NaN, before the first value
    step = np.minimum.accumulate(np.concatenate((state["step"], steps), axis=1), axis=1)[:, 1:]
    return {"size": discounted_sums(np.abs(x), state["size"]), "step": step, "last": x}


def _check_rate(name: str, value: float | None) -> float | None:
    return None if value is None else checks.number(name, value, gt=0, lt=1)


def is_valid(x: np.ndarray) -> np.ndarray:
    """Return which values are scored and learnt: not missing, not infinite, and with a square that fits float64."""
    return np.asarray(np.abs(x) < _HUGE)
