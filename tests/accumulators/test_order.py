"""Quantiles of sorted values against np.quantile, bit for bit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.accumulators.order import sort_with_weights
from crucible_nb.errors import ConfigError

FLOATS = st.floats(-1e300, 1e300)
Q = st.lists(st.floats(0, 1), min_size=1, max_size=5)


@given(st.lists(FLOATS, min_size=1, max_size=30), Q)
def test_the_bits_of_numpy(values, q):
    values = np.sort(np.array(values))
    np.testing.assert_array_equal(quantile_of_sorted(values, q), np.quantile(values, q))
    assert quantile_of_sorted(values, q[0]) == np.quantile(values, q[0])


@given(st.lists(st.tuples(FLOATS, st.integers(0, 5)), min_size=1, max_size=20), Q)
def test_whole_weights_are_repetitions(pairs, q):
    values, weights = sort_with_weights(*map(np.array, zip(*[(v, float(w)) for v, w in pairs], strict=True)))
    repeated = np.repeat(values, weights.astype(int))
    found = quantile_of_sorted(values, q, weights)
    if len(repeated):
        np.testing.assert_array_equal(found, np.quantile(repeated, q))
    else:
        assert np.isnan(found).all()


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(1, 7)), min_size=1, max_size=20))
def test_any_weights_from_one_up_are_monotone_from_end_to_end(pairs):
    values, weights = sort_with_weights(*map(np.array, zip(*pairs, strict=True)))
    found = quantile_of_sorted(values, np.linspace(0, 1, 50), weights)
    assert found[0] == values[0]
    assert found[-1] == pytest.approx(values[-1], abs=1e-9)
    assert (np.diff(found) >= -1e-12).all()


def test_weights_below_one_in_all():
    assert quantile_of_sorted(np.array([3.0]), [0.0, 0.5, 1.0], np.array([0.25])).tolist() == [3.0, 3.0, 3.0]


def test_between_the_infinite_and_the_finite_lies_the_infinite():
    values = np.array([-math.inf, 1.0, 2.0, math.inf])
    found = quantile_of_sorted(values, [0, 1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6, 1])
    assert found.tolist() == [-math.inf, -math.inf, 1.0, 1.5, 2.0, math.inf, math.inf]
    assert quantile_of_sorted(np.array([math.inf] * 3), 0.3) == math.inf
    assert math.isnan(quantile_of_sorted(np.array([-math.inf, math.inf]), 0.5))


def test_a_difference_that_overflows():
    assert quantile_of_sorted(np.array([-1.7e308, 1.7e308]), 0.5) == 0.0


def test_nothing_is_nan():
    assert math.isnan(quantile_of_sorted(np.zeros(0), 0.5))
    assert np.isnan(quantile_of_sorted(np.zeros(0), [0.1, 0.9])).all()


def test_one_q_gives_a_float_and_many_their_shape():
    assert type(quantile_of_sorted(np.array([1.0, 2.0]), 0.5)) is float
    assert quantile_of_sorted(np.array([1.0, 2.0]), [[0.1, 0.2], [0.3, 0.4]]).shape == (2, 2)


@pytest.mark.parametrize("q", [1.5, -0.1, math.nan, [0.5, 2.0], "x", None])
def test_q_outside_of_0_to_1(q):
    with pytest.raises(ConfigError) as error:
        quantile_of_sorted(np.array([1.0]), q)
    assert str(error.value) == f"q={q!r}: expected a number or numbers in [0, 1]"
