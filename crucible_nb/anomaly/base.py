"""What a detector is: it scores every value against the past of its group, then learns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from crucible_nb import checks
from crucible_nb.anomaly.groups import Groups
from crucible_nb.anomaly.rank import Ranks
from crucible_nb.seen import Events

State = dict[str, np.ndarray]
Learn = Literal["always", "normal"]
_CHUNK = 64


class Scores(NamedTuple):
    """What an algorithm says of values of some groups, one row a group.

    Attributes:
        score: float64[g, m]: 1.0 is the threshold; NaN while unknown.
        parts: What a reason is made of, by name, float64[g, m].
        after: State after each value, by name, float64[g, m].
    """

    score: np.ndarray
    parts: dict[str, np.ndarray]
    after: State


class Verdict(NamedTuple):
    """What a detector says of consecutive events.

    Attributes:
        score: float64[n]: the largest over its metrics; 1.0 is the threshold; NaN while warming up.
        metric: int64[n]: which metric that was, -1 while none is known.
        reasons: {event: sentence} for scores of 1 or more.
    """

    score: np.ndarray
    metric: np.ndarray
    reasons: dict[int, str]


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

    Raises:
        ConfigError: An argument is not what is accepted.

    Attributes:
        state: Names of the state of a group and what it is before the first value.
        unit: What one unit of distance is called in a reason.
    """

    state: ClassVar[Mapping[str, float]] = {}
    default: ClassVar[float] = 3.0
    unit: ClassVar[str] = "sd"
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
    ) -> None:
        self.metrics = (metrics,) if isinstance(metrics, str) else checks.texts("metrics", metrics)
        self.threshold = self.default if threshold is None else checks.number("threshold", threshold, above=0)
        self.warm_up = checks.whole("warm_up", warm_up, least=2)
        self.floor = None if floor is None else checks.number("floor", floor, least=0)
        self.by = (by,) if isinstance(by, str) else checks.texts("by", by)
        self.learn = checks.one_of("learn", learn, ("always", "normal"))
        self.cooldown = checks.whole("cooldown", cooldown)
        rate = false_alarm_rate
        self.false_alarm_rate = None if rate is None else checks.number("false_alarm_rate", rate, above=0, below=1)

    def __repr__(self) -> str:
        given = [f"{list(self.metrics)}", f"threshold={self.threshold:g}"]
        given += [f"by={list(self.by)}"] if self.by else []
        given += [f"false_alarm_rate={self.false_alarm_rate:g}"] if self.false_alarm_rate else []
        return f"{type(self).__name__}({', '.join(given)})"

    def begin(self) -> Self:
        """A copy that runs from its first event on."""
        detector = copy(self)
        detector.start()
        return detector

    def start(self) -> None:
        """Set up the state before the first event."""
        self._groups = Groups(self.by)
        self._states: dict[str, State] = {metric: {} for metric in self.metrics}
        self._ranks = {metric: Ranks(self.false_alarm_rate) for metric in self.metrics if self.false_alarm_rate}

    def algorithm(self, x: np.ndarray, state: State) -> Scores:
        """Score values, each against the state before it, and say what the state is after each.

        Args:
            x: float64[g, m], one row a group, oldest first.
            state: float64[g, 1] by name; beside the names of `state`: count, size (sum of |x|), step (smallest
                difference seen), last.
        """
        raise NotImplementedError(f"{type(self).__name__} has no algorithm()")

    def reason(self, metric: str, value: float, parts: Mapping[str, float], group: str) -> str:
        """A sentence for people: why the value is out of line."""
        side = "above" if value >= parts["center"] else "below"
        said = f"{abs(parts['distance']):.1f} {self.unit} {side} the {self.middle} {_number(parts['center'])}"
        return f"{metric} {_number(value)} is {said}{group}"

    middle: ClassVar[str] = "mean"

    # -- running ----------------------------------------------------------------------------------------------------

    def judge(self, events: Events) -> Verdict:
        """Judge consecutive events; blocks may end anywhere."""
        n, codes = len(events), self._groups.codes(events)
        best, which, reasons = np.full(n, np.nan), np.full(n, -1), {}
        for place, metric in enumerate(self.metrics):
            x = events[metric]
            score, parts = self._score(metric, x, codes)
            better = ~np.isnan(score) & ~(score <= best)
            best[better], which[better] = score[better], place
            for i in np.flatnonzero(better & (score >= 1)).tolist():
                there = {name: float(values[i]) for name, values in parts.items()}
                reasons[i] = self.reason(metric, float(x[i]), there, self._groups.said(int(codes[i])))
        return Verdict(best, which, reasons)

    def _score(self, metric: str, x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Scores of one metric and what reasons are made of, one an event."""
        score = np.full(len(x), np.nan)
        parts: dict[str, np.ndarray] = {}
        state = self._grown(self._states[metric])
        for rows, members, counts in self._groups.batches(np.isfinite(x), codes):
            inside = np.arange(members.shape[1]) < counts[:, None]
            values = np.where(inside, x[members], 0.0)
            before = {name: column[rows, None] for name, column in state.items()}
            found = self._one_by_one(values, before, counts) if self.learn == "normal" else self._all(values, before)
            raw = found.score
            if metric in self._ranks:
                raw = self._ranks[metric].calibrated(raw, counts, rows)
            flat = members[inside]
            score[flat] = raw[inside]
            for name, column in found.parts.items():
                parts.setdefault(name, np.full(len(x), np.nan))[flat] = np.broadcast_to(column, raw.shape)[inside]
            for name, column in found.after.items():
                state[name][rows] = np.take_along_axis(column, counts[:, None] - 1, axis=1)[:, 0]
        return score, parts

    def _grown(self, state: State) -> State:
        """The state of a metric, with a row for every group."""
        fresh = {**_COMMON, **self.state}
        for name, value in fresh.items():
            have = state.get(name, np.empty(0))
            if len(have) < len(self._groups):
                state[name] = np.concatenate((have, np.full(len(self._groups) - len(have), value)))
        return state

    def _all(self, x: np.ndarray, state: State) -> Scores:
        """The algorithm, what all of them share, and NaN while warming up."""
        common = _common(x, state)
        scale = {"floor": self._floor(common, state)}
        found = self.algorithm(x, {**state, **scale})
        seen = state["count"] + np.arange(x.shape[1])
        score = np.where(seen >= self.warm_up, found.score, np.nan)
        return Scores(score, found.parts, {**found.after, **common})

    def _floor(self, common: State, state: State) -> np.ndarray:
        """Smallest scale believed before each value."""
        if self.floor is not None:
            return np.full(common["count"].shape, max(self.floor, np.finfo(float).tiny))
        before = {name: before_each(state[name], common[name]) for name in ("count", "size", "step")}
        step = np.where(np.isfinite(before["step"]), before["step"], 0.0)
        size = 0.01 * before["size"] / np.maximum(before["count"], 1)
        return np.asarray(np.maximum(np.maximum(step, size), 1e-300))

    def _one_by_one(self, x: np.ndarray, state: State, counts: np.ndarray) -> Scores:
        """learn="normal": stop at each anomaly, forget it, go on."""
        rows = [
            self._normal(x[i : i + 1], {k: v[i : i + 1] for k, v in state.items()}, int(n))
            for i, n in enumerate(counts)
        ]
        return Scores(
            np.concatenate([row.score for row in rows]),
            {name: np.concatenate([row.parts[name] for row in rows]) for name in rows[0].parts},
            {name: np.concatenate([row.after[name] for row in rows]) for name in rows[0].after},
        )

    def _normal(self, x: np.ndarray, state: State, n: int) -> Scores:
        """One group, in chunks, each up to its first alarm."""
        score, after = np.full(x.shape, np.nan), {name: np.empty(x.shape) for name in state}
        parts: dict[str, np.ndarray] = {}
        start, now = 0, dict(state)
        while start < n:
            found = self._all(x[:, start : min(start + _CHUNK, n)], now)
            alarms = np.flatnonzero(found.score[0] >= 1)
            stop = int(alarms[0]) if len(alarms) else found.score.shape[1]
            patient = len(alarms) > 0 and (now["run"][0, 0] if stop == 0 else 0) < self.PATIENCE
            take = stop + (1 if len(alarms) else 0)
            at = slice(start, start + take)
            score[:, at] = found.score[:, :take]
            for name, column in found.parts.items():
                parts.setdefault(name, np.full(x.shape, np.nan))[:, at] = np.broadcast_to(column, found.score.shape)[
                    :, :take
                ]
            for name in state:
                column = found.after.get(name, np.broadcast_to(now[name], found.score.shape))
                after[name][:, at] = column[:, :take]
                if patient:  # the anomaly is not learnt: after it, all is as before it
                    after[name][:, start + stop] = column[0, stop - 1] if stop else now[name][0, 0]
            run = now["run"][0, 0] + 1 if stop == 0 and len(alarms) else float(len(alarms) > 0)
            after["run"][:, at] = 0.0
            after["run"][:, start + take - 1] = run
            now = {name: column[:, start + take - 1 : start + take] for name, column in after.items()}
            start += take
        return Scores(score, parts, after)

    def to_dict(self) -> dict[str, Any]:
        """The running state as plain data."""
        states = {
            metric: {name: column.tolist() for name, column in state.items()} for metric, state in self._states.items()
        }
        ranks = {metric: one.to_dict() for metric, one in self._ranks.items()}
        return {"groups": self._groups.to_dict(), "states": states, "ranks": ranks}

    def from_dict(self, state: dict[str, Any]) -> Self:
        """A copy that runs on from a state of `to_dict`."""
        detector = self.begin()
        detector._groups.load(state["groups"])
        for metric, columns in state["states"].items():
            detector._states[metric] = {name: np.array(column, np.float64) for name, column in columns.items()}
        for metric, ranks in state["ranks"].items():
            detector._ranks[metric].load(ranks)
        return detector


_COMMON = {"count": 0.0, "size": 0.0, "step": np.inf, "last": np.nan, "run": 0.0}


def _common(x: np.ndarray, state: State) -> State:
    """What every detector knows of a group after each value."""
    count = state["count"] + np.arange(1, x.shape[1] + 1)
    size = running_sum(state["size"], np.abs(x))
    steps = np.abs(np.diff(np.concatenate((state["last"], x), axis=1), axis=1))
    steps = np.where(steps > 0, steps, np.inf)  # also NaN, before the first value
    step = np.minimum.accumulate(np.concatenate((state["step"], steps), axis=1), axis=1)[:, 1:]
    return {"count": count, "size": size, "step": step, "last": x}


def running_sum(before: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Cumulative sums along the last axis; the carry comes first, so the bits do not depend on the cut."""
    return np.cumsum(np.concatenate((before, x), axis=-1), axis=-1)[..., 1:]


def before_each(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The state before each value, from the one before the first and those after each."""
    return np.concatenate((before, after[..., :-1]), axis=-1)


def smoothed(share: float, x: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Exponentially weighted means along the last axis, after each value; the same bits however x is cut."""
    from scipy.signal import lfilter  # noqa: PLC0415  heavy; imported with the first detector that needs it

    smooth, _ = lfilter([share], [1.0, share - 1.0], x, axis=-1, zi=(1 - share) * before)
    return np.asarray(smooth)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
