"""Error rates with many looks: a few seeded runs of tools/simulate_peeking.py, which uses the rules of the package."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from crucible_nb.stats.sequences import Difference
from tools import simulate_peeking as peeking

LOOKS = np.arange(20, 1001, 20)


def arms(one: Any, two: Any, runs: int) -> list[np.ndarray]:
    rngs = [np.random.default_rng([7, run]) for run in range(runs)]
    return [np.array([draw(rng, 1000) for rng in rngs]) for draw in (one, two)]


@pytest.mark.parametrize(
    ("metric", "rule", "one", "two"),
    [
        ("success_rate", peeking.by_rates, peeking.outcomes, partial(peeking.outcomes, rate=0.05)),
        ("p50_x", peeking.by_quantiles, partial(peeking.rounded, step=100.0), partial(peeking.lognormal, factor=1.5)),
        ("x", peeking.by_pairs, peeking.scores, partial(peeking.scores, a=2.4)),
    ],
)
def test_the_simulation_decides_when_users_would(
    metric: str, rule: Callable[..., np.ndarray], one: Any, two: Any
) -> None:
    sides = arms(one, two, 4)
    found = rule(*sides, LOOKS)
    assert (found < peeking.NEVER).any()
    for run, at in enumerate(found):
        diff, wanted = Difference(metric, bound=(0, 1) if metric == "x" else None), peeking.NEVER
        for n in LOOKS:
            diff.update(*(side[run, n - 20 : n] for side in sides))
            if diff.decided:
                wanted = n
                break
        assert at == wanted


@pytest.mark.parametrize(
    "name",
    [
        "errors 2 %",
        "errors 0.5 %",
        "p50, normal",
        "p50, lognormal 1.5",
        "p95, Pareto 1.5",
        "p50, rounded to 100 ms",
        "p50, rounded to 1 s",
        "scores in [0, 1]",
    ],
)
def test_equal_arms_are_rarely_told_apart(name: str) -> None:
    case = next(case for case in peeking.EQUAL if case.name == name)
    at = case.rule(*arms(case.control, case.treatment, 200), LOOKS)
    assert np.mean(at < peeking.NEVER) <= 0.05


def test_what_goes_wrong_without_all_this_is_seen() -> None:
    def wrong(draw: Any, rule: Callable[..., np.ndarray], runs: int) -> float:
        return float(np.mean(rule(*arms(draw, draw, runs), LOOKS) < peeking.NEVER))

    assert wrong(peeking.normal, peeking.by_t_test, 200) > 0.2
    assert wrong(partial(peeking.rounded, step=1000.0), peeking.by_untied, 10) > 0.5
    assert wrong(peeking.dependent, peeking.by_quantiles, 60) > 0.1
    assert wrong(partial(peeking.dependent, block=50), peeking.by_quantiles, 10) <= 0.1


@pytest.mark.parametrize(
    ("name", "least"), [("2% against 10%", 0.9), ("2% against 5%", 0.7), ("median doubled, sigma 1.5", 0.9)]
)
def test_different_arms_are_told_apart_in_time(name: str, least: float) -> None:
    case = next(case for case in peeking.DIFFERENT if case.name == name)
    at = case.rule(*arms(case.control, case.treatment, 100), LOOKS)
    assert np.mean(at <= 1000) >= least
