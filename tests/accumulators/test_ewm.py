"""Exponentially weighted moments against pandas."""

import math

import numpy as np
import pandas as pd
import pytest

from crucible_nb.accumulators import EWMoments
from crucible_nb.errors import ConfigError

ALPHAS = [1e-6, 0.01, 0.3, 0.9, 1.0]


def series(n=400, offset=1e6):
    rng = np.random.default_rng(0)
    values = offset + rng.normal(size=n)
    values[rng.random(n) < 0.2] = np.nan
    return pd.Series(values)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_mean_and_variances_are_those_of_pandas(alpha):
    values = series()
    known = values.dropna()  # centred, so that pandas' own rounding at an offset does not show
    expected = (known - 1e6).ewm(alpha=alpha, adjust=True, ignore_na=True)
    found = EWMoments(alpha).update(values[:150]).merge(EWMoments(alpha).update(values[150:]))
    assert found.missing == values.isna().sum()
    assert found.mean - 1e6 == pytest.approx(expected.mean().iloc[-1], abs=1e-8)
    assert found.biased_variance == pytest.approx(expected.var(bias=True).iloc[-1], rel=1e-7, abs=1e-12)
    assert found.variance == pytest.approx(expected.var().iloc[-1], rel=1e-7, nan_ok=True)
    assert found.mean == pytest.approx(values.ewm(alpha=alpha, ignore_na=True).mean().iloc[-1], rel=1e-12)


def test_infinite_values_are_skipped_as_in_pandas():
    values = pd.Series([1.0, math.inf, 2.0, -math.inf, 4.0])
    found = EWMoments(0.5).update(values)
    assert (found.count, found.infinite) == (3, 2)
    assert found.mean == values.ewm(alpha=0.5, ignore_na=True).mean().iloc[-1]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_whole_weights_are_repetitions(alpha):
    values, weights = np.random.default_rng(1).normal(size=30), np.random.default_rng(2).integers(0, 5, 30)
    weighted, repeated = EWMoments(alpha).update(values, weights), EWMoments(alpha).update(np.repeat(values, weights))
    assert weighted.mean == pytest.approx(repeated.mean, rel=1e-10)
    assert weighted.variance == pytest.approx(repeated.variance, rel=1e-10, nan_ok=True)
    assert weighted.biased_variance == pytest.approx(repeated.biased_variance, rel=1e-10)


def test_long_streams_forget_without_underflow():
    values = np.concatenate((np.full(100_000, 5.0), np.full(10_000, 7.0)))
    found = EWMoments(0.5).update(values)
    assert found.mean == 7.0
    assert found.variance == pytest.approx(0.0, abs=1e-12)


def test_a_single_event_has_a_biased_variance_alone():
    found = EWMoments(0.5).update([3.0])
    assert (found.biased_variance, math.isnan(found.variance)) == (0.0, True)
    assert math.isnan(EWMoments(0.5).biased_variance)


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1.1, math.nan, "x", True])
def test_alpha_outside_of_0_to_1(alpha):
    with pytest.raises(ConfigError) as error:
        EWMoments(alpha)
    assert str(error.value) == f"alpha={alpha!r}: expected a number > 0 and <= 1"


def test_other_alphas_do_not_merge():
    with pytest.raises(ConfigError) as error:
        EWMoments(0.5).merge(EWMoments(0.25))
    assert str(error.value) == (
        "later=EWMoments(alpha=0.25, count=0, mean=nan, std=nan): expected EWMoments(alpha=0.5)"
    )
