"""Proportions of booleans."""

import math

import numpy as np
import pandas as pd
import pytest

from crucible_nb.accumulators import Proportion
from crucible_nb.errors import StatError


def test_nullable_booleans():
    found = Proportion().update(pd.array([True, None, False, True], dtype="boolean")).result()
    assert (found.count, found.successes, found.failures, found.missing) == (3, 2.0, 1.0, 1)
    assert found.rate == 2 / 3


def test_weights_against_numpy():
    rng = np.random.default_rng(0)
    values, weights = rng.random(1000) < 0.3, rng.uniform(0, 5, 1000)
    found = Proportion().update(values[:500], weights[:500]).merge(Proportion().update(values[500:], weights[500:]))
    assert found.rate == pytest.approx(np.average(values, weights=weights), rel=1e-13)
    assert found.successes == pytest.approx(weights[values].sum(), rel=1e-13)


def test_unknown_is_nan():
    assert math.isnan(Proportion().update([None, math.nan]).rate)


@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, math.inf])
def test_neither_true_nor_false(value):
    one = Proportion()
    with pytest.raises(StatError) as error:
        one.update([1.0, value])
    assert str(error.value) == f"values: expected booleans, 0 or 1, got {value}"
    assert one == Proportion()
