"""`auto` against a second implementation of its rules, from the guide, as a loop over single values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crucible_nb.anomaly import Auto
from crucible_nb.events.event_columns import EventColumns

Options = dict[str, Any]


MEMORY = 1 - 1 / 10_000
"""Weight of the past per value."""


def weighted(past: list[float], fade: float) -> tuple[float, float, float]:
    """Sum of weights, mean and standard deviation of a past whose newest value weighs 1, each earlier one less."""
    weights = [fade**age for age in range(len(past) - 1, -1, -1)]
    total = sum(weights)
    mean = sum(map(float.__mul__, weights, past)) / total
    square = sum(weight * (value - mean) ** 2 for weight, value in zip(weights, past, strict=True))
    return total, mean, math.sqrt(square / (total - 1)) if len(past) > 1 else 0.0


class Limits:
    """The limit of one voice: its largest value in each block of 80, the first left out."""

    def __init__(self, sure: float) -> None:
        self.sure, self.block, self.limit, self.blocks = sure, list[float](), math.inf, 0
        self.mean = self.square = self.weight = 0.0

    def sd(self) -> float:
        return math.sqrt((6 / 9 + self.square) / (6 + self.weight))

    def add(self, value: float) -> None:
        self.block.append(value)
        if len(self.block) == 80:
            self.blocks += 1
            if self.blocks > 1:
                self.learn(math.log(max(self.block)))
            self.block = []

    def learn(self, log: float) -> None:
        self.mean = log if self.blocks == 2 else self.mean
        off = float(np.clip(log - self.mean, -2.5 * self.sd(), 2.5 * self.sd()))
        self.weight = 0.98 * self.weight + 1
        self.mean += off / self.weight
        self.square = 0.98 * self.square + off**2 * (1 - 1 / self.weight)
        self.limit = math.exp(self.mean + self.sure * self.sd() * (1 + 2 / self.weight))


class Evidence:
    """That ones come five times as often, or a fifth, as in the blocks before."""

    def __init__(self, odds: float) -> None:
        self.odds, self.gains, self.now, self.most = odds, (0.0, 0.0), 0.0, 0.0

    def voice(self, x: float, known: bool) -> float:
        self.now = max(self.now + self.gains[x == 1], 0.0) if known else 0.0
        self.most = max(self.most, self.now) if self.now else 0.0
        if self.most >= 8 and self.now < self.most - 4:
            self.now = self.most = 0.0
        return self.now / 8

    def learn(self, usual: float) -> None:
        odds = self.odds * usual / (1 - usual)
        rarer = min(usual, 1 - usual) > min(odds / (1 + odds), 1 - odds / (1 + odds))
        if rarer and min(usual, 1 - usual) < 0.05:
            self.gains = 0.0, 0.0
        else:
            self.gains = math.log((1 / (1 + odds)) / (1 - usual)), math.log(odds / (1 + odds) / usual)


class Group:
    """History of one group: its values, and the recent level and dispersion after each."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.off: list[float] = []
        self.levels: list[float] = []
        self.spreads: list[float] = []
        self.limits = [Limits(2.9), Limits(2.9), Limits(2.8), Limits(2.8)]
        self.evidence = [Evidence(5.0), Evidence(0.2)]
        self.ones = self.zeros = self.lasted = 0.0
        self.mean = self.step = self.fast = self.slow = self.rank = self.off_middle = 0.0
        self.ordered: list[float] = []
        self.refresh, self.repeats, self.longest, self.run = 80, 0, 1, 0

    def scale(self, options: Options) -> tuple[float, float, float]:
        """Mean, standard deviation and smallest scale of the past."""
        steps = [abs(b - a) for a, b in zip(self.values, self.values[1:], strict=False) if a != b]
        floor = min(steps, default=0.0)
        if not self.values:
            return 0.0, 0.0, max(options.get("floor", 0.0), 1e-100)
        if len(steps) < 50:
            floor = max(floor, 0.01 * weighted([abs(value) for value in self.values], MEMORY)[1])
        _, mean, sd = weighted(self.values, MEMORY)
        return mean, sd, max(options.get("floor", floor), 1e-100)

    def errors(self, x: float) -> tuple[float, float]:
        """The error of the best prediction, and the distance of two means."""
        if not self.values:
            self.mean = self.fast = self.slow = x
        last = self.values[-1] if self.values else x
        error = min(abs(x - last), abs(x - self.mean), abs(x - (last + self.step)))
        self.step += 0.1 * (x - last - self.step)
        self.mean += 0.05 * (x - self.mean)
        self.fast += 0.15 * (x - self.fast)
        drift = abs(self.fast - self.slow)
        self.slow += 0.01 * (x - self.slow)
        return error, drift

    def ranks(self, x: float) -> tuple[float, float]:
        """The mean rank, and the mean distance of ranks from the middle."""
        if self.ordered:
            below = sum(value < x for value in self.ordered) + sum(value <= x for value in self.ordered)
            rank = below / len(self.ordered) / 2 - 0.5
            self.rank += 0.05 * (rank - self.rank)
            self.off_middle += 0.05 * (abs(rank) - 0.25 - self.off_middle)
        return abs(self.rank) + 0.02, abs(self.off_middle) + 0.02

    def learn_rate(self) -> None:
        for one in self.evidence:
            one.learn((self.ones + 0.5) / (self.ones + self.zeros + 1))

    def end_block(self) -> None:
        count = len(self.values)
        if set(self.values) <= {0.0, 1.0} and not self.lasted:
            self.learn_rate()
        if count >= self.refresh:
            stride = next(2**k for k in range(20) if math.ceil(count / 2**k) <= 64)
            self.ordered = sorted(self.values[::stride])
            self.refresh = count + min(count // 4, 512)

    def score(self, x: float, options: Options) -> float:
        """Score a value against everything before it; then add it to the history, unless told not to."""
        before = deepcopy(self) if options.get("learn") == "normal" else None
        seen, warm_up = len(self.values), options.get("warm_up", 150)
        mean, sd, floor = self.scale(options)
        mean, sd = mean if seen else x, max(sd, floor)
        level = weighted([*self.values, x], 0.98)[1]
        spread = weighted([*self.off, abs(x - mean)], 0.98)[1]
        voices = [0.0]
        if seen:
            for now, past in ((level, self.levels), (spread, self.spreads)):
                _, usual, scale = weighted(past, MEMORY)
                # the mean of independent values scatters by a tenth of what they do
                voices.append(abs(now - usual) / max(scale, floor * math.sqrt(0.02 / 1.98)) / 3.4 / (1 + 100 / seen))
            voices.append(max(x - max(self.values), min(self.values) - x, 0) / sd / (1 + 300 / seen))
        error, drift = self.errors(x)
        found = ((error + 0.25 * floor) / sd, (drift + 0.1 * floor) / sd, *self.ranks(x))
        least = (2 * floor / sd, floor / sd, 0, 0)
        for i, (limit, value) in enumerate(zip(self.limits, found, strict=True)):
            voice = value / max(limit.limit, least[i])
            voices.append(voice if i < 2 or sd > floor else 0.0)
            limit.add(value)
        same = bool(seen) and x == self.values[-1]
        self.longest = self.longest if same else max(self.longest, self.repeats)
        self.repeats = self.repeats + 1 if same else 0
        moves = sum(a != b for a, b in pairwise([*self.values, x]))
        repeat = self.repeats / (20 + 4 * self.longest)
        voices.append(repeat if moves >= 50 and repeat < 2 else 0.0)  # longer is the new normal
        score = sum(min(voice, 1000.0) ** 8 for voice in voices) ** (1 / 8)
        if {*self.values, x} <= {0.0, 1.0}:
            score = max(one.voice(x, seen >= warm_up) for one in self.evidence)
            self.ones, self.zeros = MEMORY * self.ones + x, MEMORY * self.zeros + 1 - x
            self.lasted = self.lasted + 1 if score >= 1 else 0
            if self.lasted == 320:  # the new normal
                self.ones, self.zeros, self.lasted = 50 * level, 50 * (1 - level), 0
                self.evidence = [Evidence(5.0), Evidence(0.2)]
                self.learn_rate()
        score = min(score / options.get("threshold", 1.0), 1000.0) if seen >= warm_up else math.nan
        alarm = score >= 1
        if before is not None and alarm and self.run < 32:
            vars(self).update(vars(before), run=self.run + 1)
            return score
        self.run = self.run if alarm else 0
        self.values.append(x)
        self.off.append(abs(x - mean))
        self.levels.append(level)
        self.spreads.append(spread)
        if len(self.values) % 80 == 0:
            self.end_block()
        return score


def loop(x: np.ndarray, groups: np.ndarray, options: Options) -> np.ndarray:
    past: dict[Any, Group] = {}
    finite, infinite = Counter[float](), Counter[float]()
    result = []
    for value, group in zip(x.tolist(), groups.tolist(), strict=True):
        score = math.nan
        if math.isfinite(value):
            score = past.setdefault(group, Group()).score(value, options)
            finite[group] += 1
        elif math.isinf(value):  # critical, until they are 1 % of the values
            if finite[group] >= options.get("warm_up", 150) and infinite[group] <= 0.01 * finite[group]:
                score = 6.0
            infinite[group] += 1
        result.append(score)
    return np.array(result)


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(400, 50, n)


def shifted(rng: np.random.Generator, n: int) -> np.ndarray:
    return normal(rng, n) + np.where(np.arange(n) >= n // 2, 200, 0)


def lognormal(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.lognormal(6, 1, n)


def ties(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.r_[np.full(n // 4, 3.0), rng.poisson(3, n - n // 4)]


def rates(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.random(n) < np.where(np.arange(n) < n // 2, 0.02, 0.5)).astype(float)


def gaps(rng: np.random.Generator, n: int) -> np.ndarray:
    x = normal(rng, n)
    x[rng.random(n) < 0.2] = np.nan
    x[[n // 3, n // 2]] = np.inf, -np.inf
    x[2 * n // 3 : 2 * n // 3 + 40] *= 2
    return x


def jammed(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where((np.arange(n) // 60) % 4 >= 2, 7.0, rng.normal(0, 1, n))


def falling(rng: np.random.Generator, n: int) -> np.ndarray:
    return -rng.normal(0, 1, n).cumsum() + 1e6


SERIES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": normal, "level shift": shifted, "lognormal": lognormal, "ties": ties, "rates": rates, "jammed": jammed, "gaps": gaps,
    "random walk far from 0": falling,
}  # fmt: skip


def compared(x: np.ndarray, groups: np.ndarray, options: Options, detector: Auto, **tolerance: float) -> np.ndarray:
    frame = pd.DataFrame({"value": x, "model": groups})
    got, expected = detector.begin().judge(EventColumns.of_frame(frame)).score, loop(x, groups, options)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, **{"rtol": 1e-9, "atol": 1e-9, **tolerance})
    assert np.isfinite(got).any()
    return got


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.check)])
@pytest.mark.parametrize("series", SERIES)
def test_scores_are_those_of_the_loop(series: str, seed: int) -> None:
    x = SERIES[series](np.random.default_rng(seed), 480)
    got = compared(x, np.zeros(480), {}, Auto("value"))
    if series in ("level shift", "gaps", "rates"):
        assert (got >= 1).any()


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("series", SERIES)
def test_so_they_are_with_groups(series: str, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    x, groups = SERIES[series](rng, 600), rng.choice(["a", "b", "c"], 600, p=[0.55, 0.35, 0.1])
    x[groups == "b"] *= 100
    compared(x, groups, {}, Auto("value", by="model"))


@pytest.mark.parametrize(
    "options",
    [{"floor": 80.0}, {"threshold": 1.7}, {"warm_up": 20}, {"learn": "normal"}, {"learn": "normal", "warm_up": 60}],
    ids=str,
)
@pytest.mark.parametrize("series", ["level shift", "ties", "gaps"])
def test_so_they_are_with_other_settings(series: str, options: Options) -> None:
    x = SERIES[series](np.random.default_rng(7), 400)
    compared(x, np.zeros(400), options, Auto("value", **options))


@pytest.mark.check
def test_so_they_are_of_a_long_series() -> None:
    x = lognormal(np.random.default_rng(9), 1200)
    compared(x, np.zeros(1200), {}, Auto("value"))
