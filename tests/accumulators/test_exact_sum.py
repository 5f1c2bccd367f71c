"""Exact sums against rational arithmetic and `math.fsum`: zeros, negatives, giants, subnormals, weights, any cut."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucible_nb.accumulators.exact_add import add_runs, add_totals
from crucible_nb.accumulators.exact_sum import ExactSum, moments_of_sums, quotient

FINITE = st.floats(allow_nan=False, allow_infinity=False)
RNG = np.random.default_rng(0)
N = 2000
COLUMNS = {
    "normal": RNG.normal(size=N),
    "lognormal": RNG.lognormal(0, 3, N),
    "whole numbers": RNG.integers(0, 5000, N).astype(float),
    "equal": np.full(N, 0.1),
    "far apart": RNG.normal(size=N) * 10.0 ** RNG.integers(-300, 300, N),
    "subnormal": RNG.normal(size=N) * 5e-320,
    "giant": RNG.normal(size=N) * 1e307,
    "cancelling": np.tile([1e300, 1.0, -1e300, 1e-300], N // 4),
    "zeros": np.where(RNG.random(N) < 0.5, 0.0, -0.0),
}
WEIGHTS = {"none": None, "whole": RNG.integers(0, 9, N).astype(float), "any": RNG.lognormal(0, 5, N)}


def added(x: np.ndarray, w: np.ndarray | None, starts: list[int]) -> tuple[ExactSum, ExactSum]:
    totals, squares = ExactSum(1, len(starts)), ExactSum(1, len(starts))
    add_runs(totals, squares, 0, x, np.array(starts), w)
    return totals, squares


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("column", COLUMNS)
def test_sums_are_those_of_rational_arithmetic(column: str, weights: str) -> None:
    x, w, starts = COLUMNS[column], WEIGHTS[weights], [0, 1, 700]
    totals, squares = added(x, w, starts)
    for cell, (start, stop) in enumerate(zip(starts, [*starts[1:], N], strict=True)):
        xs = [Fraction(one) for one in x[start:stop].tolist()]
        ws = [Fraction(1)] * len(xs) if w is None else [Fraction(one) for one in w[start:stop].tolist()]
        assert totals.fraction(0, cell) == sum((a * b for a, b in zip(ws, xs, strict=True)), Fraction(0))
        assert squares.fraction(0, cell) == sum((a * b * b for a, b in zip(ws, xs, strict=True)), Fraction(0))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_numbers(n: int) -> None:
    for x in np.split(COLUMNS["normal"][: 600 * n], 600):
        totals, squares = added(x, None, [0])
        assert totals.fraction(0, 0) == sum(map(Fraction, x.tolist()), Fraction(0))
        assert squares.fraction(0, 0) == sum((Fraction(one) ** 2 for one in x.tolist()), Fraction(0))


@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300, 1e-320])
def test_many_cells_are_rounded_like_one(scale: float) -> None:
    rng, total = np.random.default_rng(5), ExactSum(1, 300)
    for cell in range(300):
        for value in rng.normal(size=rng.integers(0, 6)) * 10.0 ** rng.integers(-8, 8):
            total.add_float(0, cell, float(value) * scale)
        if cell % 7 == 0:  # a tie
            total.add_integer(0, cell, 2 * int(rng.integers(2**52, 2**53)) + 1, int(rng.integers(-60, 60)))
    assert total.values(0).tolist() == [total.value(0, cell) for cell in range(300)]


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "giant"])  # fsum overflows on the way
def test_a_total_is_that_of_fsum(column: str) -> None:
    x = COLUMNS[column]
    total = ExactSum(1, 1)
    add_totals(total, 0, x, np.array([0]))
    assert total.value(0, 0) == math.fsum(x)


@pytest.mark.parametrize("column", COLUMNS)
def test_order_and_cuts_change_no_bit(column: str) -> None:
    x, rng = COLUMNS[column], np.random.default_rng(1)
    whole = [sums.to_dict() for sums in added(x, None, [0])]
    for _ in range(5):
        parts = np.split(rng.permutation(x), np.sort(rng.integers(1, N, 4)))
        merged = ExactSum(1, 1), ExactSum(1, 1)
        for part in (part for part in parts if len(part)):
            for sums, one in zip(merged, added(part, None, [0]), strict=True):
                sums.merge(slice(None), one)
        for sums, expected in zip(merged, whole, strict=True):
            state = sums.to_dict()
            assert state["low"] == expected["low"]
            np.testing.assert_array_equal(state["chunks"], expected["chunks"])


@given(st.lists(FINITE, max_size=20), st.lists(FINITE, max_size=20))
def test_any_numbers_one_by_one(a: list[float], b: list[float]) -> None:
    sums = ExactSum(1, 1), ExactSum(1, 1)
    for one, values in zip(sums, (a, b), strict=True):
        for value in values:
            one.add_float(0, 0, value)
    sums[0].merge(slice(None), sums[1])
    exact = sum(map(Fraction, a + b), Fraction(0))
    assert sums[0].fraction(0, 0) == exact
    assert ExactSum.from_dict(sums[0].to_dict()).fraction(0, 0) == exact
    try:
        expected = math.fsum(a + b)
    except OverflowError:  # on the way, or at the end
        return
    assert sums[0].value(0, 0) == expected


def test_carries_of_many_additions() -> None:
    total, expected = ExactSum(2, 3), Fraction(0)
    total.load = (1 << 29) - 5  # as after half a billion additions
    for value in (-1.5, 3.25, -(2.0**40), 2.0**-30) * 10:
        total.add_float(1, 2, value)
        expected += Fraction(value)
    assert total.load < 1000
    assert total.fraction(1, 2) == expected
    assert total.fraction(0, 0) == 0


def test_cells_are_taken_grown_cleared_and_summed() -> None:
    total = ExactSum(1, 4)
    for cell, value in enumerate((1.0, 1e20, -3.0, math.inf)):
        total.add_float(0, cell, value)
    assert [total.resized(6).value(0, cell) for cell in range(6)] == [1.0, 1e20, -3.0, math.inf, 0.0, 0.0]
    assert [total.take([2, 3]).value(0, cell) for cell in range(2)] == [-3.0, math.inf]
    summed = total.summed(np.array([0, 2]))
    assert summed.fraction(0, 0) == Fraction(10**20 + 1)
    assert summed.value(0, 1) == math.inf
    total.clear([1, 3])
    assert [total.value(0, cell) for cell in range(4)] == [1.0, 0.0, -3.0, 0.0]


def test_infinite_values_add_up_as_ieee_754_says() -> None:
    total = ExactSum(1, 1)
    total.add_float(0, 0, math.inf)
    total.add_float(0, 0, 1.0)
    assert total.value(0, 0) == math.inf
    other = ExactSum(1, 1)
    other.add_float(0, 0, -math.inf)
    total.merge(slice(None), other)
    assert math.isnan(total.value(0, 0))
    again = ExactSum.from_dict(total.to_dict())
    assert math.isnan(again.value(0, 0))
    assert again.fraction(0, 0) == 1


@pytest.mark.parametrize("x", [[0.1] * 10, [1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.3], [5e-324, 1e-323], [1e200, -1e200]])
def test_moments_are_rounded_once(x: list[float]) -> None:
    totals, squares = added(np.array(x), None, [0])
    xs = [Fraction(one) for one in x]
    mean = sum(xs) / len(xs)
    deviations = sum((one - mean) ** 2 for one in xs)
    found = moments_of_sums(Fraction(len(x)), totals, squares)
    assert found.mean == float(mean)
    assert found.squares == quotient(deviations.numerator, deviations.denominator)
    variance = deviations / (len(xs) - 1)
    assert found.variance == quotient(variance.numerator, variance.denominator)


def test_a_broken_state_is_refused() -> None:
    with pytest.raises(ValueError, match="chunks of the shape"):
        ExactSum.from_dict({"chunks": np.zeros(3), "low": 0, "infinite": None})
