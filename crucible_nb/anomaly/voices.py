"""`auto` for consecutive values of one group with numpy: the voices, their limits, and the score."""

from __future__ import annotations

import itertools

import numpy as np

from crucible_nb.anomaly.auto_state import (
    BLOCK,
    EVIDENCE,
    FAST,
    LARGEST,
    LEAST,
    LIMIT,
    MARGIN,
    MOST_STRIDE,
    NORMAL,
    OFFSETS,
    PAST,
    PREDICTOR,
    RANK,
    RATE_CELLS,
    REPEATS,
    REPEATS_TIMES,
    SETTLED,
    SHARE,
    SLOW,
    SURE,
    SURE_RANKS,
    TREND,
    VOICES,
    YOUNG,
    YOUNG_MARGIN,
)  # fmt: skip
from crucible_nb.anomaly.auto_state import CALIBRATED as NAMES
from crucible_nb.anomaly.block_maxima import update_limit
from crucible_nb.anomaly.rates import add_value, learn_rate
from crucible_nb.anomaly.recursions import (
    MAX_SCORE,
    count_remembered,
    discounted_sums,
    exponential_means,
    moments_before,
    sd_of_mean,
    shift_by_one,
)  # fmt: skip

Row = dict[str, np.ndarray]


class Piece:
    """Consecutive values of one group, scored against its state, which is updated in place.

    Args:
        x: Known values, float64[m], oldest first.
        state: The state of the group by name, each float64[1, 1], as views of its row.
        warm_up: Number of values before the first score.
        fixed: Scale floor given by the user; None for the rule.
        threshold: Factor that scales all limits.

    Attributes:
        score: Score of each value, float64[m].
        parts: The numbers `PARTS` of each value, by name, float64[m].
    """

    def __init__(self, x: np.ndarray, state: Row, warm_up: int, fixed: float | None, threshold: float) -> None:
        self.x, self.state, self.parts = x[None, :], state, dict[str, np.ndarray]()
        self.count = int(state["count"][0, 0])
        self.seen = self.count + np.arange(len(x))
        if not self.count:
            for name in ("last", "mean", "fast", "slow"):
                state[name][:] = x[0]
        self.n = count_remembered(state["n"], len(x))
        self.last = shift_by_one(state["last"], self.x)
        self.floor = self._floor(fixed)
        self.sd = self._recent()
        found, binary = self._errors(), self._binary_values()
        self._blocks(found, binary, warm_up)
        self._repeats()
        for name, last in (("count", self.count + len(x)), ("n", self.n.after[0, -1]), ("last", x[-1])):
            state[name][:] = last
        score = self._sum()
        score[:binary] = self.parts["rate"][:binary]
        self.score = np.where(self.seen >= warm_up, np.minimum(score / threshold, MAX_SCORE), np.nan)

    def _sum(self) -> np.ndarray:
        """The eighth root of the sum of the eighth powers of the voices."""
        total = np.zeros(self.x.shape[1])
        for name in VOICES[:-1]:
            square = np.minimum(self.parts[name], LARGEST)
            square *= square
            square *= square
            total += square * square
        return np.asarray(np.sqrt(np.sqrt(np.sqrt(total))))

    def _set(self, name: str, after: np.ndarray) -> np.ndarray:
        """Set the state to the value after the last; return the values before each."""
        before = shift_by_one(self.state[name], after)
        self.state[name][:] = after[:, -1:]
        return before

    def _floor(self, fixed: float | None) -> np.ndarray:
        """Return the smallest accepted scale before each value."""
        step = np.abs(self.x - self.last)
        after = self.state["moves"] + np.cumsum(step > 0, axis=1)
        moves, self.moves = self._set("moves", after), after[0]
        size = self._set("size", discounted_sums(np.abs(self.x), self.state["size"]))
        least = np.minimum.accumulate(np.concatenate((self.state["step"], np.where(step > 0, step, np.inf)), 1), axis=1)
        self.state["step"][:] = least[:, -1:]
        if fixed is not None:
            return np.full(self.x.shape, max(fixed, 1e-100))
        floor = np.maximum(np.where(least[:, :-1] < np.inf, least[:, :-1], 0.0), 1e-100)
        return np.asarray(np.where(moves < SETTLED, np.maximum(floor, 0.01 * size / self.n.before), floor))

    def _moments(self, name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, sd, after = moments_before(name, x, self.state, self.n)
        for key, values in after.items():
            self.state[key][:] = values[:, -1:]
        return mean, sd

    def _recent(self) -> np.ndarray:
        """Level, dispersion and extremes; return the standard deviation of the past."""
        x, state, parts = self.x, self.state, self.parts
        mean, sd = self._moments("value", x)
        sd = np.maximum(sd, self.floor)
        weight, level, spread = (
            exponential_means(SHARE, values, state[name])
            for name, values in (("weight", np.ones(x.shape)), ("level", x), ("spread", np.abs(x - mean)))
        )
        seen = np.maximum(self.seen, 1.0)
        wider = LIMIT * (1 + YOUNG / seen)
        parts["mean"], parts["sd"] = mean[0], sd[0]
        for name, now in (("level", level / weight), ("spread", spread / weight)):
            usual, scale = self._moments(name, now)
            parts[name] = (np.abs((now - usual) / np.maximum(scale, self.floor * sd_of_mean(SHARE))) / wider)[0]
            parts[f"{name}_now"], parts[f"{name}_usual"] = now[0], usual[0]
        for name, values in (("weight", weight), ("level", level), ("spread", spread)):
            state[name][:] = values[:, -1:]
        high = np.maximum.accumulate(np.concatenate((state["highest"], x), 1), axis=1)
        low = np.minimum.accumulate(np.concatenate((state["lowest"], x), 1), axis=1)
        state["highest"][:], state["lowest"][:] = high[:, -1:], low[:, -1:]
        parts["highest"], parts["lowest"] = high[0, :-1], low[0, :-1]
        beyond = np.maximum(x - high[:, :-1], low[:, :-1] - x) / (MARGIN * sd) / (1 + YOUNG_MARGIN / seen)
        parts["extreme"] = np.maximum(beyond, 0.0)[0]
        return np.asarray(sd)

    def _errors(self) -> list[np.ndarray]:
        """Return the statistics of the calibrated voices; those of ranks need the sorted past of their block."""
        x, last, state, parts = self.x, self.last, self.state, self.parts
        trend = self._set("trend", exponential_means(TREND, x - last, state["trend"]))
        mean = self._set("mean", exponential_means(PREDICTOR, x, state["mean"]))
        fast = exponential_means(FAST, x, state["fast"])
        state["fast"][:] = fast[:, -1:]
        slow = self._set("slow", exponential_means(SLOW, x, state["slow"]))
        error = np.minimum(np.minimum(np.abs(x - last), np.abs(x - mean)), np.abs(x - (last + trend)))
        parts["predicted"], parts["fast"], parts["slow"] = mean[0], fast[0], slow[0]
        rank, offset = self._ranks(), np.zeros(x.shape)
        known = ~np.isnan(rank)
        offset[known] = np.abs(rank[known]) - 0.25
        ranks = exponential_means(RANK, np.where(known, rank, 0.0), state["ranks"])
        spread = exponential_means(RANK, offset, state["rank_spread"])
        state["ranks"][:], state["rank_spread"][:] = ranks[:, -1:], spread[:, -1:]
        parts["rank_now"], parts["rank_spread_now"] = ranks[0], spread[0]
        return [
            ((error + OFFSETS[0] * self.floor) / self.sd)[0],
            ((np.abs(fast - slow) + OFFSETS[1] * self.floor) / self.sd)[0],
            np.abs(ranks)[0] + OFFSETS[2],
            np.abs(spread)[0] + OFFSETS[3],
        ]

    def _segments(self) -> list[tuple[int, int]]:
        """Return the parts of the values that lie within one block each."""
        length, first = self.x.shape[1], BLOCK - self.count % BLOCK
        edges = [0, *range(first, length, BLOCK), length]
        return list(itertools.pairwise(edges))

    def _ranks(self) -> np.ndarray:
        """Return the rank of each value in the thinned past, -0.5 to 0.5, NaN before there is one."""
        x, rank, median = self.x[0], np.full(self.x.shape, np.nan), np.full(self.x.shape[1], np.nan)
        past, ordered = self.state["past"][0], self.state["sorted"][0]
        for start, stop in self._segments():
            if count := int(self.state["ranked"][0, 0]):
                known = ordered[:count]
                left, right = (np.searchsorted(known, x[start:stop], side) for side in ("left", "right"))
                rank[0, start:stop] = (left + right) / (2.0 * count) - 0.5
                median[start:stop] = known[count // 2]
            self._remember(x[start:stop], self.count + start, past)
            count = self.count + stop
            if count % BLOCK == 0 and count >= self.state["refresh"][0, 0]:
                stored = int(self.state["stored"][0, 0])
                ordered[:stored] = np.sort(past[:stored])
                self.state["ranked"][:], self.state["refresh"][:] = stored, count + min(count // 4, 512)
        self.parts["median"] = median
        return rank

    def _remember(self, x: np.ndarray, count: int, past: np.ndarray) -> None:
        """Store every `stride`-th value of the past; thin it when it is full, until it covers the memory."""
        stride = int(self.state["stride"][0, 0])
        if (at := -count % stride) >= len(x):
            return
        stored, place = int(self.state["stored"][0, 0]), int(self.state["place"][0, 0])
        while at < len(x):
            if stored == PAST and stride < MOST_STRIDE:
                past[: PAST // 2] = past[:PAST:2].copy()
                stored, stride = PAST // 2, 2 * stride
                if (count + at) % stride:
                    at += -(count + at) % stride
                    continue
            if stored < PAST:
                past[stored] = x[at]
                stored += 1
            else:
                past[place] = x[at]
                place = (place + 1) % PAST
            at += stride
        self.state["stored"][:], self.state["stride"][:], self.state["place"][:] = stored, stride, place

    def _binary_values(self) -> int:
        """Return the number of values before the first that is neither 0 nor 1, in this group so far."""
        if not self.state["binary"][0, 0]:
            return 0
        other = np.flatnonzero((self.x[0] != 0) & (self.x[0] != 1))
        self.state["binary"][:] = not len(other)
        return int(other[0]) if len(other) else self.x.shape[1]

    def _blocks(self, found: list[np.ndarray], binary: int, warm_up: int) -> None:
        """Compare the calibrated voices with their limits; learn the limits and odds at the end of each block."""
        segments = self._segments()
        maxima = np.maximum.reduceat(np.stack(found), [start for start, _ in segments], axis=1).tolist()
        lengths = [stop - start for start, stop in segments]
        for i, name in enumerate(NAMES):
            limits = np.repeat(self._limits(name, maxima[i], SURE if i < 2 else SURE_RANKS), lengths)
            if i < 2:
                self.parts[name] = found[i] / np.maximum(limits, (LEAST[i] * self.floor / self.sd)[0])
            else:  # ranks of values that hardly differ mean nothing
                self.parts[name] = np.where((self.sd > self.floor)[0], found[i] / limits, 0.0)
        self.parts["rate"], self.parts["rate_usual"] = np.zeros((2, self.x.shape[1]))
        for start, stop in segments if binary else ():
            if start < binary:
                self._rate(start, min(stop, binary), warm_up, (self.count + stop) % BLOCK == 0 and stop <= binary)

    def _limits(self, name: str, maxima: list[float], sure: float) -> list[float]:
        """Return the limit of a voice in each segment, and learn from the maxima of blocks that end."""
        keys = [f"{part}_{name}" for part in ("largest", "log_mean", "log_square", "blocks", "limit")]
        largest, mean, square, blocks, limit = (float(self.state[key][0, 0]) for key in keys)
        limits = []
        for maximum, (_, stop) in zip(maxima, self._segments(), strict=True):
            limits.append(limit)
            largest = max(largest, maximum)
            if (self.count + stop) % BLOCK == 0:
                if self.count + stop > BLOCK:
                    mean, square, blocks, limit = update_limit(largest, mean, square, blocks, sure)
                largest = 0.0
        for key, value in zip(keys, (largest, mean, square, blocks, limit), strict=True):
            self.state[key][:] = value
        return limits

    def _rate(self, start: int, stop: int, warm_up: int, ends: bool) -> None:
        """The rate of a column of 0 and 1: evidence for more or fewer ones than usual."""
        cells = [float(self.state[name][0, 0]) for name in RATE_CELLS]
        values = zip(self.x[0, start:stop].tolist(), self.parts["level_now"][start:stop].tolist(), strict=True)
        for i, (x, recent) in enumerate(values, start):
            self.parts["rate_usual"][i] = cells[8]
            self.parts["rate"][i] = add_value(x, cells, recent, self.count + i >= warm_up) / EVIDENCE
        if ends and cells[11] == 0.0:  # while an alarm lasts, the usual rate is that before it
            learn_rate(cells)
        for name, cell in zip(RATE_CELLS, cells, strict=True):
            self.state[name][:] = cell

    def _repeats(self) -> None:
        """The run of equal values."""
        equal = (self.x == self.last)[0]
        equal[0] &= self.count > 0
        at = np.arange(len(equal))
        ended = np.maximum.accumulate(np.where(equal, -1, at))
        run = np.where(ended >= 0, at - ended, float(self.state["repeats"][0, 0]) + 1 + at)
        before = np.concatenate((self.state["repeats"][0], run[:-1]))
        longest = np.maximum.accumulate(np.maximum(np.where(equal, 0.0, before), self.state["longest"][0, 0]))
        self.state["repeats"][:], self.state["longest"][:] = run[-1], longest[-1]
        voice = np.where(self.moves >= SETTLED, run / (REPEATS + REPEATS_TIMES * longest), 0.0)
        self.parts["repeat"], self.parts["run"], self.parts["longest"] = (
            np.where(voice < NORMAL, voice, 0.0), run.astype(float), longest,
        )  # fmt: skip
