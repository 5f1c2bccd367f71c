"""Moments against NIST's certified values, exact rational arithmetic and numpy."""

import gzip
import json
import math
from fractions import Fraction

import numpy as np
import pytest

from crucible_nb.accumulators import Moments, combine, moments_by
from crucible_nb.errors import ConfigError, StatError, StoreError

NUMACC4 = np.array([10000000.2] + [10000000.1, 10000000.3] * 500)
"""NIST StRD, NumAcc4: certified mean 10000000.2, standard deviation 0.1."""


def exactly(values, weights=None):
    """Weight, mean and squared deviations in rational arithmetic."""
    xs = [Fraction(float(v)) for v in values]
    ws = [Fraction(1)] * len(xs) if weights is None else [Fraction(float(w)) for w in weights]
    n = sum(ws)
    mean = sum((w * x for w, x in zip(ws, xs, strict=True)), Fraction(0)) / n
    return float(n), float(mean), float(sum(w * (x - mean) ** 2 for w, x in zip(ws, xs, strict=True)))


NIST = ["lottery", "lew", "mavro", "numacc1", "numacc2", "numacc3"]


@pytest.mark.parametrize("name", NIST)
def test_nist_certified_values(shared_data, name):
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    entry = next(entry for entry in entries if entry["id"] == f"nist_strd_univariate_{name}")
    values = []
    with gzip.open(shared_data / entry["inputs"]["file"], "rt") as lines:
        for line in lines:
            try:
                values.append(float(line))
            except ValueError:
                continue
    found = Moments().update(values)
    assert found.count == entry["expected"]["n"]
    assert found.mean == pytest.approx(entry["expected"]["mean"], rel=entry["tolerance"]["mean"]["rel"])
    assert found.std == pytest.approx(entry["expected"]["sd"], rel=entry["tolerance"]["sd"]["rel"])
    n, mean, m2 = exactly(values)  # every digit that the doubles nearest to the data allow
    assert (found.weight, found.mean) == (n, mean)
    assert found.variance == pytest.approx(m2 / (n - 1), rel=2.3e-16)


def test_numacc4_to_the_digits_that_doubles_allow():
    found = Moments().update(NUMACC4)
    _, mean, m2 = exactly(NUMACC4)
    assert found.mean == mean == 10000000.2
    assert found.variance == pytest.approx(m2 / 1000, rel=1e-14)
    assert found.std == pytest.approx(0.1, rel=1e-7)  # the doubles nearest to the data are that far from it


def test_numacc4_in_pieces_that_merge():
    pieces = [Moments().update(part) for part in np.array_split(NUMACC4, 37)]
    merged = Moments()
    for piece in pieces:
        merged = merged.merge(piece)
    _, mean, m2 = exactly(NUMACC4)
    assert merged == Moments().update(NUMACC4)
    assert merged.mean == mean
    assert merged.variance == pytest.approx(m2 / 1000, rel=1e-15)


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e9, 1e12])
def test_stable_at_any_offset(offset):
    values = offset + np.random.default_rng(1).normal(0, 1, 40_000)
    n, mean, m2 = exactly(values[:10_000])
    block = Moments().update(values[:10_000])
    assert (block.weight, block.mean) == (n, pytest.approx(mean, rel=1e-15))
    assert block.variance == pytest.approx(m2 / (n - 1), rel=1e-12)
    n, mean, m2 = exactly(values)
    merged = Moments().update(values)
    assert (merged.weight, merged.mean) == (n, pytest.approx(mean, rel=1e-15))
    assert merged.variance == pytest.approx(m2 / (n - 1), rel=1e-15)


def test_whole_weights_are_repetitions():
    rng = np.random.default_rng(2)
    values, weights = rng.lognormal(size=500), rng.integers(0, 6, 500)
    repeated, weighted = Moments().update(np.repeat(values, weights)), Moments().update(values, weights)
    assert weighted.count == np.count_nonzero(weights)
    assert weighted.weight == repeated.weight == weights.sum()
    assert weighted.mean == pytest.approx(repeated.mean, rel=1e-14)
    assert weighted.variance == pytest.approx(repeated.variance, rel=1e-13)
    assert weighted.total == pytest.approx(repeated.total, rel=1e-14)


def test_totals_of_whole_numbers_are_exact():
    assert Moments().update([1.0, 2.0, 2.0]).update([5.0]).total == 10.0


def test_missing_and_infinite_values_are_counted():
    found = Moments().update([1.0, math.nan, math.inf, 3.0]).result()
    assert (found.count, found.missing, found.infinite) == (3, 1, 1)
    assert found.mean == math.inf
    assert math.isnan(found.variance)


@pytest.mark.parametrize(
    ("a", "b", "mean"),
    [
        ([math.inf], [math.inf], math.inf),
        ([math.inf], [-math.inf], math.nan),
        ([1.0], [-math.inf], -math.inf),
        ([math.inf], [1.0], math.inf),
    ],
)
def test_infinite_means_merge_as_ieee_754_adds(a, b, mean):
    merged = Moments().update(a).merge(Moments().update(b))
    assert merged.mean == pytest.approx(mean, nan_ok=True)
    assert merged.mean == pytest.approx(Moments().update(a + b).mean, nan_ok=True)
    assert math.isnan(merged.variance)


def test_constant_data_have_no_variance_to_speak_of():
    found = Moments().update(np.full(1000, 0.1))
    assert found.mean == 0.1
    assert found.variance < 1e-30


def test_a_single_event_has_no_variance():
    assert math.isnan(Moments().update([5.0]).variance)
    assert Moments().update([5.0], weights=[3.0]).variance == 0.0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("holes", [False, True])
def test_moments_by_runs_equal_moments_of_each_run(weighted, holes):
    rng = np.random.default_rng(3)
    values = rng.normal(1e9, 1, (3, 1000))
    if holes:
        values[rng.random(values.shape) < 0.3] = np.nan
        values[1, 100:400] = np.nan
    weights = rng.uniform(0, 3, 1000) if weighted else None
    starts = np.array([0, 1, 100, 400, 999])
    n, mean, m2 = moments_by(values, starts, weights)
    assert n.shape == mean.shape == m2.shape == (3, 5)
    for row in range(3):
        for run, (start, stop) in enumerate(zip(starts, [*starts[1:], 1000], strict=True)):
            part, w = values[row, start:stop], np.ones(stop - start) if weights is None else weights[start:stop]
            there = ~np.isnan(part)
            if not there.any():
                assert (n[row, run], mean[row, run], m2[row, run]) == (0, 0, 0)
                continue
            expected = exactly(part[there], w[there])
            assert n[row, run] == pytest.approx(expected[0], rel=1e-14)
            assert mean[row, run] == pytest.approx(expected[1], rel=1e-15)
            assert m2[row, run] == pytest.approx(expected[2], rel=1e-12, abs=1e-12)


def test_moments_by_leaves_its_input_alone():
    values = np.array([1.0, 2.0, np.nan])
    moments_by(values, np.array([0]))
    moments_by(values[:2], np.array([0]))
    np.testing.assert_array_equal(values, [1.0, 2.0, np.nan])


def test_nothing_changes_no_bit_of_the_other_side():
    mean, m2 = np.array([-0.0, 0.1, 1e300, np.nan, np.inf]), np.array([0.0, 0.3, np.inf, np.nan, np.nan])
    n, zero = np.full(5, 3.0), np.zeros(5)
    for found in (combine(n, mean, m2, zero, zero, zero), combine(zero, zero, zero, n, mean, m2)):
        for got, expected in zip(found, (n, mean, m2), strict=True):
            assert got.tobytes() == expected.tobytes()
    for got in combine(zero, zero, zero, zero, zero, zero):
        assert got.tobytes() == zero.tobytes()


def test_combine_works_on_tables_of_groups():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(4, 20)), rng.normal(size=(4, 30))
    both = combine(*moments_by(a, np.array([0])), *moments_by(b, np.array([0])))
    whole = np.hstack((a, b))
    np.testing.assert_allclose(both[1][:, 0], whole.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(both[2][:, 0] / 49, whole.var(axis=1, ddof=1), rtol=1e-12)


def test_long_input_is_taken_in_blocks():
    values = np.random.default_rng(5).normal(size=100_003)
    found = Moments().update(values)
    assert found.variance == pytest.approx(values.var(ddof=1), rel=1e-12)


@pytest.mark.parametrize(
    ("values", "weights", "sentence"),
    [
        (["a"], None, "values=['a']: expected numbers in one dimension"),
        ([[1.0]], None, "values=[[1.0]]: expected numbers in one dimension"),
        (3.0, None, "values=3.0: expected numbers in one dimension"),
        ([1.0], [-1.0], "weights: expected finite numbers >= 0, got -1.0"),
        ([1.0], [math.nan], "weights: expected finite numbers >= 0, got nan"),
        ([1.0], [1.0, 2.0], "weights: expected 1 numbers, one for each value, got 2"),
    ],
)
def test_wrong_input_is_named(values, weights, sentence):
    with pytest.raises(StatError) as error:
        Moments().update(values, weights)
    assert str(error.value) == sentence


def test_merging_with_something_else():
    with pytest.raises(ConfigError) as error:
        Moments().merge(3)
    assert str(error.value) == "later=3: expected Moments()"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "median"}, None),
        ({"version": 3}, "state of 'moments': version=3: expected at most 2; a newer release wrote it"),
        ({"count": -1}, "state of 'moments': count=-1: expected a whole number >= 0"),
        ({"count": None}, "state of 'moments': count=None: expected a whole number >= 0"),
        ({"base": ["a"]}, "state of 'moments': base=['a']: expected numbers in one dimension"),
        ({"base": [1.0]}, "state of 'moments': base: expected 4 numbers, got 1"),
        ({"totals": 3}, "state of 'moments': totals: cannot unpack non-iterable int object"),
        ({"totals": ["0x1", 10**9, 0.0]}, "state of 'moments': totals: expected a sum of float64 numbers"),
    ],
)
def test_broken_state(change, sentence):
    with pytest.raises(StoreError) as error:
        Moments.from_dict(Moments().update([1.0]).to_dict() | change)
    if sentence:
        assert str(error.value) == sentence
    else:
        assert str(error.value).endswith("expected the to_dict() of 'moments'")


@pytest.mark.parametrize("state", [None, 3, [], {}])
def test_no_state_at_all(state):
    with pytest.raises(StoreError) as error:
        Moments.from_dict(state)
    assert str(error.value) == f"state={state!r}: expected the to_dict() of 'moments'"


def test_a_field_that_is_missing():
    state = Moments().to_dict()
    del state["totals"]
    with pytest.raises(StoreError) as error:
        Moments.from_dict(state)
    assert str(error.value) == "state of 'moments': 'totals' is missing"


def test_a_state_of_release_01_is_merged_by_chan():
    old = {"kind": "moments", "version": 1, "count": 3, "weight": 3.0, "mean": 3.0, "m2": 14.0, "total": 9.0}
    found = Moments.from_dict({**old, "missing": 0, "infinite": 0}).update([7.0])
    assert found.result() == Moments().update([1.0, 2.0, 6.0, 7.0]).result()
    again = Moments.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert again.merge(Moments().update([3.0])).mean == pytest.approx(3.8, rel=1e-15)


def test_equal_by_state_and_not_hashable():
    assert Moments().update([1.0]) == Moments().update([1.0])
    assert Moments().update([1.0]) != Moments().update([2.0])
    assert Moments() != "moments"
    with pytest.raises(TypeError):
        hash(Moments())
