"""Downsampling against a plain loop on random series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.notebook.figures.decimate import BUCKETS, decimate
from tests.tiers import examples

SERIES = st.integers(0, 400).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 50), min_size=n, max_size=n),
        st.lists(
            st.sampled_from([np.nan, np.inf, 0.0, 1.0, 2.0, -3.5, 1e300]) | st.floats(-1e6, 1e6), min_size=n, max_size=n
        ),
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.integers(1, 60),
    )
)


@pytest.mark.untraced
@given(SERIES)
@examples(300)
def test_every_anomaly_and_every_extreme_of_a_bucket_is_drawn(series: tuple) -> None:
    steps, values, flags, buckets = series
    x, y, keep = np.cumsum(np.array(steps, np.int64)), np.array(values, float), np.array(flags, bool)
    drawn = decimate(x, y, keep, buckets)
    finite = np.isfinite(y)
    assert (np.diff(drawn) > 0).all()
    assert finite[drawn].all()
    assert set(np.flatnonzero(keep & finite)) <= set(drawn.tolist())
    assert len(drawn) <= max(4 * buckets + int((keep & finite).sum()), 0) or len(drawn) == finite.sum() <= 4 * buckets
    if not finite.any():
        return
    known = np.flatnonzero(finite)
    width = max(-(-int(x[known[-1]] - x[known[0]] + 1) // buckets), 1)
    for bucket in np.unique((x[known] - x[known[0]]) // width):
        inside = known[(x[known] - x[known[0]]) // width == bucket]
        shown = np.intersect1d(inside, drawn)
        assert {inside[0], inside[-1]} <= set(shown.tolist())
        assert y[shown].min() == y[inside].min()
        assert y[shown].max() == y[inside].max()


def test_a_million_points_become_four_thousand(rng: np.random.Generator) -> None:
    y = rng.lognormal(0, 1, 1_000_000)
    keep = np.zeros(len(y), bool)
    keep[[17, 500_000]] = True
    drawn = decimate(np.arange(len(y)) * 1000, y, keep)
    assert BUCKETS < len(drawn) <= 4 * BUCKETS + 2
    assert y[drawn].max() == y.max()
    assert {17, 500_000} <= set(drawn.tolist())


def test_all_at_one_moment() -> None:
    y = np.arange(100.0)
    assert decimate(np.zeros(100, np.int64), y, np.zeros(100, bool), buckets=3).tolist() == [0, 99]
