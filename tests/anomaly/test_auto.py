"""`auto` against a second implementation of its rules, from the guide, as a loop over single values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crucible_nb.anomaly import Auto
from crucible_nb.events.event_columns import EventColumns

Options = dict[str, Any]


def weighted(past: list[float], fade: float) -> tuple[float, float, float]:
    """Sum of weights, mean and standard deviation of a past whose newest value weighs 1, each earlier one less."""
    weights = [fade**age for age in range(len(past) - 1, -1, -1)]
    total = sum(weights)
    mean = sum(map(float.__mul__, weights, past)) / total
    square = sum(weight * (value - mean) ** 2 for weight, value in zip(weights, past, strict=True))
    return total, mean, math.sqrt(square / (total - 1)) if len(past) > 1 else 0.0


class Group:
    """History of one group: its values, and the recent level and dispersion after each."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.off: list[float] = []
        self.levels: list[float] = []
        self.spreads: list[float] = []
        self.run = 0

    def score(self, x: float, options: Options) -> float:
        """Score a value against everything before it; then add it to the history, unless told not to."""
        memory, recent = 1 - 1 / 10_000, 0.98  # ten thousand values; about fifty
        seen = len(self.values)
        mean, sd, floor = x, 0.0, 0.0
        if seen:
            _, mean, sd = weighted(self.values, memory)
            _, size, _ = weighted([abs(value) for value in self.values], memory)
            steps = [abs(b - a) for a, b in zip(self.values, self.values[1:], strict=False) if a != b]
            floor = max(min(steps, default=0.0), 0.01 * size)
        floor = max(options.get("floor", floor), 1e-100)  # where all was 0
        sd = max(sd, floor)
        level = weighted([*self.values, x], recent)[1]
        spread = weighted([*self.off, abs(x - mean)], recent)[1]
        score = math.nan
        if seen >= options.get("warm_up", 150):
            far = []
            for now, before in ((level, self.levels), (spread, self.spreads)):
                _, usual, scale = weighted(before, memory)
                # the mean of independent values scatters by a tenth of what they do
                far.append(abs(now - usual) / max(scale, floor * math.sqrt(0.02 / 1.98)))
            beyond = max(x - max(self.values), min(self.values) - x)
            extreme = beyond / (0.5 * sd) / (1 + 300 / seen)
            score = max(max(far) / 3.2 / (1 + 100 / seen), extreme)
            score = min(score / options.get("threshold", 1.0), 1000.0)
        alarm = score >= 1
        self.run = self.run + 1 if alarm else 0
        if options.get("learn") != "normal" or not alarm or self.run > 32:
            self.values.append(x)
            self.off.append(abs(x - mean))
            self.levels.append(level)
            self.spreads.append(spread)
        return score


def loop(x: np.ndarray, groups: np.ndarray, options: Options) -> np.ndarray:
    past: dict[Any, Group] = {}
    result = []
    for value, group in zip(x.tolist(), groups.tolist(), strict=True):
        known = math.isfinite(value)
        result.append(past.setdefault(group, Group()).score(value, options) if known else math.nan)
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


def falling(rng: np.random.Generator, n: int) -> np.ndarray:
    return -rng.normal(0, 1, n).cumsum() + 1e6


SERIES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": normal, "level shift": shifted, "lognormal": lognormal, "ties": ties, "rates": rates, "gaps": gaps,
    "random walk far from 0": falling,
}  # fmt: skip


def compared(x: np.ndarray, groups: np.ndarray, options: Options, detector: Auto, **tolerance: float) -> np.ndarray:
    frame = pd.DataFrame({"value": x, "model": groups})
    got, expected = detector.begin().judge(EventColumns.of_frame(frame)).score, loop(x, groups, options)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, **{"rtol": 1e-9, "atol": 1e-9, **tolerance})
    assert np.isfinite(got).any()
    return got


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("series", SERIES)
def test_scores_are_those_of_the_loop(series: str, seed: int) -> None:
    x = SERIES[series](np.random.default_rng(seed), 700)
    got = compared(x, np.zeros(700), {}, Auto("value"))
    if series in ("level shift", "gaps"):
        assert (got >= 1).any()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("series", SERIES)
def test_so_they_are_with_groups(series: str, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    x, groups = SERIES[series](rng, 1000), rng.choice(["a", "b", "c"], 1000, p=[0.55, 0.35, 0.1])
    x[groups == "b"] *= 100
    compared(x, groups, {}, Auto("value", by="model"))


@pytest.mark.parametrize(
    "options",
    [{"floor": 80.0}, {"threshold": 1.7}, {"warm_up": 20}, {"learn": "normal"}, {"learn": "normal", "warm_up": 60}],
    ids=str,
)
@pytest.mark.parametrize("series", ["level shift", "ties", "gaps"])
def test_so_they_are_with_other_settings(series: str, options: Options) -> None:
    x = SERIES[series](np.random.default_rng(7), 700)
    compared(x, np.zeros(700), options, Auto("value", **options))


@pytest.mark.check
def test_so_they_are_of_a_long_series() -> None:
    x = lognormal(np.random.default_rng(9), 2000)
    compared(x, np.zeros(2000), {}, Auto("value"))
