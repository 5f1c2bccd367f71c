"""Quantiles are exact for few values and from a histogram for many; `exact` shows which."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.accumulators import LogHistogram, Quantiles
from crucible_nb.errors import ConfigError, StoreError

Q = np.linspace(0, 1, 33)
PIECES = st.lists(st.lists(st.floats(-1e6, 1e6), max_size=8), max_size=8)


@given(PIECES)
def test_exact_up_to_the_limit_and_the_histogram_above(pieces):
    one = Quantiles(limit=20)
    for piece in pieces:
        one.update(piece)
    values = [value for piece in pieces for value in piece]
    assert one.count == len(values)
    assert one.exact == (len(values) <= 20)
    if not values:
        assert np.isnan(one.quantile(Q)).all()
    elif one.exact:
        np.testing.assert_array_equal(one.quantile(Q), np.quantile(values, Q))
        assert one.error_bound == 0.0
    else:
        np.testing.assert_array_equal(one.quantile(Q), LogHistogram().update(values).quantile(Q))
        assert one.error_bound == 2**-9


@given(PIECES)
def test_merge_all_is_merging_one_by_one_is_updating(pieces):
    parts = [Quantiles(limit=20).update(piece) for piece in pieces]
    whole, step = Quantiles(limit=20), Quantiles(limit=20)
    for part, piece in zip(parts, pieces, strict=True):
        whole.update(piece)
        step = step.merge(part)
    assert Quantiles.merge_all([Quantiles(limit=20), *parts]) == step == whole


def test_a_look_changes_no_bit_of_what_follows():
    rng = np.random.default_rng(0)
    looked, alone = Quantiles(limit=50), Quantiles(limit=50)
    for _ in range(40):
        piece, weights = rng.normal(size=7), rng.uniform(1, 3, 7)
        looked.update(piece, weights)
        alone.update(piece, weights)
        looked.quantile(0.5)
        looked.result()
    assert looked == alone


def test_copies_and_merges_live_apart():
    one = Quantiles(limit=10).update(np.arange(8.0))
    copy, both = one.copy(), one.merge(Quantiles(limit=10).update([9.0]))
    one.update(np.arange(100.0, 130.0))
    copy.update([50.0])
    assert (copy.count, copy.maximum) == (9, 50.0)
    assert (both.count, both.maximum) == (9, 9.0)
    assert (one.count, one.exact, one.maximum) == (38, False, 129.0)


def test_the_smaller_limit_wins():
    small, large = Quantiles(limit=3).update([1.0, 2.0]), Quantiles(limit=100).update([3.0, 4.0])
    assert (small.merge(large).limit, small.merge(large).exact) == (3, False)
    assert (large.merge(small).limit, large.merge(small).exact) == (3, False)


def test_weights_are_kept_exact_too():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=100), rng.integers(0, 4, 100)
    one = Quantiles().update(values[:50], weights[:50]).update(np.repeat(values[50:], weights[50:]))
    np.testing.assert_array_equal(one.quantile(Q), np.quantile(np.repeat(values, weights), Q))


def test_missing_and_infinite_values():
    for limit in (100, 3):
        one = Quantiles(limit=limit).update([1.0, math.nan, math.inf, 2.0, -math.inf, None])
        assert (one.count, one.missing, one.infinite) == (4, 2, 2)
        assert (one.minimum, one.maximum) == (-math.inf, math.inf)


def test_merging_nothing():
    assert Quantiles.merge_all([]) == Quantiles()


def test_parameters():
    with pytest.raises(ConfigError, match=r"^limit=0: expected a whole number >= 1$"):
        Quantiles(limit=0)
    with pytest.raises(ConfigError) as error:
        Quantiles().merge(Quantiles(bits=4))
    assert str(error.value) == "later=Quantiles(limit=2048, bits=4, count=0, exact=True): expected Quantiles(bits=8)"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"values": ["a"]}, "state of 'quantiles': values=['a']: expected numbers in one dimension"),
        ({"weights": [1.0]}, "state of 'quantiles': weights: expected 2 numbers, one for each value, got 1"),
        ({"limit": 0}, "state of 'quantiles': limit=0: expected a whole number >= 1"),
        ({"limit": 1}, "state of 'quantiles': values: expected at most 1 numbers, got 2"),
        ({"bits": "x"}, None),
        ({"histogram": 3}, "state=3: expected the to_dict() of 'loghistogram'"),
        ({"histogram": LogHistogram(4).to_dict()}, "state of 'quantiles': histogram: expected 8 bits, got 4"),
    ],
)
def test_broken_state(change, sentence):
    with pytest.raises(StoreError) as error:
        Quantiles.from_dict(Quantiles().update([1.0, 2.0]).to_dict() | change)
    if sentence:
        assert str(error.value) == sentence
    else:
        assert str(error.value).startswith("state of 'quantiles': bits='x': expected one of 1, 2, ")
