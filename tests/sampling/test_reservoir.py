"""Reservoir sampling: exact sizes, every position equally likely, fewer entries in a longer stream."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling import Reservoir, sample
from crucible_nb.sampling.random_numbers import RandomStream
from crucible_nb.sampling.reservoir import Slots


@pytest.mark.parametrize("n", [0, 1, 19, 20, 21, 500])
@pytest.mark.parametrize("size", [1, 20, 600])
def test_exactly_so_many_rows_each_standing_for_its_share(n: int, size: int) -> None:
    rows = sample(pd.DataFrame({"x": np.arange(n)}), Reservoir(size), seed=5)
    assert len(rows) == min(n, size)
    assert rows.weight.tolist() == [n / max(min(n, size), 1)] * min(n, size)
    assert rows.x.is_monotonic_increasing


def test_every_position_is_equally_likely() -> None:
    """Chi-square over positions; sampling without replacement makes it smaller by (N - k) / (N - 1)."""
    n, size, runs = 100, 10, 10_000
    seq, counts = np.arange(n), np.zeros(n)
    for seed in range(runs):
        slots = Slots(size, RandomStream(seed))
        slots.add(seq)
        counts[slots.members] += 1
    expected = runs * size / n
    statistic = ((counts - expected) ** 2 / expected).sum() * (n - 1) / (n - size)
    assert 0.001 < stats.chi2.sf(statistic, n - 1) < 0.999


def test_every_pair_is_equally_likely() -> None:
    n, runs = 6, 6000
    pairs = {}
    for seed in range(runs):
        slots = Slots(2, RandomStream(seed))
        slots.add(np.arange(n))
        pair = tuple(sorted(slots.members.tolist()))
        pairs[pair] = pairs.get(pair, 0) + 1
    assert len(pairs) == 15
    assert stats.chisquare(list(pairs.values())).pvalue > 0.001


def test_entries_become_rare() -> None:
    """About size * ln(n / size) entries in all."""
    running, entered = Reservoir(100).begin(1), []
    for start in range(0, 100_000, 1000):
        choice = running.choose(EventColumns.of_frame(pd.DataFrame(index=range(1000)), start))
        entered.append(int(choice.keep.sum()))
    assert entered[0] == 100
    assert sum(entered[1:]) == pytest.approx(100 * np.log(100), rel=0.15)
    assert np.mean(entered[-20:]) < 3


@pytest.mark.parametrize("size", [0, -1, 2.5, "many", True])
def test_bad_sizes_are_refused(size: object) -> None:
    with pytest.raises(cr.ConfigError, match="size="):
        Reservoir(size)  # type: ignore[arg-type]
