"""The t-digest: accuracy on nine kinds of data, exact while small."""

import math

import numpy as np
import pytest

from crucible_nb.accumulators import TDigest
from crucible_nb.errors import ConfigError, StoreError
from tests.conftest import need

QS = np.array([0.5, 0.95, 0.99])
TARGET = np.array([0.0005, 0.001, 0.002])


def distributions(seed, n):
    rng = np.random.default_rng(seed)
    lognormal = rng.lognormal(6, 1, n)
    return {
        "lognormal": lognormal,
        "Pareto": rng.pareto(1.5, n) + 1,
        "bimodal": np.where(rng.random(n) < 0.7, rng.lognormal(5, 0.3, n), rng.lognormal(8, 0.3, n)),
        "uniform": rng.random(n),
        "sorted": np.sort(lognormal),
        "reversed": np.sort(lognormal)[::-1],
        "integers": np.round(rng.lognormal(8, 1, n)),
        "drift": lognormal * np.linspace(1, 100, n),
        "constant": np.full(n, 7.3),
    }


def filled(values, chunk=1000, **options):
    digest = TDigest(**options)
    for start in range(0, len(values), chunk):
        digest.update(values[start : start + chunk])
    return digest


@pytest.mark.parametrize("kind", distributions(0, 1))
def test_accuracy_in_value(kind):
    values = distributions(0, 500_000)[kind]
    error = np.abs(filled(values).quantile(QS) / np.quantile(values, QS) - 1)
    assert (error <= TARGET).all()


@pytest.mark.parametrize("n", [1, 2, 3, 20, 2000, 131_072])
def test_exact_as_numpy_while_the_buffer_holds(n):
    values = np.random.default_rng(n).lognormal(size=n)
    digest = filled(values)
    q = np.linspace(0, 1, 101)
    assert digest.exact
    np.testing.assert_array_equal(digest.quantile(q), np.quantile(values, q))


def test_the_same_bits_however_the_stream_is_cut():
    values = np.random.default_rng(0).normal(size=30_000)
    whole = TDigest(buffer=4096).update(values)
    assert filled(values, chunk=7, buffer=4096) == filled(values, chunk=10_000, buffer=4096) == whole
    assert not whole.exact


@pytest.mark.parametrize("kind", distributions(0, 1))
def test_monotone_to_the_last_bit_with_exact_extremes(kind):
    values = distributions(1, 50_000)[kind]
    digest = filled(values, delta=50, buffer=1000)
    found = digest.quantile(np.linspace(0, 1, 20_001))
    assert (np.diff(found) >= 0).all()
    assert (digest.minimum, digest.maximum) == (values.min(), values.max())


def test_merging_many_stays_within_the_error():
    values = np.random.default_rng(0).lognormal(size=500_000)
    merged = TDigest(buffer=2000)
    for part in np.array_split(values, 100):
        merged = merged.merge(TDigest(buffer=2000).update(part))
    assert merged.count == 500_000
    assert np.abs(merged.quantile(QS) / np.quantile(values, QS) - 1).max() < 0.005


def test_the_number_of_clusters_is_bounded():
    digest = filled(np.random.default_rng(0).normal(size=50_000), delta=100, buffer=1000)
    assert len(digest.to_dict()["means"]) <= 100


def test_whole_weights_are_repetitions():
    rng = np.random.default_rng(0)
    values, weights = rng.lognormal(size=20_000), rng.integers(0, 4, 20_000)
    exact = np.quantile(np.repeat(values, weights), QS)
    np.testing.assert_array_equal(TDigest().update(values, weights).quantile(QS), exact)
    clustered = TDigest(buffer=3000).update(values, weights)
    assert clustered.quantile(QS) == pytest.approx(exact, rel=0.005)
    mixed = TDigest(buffer=3000).update(np.repeat(values[:100], weights[:100])).update(values[100:], weights[100:])
    assert mixed.quantile(QS) == pytest.approx(exact, rel=0.005)


def test_missing_and_infinite_values():
    rng = np.random.default_rng(0)
    values = rng.permutation(
        np.concatenate((rng.normal(size=5000), [math.nan] * 7, [math.inf] * 100, [-math.inf] * 50))
    )
    for digest in (TDigest().update(values), TDigest(buffer=500).update(values)):
        assert (digest.count, digest.missing, digest.infinite) == (5150, 7, 150)
        assert (digest.minimum, digest.maximum) == (-math.inf, math.inf)
        assert digest.quantile([0.005, 0.99]).tolist() == [-math.inf, math.inf]
        known = np.sort(values[~np.isnan(values)])
        assert digest.quantile(0.5) == pytest.approx(known[2575], abs=0.01)


def test_infinite_values_alone():
    digest = TDigest(buffer=1).update([math.inf] * 5)
    assert digest.quantile([0.0, 0.5, 1.0]).tolist() == [math.inf] * 3
    digest = TDigest(buffer=1).update([-math.inf] * 5)
    assert digest.quantile([0.0, 0.5, 1.0]).tolist() == [-math.inf] * 3


def test_only_missing_values_are_nothing():
    digest = TDigest(buffer=2).update([math.nan] * 9)
    assert (digest.count, digest.missing, digest.exact) == (0, 9, True)
    assert math.isnan(digest.quantile(0.5))


def test_the_largest_values_do_not_overflow():
    digest = TDigest(delta=10, buffer=10).update(np.array([-1.7e308, 1.7e308] * 200))
    found = digest.quantile(np.linspace(0, 1, 101))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()


def test_better_than_fastdigest_asks():
    fastdigest = need("fastdigest")
    values = np.random.default_rng(0).lognormal(size=200_000)
    theirs = fastdigest.TDigest(max_centroids=1000)
    theirs.batch_update(values)
    expected = [theirs.quantile(float(q)) for q in QS]
    assert filled(values).quantile(QS) == pytest.approx(expected, rel=0.003)


def test_parameters():
    with pytest.raises(ConfigError, match=r"^delta=1: expected a whole number >= 10$"):
        TDigest(1)
    with pytest.raises(ConfigError) as error:
        TDigest().merge(TDigest(delta=20))
    assert str(error.value) == (
        "later=TDigest(delta=20, buffer=131072, count=0, exact=True): expected TDigest(delta=1000, buffer=131072)"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"means": [2.0, 1.0], "weights": [1.0, 1.0]}, "state of 'tdigest': means: expected ascending numbers"),
        ({"means": [math.nan], "weights": [1.0]}, "state of 'tdigest': means: expected ascending numbers"),
        ({"weights": [1.0]}, "state of 'tdigest': weights: expected 0 numbers, one for each value, got 1"),
        ({"delta": 0}, "state of 'tdigest': delta=0: expected a whole number >= 10"),
    ],
)
def test_broken_state(change, sentence):
    with pytest.raises(StoreError) as error:
        TDigest.from_dict(TDigest().update([1.0]).to_dict() | change)
    assert str(error.value) == sentence
