"""Alpha spending: published boundaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from crucible_nb.errors import ConfigError
from crucible_nb.stats.sequences.spending import boundaries, crossing, fractions_of, inflation, spent

PUBLISHED = {
    ("obrien_fleming", 5): [4.877, 3.357, 2.680, 2.290, 2.031],
    ("pocock", 5): [2.438, 2.427, 2.410, 2.397, 2.386],
    ("obrien_fleming", 4): [4.333, 2.963, 2.359, 2.014],
    ("obrien_fleming", 3): [3.710, 2.511, 1.993],
    ("obrien_fleming", 2): [2.963, 1.969],
    ("pocock", 2): [2.157, 2.201],
}


@pytest.mark.parametrize(("spending", "looks"), PUBLISHED)
def test_boundaries_are_the_published_ones(spending: str, looks: int) -> None:
    wanted = PUBLISHED[spending, looks]
    assert boundaries(looks, 0.05, spending) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
@pytest.mark.parametrize("looks", [1, 2, 7, [0.1, 0.4, 1.0]])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_alpha_is_spent_as_it_says(spending: str, looks: Any, alpha: float) -> None:
    found = crossing(boundaries(looks, alpha, spending), looks, 0.0)
    assert found == pytest.approx(spent(fractions_of(looks), alpha, spending), abs=1e-8)
    assert found[-1] == pytest.approx(alpha, abs=1e-8)


def test_one_look_is_a_fixed_test() -> None:
    assert boundaries(1) == pytest.approx([stats.norm.ppf(0.975)])
    assert inflation(1) == pytest.approx(1.0, abs=1e-5)  # a fixed test may also err on the other side


def test_crossing_agrees_with_a_simulation() -> None:
    bounds = boundaries(4, 0.05, "pocock")
    steps = np.random.default_rng(0).normal(2.5 / 4, 0.5, (100_000, 4))
    z = steps.cumsum(axis=1) / np.sqrt(fractions_of(4))
    gone = np.maximum.accumulate(np.abs(z) >= bounds, axis=1).mean(axis=0)
    assert crossing(bounds, 4, 2.5) == pytest.approx(gone, abs=0.006)


def test_more_looks_cost_more_events_and_late_spending_least() -> None:
    late, even = (inflation(5, 0.05, 0.9, spending) for spending in ("obrien_fleming", "pocock"))
    assert 1.0 < late < 1.03 < 1.15 < even < 1.25
    assert inflation(10, 0.05, 0.9) > late


@pytest.mark.parametrize("looks", [0, -1, 2.5, [], [0.5], [0.5, 0.5, 1.0], [0.0, 1.0], [0.7, 0.3, 1.0], "five"])
def test_what_is_no_plan(looks: Any) -> None:
    with pytest.raises((ConfigError, ValueError), match="looks="):
        boundaries(looks)


def test_other_arguments() -> None:
    with pytest.raises(ConfigError, match="spending="):
        boundaries(3, spending="late")
    with pytest.raises(ConfigError, match="alpha="):
        boundaries(3, alpha=0)
    with pytest.raises(ConfigError, match="power="):
        inflation(3, power=0.01)
