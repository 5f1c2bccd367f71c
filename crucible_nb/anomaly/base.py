"""What a detector is: it scores every value against the past of its group, then learns it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from crucible_nb.anomaly.discoveries import Discoveries
from crucible_nb.anomaly.exact_json import numbers, plain
from crucible_nb.anomaly.groups import Groups
from crucible_nb.anomaly.kernel import KERNEL
from crucible_nb.anomaly.learn_normal import normal
from crucible_nb.anomaly.rank import Ranks
from crucible_nb.anomaly.recursions import MOST, Count, Scores, State, before_each, counted, faded, warm
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.utils import checks

Parts = dict[str, float]
Lookup = Callable[[int], Parts]
Learn = Literal["always", "normal"]
_TINY, _HUGE = 1e-100, 1e100
_LARGEST = 1e300  # of a model's scores that are ranked: an infinite one would leave nothing to rank by


class Given(dict[str, np.ndarray]):
    """What an algorithm may know: the state before the first value, and what all detectors know of each value.

    Attributes:
        n: Remembered values, for `moments`.
        seen: float64[g, m]: values of the group before each.
        floor: float64[g, m]: smallest scale believed.
    """

    def __init__(self, state: State, n: Count, seen: np.ndarray, floor: np.ndarray) -> None:
        super().__init__(state)
        self.n, self.seen, self.floor = n, seen, floor


class Verdict(NamedTuple):
    """What a detector says of consecutive events.

    Attributes:
        score: float64[n]: the largest over its metrics; 1.0 is the threshold; NaN while warming up.
        metric: int64[n]: which metric that was, -1 while none is known.
        reasons: {event: sentence} for scores of 1 or more; a sentence is made when it is asked for.
    """

    score: np.ndarray
    metric: np.ndarray
    reasons: Mapping[int, str]


class Reasons(Mapping[int, str]):
    """Sentences by event, made when somebody asks: few of them are ever read.

    Args:
        makers: What makes the sentence of an event.
    """

    def __init__(self, makers: dict[int, Callable[[int], str]]) -> None:
        self._makers = makers

    def __getitem__(self, event: int) -> str:
        return self._makers[event](event)

    def __iter__(self) -> Iterator[int]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class Detector:
    """A detector of one-dimensional metrics; a subclass has `state` and `algorithm`, this class does the rest.

    An instance that users make holds parameters only; `begin` gives a copy that runs, so one instance serves many
    experiments. Scores depend on the past of an event's group, never on where a block ends. Missing and infinite
    values are neither scored nor learnt.

    Args:
        metrics: Columns to watch.
        threshold: In the detector's own unit; the score is 1.0 there. None: its default.
        warm_up: Values of a group before the first score.
        floor: Smallest scale believed, in the unit of the metric. None: the smallest step seen between values, and 1 %
            of their mean size.
        by: Columns whose groups have baselines of their own.
        learn: "always", or "normal": anomalies are not learnt, unless the last `PATIENCE` were all anomalies: a new
            level becomes the normal one.
        cooldown: Rows without an anomaly that end an incident.
        false_alarm_rate: Share of rows that may be flagged; the threshold is then a rank among past scores, and there
            are no scores until there are enough for that.
        false_discovery_rate: Share of the groups flagged at a moment that may be flagged for nothing; for many groups
            (`by`), see `Discoveries`. Either this or `false_alarm_rate`.

    Raises:
        ConfigError: An argument is not what is accepted.

    Attributes:
        state: Names of the state of a group and what it is before the first value.
        kernel: Which compiled algorithm is the same as `algorithm`; only for the very class that names it.
        unit: What one unit of distance is called in a reason.
    """

    state: ClassVar[Mapping[str, float]] = {}
    default: ClassVar[float] = 3.0
    unit: ClassVar[str] = "sd"
    kernel: ClassVar[int]
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
        cooldown: int = 300,
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
        self.false_alarm_rate = _share("false_alarm_rate", false_alarm_rate)
        self.false_discovery_rate = _share("false_discovery_rate", false_discovery_rate)
        if self.false_alarm_rate and self.false_discovery_rate:
            raise checks.wrong("false_discovery_rate", false_discovery_rate, "None beside a false_alarm_rate")

    def __repr__(self) -> str:
        given = [f"{list(self.metrics)}", f"threshold={self.threshold:g}"]
        given += [f"by={list(self.by)}"] if self.by else []
        given += [f"false_alarm_rate={self.false_alarm_rate:g}"] if self.false_alarm_rate else []
        given += [f"false_discovery_rate={self.false_discovery_rate:g}"] if self.false_discovery_rate else []
        return f"{type(self).__name__}({', '.join(given)})"

    def begin(self) -> Self:
        """A copy that runs from its first event on."""
        detector = copy(self)
        detector.start()
        return detector

    def start(self) -> None:
        """Set up the state before the first event."""
        warm()
        self._fresh = np.array([*COMMON.values(), *self.state.values()])
        self._names = (*COMMON, *self.state)
        self._groups = Groups(self.by)
        self._states = {metric: np.empty((0, len(self._names))) for metric in self.metrics}
        self._ranks = {metric: ranks for metric in self.metrics if (ranks := self._calibration()) is not None}

    def _calibration(self) -> Ranks | Discoveries | None:
        if self.false_discovery_rate:
            return Discoveries(self.false_discovery_rate)
        return Ranks(self.false_alarm_rate) if self.false_alarm_rate else None

    def params(self) -> tuple[float, ...]:
        """What the compiled algorithm is given."""
        return (self.threshold,)

    def algorithm(self, x: np.ndarray, state: Given) -> Scores:
        """Score values, each against the state before it, and say what the state is after each.

        Args:
            x: float64[g, m], one row a group, oldest first.
            state: What is known before the first value, float64[g, 1] by the names of `state`, and for each value:
                `state.n`, `state.seen`, `state.floor`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no algorithm()")

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        """A sentence for people: why the value is out of line."""
        side = "above" if value >= parts["center"] else "below"
        said = f"{distance(parts['distance'], self.unit)} {side} the {self.middle} {number(parts['center'])}"
        return f"{metric} {number(value)} is {said}{group}"

    middle: ClassVar[str] = "mean"

    # -- running ----------------------------------------------------------------------------------------------------

    def judge(self, events: EventColumns) -> Verdict:
        """Judge consecutive events; blocks may end anywhere."""
        n, codes = len(events), self._groups.codes(events)
        best, which = np.full(n, np.nan), np.full(n, -1)
        makers: dict[int, Callable[[int], str]] = {}
        for place, metric in enumerate(self.metrics):
            x = events[metric]
            score, lookup = self._score(metric, x, codes)
            score = self._calibrated(metric, score, codes)
            better = ~np.isnan(score) & ~(score <= best)
            best[better], which[better] = score[better], place
            alarms = np.flatnonzero(better & (score >= 1))
            makers |= dict.fromkeys(alarms.tolist(), self._sentence(metric, x, codes, lookup))
        return Verdict(best, which, Reasons(makers))

    def _sentence(self, metric: str, x: np.ndarray, codes: np.ndarray, lookup: Lookup) -> Callable[[int], str]:
        return lambda i: self.reason(metric, float(x[i]), lookup(i), self._groups.said(int(codes[i])))

    def _calibrated(self, metric: str, score: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Scores by the rate that was asked for, none above `MOST`; ranks are among what the algorithm itself said."""
        if metric in self._ranks:
            score = self._ranks[metric].calibrated(np.clip(score, -_LARGEST, _LARGEST), codes)
        return np.asarray(np.minimum(score, MOST))

    def _score(self, metric: str, x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Lookup]:
        """Scores of one metric, one an event, and what gives the parts of reasons for some of the events."""
        state = self._states[metric]
        if new := len(self._groups) - len(state):
            state = self._states[metric] = np.concatenate((state, np.tile(self._fresh, (new, 1))))
        there = known(x)
        if KERNEL.pays(len(x)) and "kernel" in vars(type(self)) and metric not in self._ranks:
            return self._compiled(np.where(there, x, np.nan), codes, state)
        score, done = np.full(len(x), np.nan), []
        for rows, members, counts in self._groups.batches(there, codes):
            values, before = x[members], self._named(state[rows])
            found = self._all(values, before)
            if self.learn == "normal":
                found = normal(self._all, self.PATIENCE, values, before, counts, found)
            last = np.arange(len(rows)), counts - 1
            state[rows] = np.stack([found.after[name][last] for name in self._names], axis=1)
            inside = np.arange(members.shape[1]) < counts[:, None]
            score[members[inside]] = found.score[inside]
            done.append((members, inside, found.parts))

        def lookup(event: int) -> Parts:
            for members, inside, columns in done:
                for i, j in np.argwhere((members == event) & inside).tolist():
                    return {name: float(np.broadcast_to(c, members.shape)[i, j]) for name, c in columns.items()}
            raise KeyError(event)

        return score, lookup

    def _compiled(self, x: np.ndarray, codes: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Lookup]:
        """The same from the compiled kernel; the parts come from the states before the alarms."""
        patience = self.PATIENCE if self.learn == "normal" else 0
        score, where, at = KERNEL.walk(self.kernel, x, codes, state, self.params(), self.warm_up, self.floor, patience)

        def lookup(event: int) -> Parts:
            row = int(np.searchsorted(where, event))
            found = self._all(x[None, event : event + 1], self._named(at[row : row + 1])).parts
            return {name: float(np.broadcast_to(column, (1, 1))[0, 0]) for name, column in found.items()}

        return score, lookup

    def _named(self, state: np.ndarray) -> State:
        return {name: state[:, k : k + 1] for k, name in enumerate(self._names)}

    def _all(self, x: np.ndarray, state: State) -> Scores:
        """The algorithm, what all of them share, and NaN while warming up."""
        seen = state["count"] + np.arange(x.shape[1])
        n, common = counted(state["n"], x.shape[1]), _common(x, state)
        found = self.algorithm(x, Given(state, n, seen, self._floor(n, common, state)))
        score = np.where(seen >= self.warm_up, np.minimum(found.score, MOST), np.nan)
        after = {"run": np.broadcast_to(state["run"], x.shape), "n": n.after, "count": seen + 1, **common}
        return Scores(score, found.parts, {**found.after, **after})

    def _floor(self, n: Count, common: State, state: State) -> np.ndarray:
        """Smallest scale believed before each value."""
        if self.floor is not None:
            return np.full(n.after.shape, max(self.floor, _TINY))
        size, step = (before_each(state[name], common[name]) for name in ("size", "step"))
        step[step == np.inf] = 0.0
        return np.asarray(np.maximum(np.maximum(step, 0.01 * size / n.before), _TINY))

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data that strict JSON holds to the bit."""
        states = {metric: plain(state) for metric, state in self._states.items()}
        ranks = {metric: one.to_dict() for metric, one in self._ranks.items()}
        return {"groups": self._groups.to_dict(), "states": states, "ranks": ranks}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        detector = self.begin()
        detector._groups.load(state["groups"])
        for metric, rows in state["states"].items():
            detector._states[metric] = numbers(rows).reshape(-1, len(detector._names))
        for metric, ranks in state["ranks"].items():
            detector._ranks[metric].load(ranks)
        return detector


COMMON = {"count": 0.0, "n": 0.0, "size": 0.0, "step": np.inf, "last": np.nan, "run": 0.0}


def _common(x: np.ndarray, state: State) -> State:
    """What every detector knows of a group after each value."""
    steps = np.abs(np.diff(np.concatenate((state["last"], x), axis=1), axis=1))
    steps = np.where(steps > 0, steps, np.inf)  # also NaN, before the first value
    step = np.minimum.accumulate(np.concatenate((state["step"], steps), axis=1), axis=1)[:, 1:]
    return {"size": faded(np.abs(x), state["size"]), "step": step, "last": x}


def distance(value: float, unit: str) -> str:
    """A distance in a sentence; where all values were alike there is no unit to measure it by."""
    return f"{abs(value):.1f} {unit}" if abs(value) < 10_000 else "far"


def limit(own: float, score: float) -> str:
    """How far a model's own score is beyond what counts as an anomaly, in a sentence."""
    return f"{MOST:,.0f} times the limit or more" if score >= MOST else f"the limit is {number(own / score)}"


def number(value: float) -> str:
    """A number in a sentence."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _share(name: str, value: float | None) -> float | None:
    return None if value is None else checks.number(name, value, gt=0, lt=1)


def known(x: np.ndarray) -> np.ndarray:
    """Which values are scored and learnt: not missing, not infinite, and with squares that are numbers."""
    return np.asarray(np.abs(x) < _HUGE)
