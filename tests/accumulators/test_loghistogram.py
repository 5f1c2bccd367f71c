"""The log histogram: its error bound is a theorem, its merge is exact."""

import itertools
import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crucible_nb.accumulators import LogHistogram
from crucible_nb.accumulators.buckets import bucket_keys, bucket_values
from crucible_nb.accumulators.kernels import KERNELS
from crucible_nb.errors import ConfigError, StoreError

POSITIVE = st.floats(5e-324, sys.float_info.max)
Q = np.linspace(0, 1, 21)


@given(POSITIVE, st.integers(1, 16))
def test_what_stands_for_a_bucket_is_within_the_bound_of_everything_in_it(value, bits):
    key = bucket_keys(np.array([value]), bits)
    found = bucket_values(key, bits)[0]
    assert abs(found - value) <= 2.0 ** -(bits + 1) * value


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_the_bound_holds_at_the_ends_of_buckets(bits):
    edges = np.concatenate(
        [np.ldexp(1 + np.arange(1 << bits) / (1 << bits), power) for power in (-1023, -1022, 0, 1023)]
    )
    values = np.concatenate((edges, np.nextafter(edges[1:], 0), [sys.float_info.max, 5e-324]))
    found = bucket_values(bucket_keys(values, bits), bits)
    assert (np.abs(found / values - 1) <= 2.0 ** -(bits + 1)).all()
    assert np.isfinite(found).all()


@given(POSITIVE, POSITIVE)
def test_keys_are_in_the_order_of_the_values(a, b):
    low, high = bucket_keys(np.array([min(a, b), max(a, b)]), 8)
    assert low <= high


@given(st.lists(POSITIVE, min_size=1, max_size=40), st.booleans(), st.sampled_from([2, 8]))
def test_quantiles_of_one_sign_are_within_the_bound(values, negative, bits):
    values = np.array(values) * (-1 if negative else 1)
    assume(np.isfinite(np.diff(np.sort(values))).all())
    sketch = LogHistogram(bits).update(values)
    exact = np.quantile(values, Q)
    slack = 1e-12 * np.abs(exact) + 5e-324  # the rounding of the interpolation itself
    assert (np.abs(sketch.quantile(Q) - exact) <= sketch.relative_error_bound * np.abs(exact) + slack).all()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_quantiles_of_both_signs_are_within_the_bound_of_the_larger_neighbour(values):
    ordered = np.sort(values)
    sketch = LogHistogram().update(values)
    ranks = Q * (len(values) - 1)
    size = np.maximum(np.abs(ordered[np.floor(ranks).astype(int)]), np.abs(ordered[np.ceil(ranks).astype(int)]))
    error = np.abs(sketch.quantile(Q) - np.quantile(values, Q))
    assert (error <= sketch.relative_error_bound * size * (1 + 1e-9) + 1e-300).all()


def test_a_thousand_panes_merge_to_the_same_bits_in_any_order():
    rng = np.random.default_rng(0)
    panes = [LogHistogram().update(rng.lognormal(rng.normal(0, 5), 1, 20) * rng.choice([-1, 1])) for _ in range(1000)]
    whole = LogHistogram.merge_all(panes)
    assert LogHistogram.merge_all([panes[i] for i in rng.permutation(1000)]) == whole
    assert whole.count == 20_000


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_growing_in_any_direction(order):
    values = [1e-300, 1.0, 1e300]
    sketch = LogHistogram()
    for index in order:
        sketch.update([values[index]])
    assert sketch == LogHistogram().update(values)


def test_every_kind_of_number_is_counted():
    values = [0.0, -0.0, 5.0, -5.0, 5e-324, -5e-324, math.inf, -math.inf, math.nan]
    sketch = LogHistogram().update(values)
    assert (sketch.count, sketch.missing, sketch.infinite) == (8, 1, 2)
    assert (sketch.minimum, sketch.maximum) == (-math.inf, math.inf)
    assert sketch.quantile(np.arange(8) / 7) == pytest.approx(sorted(values[:8]), rel=0.002)


def test_infinite_values_alone():
    sketch = LogHistogram().update([math.inf, math.inf])
    assert sketch.quantile([0.0, 0.5, 1.0]).tolist() == [math.inf] * 3


def test_constant_data_give_the_constant():
    assert (LogHistogram().update(np.full(1000, 7.3)).quantile(Q) == 7.3).all()


def test_extremes_are_exact_and_two_values_too():
    sketch = LogHistogram().update([3.001, 7.77])
    assert sketch.quantile([0.0, 1.0]).tolist() == [3.001, 7.77]


def test_whole_weights_are_repetitions_to_the_bit():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=500), rng.integers(0, 4, 500)
    weighted, repeated = LogHistogram().update(values, weights), LogHistogram().update(np.repeat(values, weights))
    np.testing.assert_array_equal(weighted.quantile(Q), repeated.quantile(Q))


def test_fractional_weights_stay_in_order_and_between_the_extremes():
    rng = np.random.default_rng(2)
    found = LogHistogram().update(rng.normal(size=500), rng.uniform(0, 0.3, 500)).quantile(Q)
    assert (np.diff(found) >= 0).all()


def test_a_strided_view_is_read_rightly():
    values = np.arange(1.0, 101.0)
    assert LogHistogram().update(values[::3]) == LogHistogram().update(values[::3].copy())


def test_bits_must_agree_and_make_sense():
    with pytest.raises(ConfigError) as error:
        LogHistogram(8).merge(LogHistogram(7))
    assert str(error.value) == (
        "later=LogHistogram(bits=7, count=0, minimum=nan, maximum=nan): expected LogHistogram(bits=8)"
    )
    with pytest.raises(ConfigError, match=r"^bits=0: expected one of 1, 2, 3, "):
        LogHistogram(0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"positive_keys": [10**15], "positive_weights": [1.0]}, "state of 'loghistogram': positive_keys: expected numbers from -13056 to 524031"),
        ({"positive_keys": [3, 2], "positive_weights": [1.0, 1.0]}, "state of 'loghistogram': positive_keys: expected ascending numbers"),
        ({"positive_keys": [2, 2], "positive_weights": [1.0, 1.0]}, "state of 'loghistogram': positive_keys: expected ascending whole numbers"),
        ({"negative_keys": [0.5], "negative_weights": [1.0]}, "state of 'loghistogram': negative_keys: expected ascending whole numbers"),
        ({"negative_weights": [1.0]}, "state of 'loghistogram': weights: expected 0 numbers, one for each value, got 1"),
        ({"bits": 99}, None),
    ],
)  # fmt: skip
def test_broken_state(change, sentence):
    with pytest.raises(StoreError) as error:
        LogHistogram.from_dict(LogHistogram().update([1.0]).to_dict() | change)
    if sentence:
        assert str(error.value) == sentence
    else:
        assert str(error.value).startswith("state of 'loghistogram': bits=99: expected one of 1, 2, ")


SIGNED = st.lists(st.floats(allow_nan=False), min_size=1, max_size=30)


@given(SIGNED, SIGNED)
def test_compiled_code_counts_values_of_every_sign_and_size_as_numpy_does(first, second):
    compiled = KERNELS.load()
    if compiled is None:
        pytest.skip("without numba")
    x = np.array(first)
    found = LogHistogram().update(x).update(second).to_dict()
    KERNELS._module = None
    try:
        assert LogHistogram().update(x).update(second).to_dict() == found
    finally:
        KERNELS._module = compiled
    finite = x[(x != 0) & np.isfinite(x)]
    powers = (np.abs(finite).view(np.int64) >> 52).tolist()
    whole = bool((np.isfinite(x) & (np.abs(x) < 2**31) & (x == np.trunc(x))).all())
    assert compiled.exponents(x) == (min(powers, default=2047), max(powers, default=-1), whole)
