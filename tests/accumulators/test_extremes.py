"""Extremes against min and max."""

import math

import numpy as np
import pandas as pd

from crucible_nb.accumulators import Extremes


def test_against_numpy():
    values = np.random.default_rng(0).normal(size=1000)
    found = Extremes().update(values[:400]).merge(Extremes().update(values[400:]))
    assert (found.minimum, found.maximum, found.count) == (values.min(), values.max(), 1000)


def test_infinite_values_are_extremes_and_missing_ones_are_counted():
    found = Extremes().update([1.0, -math.inf, math.nan, math.inf]).result()
    assert (found.minimum, found.maximum, found.count, found.missing) == (-math.inf, math.inf, 3, 1)


def test_only_missing_values():
    found = Extremes().update([math.nan, None]).result()
    assert math.isnan(found.minimum)
    assert math.isnan(found.maximum)
    assert (found.count, found.missing) == (0, 2)


def test_nullable_columns():
    for column in (pd.Series([1, None, 3], dtype="Int64"), pd.Series([1, None, 3], dtype="double[pyarrow]")):
        assert (Extremes().update(column).maximum, Extremes().update(column).missing) == (3.0, 1)


def test_the_sign_of_zero_does_not_depend_on_the_order():
    assert math.copysign(1, Extremes().update([0.0, -0.0]).minimum) == 1.0
    assert math.copysign(1, Extremes().update([-0.0, 0.0]).minimum) == 1.0
